//! An order flow over three services, each a process of its own, which know nothing of one another but a contract ([`contract`]).
//!
//! ```text
//!  customer ──PlaceOrder──▶ shop ──FindOffers──▶ warehouse          requests and replies
//!                            │ OrderPlaced
//!                            ▼
//!                    topic "orders" ──────────▶ payments ──▶ bank   events; a breaker around the bank
//!                     ▲      │   ▲ OrderPaid,      │ PrintInvoice   a command whose large payload goes to a folder
//!        OrderShipped │      │   └─OrderDeclined───┘
//!                     └── warehouse ──▶ lorries
//! ```
//!
//! With the name of a service as its argument it is that service. Without one it is the check: it starts a private Redis and all services, places
//! orders, kills services, closes the bank for a while, and looks at the end whether everything is as it must be ([`check`]).
//! `cargo run --package services`, or `make example-services`.

mod audit;
mod check;
mod contract;
mod harness;
mod middleware;
mod outside;
mod payments;
mod shop;
mod warehouse;

use std::env;
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use outside::Outside;
use oxcart::{ClaimCheck, Oxcart, QueueSettings, Retention, shutdown_signal};
use oxcart_object_store::ObjectPayloads;
use shop::Release;

/// The folder of large payloads. It is inside the folder of the world outside.
const PAYLOADS: &str = "payloads";

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let Some(service) = env::args().nth(1) else {
        return check::run().await;
    };
    tracing_subscriber::fmt()
        .with_writer(std::io::stderr)
        .with_max_level(tracing::Level::ERROR)
        .init();
    let folder = PathBuf::from(env::var("OUTSIDE").context("OUTSIDE is not set")?);
    let url = env::var("REDIS_URL").unwrap_or_else(|_| "redis://127.0.0.1/".to_owned());
    let oxcart = connect(&url, &service, &folder).await?;
    let outside = Outside::in_folder(&folder);
    let workers = match service.as_str() {
        "shop" => shop::workers(&oxcart, Release::New)?,
        "old-shop" => shop::workers(&oxcart, Release::Old)?,
        "payments" => payments::workers(&oxcart, outside).await?,
        "warehouse" => warehouse::workers(&oxcart, outside).await?,
        other => bail!("`{other}`: there are `shop`, `old-shop`, `payments` and `warehouse`"),
    };
    workers.run_until(shutdown_signal()).await?;
    Ok(())
}

/// Events say from which service they come, and large payloads go to a folder that all services see.
async fn connect(url: &str, service: &str, folder: &Path) -> anyhow::Result<Oxcart> {
    let store = ObjectPayloads::folder(folder.join(PAYLOADS))?;
    let builder = Oxcart::builder()
        .source(format!("/{service}"))
        .claim_check(ClaimCheck::over(64 * 1024, store));
    Ok(builder.connect(url).await?)
}

/// Nobody looks at jobs that went well.
fn settings() -> QueueSettings {
    QueueSettings::new().keep_completed(Retention::Nothing)
}
