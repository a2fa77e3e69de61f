//! Priorities: 0 is the most urgent, 1023 the least, 500 the default. Among equals, first come
//! is first served, but for those that are sent to the front.
//!
//! `cargo run --example priorities`, with a Redis at `REDIS_URL` (default `redis://127.0.0.1/`).

use oxcart::{Failure, Job, Oxcart, Worker};
use serde::{Deserialize, Serialize};
use tokio_util::sync::CancellationToken;

#[derive(Serialize, Deserialize)]
struct Treat {
    patient: String,
}

impl Job for Treat {
    const NAME: &'static str = "treat";
    type Output = ();
}

async fn treat(job: Treat) -> Result<(), Failure> {
    println!("treating {}", job.patient);
    Ok(())
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let url = std::env::var("REDIS_URL").unwrap_or_else(|_| "redis://127.0.0.1/".to_owned());
    let oxcart = Oxcart::builder()
        .namespace("example-priorities")
        .connect(&url)
        .await?;
    let patients = oxcart.queue("patients")?;
    let patient = |patient: &str| {
        patients.enqueue(Treat {
            patient: patient.to_owned(),
        })
    };

    // Requests with options of their own can be sent together; no worker runs yet.
    let sent = patients
        .enqueue_many([
            patient("a cold").priority(900),
            patient("a cough"),
            patient("a broken arm").priority(100),
            patient("a headache"),
            patient("a heart attack").priority(0),
            patient("the cough that came back").front(),
        ])
        .await?;
    println!("{} wait", patients.counts().await?.waiting);

    let stop = CancellationToken::new();
    let worker = Worker::builder(&patients)
        .concurrency(1)
        .handle(treat)
        .build()?;
    let running = tokio::spawn(worker.run_until(stop.clone().cancelled_owned()));
    for patient in sent {
        patient.result().await?;
    }

    stop.cancel();
    running.await??;
    Ok(())
}
