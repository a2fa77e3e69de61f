//! Futures that are given up: polled so many times, and then dropped, their task aborted, or
//! their runtime ended.

use std::fmt::Debug;
use std::future::poll_fn;
use std::pin::{Pin, pin};
use std::sync::mpsc;
use std::task::Poll;
use std::time::Duration;

/// How long a runtime may take to end.
const END_LIMIT: Duration = Duration::from_secs(5);
/// No future here is polled more often than this.
const POLLS_MAX: usize = 500;

/// How a future is given up.
#[derive(Debug, Clone, Copy)]
pub enum How {
    Dropped,
    TaskAborted,
    RuntimeEnded,
}

pub const HOWS: [How; 3] = [How::Dropped, How::TaskAborted, How::RuntimeEnded];

/// Polls `future` at most so many times; gives up what it has not answered by then.
pub async fn polled<F: Future>(future: F, polls: usize) -> Option<F::Output> {
    let mut future = pin!(future);
    let mut left = polls;
    poll_fn(|context| match future.as_mut().poll(context) {
        Poll::Ready(output) => Poll::Ready(Some(output)),
        Poll::Pending => {
            left -= 1;
            match left {
                0 => Poll::Ready(None),
                _ => Poll::Pending,
            }
        }
    })
    .await
}

/// The same, but after the last poll the future stays where it is until it is dropped from
/// outside; `reached` is told.
async fn stuck<F: Future>(future: F, polls: usize, reached: mpsc::Sender<()>) -> F::Output {
    let mut future = pin!(future);
    let mut left = polls;
    poll_fn(|context| {
        if left == 0 {
            return Poll::Pending;
        }
        left -= 1;
        let polled = future.as_mut().poll(context);
        if polled.is_pending() && left == 0 {
            let _ = reached.send(());
        }
        polled
    })
    .await
}

pub type Call<T> = Pin<Box<dyn Future<Output = T> + Send>>;

/// Gives `call` up after so many polls; what it answered, if it was done before.
pub async fn given_up<T: Send + 'static>(how: How, polls: usize, call: Call<T>) -> Option<T> {
    let (reached, waiting) = mpsc::channel();
    match how {
        How::Dropped => polled(call, polls).await,
        How::TaskAborted => {
            let task = tokio::spawn(stuck(call, polls, reached));
            // Told, or gone because the call was done.
            let _ = tokio::task::block_in_place(|| waiting.recv());
            task.abort();
            task.await.ok()
        }
        How::RuntimeEnded => tokio::task::block_in_place(|| {
            let runtime = tokio::runtime::Builder::new_multi_thread()
                .worker_threads(1)
                .enable_all()
                .build()
                .unwrap();
            let (answer, answered) = mpsc::channel();
            runtime.spawn(async move {
                let _ = answer.send(stuck(call, polls, reached).await);
            });
            let _ = waiting.recv();
            runtime.shutdown_timeout(END_LIMIT);
            answered.try_recv().ok()
        }),
    }
}

/// Gives up what `make` makes at every await point, in every way; `check` looks after each.
pub async fn at_every_await_point<T: Send + Debug + 'static>(
    make: impl Fn() -> Call<T>,
    mut check: impl AsyncFnMut(Option<T>),
) {
    let mut given_up_so_often = 0;
    for how in HOWS {
        for polls in 1..=POLLS_MAX {
            let answer = given_up(how, polls, make()).await;
            let done = answer.is_some();
            check(answer).await;
            if done {
                break;
            }
            given_up_so_often += 1;
            assert!(polls < POLLS_MAX, "{how:?}: it is never done");
        }
    }
    assert!(given_up_so_often > 0, "it was always done at once");
}
