//! What operators did: what is promised of it, and the operation of the random sequences.

use std::sync::Arc;
use std::time::Duration;

use proptest::option;
use proptest::prelude::*;

use super::random::op::{Op, Operation};
use super::random::world::{World, Wrong};
use super::{Rig, on_both};
use crate::store::audit::{Audit, Noted};

impl Rig {
    pub(super) fn note(&mut self, entry: &str) {
        let note = Some(entry.as_bytes());
        let (limit, before) = (0, None);
        let noted = self.call(&Audit {
            note,
            limit,
            before,
        });
        assert_eq!(noted, []);
    }

    fn audit(&mut self, limit: usize, before: Option<u64>) -> Vec<Noted> {
        let note = None;
        self.call(&Audit {
            note,
            limit,
            before,
        })
    }
}

fn entries_are_numbered_and_read_from_the_last_one_on(mut rig: Rig) {
    assert_eq!(rig.audit(9, None), []);
    rig.note("a");
    rig.wait(Duration::from_millis(5));
    rig.note("b");
    // A clock that is set back does no harm.
    rig.now_us -= 3_000_000;
    rig.subject.set_clock(rig.now_us);
    rig.note("c");
    let all = rig.audit(9, None);
    let shown: Vec<_> = all
        .iter()
        .map(|noted| (noted.number, &noted.entry[..]))
        .collect();
    assert_eq!(shown, [(3, &b"c"[..]), (2, b"b"), (1, b"a")]);
    assert_eq!(all[1].at_ms, all[2].at_ms + 5);
    assert_eq!(rig.audit(2, None), all[..2]);
    assert_eq!(rig.audit(1, Some(3)), all[1..2]);
    assert_eq!(rig.audit(9, Some(1)), []);
}

fn a_thousand_entries_are_kept(mut rig: Rig) {
    for _ in 0..1_003 {
        rig.note("x");
    }
    assert_eq!(rig.size("audit"), 6, "the last ones are compared");
    let last = rig.audit(2_000, None);
    assert_eq!((last.len(), last[0].number), (1_000, 1_003));
    assert_eq!(last[999].number, 4);
}

on_both!(
    entries_are_numbered_and_read_from_the_last_one_on,
    a_thousand_entries_are_kept,
);

/// An operator does something, or somebody looks what operators did.
#[derive(Debug)]
struct NoteOrLook {
    note: Option<u8>,
    limit: usize,
    before: Option<u64>,
}

pub(super) fn operation() -> impl Strategy<Value = Op> {
    (option::of(any::<u8>()), 0..4usize, option::of(1..6u64)).prop_map(|(note, limit, before)| {
        Op::Other(Arc::new(NoteOrLook {
            note,
            limit,
            before,
        }))
    })
}

impl Operation for NoteOrLook {
    fn run(&self, world: &mut World<'_>) -> Result<(), Wrong> {
        let note = self.note.map(|byte| vec![byte; 3]);
        world.both(&Audit {
            note: note.as_deref(),
            limit: self.limit,
            before: self.before,
        })
    }
}
