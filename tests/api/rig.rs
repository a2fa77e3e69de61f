//! A server, a queue, and a worker in the background.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use oxcart::{
    Counts, Error, Job, Oxcart, Queue, Worker, WorkerBuilder, WorkerControl, WorkerEvent,
};
use serde::{Deserialize, Serialize};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use crate::support::{Server, eventually, eventually_async};

/// Plenty, so that a loaded machine fails no test.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

pub(crate) struct Rig {
    pub(crate) queue: Queue,
    pub(crate) oxcart: Oxcart,
    pub(crate) server: Server,
}

impl Rig {
    pub(crate) async fn new() -> Self {
        let _ = tracing_subscriber::fmt()
            .with_env_filter(tracing_subscriber::EnvFilter::from_default_env())
            .with_test_writer()
            .try_init();
        let server = Server::start();
        let oxcart = Oxcart::connect(&server.url()).await.unwrap();
        let queue = oxcart.queue("test").unwrap();
        Self {
            queue,
            oxcart,
            server,
        }
    }

    pub(crate) fn worker(&self) -> WorkerBuilder {
        Worker::builder(&self.queue)
    }

    pub(crate) async fn counts(&self) -> Counts {
        self.queue.counts().await.unwrap()
    }

    /// Waits until the numbers are as wanted.
    pub(crate) async fn until(&self, reached: impl Fn(&Counts) -> bool) {
        eventually_async(PATIENCE, async || reached(&self.counts().await)).await;
    }
}

/// A worker that runs until it is stopped, and what it told.
pub(crate) struct Running {
    stop: Option<oneshot::Sender<()>>,
    worker: JoinHandle<Result<(), Error>>,
    pub(crate) control: WorkerControl,
    pub(crate) told: Arc<Mutex<Vec<WorkerEvent>>>,
}

impl Running {
    pub(crate) fn start(builder: WorkerBuilder) -> Self {
        let told = Arc::new(Mutex::new(Vec::new()));
        let listener = Arc::clone(&told);
        let worker = builder
            .on_event(move |event| listener.lock().unwrap().push(event.clone()))
            .build()
            .unwrap();
        let (stop, stopped) = oneshot::channel();
        let control = worker.control();
        let worker = tokio::spawn(worker.run_until(async {
            let _ = stopped.await;
        }));
        Self {
            stop: Some(stop),
            worker,
            control,
            told,
        }
    }

    /// Waits until so many handlers have begun: a claim alone may still be handed back.
    pub(crate) async fn until_started(&self, handlers: usize) {
        let started = |event: &&WorkerEvent| matches!(event, WorkerEvent::Started(_));
        let begun = || self.told.lock().unwrap().iter().filter(started).count();
        eventually(PATIENCE, || begun() >= handlers).await;
    }

    pub(crate) async fn stop(mut self) -> Vec<WorkerEvent> {
        self.stop.take();
        self.worker.await.unwrap().unwrap();
        Arc::try_unwrap(self.told).map_or_else(
            |shared| shared.lock().unwrap().clone(),
            |told| told.into_inner().unwrap(),
        )
    }
}

/// The simplest job there is.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Number(pub(crate) u32);

impl Job for Number {
    const NAME: &'static str = "number";
    type Output = u32;
}
