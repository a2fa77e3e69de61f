//! Layers of the crate `tower` around every handler of a worker. Only with the feature `tower`.

use std::convert::Infallible;
use std::error::Error as StdError;
use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::sync::{Mutex, PoisonError};
use std::task::{Context as Polling, Poll};

use tower_layer::Layer;
use tower_service::Service;

use crate::job::failure::Failure;
use crate::job::outcome::Outcome;
use crate::worker::builder::WorkerBuilder;
use crate::worker::context::Context;
use crate::worker::middleware::{Middleware, Next};

/// What a layer wraps: the middleware after it, and at last the handler, as a service of
/// [tower](https://docs.rs/tower). A request is the [`Context`] of an attempt and what comes [`Next`]. Only with
/// the feature `tower`.
#[derive(Debug, Clone)]
pub struct JobService(());

impl Service<(Context, Next)> for JobService {
    type Response = Outcome;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Outcome, Infallible>> + Send>>;

    fn poll_ready(&mut self, _: &mut Polling<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, (context, next): (Context, Next)) -> Self::Future {
        Box::pin(async move { Ok(next.run(context).await) })
    }
}

/// Only with the feature `tower`.
impl WorkerBuilder {
    /// Wraps every handler of the worker with a layer of [tower](https://docs.rs/tower), or a stack of
    /// them; otherwise as [`wrap`](Self::wrap), and in the same order.
    ///
    /// The layers come from the crate `tower`, which the application names in its own `Cargo.toml`, with the
    /// features of the layers that it uses (`limit` and `timeout` here). A service of your own takes
    /// `(Context, Next)`, which it hands to the service that it wraps, and responds with an [`Outcome`].
    ///
    /// An error of the layer is a failure of the attempt, as if its handler had returned it: the job is
    /// retried, and the kind of the failure is [`AttemptKind::Error`](crate::AttemptKind::Error), also for a time limit. Each attempt is a call of a clone of the service, which waits until the clone is ready. While it waits,
    /// the job is active and takes a slot of the worker.
    ///
    /// ```no_run
    /// # use oxcart::WorkerBuilder;
    /// # use std::time::Duration;
    /// # fn example(builder: WorkerBuilder) -> WorkerBuilder {
    /// builder
    ///     .layer(tower::limit::GlobalConcurrencyLimitLayer::new(8))
    ///     .layer(tower::timeout::TimeoutLayer::new(Duration::from_secs(30)))
    /// # }
    /// ```
    pub fn layer<L>(self, layer: L) -> Self
    where
        L: Layer<JobService>,
        L::Service: Service<(Context, Next), Response = Outcome> + Clone + Send + 'static,
        <L::Service as Service<(Context, Next)>>::Future: Send,
        <L::Service as Service<(Context, Next)>>::Error: Into<Box<dyn StdError + Send + Sync>>,
    {
        self.wrap(Layered {
            service: Mutex::new(layer.layer(JobService(()))),
        })
    }
}

/// A service that was wrapped by a layer. Many services are not `Sync`.
struct Layered<S> {
    service: Mutex<S>,
}

impl<S> Middleware for Layered<S>
where
    S: Service<(Context, Next), Response = Outcome> + Clone + Send + 'static,
    S::Future: Send,
    S::Error: Into<Box<dyn StdError + Send + Sync>>,
{
    fn run(&self, context: Context, next: Next) -> impl Future<Output = Outcome> + Send {
        let locked = self.service.lock();
        let mut service = locked.unwrap_or_else(PoisonError::into_inner).clone();
        async move {
            let ready = poll_fn(|polling| service.poll_ready(polling)).await;
            let answer = match ready.map_err(Failure::retry) {
                Ok(()) => {
                    let called = service.call((context, next.clone()));
                    called.await.map_err(Failure::retry)
                }
                Err(failure) => Err(failure),
            };
            answer.unwrap_or_else(|failure| next.fail(failure))
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::time::Duration;

    use tower::ServiceBuilder;
    use tower::limit::GlobalConcurrencyLimitLayer;
    use tower::timeout::TimeoutLayer;

    use super::*;
    use crate::job::Job;
    use crate::memory::Server;
    use crate::oxcart::Oxcart;
    use crate::queue::Queue;
    use crate::worker::Worker;

    #[derive(serde::Serialize, serde::Deserialize)]
    struct Hangs(bool);

    impl Job for Hangs {
        const NAME: &'static str = "hangs";
        type Output = u32;
    }

    async fn work(job: Hangs) -> Result<u32, Failure> {
        if job.0 {
            std::future::pending::<()>().await;
        }
        Ok(7)
    }

    fn queue() -> Queue {
        let oxcart = Oxcart::builder().build(Server::default().into());
        oxcart.unwrap().queue("work").unwrap()
    }

    #[tokio::test]
    async fn layers_of_the_tower_crate_wrap_handlers() {
        let queue = queue();
        let short = Duration::from_millis(20);
        let stack = ServiceBuilder::new()
            .layer(GlobalConcurrencyLimitLayer::new(1))
            .layer(TimeoutLayer::new(short));
        let worker = Worker::builder(&queue).handle(work).layer(stack);
        let running = tokio::spawn(worker.build().unwrap().run_until(std::future::pending()));
        let hung = queue.enqueue(Hangs(true)).attempts(1).await.unwrap();
        let well = queue.enqueue(Hangs(false)).await.unwrap();
        assert_eq!(well.result().await.unwrap(), 7);
        let error = hung.result().await.unwrap_err();
        assert!(error.is_dead(), "{error}");
        let info = hung.info().await.unwrap().unwrap();
        assert_eq!(info.history[0].error, "request timed out");
        running.abort();
    }

    /// A layer as an application writes it.
    #[derive(Clone)]
    struct Count<S>(S, Arc<AtomicUsize>);

    impl<S: Service<(Context, Next)>> Service<(Context, Next)> for Count<S> {
        type Response = S::Response;
        type Error = S::Error;
        type Future = S::Future;

        fn poll_ready(&mut self, polling: &mut Polling<'_>) -> Poll<Result<(), S::Error>> {
            self.0.poll_ready(polling)
        }

        fn call(&mut self, request: (Context, Next)) -> S::Future {
            assert_eq!(request.0.attempt().name, Hangs::NAME);
            self.1.fetch_add(1, Ordering::Relaxed);
            self.0.call(request)
        }
    }

    #[tokio::test]
    async fn a_layer_of_ones_own_sees_each_attempt() {
        let (queue, count) = (queue(), Arc::new(AtomicUsize::new(0)));
        let counts = Arc::clone(&count);
        let layer = tower_layer::layer_fn(move |inner| Count(inner, Arc::clone(&counts)));
        let worker = Worker::builder(&queue).handle(work).layer(layer);
        let running = tokio::spawn(worker.build().unwrap().run_until(std::future::pending()));
        for _ in 0..3 {
            let sent = queue.enqueue(Hangs(false)).await.unwrap();
            assert_eq!(sent.result().await.unwrap(), 7);
        }
        assert_eq!(count.load(Ordering::Relaxed), 3);
        running.abort();
    }
}
