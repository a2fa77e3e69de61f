//! What the person on call needs: `cargo run -p shop --bin ops` shows the queues and their dead jobs,
//! `ops replay mail receipt-order-7` puts one back in line, `ops cancel payments order-7` takes one out.

use anyhow::{Result, bail};
use oxcart::{Changed, JobId, JobState, Oxcart, Queue};

const SHOWN: usize = 20;

#[tokio::main]
async fn main() -> Result<()> {
    let oxcart = Oxcart::connect(&shop::redis_url()).await?;
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match arguments[..] {
        [] => {
            for name in oxcart.queues().await? {
                show(&oxcart.queue(&name)?).await?;
            }
        }
        [verb @ ("replay" | "cancel"), queue, id] => {
            let (queue, id) = (oxcart.queue(queue)?, JobId::new(id)?);
            let changed = match verb {
                "replay" => queue.replay(&id).await?,
                _ => queue.cancel(&id).reason("by the person on call").await?,
            };
            match changed {
                Changed::Done => println!("done"),
                Changed::Requested => println!("it runs, and is told to come to an end"),
                Changed::InState(state) => println!("nothing to do: the job is {state}"),
                _ => println!("there is no such job"),
            }
        }
        _ => bail!("usage: ops [replay|cancel queue id]"),
    }
    Ok(())
}

async fn show(queue: &Queue) -> Result<()> {
    let counts = queue.counts().await?;
    println!(
        "{}: {} waiting, {} delayed, {} active, {} dead",
        queue.name(),
        counts.waiting,
        counts.delayed,
        counts.active,
        counts.dead
    );
    for job in queue.jobs(JobState::Dead).limit(SHOWN).await?.jobs {
        let why = job.history.last().map_or("", |attempt| &attempt.error);
        println!("  {} {}: {why}", job.id, job.name);
    }
    Ok(())
}
