//! What jobs and events carry beside their payloads: versions, causes, and the form in which other systems read them.

#[path = "envelope/causes.rs"]
mod causes;
#[path = "envelope/cloud_events.rs"]
mod cloud_events;
#[path = "envelope/fixtures.rs"]
mod fixtures;
mod support;
#[path = "envelope/versions.rs"]
mod versions;

use std::sync::{Arc, Mutex};

use oxcart::{Job, Upcasters};
use serde::{Deserialize, Serialize};

/// As version 1 of the application has it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct PlacedV1 {
    order: u64,
    euros: u64,
}

impl Job for PlacedV1 {
    const NAME: &'static str = "order-placed";
    type Output = ();
}

/// As version 2 had it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct PlacedV2 {
    order: u64,
    cents: u64,
}

impl Job for PlacedV2 {
    const NAME: &'static str = "order-placed";
    const VERSION: u32 = 2;
    type Output = ();

    fn upcasters() -> Upcasters<Self> {
        Upcasters::since(1).then(from_euros)
    }
}

/// As version 3 has it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Placed {
    order: u64,
    cents: u64,
    currency: String,
}

impl Job for Placed {
    const NAME: &'static str = "order-placed";
    const VERSION: u32 = 3;
    type Output = ();

    fn upcasters() -> Upcasters<Self> {
        Upcasters::since(1).then(from_euros).then(with_currency)
    }
}

fn from_euros(old: PlacedV1) -> PlacedV2 {
    PlacedV2 {
        order: old.order,
        cents: old.euros * 100,
    }
}

fn with_currency(old: PlacedV2) -> Placed {
    Placed {
        order: old.order,
        cents: old.cents,
        currency: "EUR".to_owned(),
    }
}

fn placed(order: u64, cents: u64) -> Placed {
    Placed {
        order,
        cents,
        currency: "EUR".to_owned(),
    }
}

/// What handlers have seen.
#[derive(Debug)]
struct Seen<T>(Arc<Mutex<Vec<T>>>);

impl<T> Seen<T> {
    fn new() -> Self {
        Self(Arc::default())
    }

    fn note(&self, what: T) {
        self.0.lock().unwrap().push(what);
    }

    fn take(&self) -> Vec<T> {
        std::mem::take(&mut *self.0.lock().unwrap())
    }

    fn len(&self) -> usize {
        self.0.lock().unwrap().len()
    }
}

impl<T> Clone for Seen<T> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}
