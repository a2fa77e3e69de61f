//! The web service: `cargo run -p shop --bin web`, then
//! `curl -X POST localhost:3000/orders/7 --json '{"customer":"Ada","card":"4111","cents":995}'`.

use oxcart::Oxcart;

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    tracing_subscriber::fmt().init();
    let oxcart = Oxcart::connect(&shop::redis_url()).await?;
    let router = shop::web::router(oxcart.queue("payments")?);
    let listener = tokio::net::TcpListener::bind("127.0.0.1:3000").await?;
    axum::serve(listener, router)
        .with_graceful_shutdown(oxcart::shutdown_signal())
        .await?;
    Ok(())
}
