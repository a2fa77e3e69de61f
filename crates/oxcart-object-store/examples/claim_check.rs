//! A scan of some megabytes goes to a folder, and Redis has a ticket for it; when the job is done, its file is gone.
//! Where Redis is says `REDIS_URL`.

use std::path::Path;
use std::time::Duration;

use oxcart::{ClaimCheck, Failure, Job, Oxcart, Retention, Worker};
use oxcart_object_store::ObjectPayloads;
use serde::{Deserialize, Serialize};

#[derive(Serialize, Deserialize)]
struct Scan {
    pages: Vec<String>,
}

impl Job for Scan {
    const NAME: &'static str = "scan";
    type Output = usize;
}

/// The bytes of all files below a folder.
fn bytes_in(folder: &Path) -> u64 {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    entries
        .map(|entry| match entry.metadata() {
            Ok(about) if about.is_file() => about.len(),
            _ => bytes_in(&entry.path()),
        })
        .sum()
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let folder = tempfile::tempdir()?;
    let store = ObjectPayloads::folder(folder.path())?;
    let url = std::env::var("REDIS_URL").unwrap_or_else(|_| "redis://127.0.0.1/".to_owned());
    let oxcart = Oxcart::builder()
        .namespace("claim-check-example")
        .claim_check(ClaimCheck::over(64 * 1024, store))
        .connect(&url)
        .await?;
    let scans = oxcart.queue("scans")?;

    let pages = vec!["a page. ".repeat(100_000); 4];
    let job = scans
        .enqueue(Scan { pages })
        .keep(Retention::Nothing)
        .await?;
    if let Some(info) = scans.job(job.id()).await? {
        println!("Redis has a ticket: {:?}", info.ticket());
        println!("the folder has {} bytes", bytes_in(folder.path()));
    }

    let worker = Worker::builder(&scans).handle(async |scan: Scan| {
        println!("a handler got {} pages", scan.pages.len());
        Ok::<_, Failure>(scan.pages.len())
    });
    let done = async {
        while bytes_in(folder.path()) > 0 {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    worker.build()?.run_until(done).await?;
    println!(
        "the job is done, and the folder has {} bytes",
        bytes_in(folder.path())
    );
    scans.delete().await?;
    Ok(())
}
