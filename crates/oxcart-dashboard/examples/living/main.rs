//! A living dashboard: a private Redis, producers, workers, and the pages.
//!
//! ```text
//! make dashboard             something goes on in some queues
//! make dashboard LEFT=1      what the last `make demo` has left
//! ```
//!
//! What an application needs is in `show`. Ctrl-C ends it, and nothing stays behind.

#[allow(dead_code, reason = "the demo uses more of it")]
#[path = "../../../../examples/demo/server.rs"]
mod server;
mod work;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context, Result};
use oxcart::Oxcart;
use oxcart_dashboard::{Access, Dashboard, Role};
use tokio::net::TcpListener;

use crate::server::Server;

const PORT: u16 = 7474;

#[tokio::main]
async fn main() -> ExitCode {
    match run().await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("living: {error:#}");
            ExitCode::FAILURE
        }
    }
}

async fn run() -> Result<()> {
    let left = std::env::args_os().nth(1).map(PathBuf::from);
    let mut server = Server::start(left.as_deref())?;
    let oxcart = server.connect().await?;
    tokio::select! {
        shown = show(&oxcart) => shown,
        worked = work::go_on(&oxcart), if left.is_none() => worked,
        () = oxcart::shutdown_signal() => Ok(()),
    }
}

/// Serves the pages, to this machine alone.
async fn show(oxcart: &Oxcart) -> Result<()> {
    let access = Access::new("you", Role::Admin);
    let dashboard = Dashboard::new(oxcart).open_to_loopback(access);
    let app = dashboard.router();

    let listener = listen().await?;
    println!("\n  The dashboard is at http://{}/", listener.local_addr()?);
    println!("  Ctrl-C ends it.\n");
    axum::serve(
        listener,
        app.into_make_service_with_connect_info::<SocketAddr>(),
    )
    .await?;
    Ok(())
}

/// At the port that was asked for; else at the usual one, or any that is free.
async fn listen() -> Result<TcpListener> {
    if let Ok(port) = std::env::var("PORT") {
        let port: u16 = port.parse().context("PORT is no number of a port")?;
        let listener = TcpListener::bind(("127.0.0.1", port)).await;
        return listener.with_context(|| format!("cannot listen at port {port}"));
    }
    match TcpListener::bind(("127.0.0.1", PORT)).await {
        Ok(listener) => Ok(listener),
        Err(_) => Ok(TcpListener::bind(("127.0.0.1", 0)).await?),
    }
}
