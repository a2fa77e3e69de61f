//! The dashboard with a server of its own.

mod connections;
mod reading_client;
mod token;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::Router;
use axum::extract::State;
use axum::http::StatusCode;
use axum::routing::get;
use clap::Args;
use oxcart::Oxcart;
use oxcart_dashboard::{Access, Dashboard, Role};
use tokio::net::TcpListener;
use tokio::sync::Mutex;
use tokio::time::timeout;

use crate::session::Session;
use crate::trouble::Trouble;
use connections::Limits;
use token::{Token, Typed};

/// How long requests under way may take when the server is to end. Streams of changes do not end by themselves.
const GRACE: Duration = Duration::from_secs(3);
/// How long a client may take to ask, from when it has connected or has got its last answer.
const HEAD_WITHIN: Duration = Duration::from_secs(30);
/// How long a client may take to read its answer, and a second more for each KiB of it.
const READ_WITHIN: Duration = Duration::from_secs(30);
/// How long Redis may take to answer, so that the server is called healthy.
const HEALTHY_WITHIN: Duration = Duration::from_secs(2);
/// A health check asks Redis not more often than this.
const ASKED_EVERY: Duration = Duration::from_secs(1);

/// Without tokens, everybody on this machine may do everything, and others get no answer. It ends with Ctrl-C or SIGTERM.
#[derive(Args)]
pub(crate) struct Serve {
    /// The address to listen at; port 0 takes one that is free
    #[arg(
        long,
        env = "OXCART_LISTEN",
        value_name = "ADDRESS",
        default_value = "127.0.0.1:7474",
        value_parser = address
    )]
    listen: SocketAddr,
    /// Who may do what: [NAME=]ROLE[@QUEUE][+ROLE@QUEUE..]:TOKEN, with the roles viewer, operator and admin; can be given several
    /// times, in the variable separated by spaces. A token has 16 characters or more
    #[arg(
        long = "token",
        env = "OXCART_DASHBOARD_TOKENS",
        hide_env_values = true,
        value_delimiter = ' ',
        value_name = "TOKEN"
    )]
    tokens: Vec<Typed>,
    /// Where browsers find it, if a proxy takes a part of the path away: /queues
    #[arg(long, value_name = "PATH")]
    seen_at: Option<String>,
    /// The queue that tells of the alerts of the application
    #[arg(long, value_name = "QUEUE", default_value = "alerts")]
    alerts_of: String,
}

fn address(typed: &str) -> Result<SocketAddr, String> {
    let read = typed.parse();
    read.map_err(|_| "an IP address and a port, as in `127.0.0.1:7474` or `[::]:7474`".to_owned())
}

pub(crate) async fn run(serve: Serve, session: &mut Session) -> Result<(), Trouble> {
    let given = std::env::args_os().any(|arg| arg.to_string_lossy().starts_with("--token"));
    if given {
        session.out.note("tokens can be seen in the list of processes; set OXCART_DASHBOARD_TOKENS instead of --token");
    }
    let mut dashboard = Dashboard::new(&session.oxcart).alerts_of(&serve.alerts_of);
    if let Some(path) = &serve.seen_at {
        dashboard = dashboard.seen_at(path);
    }
    if serve.tokens.is_empty() {
        if !serve.listen.ip().is_loopback() {
            let text = format!(
                "everybody who reaches {} could do everything: without tokens, only this machine is served",
                serve.listen
            );
            return Err(Trouble::usage(text).hint(
                "give tokens in OXCART_DASHBOARD_TOKENS, as in `admin:$(openssl rand -hex 16)`, or listen at 127.0.0.1",
            ));
        }
        dashboard = dashboard.open_to_loopback(Access::new(&session.operator, Role::Admin));
    }
    for typed in serve.tokens {
        let Token { text, access } = typed.read().map_err(Trouble::usage)?;
        let added = dashboard.token(&text, access);
        dashboard = added.map_err(|weak| Trouble::usage(weak.to_string()))?;
    }
    let listener = TcpListener::bind(serve.listen).await;
    let listener = listener
        .map_err(|error| Trouble::error(format!("cannot listen at {}: {error}", serve.listen)))?;
    let address = listener
        .local_addr()
        .map_err(|error| Trouble::error(format!("cannot listen: {error}")))?;
    session.out.line(format_args!(
        "The dashboard is at http://{address}/ (Ctrl-C ends it)"
    ))?;
    session.out.flush()?;
    let app = dashboard.router().merge(health(&session.oxcart));
    let limits = Limits {
        head: HEAD_WITHIN,
        read: READ_WITHIN,
        end: GRACE,
    };
    limits.serve(listener, app, oxcart::shutdown_signal()).await;
    Ok(())
}

/// When Redis was last asked, and whether it answered.
type Health = Arc<(Oxcart, Mutex<Option<(Instant, bool)>>)>;

/// `/healthz`: for the program that restarts or replaces this one. It tells nothing else, so everybody may ask.
fn health(oxcart: &Oxcart) -> Router {
    let health: Health = Arc::new((oxcart.clone(), Mutex::default()));
    Router::new()
        .route("/healthz", get(healthz))
        .with_state(health)
}

async fn healthz(State(health): State<Health>) -> (StatusCode, &'static str) {
    let (oxcart, known) = &*health;
    let mut known = known.lock().await;
    let is_alive = match *known {
        Some((asked_at, is_alive)) if asked_at.elapsed() < ASKED_EVERY => is_alive,
        _ => {
            let answer = timeout(HEALTHY_WITHIN, oxcart.queues()).await;
            let is_alive = matches!(answer, Ok(Ok(_)));
            *known = Some((Instant::now(), is_alive));
            is_alive
        }
    };
    match is_alive {
        true => (StatusCode::OK, "ok\n"),
        false => (StatusCode::SERVICE_UNAVAILABLE, "Redis does not answer\n"),
    }
}
