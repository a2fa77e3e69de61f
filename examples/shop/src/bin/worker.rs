//! The worker: `cargo run -p shop --bin worker`. Ctrl-C ends it, and it shows what it has done.

use oxcart::Oxcart;
use shop::bank::Bank;
use shop::metrics::Metrics;

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    tracing_subscriber::fmt().init();
    let oxcart = Oxcart::connect(&shop::redis_url()).await?;
    let metrics = Metrics::default();
    let workers = shop::work::workers(&oxcart, Bank, &metrics)?;
    workers.run_until(oxcart::shutdown_signal()).await?;
    print!("{metrics}");
    Ok(())
}
