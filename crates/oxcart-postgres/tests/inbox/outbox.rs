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

/// The id, if it was chosen, and what the header says.
type Seen = Mutex<Vec<(String, &'static str)>>;

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
    let encoded = |id: &str| queue.enqueue(Note).id(JobId::new(id).expect("an id"));
    let own = encoded("note-9").header(INCARNATION_HEADER, "mine");
    let encoded = [encoded("note-8"), own].map(|request| request.encode().expect("encoded"));
    let sent = Outbox::new().enqueue_encoded(&mut tx, encoded).await;
    sent.expect("enqueued");
    tx.commit().await.expect("committed");

    let relay = tokio::spawn({
        let relay = Relay::new(pool.clone(), oxcart.clone());
        async move { relay.run_until(std::future::pending::<()>()).await }
    });
    eventually_async(Duration::from_secs(20), async || {
        queue.counts().await.expect("counted").waiting == 4
    })
    .await;
    relay.abort();
    let seen = Arc::new(Seen::default());
    let worker = Worker::builder(&queue).state(Arc::clone(&seen)).handle(
        async |_: Note, context: Context, seen: State<Arc<Seen>>| {
            let header = match context.header(INCARNATION_HEADER) {
                Some("mine") => "mine",
                Some(_) => "made",
                None => "none",
            };
            let id = match context.id().as_str().starts_with("note-") {
                true => context.id().to_string(),
                false => "made".to_owned(),
            };
            seen.lock().expect("no panic").push((id, header));
            Ok::<(), Failure>(())
        },
    );
    worker.build().expect("a worker").drain().await;
    let mut seen = seen.lock().expect("no panic").clone();
    seen.sort_unstable();
    let expected = [
        ("made", "none"),
        ("note-7", "made"),
        ("note-8", "made"),
        ("note-9", "mine"),
    ];
    assert_eq!(seen, expected.map(|(id, header)| (id.to_owned(), header)));
}
