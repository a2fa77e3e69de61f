use std::time::Instant;

use crate::support::{eventually, eventually_async};
use crate::{NEVER, SOON};

#[tokio::test]
async fn eventually_waits_no_longer_than_needed() {
    let started = Instant::now();
    let mut calls = 0;
    eventually(SOON, || {
        calls += 1;
        calls == 3
    })
    .await;
    eventually_async(SOON, async || calls == 3).await;
    assert!(started.elapsed() < SOON / 2);
}

#[tokio::test]
#[should_panic(expected = "tests/harness/waiting.rs")]
async fn eventually_names_the_line_that_waited_in_vain() {
    eventually(NEVER, || false).await;
}
