//! A test of an application finds that a version which was released cannot be read any more.

use std::panic::catch_unwind;

use oxcart::{Job, assert_readable, fixture_of};
use serde::{Deserialize, Serialize};

use super::{Placed, PlacedV1, PlacedV2, placed};

fn released() -> [String; 3] {
    [
        fixture_of(&PlacedV1 { order: 1, euros: 1 }),
        fixture_of(&PlacedV2 { order: 2, cents: 2 }),
        fixture_of(&placed(3, 3)),
    ]
}

/// The message with which it panics.
fn refused<J: Job + std::fmt::Debug>(fixtures: &str) -> String {
    let fixtures = fixtures.to_owned();
    let panic = catch_unwind(move || drop(assert_readable::<J>(&fixtures)));
    let panic = panic.expect_err("it is not readable");
    *panic.downcast::<String>().expect("a message")
}

#[test]
fn every_released_version_is_read() {
    let file = format!("// Released.\n\n{}\n", released().join("\n"));
    let read = assert_readable::<Placed>(&file);
    assert_eq!(read, [placed(1, 100), placed(2, 2), placed(3, 3)]);
    // The present version may still change.
    assert_eq!(
        assert_readable::<Placed>(&released()[..2].join("\n")).len(),
        2
    );
    assert!(assert_readable::<PlacedV1>("").is_empty());
}

/// Somebody has renamed a field of the first version.
#[derive(Debug, Serialize, Deserialize)]
struct Broken {
    order_id: u64,
}

impl Job for Broken {
    const NAME: &'static str = "order-placed";
    type Output = ();
}

#[test]
fn what_cannot_be_read_fails_and_says_what_is_wrong() {
    let [one, two, three] = released();
    let why = refused::<Broken>(&one);
    assert!(
        why.contains("version 1") && why.contains("order_id") && why.contains(&one),
        "{why}"
    );
    let why = refused::<Placed>(&one);
    assert!(why.contains("no fixture of version 2"), "{why}");
    let why = refused::<PlacedV2>(&[one, two, three].join("\n"));
    assert!(why.contains("version 3"), "{why}");
    for odd in [
        "order-placed 1",
        "order-placed 1 8",
        "order-placed 1 zz",
        "order-placed x 80",
        "charge 1 80",
        "order-placed 1 80 80",
        "order-placed 1 ü0",
    ] {
        let why = refused::<Placed>(odd);
        assert!(why.contains("no fixture"), "{why}");
    }
}
