//! Jobs that an export leaves out, because no CloudEvent can say them.

use std::collections::BTreeMap;

use oxcart::{ClaimCheck, Job, ObjectPages, Oxcart, PayloadStore, StoreFuture, StoredObject};
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::cloud_events::numbers;
use crate::rig::{Charge, Rig};

/// In JSON, keys are texts.
#[derive(Serialize, Deserialize)]
struct Picture {
    by_number: BTreeMap<u64, String>,
}

impl Job for Picture {
    const NAME: &'static str = "picture";
    type Output = ();
}

/// In JSON, every number is one.
#[derive(Serialize, Deserialize)]
struct Measured {
    value: f64,
}

impl Job for Measured {
    const NAME: &'static str = "measured";
    type Output = ();
}

#[tokio::test]
async fn a_payload_that_json_cannot_say_is_left_out_and_counted() {
    let rig = Rig::new().await;
    let by_number = BTreeMap::from([(1, "front".to_owned())]);
    rig.queue.enqueue(Picture { by_number }).await.unwrap();
    for value in [f64::NAN, 0.1] {
        rig.queue.enqueue(Measured { value }).await.unwrap();
    }
    rig.enqueue(Charge::new(1)).await;
    let said = rig.run(&["job", "export", "billing"]).expect(0);
    let events = said.objects();
    let types: Vec<_> = events.iter().map(|event| &event["type"]).collect();
    assert_eq!(types, ["measured", "charge"]);
    assert_eq!(events[0]["data"], json!({ "value": 0.1 }));
    let left_out = "note: 2 jobs left out: JSON cannot say what their payloads hold";
    assert!(said.err.contains(left_out), "{}", said.err);
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("jobs.jsonl");
    let file = file.to_str().unwrap();
    let said = rig
        .run(&["job", "export", "billing", file, "--json"])
        .expect(0);
    assert_eq!(numbers(&said), [4, 2, 0]);
    let refused = rig.run(&["job", "export", "billing", file]).expect(2);
    assert!(refused.err.contains("--yes"), "{}", refused.err);
    rig.run(&["job", "export", "billing", file, "--yes"])
        .expect(0);
}

/// It takes everything, and nobody asks for it again.
struct Elsewhere;

impl PayloadStore for Elsewhere {
    fn put<'a>(&'a self, _: &'a str, _: Vec<u8>) -> StoreFuture<'a, ()> {
        Box::pin(async { Ok(()) })
    }

    fn get<'a>(&'a self, _: &'a str, _: u64) -> StoreFuture<'a, Option<Vec<u8>>> {
        Box::pin(async { Ok(None) })
    }

    fn delete<'a>(&'a self, _: &'a [String]) -> StoreFuture<'a, ()> {
        Box::pin(async { Ok(()) })
    }

    fn list(&self, _: &str) -> Box<dyn ObjectPages> {
        Box::new(Self)
    }
}

impl ObjectPages for Elsewhere {
    fn next(&mut self) -> StoreFuture<'_, Option<Vec<StoredObject>>> {
        Box::pin(async { Ok(None) })
    }
}

#[tokio::test]
async fn a_payload_in_a_store_of_objects_is_left_out_and_counted() {
    let rig = Rig::new().await;
    let builder = Oxcart::builder().claim_check(ClaimCheck::over(10_000, Elsewhere));
    let oxcart = builder.connect(&rig.server.url()).await.unwrap();
    let queue = oxcart.queue("billing").unwrap();
    let large = Charge::failing(1, &"x".repeat(20_000));
    queue.enqueue(large).await.unwrap();
    rig.enqueue(Charge::new(2)).await;
    let said = rig.run(&["job", "export", "billing"]).expect(0);
    assert_eq!(said.object()["data"]["order"], 2);
    let left_out = "note: 1 job left out: their payloads are in a store of objects";
    assert!(said.err.contains(left_out), "{}", said.err);
}
