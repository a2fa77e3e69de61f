//! Waiting for something to become true, where no signal can be waited for.

use std::panic::Location;
use std::time::{Duration, Instant};

const PAUSE: Duration = Duration::from_millis(5);

/// Waits until `condition` holds. Panics, naming the caller's line, if it does not within `limit`.
#[track_caller]
pub fn eventually(
    limit: Duration,
    mut condition: impl FnMut() -> bool,
) -> impl Future<Output = ()> {
    let caller = Location::caller();
    poll(limit, caller, async move || condition())
}

/// The same for a condition that must itself be awaited: `eventually_async(limit, async || ...)`.
#[track_caller]
pub fn eventually_async(
    limit: Duration,
    condition: impl AsyncFnMut() -> bool,
) -> impl Future<Output = ()> {
    let caller = Location::caller();
    poll(limit, caller, condition)
}

/// The same for a test without a runtime.
#[track_caller]
pub fn eventually_blocking(limit: Duration, mut condition: impl FnMut() -> bool) {
    let started = Instant::now();
    while !condition() {
        if started.elapsed() >= limit {
            give_up(limit, Location::caller());
        }
        std::thread::sleep(PAUSE);
    }
}

async fn poll(limit: Duration, caller: &Location<'_>, mut condition: impl AsyncFnMut() -> bool) {
    let attempt = async {
        while !condition().await {
            tokio::time::sleep(PAUSE).await;
        }
    };
    if tokio::time::timeout(limit, attempt).await.is_err() {
        give_up(limit, caller);
    }
}

fn give_up(limit: Duration, caller: &Location<'_>) -> ! {
    panic!("the condition at {caller} did not come true within {limit:?}")
}
