//! How fast do events get from their publisher to handlers, beside jobs that are enqueued? What counts is the ratio in one run.

mod support;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use comfy_table::Table;
use oxcart::{CancellationToken, Error, Failure, QueueSettings, Retention, State, Worker};
use support::{Bench, Nothing};

const SLOTS: usize = 100;
const ROUNDS: usize = 7;
const EVENTS: u64 = 30_000;

/// To how many queues the events go; none: the jobs are enqueued.
const KINDS: [(&str, usize); 3] = [
    ("jobs, enqueued", 0),
    ("events, one subscription", 1),
    ("events, three subscriptions", 3),
];

fn main() {
    let is_trial = std::env::args().any(|argument| argument == "--test");
    let (rounds, events) = if is_trial { (1, 300) } else { (ROUNDS, EVENTS) };
    let bench = Bench::new();
    let mut took: Vec<Vec<[Duration; 2]>> = vec![Vec::new(); KINDS.len()];
    for _ in 0..rounds {
        for (kind, (_, subscriptions)) in KINDS.iter().enumerate() {
            bench.empty();
            let measured = bench
                .runtime
                .block_on(measure(&bench, events, *subscriptions));
            took[kind].push(measured.expect("the server answers"));
        }
    }
    let mut table = Table::new();
    table.set_header(["", "sent a second", "handled a second", "speed"]);
    let median = |kind: usize, which: usize| {
        let mut times: Vec<Duration> = took[kind].iter().map(|took| took[which]).collect();
        times.sort();
        times[times.len() / 2].as_secs_f64()
    };
    for (kind, (name, subscriptions)) in KINDS.iter().enumerate() {
        let handled = (events * (*subscriptions).max(1) as u64) as f64;
        table.add_row([
            (*name).to_owned(),
            format!("{:.0}", events as f64 / median(kind, 0)),
            format!("{:.0}", handled / median(kind, 1)),
            format!(
                "{:.0} %",
                100.0 * handled / events as f64 * median(0, 1) / median(kind, 1)
            ),
        ]);
    }
    println!(
        "{table}\nmedians of {rounds} rounds in turn, {events} each, {SLOTS} slots a queue; workers run from the beginning"
    );
}

/// How long it took until all were sent, and until all were handled in each queue.
async fn measure(bench: &Bench, events: u64, subscriptions: usize) -> Result<[Duration; 2], Error> {
    let topic = bench.oxcart.topic("facts")?;
    let names: Vec<String> = (0..subscriptions.max(1))
        .map(|n| format!("queue-{n}"))
        .collect();
    let left = Arc::new(AtomicU64::new(events * names.len() as u64));
    let stop = CancellationToken::new();
    let mut workers = Vec::new();
    for name in &names {
        let queue = bench.oxcart.queue(name)?;
        let settings = QueueSettings::new().keep_completed(Retention::Nothing);
        queue.change_settings(settings).await?;
        if subscriptions > 0 {
            topic.subscribe(name, &queue).await?;
        }
        let worker = Worker::builder(&queue)
            .concurrency(SLOTS)
            .state(Arc::clone(&left))
            .handle(async |_: Nothing, left: State<Arc<AtomicU64>>| {
                left.fetch_sub(1, Ordering::Relaxed);
                Ok::<_, Failure>(())
            });
        workers.push(tokio::spawn(
            worker.build()?.run_until(stop.clone().cancelled_owned()),
        ));
    }
    // They have looked to which topics they are subscribed.
    tokio::time::sleep(Duration::from_millis(200)).await;
    let began = Instant::now();
    match subscriptions {
        0 => {
            let queue = bench.oxcart.queue(&names[0])?;
            queue
                .enqueue_many((0..events).map(|_| Nothing::new()))
                .await?;
        }
        _ => {
            let many = (0..events).map(|_| topic.publish(Nothing::new()));
            topic.publish_many(many).await?;
        }
    }
    let sent = began.elapsed();
    while left.load(Ordering::Relaxed) > 0 {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    let handled = began.elapsed();
    stop.cancel();
    for worker in workers {
        worker.await.expect("a worker does not panic")?;
    }
    Ok([sent, handled])
}
