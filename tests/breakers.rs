//! Breakers: what handlers and operators are promised, at a real Redis; and the same in memory where it is quick to say.
//!
//! `BREAKERS=full cargo test --release --test breakers` has a dependency that fails for a minute, 10,000 jobs and 8 workers.

#[path = "breakers/basics.rs"]
mod basics;
#[path = "breakers/declared.rs"]
mod declared;
#[path = "breakers/outage.rs"]
mod outage;
mod support;

use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use oxcart::Job;
use serde::{Deserialize, Serialize};

const SECOND: Duration = Duration::from_secs(1);
const LIMIT: Duration = Duration::from_secs(20);

#[derive(Debug, Clone, Serialize, Deserialize)]
struct Charge {
    number: usize,
}

impl Job for Charge {
    const NAME: &'static str = "charge";
    type Output = ();
}

#[derive(Debug)]
struct Down;

impl fmt::Display for Down {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("503 from the payment service")
    }
}

impl std::error::Error for Down {}

/// Something that all workers call, and that may be down.
#[derive(Clone, Default)]
struct Dependency {
    inner: Arc<Service>,
}

#[derive(Default)]
struct Service {
    is_down: AtomicBool,
    calls: Mutex<Vec<(Instant, usize)>>,
    failed: AtomicUsize,
}

impl Dependency {
    async fn charge(&self, number: usize) -> Result<(), Down> {
        let call = (Instant::now(), number);
        self.inner.calls.lock().unwrap().push(call);
        tokio::time::sleep(Duration::from_millis(2)).await;
        if self.inner.is_down.load(SeqCst) {
            self.inner.failed.fetch_add(1, SeqCst);
            return Err(Down);
        }
        Ok(())
    }

    fn is_down(&self, is_down: bool) {
        self.inner.is_down.store(is_down, SeqCst);
    }

    fn calls(&self) -> Vec<Instant> {
        let calls = self.inner.calls.lock().unwrap();
        calls.iter().map(|(at, _)| *at).collect()
    }

    fn failed(&self) -> usize {
        self.inner.failed.load(SeqCst)
    }
}
