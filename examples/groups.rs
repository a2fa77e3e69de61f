//! Groups: tenants take turns, however many jobs each has; one tenant is limited, and paused for a while.
//!
//! `cargo run --example groups`, with a Redis at `REDIS_URL` (default `redis://127.0.0.1/`).

use oxcart::{Context, Failure, Job, Oxcart, Worker};
use serde::{Deserialize, Serialize};
use tokio_util::sync::CancellationToken;

#[derive(Serialize, Deserialize)]
struct Export {
    tenant: String,
    page: u32,
}

impl Job for Export {
    const NAME: &'static str = "export";
    type Output = ();
}

async fn export(job: Export, _context: Context) -> Result<(), Failure> {
    println!("{} page {}", job.tenant, job.page);
    Ok(())
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let url = std::env::var("REDIS_URL").unwrap_or_else(|_| "redis://127.0.0.1/".to_owned());
    let oxcart = Oxcart::builder()
        .namespace("example-groups")
        .connect(&url)
        .await?;
    let exports = oxcart.queue("exports")?;
    let pages = |tenant: &'static str, n: u32| {
        (1..=n).map(move |page| Export {
            tenant: tenant.to_owned(),
            page,
        })
    };

    // The large tenant comes first, with many jobs.
    let mut jobs = Vec::new();
    for (tenant, n) in [("large", 6), ("small", 2), ("tiny", 1)] {
        jobs.extend(pages(tenant, n).map(|job| exports.enqueue(job).group(tenant)));
    }
    let sent = exports.enqueue_many(jobs).await?;

    // Its group is limited, and paused before any worker runs.
    let large = exports.group("large")?;
    large.set_concurrency(Some(2)).await?;
    large.pause().await?;
    let info = large.info().await?;
    println!("{} of `large` wait, paused: {}", info.waiting, info.paused);

    let stop = CancellationToken::new();
    let worker = Worker::builder(&exports)
        .concurrency(1)
        .handle(export)
        .build()?;
    let running = tokio::spawn(worker.run_until(stop.clone().cancelled_owned()));
    // The others are done meanwhile.
    for small in &sent[6..] {
        small.result().await?;
    }
    large.resume().await?;
    for job in sent {
        job.result().await?;
    }
    println!("all exported");

    large.set_concurrency(None).await?;
    stop.cancel();
    running.await??;
    Ok(())
}
