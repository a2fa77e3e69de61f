//! What the queues of oxcart do, live, in a browser: a [`Router`] that an application mounts under any path. The command `oxcart serve`
//! is the same with a server of its own.
//!
//! ```no_run
//! use axum::Router;
//! use oxcart_dashboard::{Access, Dashboard, Role};
//!
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! let oxcart = oxcart::Oxcart::connect("redis://127.0.0.1/").await?;
//! let dashboard = Dashboard::new(&oxcart).token(&std::env::var("DASHBOARD_TOKEN")?, Access::new("ops", Role::Operator))?;
//! let app: Router = Router::new().nest("/queues", dashboard.router());
//! # Ok(()) }
//! ```
//!
//! Without [`access`](Dashboard::access) or [`token`](Dashboard::token) nobody is let in.

// Only here: tests and examples may.
#![warn(clippy::unwrap_used, clippy::panic, missing_debug_implementations)]

mod access;
mod chrome;
mod metrics;
pub mod model;
mod pages;
mod place;
mod reading;
mod server;
mod tasks;
mod value;

use std::fmt;
use std::future::Future;
use std::sync::Arc;

use axum::Router;
use axum::http::request::Parts;
use oxcart::Oxcart;

use crate::server::{Gate, Shared, Tokens};
pub use access::{Access, Role, UnknownRole};
pub use server::WeakToken;
pub use value::Stored;

/// The pages, the JSON API and the streams of changes, for the queues of one connection.
///
/// However many people look, Redis is asked less than 50 times a second, and not at all while nobody looks.
#[must_use = "nothing is served until its router is"]
pub struct Dashboard {
    oxcart: Oxcart,
    gate: Way,
    base: Option<String>,
    alerts: String,
}

/// How it is found out who asks, while that is being said.
enum Way {
    Gate(Gate),
    Tokens(Tokens),
}

impl fmt::Debug for Dashboard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Dashboard")
            .field("oxcart", &self.oxcart)
            .finish_non_exhaustive()
    }
}

impl Dashboard {
    /// The queues of this connection. What viewers do is noted in the audits of the queues under their names.
    pub fn new(oxcart: &Oxcart) -> Self {
        Self {
            oxcart: oxcart.clone(),
            gate: Way::Gate(Gate::Closed),
            base: None,
            alerts: "alerts".to_owned(),
        }
    }

    /// The application says who asks, and what they may do: from a cookie or a header of its own, for instance, or from what its
    /// middleware has put into the extensions of the request. `None` lets nobody in.
    ///
    /// ```no_run
    /// use axum::http::request::Parts;
    /// use oxcart_dashboard::{Access, Dashboard, Role};
    ///
    /// # fn example(oxcart: &oxcart::Oxcart) {
    /// let dashboard = Dashboard::new(oxcart).access(|request: Parts| async move {
    ///     let user = request.headers.get("x-user")?.to_str().ok()?;
    ///     Some(Access::new(user, Role::Viewer).in_queue("mail", Role::Operator))
    /// });
    /// # }
    /// ```
    pub fn access<F, A>(mut self, who: F) -> Self
    where
        F: Fn(Parts) -> A + Send + Sync + 'static,
        A: Future<Output = Option<Access>> + Send + 'static,
    {
        let hook = move |parts: Parts| -> std::pin::Pin<Box<dyn Future<Output = _> + Send>> {
            Box::pin(who(parts))
        };
        self.gate = Way::Gate(Gate::Hook(Arc::new(hook)));
        self
    }

    /// Everybody who has this token is let in, and may do this: programs with the header `Authorization: Bearer ..`, people on a login page.
    /// It can be called for several tokens, and takes the place of [`access`](Self::access).
    ///
    /// # Errors
    ///
    /// If the token has less than 16 characters: it could be guessed.
    pub fn token(mut self, token: &str, access: Access) -> Result<Self, WeakToken> {
        let mut tokens = match self.gate {
            Way::Tokens(tokens) => tokens,
            Way::Gate(_) => Tokens::default(),
        };
        tokens.add(token, access)?;
        self.gate = Way::Tokens(tokens);
        Ok(self)
    }

    /// Everybody on this machine is let in, and may do this: requests whose peer is a loopback address, and whose `Host` is `localhost`,
    /// `127.0.0.1` or `[::1]`, so that no web page can reach it through a name of its own. The server has to say who the peer is
    /// (`into_make_service_with_connect_info::<SocketAddr>()`). Not for use behind a proxy, whose requests all come from this machine.
    pub fn open_to_loopback(mut self, access: Access) -> Self {
        self.gate = Way::Gate(Gate::Loopback(access));
        self
    }

    /// Where browsers find the dashboard, such as `/admin/queues`, if a proxy takes a part of the path away. Otherwise it finds out by
    /// itself where it is mounted.
    pub fn seen_at(mut self, path: impl Into<String>) -> Self {
        self.base = Some(path.into().trim_end_matches('/').to_owned());
        self
    }

    /// The queue that tells of the [alerts](oxcart::Alerts) of the application: the second argument of `Alerts::new`. Default: `alerts`.
    pub fn alerts_of(mut self, queue: impl Into<String>) -> Self {
        self.alerts = queue.into();
        self
    }

    /// What can be mounted under any path. Beside the pages it has `/metrics`: what is known of all queues, in the text format of
    /// Prometheus. To be called within a runtime of tokio.
    pub fn router(self) -> Router {
        let gate = match self.gate {
            Way::Gate(gate) => gate,
            Way::Tokens(tokens) => Gate::Tokens(Arc::new(tokens)),
        };
        server::router(&Shared::new(&self.oxcart, self.alerts, gate, self.base))
    }
}

/// The routes of the JSON API, each with its method in lower case: for the test that compares them with the description of the API.
#[doc(hidden)]
pub fn api_routes() -> impl Iterator<Item = (&'static str, String)> {
    let places = place::PLACES.iter();
    let places = places.map(|(path, _)| ("get", format!("/api{path}")));
    let actions = server::ACTIONS.iter();
    places.chain(actions.map(|(path, _)| ("post", format!("/api{path}"))))
}
