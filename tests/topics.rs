//! Topics: what publishers and subscribers are promised, at a real Redis; and the same in memory where it is quick to say.

#[path = "topics/basics.rs"]
mod basics;
#[path = "topics/killed.rs"]
mod killed;
#[path = "topics/refusals.rs"]
mod refusals;
mod support;

use std::sync::{Arc, Mutex};
use std::time::Duration;

use oxcart::{Failure, Job, Oxcart, Queue, State, Worker, WorkerBuilder};
use serde::{Deserialize, Serialize};

const SECOND: Duration = Duration::from_secs(1);

#[derive(Debug, Clone, Serialize, Deserialize)]
struct Placed {
    order: u64,
}

impl Job for Placed {
    const NAME: &'static str = "order-placed";
    type Output = ();
}

#[derive(Debug, Clone, Serialize, Deserialize)]
struct Paid {
    order: u64,
}

impl Job for Paid {
    const NAME: &'static str = "order-paid";
    type Output = ();
}

/// What handlers were called with, in order.
#[derive(Clone, Default)]
struct Seen(Arc<Mutex<Vec<String>>>);

impl Seen {
    fn note(&self, what: String) {
        self.0.lock().unwrap().push(what);
    }

    fn all(&self) -> Vec<String> {
        self.0.lock().unwrap().clone()
    }

    fn len(&self) -> usize {
        self.0.lock().unwrap().len()
    }
}

/// A worker that notes the events it is called with.
fn noting(queue: &Queue, seen: &Seen) -> WorkerBuilder {
    Worker::builder(queue)
        .concurrency(1)
        .state(seen.clone())
        .handle(async |event: Placed, seen: State<Seen>| {
            seen.note(format!("placed {}", event.order));
            Ok::<_, Failure>(())
        })
        .handle(async |event: Paid, seen: State<Seen>| {
            seen.note(format!("paid {}", event.order));
            Ok::<_, Failure>(())
        })
}

async fn oxcart_at(server: &support::Server) -> Oxcart {
    Oxcart::connect(&server.url()).await.unwrap()
}
