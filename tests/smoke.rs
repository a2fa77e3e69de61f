//! Smoke.
mod support;
use oxcart::*;
use serde::{Deserialize, Serialize};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

#[derive(Serialize, Deserialize)]
struct Add {
    a: u32,
    b: u32,
}
impl Job for Add {
    const NAME: &'static str = "add";
    type Output = u32;
}

async fn add(job: Add, ctx: Context, n: State<AtomicUsize>) -> Result<u32, Failure> {
    n.fetch_add(1, Ordering::Relaxed);
    if job.a == 13 && ctx.attempt() < 2 {
        return Err("unlucky".into());
    }
    Ok(job.a + job.b)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn smoke() {
    let _ = tracing_subscriber::fmt().with_env_filter("info").try_init();
    let server = support::Server::start();
    let ox = Oxcart::connect(&server.url()).await.unwrap();
    let q = ox.queue("calc").unwrap();
    let worker = Worker::builder(&q)
        .concurrency(100)
        .state(AtomicUsize::new(0))
        .handle(add)
        .build()
        .unwrap();
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let run = tokio::spawn(worker.run_until(async {
        stopped.await.ok();
    }));
    let t = Instant::now();
    let sum = q.enqueue(Add { a: 1, b: 2 }).result().await.unwrap();
    println!("{sum} in {:?}", t.elapsed());
    let h = q
        .enqueue(Add { a: 13, b: 2 })
        .backoff(Backoff::fixed(Duration::from_millis(100)))
        .await
        .unwrap();
    println!("{:?}", h.result().await);
    println!("{:#?}", h.info().await.unwrap());
    for _ in 0..5 {
        let t = Instant::now();
        q.enqueue(Add { a: 1, b: 2 }).result().await.unwrap();
        println!("roundtrip in {:?}", t.elapsed());
    }
    let n = 50_000;
    let t = Instant::now();
    q.enqueue_many((0..n).map(|i| Add { a: 20 + i, b: 2 }))
        .await
        .unwrap();
    println!("enqueued in {:?}", t.elapsed());
    loop {
        let c = q.counts().await.unwrap();
        if c.totals.completed >= n as u64 + 7 {
            println!("{c:?} after {:?}", t.elapsed());
            break;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    stop.send(()).unwrap();
    run.await.unwrap().unwrap();
}
