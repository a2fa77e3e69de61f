//! The router: who is let in, what is shown, what is done.

mod acting;
mod answer;
mod assets;
mod body;
mod bulk;
mod cookies;
mod durable;
mod gate;
mod headers;
mod live;
mod login;
mod looking;
mod origin;
mod tokens;

use std::sync::Arc;

use axum::Router;
use axum::middleware::{from_fn_with_state, map_response};
use axum::routing::{get, post};
use oxcart::Oxcart;
use tokio::sync::Semaphore;

use crate::place::{Make, PLACES};
use crate::reading::Reader;
use crate::tasks::Tasks;
pub(crate) use acting::ACTIONS;
pub(crate) use gate::Gate;
pub(crate) use tokens::Tokens;
pub use tokens::WeakToken;

/// Streams that are open at a time.
const STREAMS: usize = 256;

/// What all handlers share.
pub(crate) struct Shared {
    oxcart: Oxcart,
    reader: Reader,
    /// The queue that tells of the alerts of the application.
    alerts: String,
    tasks: Arc<Tasks>,
    gate: Gate,
    /// Where the dashboard is mounted, if a proxy hides it.
    base: Option<String>,
    streams: Arc<Semaphore>,
}

pub(crate) type App = Arc<Shared>;

impl Shared {
    pub(crate) fn new(oxcart: &Oxcart, alerts: String, gate: Gate, base: Option<String>) -> App {
        let tasks = Arc::new(Tasks::default());
        Arc::new(Self {
            oxcart: oxcart.clone(),
            reader: Reader::new(oxcart, alerts.clone(), Arc::clone(&tasks)),
            alerts,
            tasks,
            gate,
            base,
            streams: Arc::new(Semaphore::new(STREAMS)),
        })
    }
}

pub(crate) fn router(app: &App) -> Router {
    let overview: Make = |_| Ok(crate::place::Place::Overview);
    let mut inside = Router::new().route("/", get(looking::page(overview)));
    for (path, make) in PLACES {
        inside = inside
            .route(path, get(looking::page(make)))
            .route(&format!("/api{path}"), get(looking::json(make)))
            .route(&format!("/live{path}"), get(live::stream(make)));
    }
    for (path, deed) in ACTIONS {
        inside = inside
            .route(path, post(acting::act(deed)))
            .route(&format!("/api{path}"), post(acting::act(deed)));
    }
    let inside = inside
        .route("/api/openapi.json", get(assets::openapi))
        .route("/metrics", get(looking::metrics))
        .route("/logout", post(login::leave))
        .fallback(gate::nowhere)
        .layer(from_fn_with_state(Arc::clone(app), gate::gate));
    Router::new()
        .route("/login", get(login::page).post(login::enter))
        .route("/assets/{name}", get(assets::asset))
        .merge(inside)
        .layer(map_response(headers::safe))
        .with_state(Arc::clone(app))
}
