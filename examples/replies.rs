//! Several replies to one request: a handler sends what it has as it comes, and the caller gets each reply once, although the
//! first attempt fails in the middle.
//!
//! `cargo run --example replies`, with a Redis at `REDIS_URL` (default `redis://127.0.0.1/`).

use std::time::Duration;

use oxcart::{Context, Failure, Job, Oxcart, Replies, ReplySender, Worker};
use serde::{Deserialize, Serialize};
use tokio_util::sync::CancellationToken;

#[derive(Serialize, Deserialize)]
struct Write {
    chapters: u64,
    ink: u64,
}

#[derive(Debug, Serialize, Deserialize)]
struct Chapter {
    number: u64,
    of: u64,
}

impl Job for Write {
    const NAME: &'static str = "write";
    /// How many attempts it took.
    type Output = u32;
}

impl Replies for Write {
    type Reply = Chapter;
}

async fn write(job: Write, replies: ReplySender<Write>, context: Context) -> Result<u32, Failure> {
    let attempt = context.attempt().number;
    for number in (1..=job.chapters).skip(replies.resume()) {
        if number > job.ink {
            return Err(Failure::dead("the ink is empty"));
        }
        if number == 4 && attempt == 1 {
            let pause = Duration::from_millis(50);
            return Err(Failure::retry_after(pause, "the pen is broken"));
        }
        let of = job.chapters;
        replies.send(&Chapter { number, of }).await?;
    }
    Ok(attempt)
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let url = std::env::var("REDIS_URL").unwrap_or_else(|_| "redis://127.0.0.1/".to_owned());
    let oxcart = Oxcart::builder()
        .namespace("example-replies")
        .connect(&url)
        .await?;
    let books = oxcart.queue("books")?;
    let stop = CancellationToken::new();
    let worker = Worker::builder(&books).handle(write).build()?;
    let running = tokio::spawn(worker.run_until(stop.clone().cancelled_owned()));

    // Each reply as it comes. The limit is for the whole stream.
    let book = Write {
        chapters: 5,
        ink: 100,
    };
    let patience = Duration::from_secs(30);
    let mut chapters = books.enqueue(book).replies().within(patience).await?;
    let mut read = 0;
    while chapters.next_number() <= 3 {
        if let Some(chapter) = chapters.next().await? {
            println!("chapter {} of {}", chapter.number, chapter.of);
            read += 1;
        }
    }

    // Another process needs the id, and where the first one was.
    let (id, number) = (chapters.id().clone(), chapters.next_number());
    let elsewhere = books.handle::<Write>(id);
    let mut rest = elsewhere.replies().starting_at(number).await?;
    while let Some(chapter) = rest.next().await? {
        println!("another caller goes on with chapter {}", chapter.number);
        read += 1;
    }
    let attempts = rest.output().await?;
    println!("{read} chapters, {attempts} attempts, each chapter once");

    // How the job ends is the end of the stream, behind the last reply.
    let short = Write {
        chapters: 3,
        ink: 1,
    };
    let mut chapters = books.enqueue(short).replies().await?;
    let mut read = 0;
    loop {
        match chapters.next().await {
            Ok(Some(_)) => read += 1,
            Ok(None) => break,
            Err(error) if error.is_dead() => {
                println!("the book is dead after {read} of them: the ink is empty");
                let _ = books.remove(chapters.id()).await?;
                break;
            }
            Err(error) => return Err(error.into()),
        }
    }

    stop.cancel();
    running.await??;
    Ok(())
}
