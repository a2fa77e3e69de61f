//! The span in which handlers run, in a process of its own: what is logged is seen by the whole process.

use std::io::Write;
use std::sync::{Arc, Mutex};

use oxcart::{Batch, Batched, Context, Failure, Job, JobId, Next, Outcome, Oxcart, Worker};
use serde::{Deserialize, Serialize};

#[derive(Serialize, Deserialize)]
struct Greet {}

impl Job for Greet {
    const NAME: &'static str = "greet";
    type Output = u32;
}

async fn greet(_: Greet) -> Result<u32, Failure> {
    tracing::info!("in the handler");
    Err("no".into())
}

async fn wraps(context: Context, next: Next) -> Outcome {
    tracing::info!("in middleware");
    next.run(context).await
}

/// What is written to it, as text.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[tokio::test]
async fn a_log_line_of_a_handler_says_which_attempt_it_belongs_to() {
    let log = Log::default();
    let writer = log.clone();
    tracing_subscriber::fmt()
        .with_max_level(tracing::Level::INFO)
        .with_ansi(false)
        .with_writer(move || writer.clone())
        .init();
    let queue = Oxcart::in_memory().queue("stage").unwrap();
    for wrapped in [false, true] {
        let id = JobId::new(format!("job-{wrapped}")).unwrap();
        queue.enqueue(Greet {}).id(id).await.unwrap();
        let builder = Worker::builder(&queue).handle(greet);
        let builder = if wrapped {
            builder.wrap(wraps)
        } else {
            builder
        };
        builder.build().unwrap().drain().await;
        let text = String::from_utf8(std::mem::take(&mut *log.0.lock().unwrap())).unwrap();
        let span = format!("job{{queue=\"stage\" name=\"greet\" id=job-{wrapped} attempt=1 fence=");
        for line in ["in the handler", "in middleware"] {
            let found = text.lines().find(|found| found.contains(line));
            assert_eq!(found.is_some(), wrapped || line == "in the handler");
            assert!(found.is_none_or(|found| found.contains(&span)), "{text}");
        }
        let failed = text.lines().find(|line| line.contains("a job failed"));
        let fields =
            format!("queue=\"stage\" name=\"greet\" id=job-{wrapped} attempt=1 error=\"no\"");
        assert!(failed.is_some_and(|line| line.contains(&fields)), "{text}");
    }
    let batch = async |jobs: Vec<Batched<Greet>>| {
        tracing::info!("in the batch handler");
        jobs.into_iter().for_each(|job| job.complete(1));
        Ok::<_, Failure>(())
    };
    queue.enqueue_many([Greet {}, Greet {}]).await.unwrap();
    let builder = Worker::builder(&queue).handle_batch(Batch::up_to(5), batch);
    builder.build().unwrap().drain().await;
    let text = String::from_utf8(std::mem::take(&mut *log.0.lock().unwrap())).unwrap();
    let found = text.lines().find(|line| line.contains("in the batch"));
    let span = " batch{queue=\"stage\" name=\"greet\" jobs=2}: ";
    assert!(found.is_some_and(|line| line.contains(span)), "{text}");
}
