//! Where each message is that was sent: in exactly one place.

use std::collections::{BTreeMap, BTreeSet};

use super::RIG;
use crate::store::outbox::Waiting;
use crate::store::tests::dump::Dump;
use crate::store::tests::random::world::Wrong;

/// What stands around the number of a message of which it is asked where it is.
const MARK: &str = "msg-";

#[derive(Debug, Default)]
pub(in crate::store::tests) struct Messages {
    /// Numbers of messages, one after the other.
    last: u64,
    /// Those of drafts, by their ids, until these are committed.
    pub(super) drafts: BTreeMap<String, Vec<u64>>,
    /// Those that were sent.
    sent: BTreeSet<u64>,
    /// Those that their target has taken, and done what they say.
    taken: BTreeSet<u64>,
    /// Pages that relays have read, and how far they know of them to be taken.
    pub(super) hands: Vec<(Waiting, Option<u64>)>,
    /// How many drafts and calls there were.
    pub(super) named: u64,
    /// The queue was deleted, or the clock was set back behind what it knew: nothing is known any more.
    is_lost: bool,
}

impl Messages {
    /// The id of a job, in a message that is to be followed.
    pub(super) fn mark(&mut self) -> (u64, String) {
        self.last += 1;
        (self.last, format!("{MARK}{:05}", self.last))
    }

    pub(in crate::store::tests) fn lose(&mut self) {
        *self = Self {
            is_lost: true,
            named: self.named,
            last: self.last,
            ..Self::default()
        };
    }

    pub(super) fn commit(&mut self, draft: &str) {
        self.sent
            .extend(self.drafts.remove(draft).unwrap_or_default());
    }

    /// A message was taken, and is no longer on its way.
    pub(super) fn take(&mut self, message: &[u8]) -> Result<(), Wrong> {
        for number in marks(message) {
            if !self.taken.insert(number) && !self.is_lost {
                return Err(format!("message {number} was taken twice"));
            }
        }
        Ok(())
    }

    /// All that is in the outbox and was not taken yet is taken now.
    pub(in crate::store::tests) fn take_all(&mut self, held: &Dump) -> Result<(), Wrong> {
        let known = held.get("sources", RIG);
        let known = known.map_or(0, |text| String::from_utf8_lossy(text).parse().unwrap());
        let new = |(target, position, _): &(&str, u64, &[u8])| *target != RIG || *position > known;
        for (.., message) in held.outbox().filter(new) {
            self.take(message)?;
        }
        Ok(())
    }

    /// Each message that was sent is on its way, or taken.
    pub(in crate::store::tests) fn check(&self, held: &Dump) -> Result<(), Wrong> {
        if self.is_lost || self.sent.is_empty() {
            return Ok(());
        }
        let known = held.get("sources", RIG);
        let known = known.map_or(0, |text| String::from_utf8_lossy(text).parse().unwrap());
        let mut places: BTreeMap<u64, usize> = BTreeMap::new();
        let mut note = |message: &[u8]| {
            for number in marks(message) {
                *places.entry(number).or_default() += 1;
            }
        };
        for (target, position, message) in held.outbox() {
            // What is taken stays in the outbox until somebody says so.
            if target != RIG || position > known {
                note(message);
            }
        }
        for (_, staged) in held.part("staged") {
            note(staged);
        }
        for number in &self.sent {
            let on_its_way = places.get(number).copied().unwrap_or(0);
            let taken = usize::from(self.taken.contains(number));
            if on_its_way + taken != 1 {
                return Err(format!(
                    "message {number} is on its way {on_its_way} times, taken {taken} times"
                ));
            }
        }
        Ok(())
    }
}

/// The numbers of the messages that lie in this one.
fn marks(message: &[u8]) -> Vec<u64> {
    const DIGITS: usize = 5;
    let text = String::from_utf8_lossy(message);
    let marks = text.match_indices(MARK);
    marks
        .filter_map(|(at, mark)| text.get(at + mark.len()..)?.get(..DIGITS)?.parse().ok())
        .collect()
}
