//! Jobs that come through the outbox are the same jobs however often they are sent.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use oxcart::{Context, Failure, Job, JobId, Oxcart, State, Worker};
use oxcart_postgres::{INCARNATION_HEADER, Outbox, Relay};
use serde::{Deserialize, Serialize};

use crate::rig::bank;
use crate::support::eventually_async;

#[derive(Serialize, Deserialize)]
struct Note;

impl Job for Note {
    const NAME: &'static str = "note";
    type Output = ();
}

/// Whether the id was chosen, and whether the job has the header.
type Seen = Mutex<Vec<(bool, bool)>>;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_chosen_id_says_what_it_is_when_it_comes_through_the_outbox() {
    let pool = bank().await;
    let oxcart = Oxcart::in_memory();
    let queue = oxcart.queue("notes").expect("a name");
    let mut tx = pool.begin().await.expect("a transaction");
    let chosen = JobId::new("note-7").expect("an id");
    let sent = Outbox::new()
        .enqueue(&mut tx, &queue, Note)
        .id(chosen)
        .await;
    sent.expect("enqueued");
    let sent = Outbox::new().enqueue(&mut tx, &queue, Note).await;
    sent.expect("enqueued");
    tx.commit().await.expect("committed");

    let relay = tokio::spawn({
        let relay = Relay::new(pool.clone(), oxcart.clone());
        async move { relay.run_until(std::future::pending::<()>()).await }
    });
    eventually_async(Duration::from_secs(20), async || {
        queue.counts().await.expect("counted").waiting == 2
    })
    .await;
    relay.abort();
    let seen = Arc::new(Seen::default());
    let worker = Worker::builder(&queue).state(Arc::clone(&seen)).handle(
        async |_: Note, context: Context, seen: State<Arc<Seen>>| {
            let has_header = context.header(INCARNATION_HEADER).is_some();
            let is_chosen = context.id().as_str() == "note-7";
            seen.lock().expect("no panic").push((is_chosen, has_header));
            Ok::<(), Failure>(())
        },
    );
    worker.build().expect("a worker").drain().await;
    let mut seen = seen.lock().expect("no panic").clone();
    seen.sort_unstable();
    assert_eq!(seen, [(false, false), (true, true)]);
}
