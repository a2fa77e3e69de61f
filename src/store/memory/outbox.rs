//! Messages to other queues: what waits for one target, and what it has taken.

use crate::memory::Apply;
use crate::memory::state::State;
use crate::store::outbox::{Numbered, Outbox, Waiting};
use crate::store::sent::{Cleared, Sent};

impl State {
    /// Puts a message for `target` into the outbox.
    pub(crate) fn send(&mut self, target: &str, message: Vec<u8>) {
        let last = match self.sent {
            // That of the queue before it was deleted.
            0 => self.sources.get("").copied().unwrap_or(0),
            last => last,
        };
        self.sent = (last + 1).max(self.now_us);
        self.outbox.insert((target.to_owned(), self.sent), message);
        self.has_sent = true;
    }
}

/// What a message takes in Redis.
fn bytes(target: &str, message: &[u8]) -> usize {
    const DIGITS_AND_ZEROS: usize = 18;
    target.len() + message.len() + DIGITS_AND_ZEROS
}

impl Apply for Outbox<'_> {
    fn apply(&self, state: &mut State) -> Option<Waiting> {
        let first = (self.from.to_owned(), 0);
        let ((target, oldest), _) = state.outbox.range(first..).next()?;
        let of_target = (target.clone(), 0)..=(target.clone(), u64::MAX);
        let mut left = self.bytes;
        let messages = state.outbox.range(of_target.clone());
        let messages = messages.enumerate().take_while(|(n, ((of, _), message))| {
            let size = bytes(of, message);
            let fits = *n == 0 || size <= left;
            left = left.saturating_sub(size);
            fits
        });
        let numbered = messages.map(|(_, ((_, position), message))| Numbered {
            position: *position,
            message: message.clone(),
        });
        let behind = (target.clone(), u64::MAX);
        let mut next = state.outbox.range(behind..);
        Some(Waiting {
            target: target.clone(),
            depth: state.outbox.range(of_target).count() as u64,
            oldest: *oldest,
            messages: numbered.take(self.limit).collect(),
            next: next.next().map(|((target, _), _)| target.clone()),
        })
    }
}

impl Apply for Sent<'_> {
    fn apply(&self, state: &mut State) -> Cleared {
        let before = state.outbox.len();
        let is_taken = |target: &str, position| target == self.target && position <= self.position;
        state
            .outbox
            .retain(|(target, position), _| !is_taken(target, *position));
        Cleared {
            deleted: (before - state.outbox.len()) as u64,
            left: state.outbox.len() as u64,
        }
    }
}
