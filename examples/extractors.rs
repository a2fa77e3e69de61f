//! Extractors: arguments of a handler beside its job. One awaits, and one may fail; and all of them
//! are made in a test, so that the handler is called as a plain function.
//!
//! `cargo run --example extractors --features memory`; with a Redis it is the same.

use std::collections::HashMap;
use std::sync::Arc;

use oxcart::{Context, Error, Extract, Failure, Job, Oxcart, Queue, State, States, Worker};
use serde::{Deserialize, Serialize};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

#[derive(Serialize, Deserialize)]
struct Import {
    file: String,
}

impl Job for Import {
    const NAME: &'static str = "import";
    type Output = String;
}

#[derive(Serialize, Deserialize)]
struct Report {
    file: String,
}

impl Job for Report {
    const NAME: &'static str = "report";
    type Output = ();
}

/// The customer of a job, by a header.
#[derive(Clone)]
struct Customer {
    name: &'static str,
}

struct Customers(HashMap<&'static str, Customer>);

impl Extract for Customer {
    // Asked when the worker is built: a worker without customers is never started.
    fn check(states: &States) -> Result<(), Error> {
        State::<Customers>::check(states)
    }

    async fn extract(context: &Context) -> Result<Self, Failure> {
        let customers = State::<Customers>::extract(context).await?;
        let id = context.header("customer").unwrap_or_default();
        // No retry will help, and the handler is not called.
        let known = customers.0.get(id).cloned();
        known.ok_or_else(|| Failure::dead(format!("there is no customer `{id}`")))
    }
}

/// One of few connections to the database, awaited, and held for as long as the handler runs.
struct Connection(OwnedSemaphorePermit);

struct Database {
    connections: Arc<Semaphore>,
}

impl Extract for Connection {
    fn check(states: &States) -> Result<(), Error> {
        State::<Database>::check(states)
    }

    async fn extract(context: &Context) -> Result<Self, Failure> {
        let database = State::<Database>::extract(context).await?;
        let connections = Arc::clone(&database.connections);
        Ok(Self(connections.acquire_owned().await?)) // any error: the attempt is retried
    }
}

async fn import(
    job: Import,
    customer: Customer,
    connection: Connection,
    queue: Queue,
    context: Context,
) -> Result<String, Failure> {
    context.progress(&"half way").await?;
    drop(connection.0);
    let done = format!("{} for {}", job.file, customer.name);
    queue.enqueue(Report { file: job.file }).await?;
    Ok(done)
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let customers = || {
        let acme = Customer { name: "ACME, Inc." };
        Customers(HashMap::from([("7", acme)]))
    };
    let database = || Database {
        connections: Arc::new(Semaphore::new(2)),
    };

    let queue = Oxcart::in_memory().queue("imports")?;
    let incomplete = Worker::builder(&queue).state(database()).handle(import);
    if let Err(error) = incomplete.build() {
        println!("not built: {error}");
    }
    let worker = Worker::builder(&queue)
        .state(database())
        .state(customers())
        .handle(import)
        .build()?;
    for customer in ["7", "8"] {
        let file = "books.csv".to_owned();
        let request = queue.enqueue(Import { file });
        request.header("customer", customer).await?;
    }
    for ran in worker.drain().await {
        println!("{}: {}", ran.attempt.name, ran.outcome);
    }

    // A test needs no worker: it makes the arguments itself.
    let queue = Oxcart::in_memory().queue("test")?;
    let context = Context::builder()
        .queue(&queue)
        .header("customer", "7")
        .state(customers())
        .state(database())
        .build();
    let done = import(
        Import {
            file: "books.csv".to_owned(),
        },
        Customer::extract(&context)
            .await
            .map_err(anyhow::Error::msg)?,
        Connection::extract(&context)
            .await
            .map_err(anyhow::Error::msg)?,
        queue.clone(),
        context.clone(),
    )
    .await;
    println!(
        "called as a function: {}",
        done.map_err(anyhow::Error::msg)?
    );
    queue.assert_enqueued(|report: &Report| report.file == "books.csv");
    assert_eq!(
        context.last_progress::<String>().as_deref(),
        Some("half way")
    );
    Ok(())
}
