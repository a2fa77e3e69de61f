//! The replies that one attempt has sent, and those of them that Redis does not have yet.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::sync::oneshot::{Receiver, Sender, channel};

use crate::error::{Error, ErrorKind};
use crate::store::send_replies::REPLIES_MAX;
use crate::store::{BATCH_BYTES, BATCH_JOBS};

/// The replies of a job have no more bytes than this, together.
pub(crate) const REPLY_BYTES_MAX: u64 = 16 * 1024 * 1024;

#[derive(Default)]
pub(crate) struct SentReplies {
    waiting: Mutex<Waiting>,
}

#[derive(Default)]
struct Waiting {
    /// How many the attempt has sent, those that were stored before it included if it goes on behind them.
    sent: u64,
    /// How many Redis has.
    stored: u64,
    /// How many bytes the stored and the waiting ones have.
    bytes: u64,
    /// Those behind the stored ones.
    replies: VecDeque<Vec<u8>>,
    /// A task carries them to Redis: one at a time, so that they get there in their order.
    is_looked_after: bool,
    /// Who waits for the reply of a number. Dropping the sender tells them.
    callers: Vec<(u64, Sender<Infallible>)>,
    /// In a test of a handler alone: those that are not to go to Redis.
    kept: Vec<Vec<u8>>,
    /// Why nothing more can be sent.
    broken: Option<(ErrorKind, String)>,
}

/// A reply is not stored yet.
pub(crate) struct NotYet {
    /// Closed when there is something to see.
    pub(crate) changed: Receiver<Infallible>,
    /// Nobody carries replies to Redis: the caller has a task do it.
    pub(crate) needs_task: bool,
}

/// The number of the first reply of a call, and the replies.
type OneCall = (u64, Vec<Vec<u8>>);

impl SentReplies {
    /// Of a job whose earlier attempts have stored so many.
    pub(crate) fn behind(stored: u64, bytes: u64) -> Self {
        let waiting = Waiting {
            stored,
            bytes,
            ..Waiting::default()
        };
        Self {
            waiting: Mutex::new(waiting),
        }
    }

    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The attempt goes on behind what is stored. Says how many replies there are.
    pub(crate) fn resume(&self) -> u64 {
        let mut waiting = self.lock();
        waiting.sent = waiting.sent.max(waiting.stored);
        waiting.sent
    }

    /// Sends one. Says which number it has.
    pub(crate) fn push(&self, reply: Vec<u8>) -> Result<u64, Error> {
        let mut waiting = self.lock();
        if let Some((kind, why)) = &waiting.broken {
            return Err(Error::new(*kind, why.clone()));
        }
        let number = waiting.sent + 1;
        if number > waiting.stored {
            let bytes = waiting.bytes + reply.len() as u64;
            if number > REPLIES_MAX {
                return Err(Error::invalid(format!(
                    "it would be reply {number}; a job has {REPLIES_MAX} at most"
                )));
            }
            if bytes > REPLY_BYTES_MAX {
                return Err(Error::invalid(format!(
                    "the replies would have {bytes} bytes together; {REPLY_BYTES_MAX} are allowed for a job"
                )));
            }
            waiting.bytes = bytes;
            waiting.replies.push_back(reply);
        }
        waiting.sent = number;
        Ok(number)
    }

    /// Where the reply of this number stands; `None` if it is stored.
    pub(crate) fn standing(&self, number: u64) -> Result<Option<NotYet>, Error> {
        let mut waiting = self.lock();
        if number <= waiting.stored {
            return Ok(None);
        }
        if let Some((kind, why)) = &waiting.broken {
            return Err(Error::new(*kind, why.clone()));
        }
        let (told, changed) = channel();
        waiting.callers.push((number, told));
        let needs_task = !std::mem::replace(&mut waiting.is_looked_after, true);
        Ok(Some(NotYet {
            changed,
            needs_task,
        }))
    }

    /// Closed when the task that carries replies has ended; `None` if there is none.
    pub(crate) fn rest(&self) -> Option<Receiver<Infallible>> {
        let mut waiting = self.lock();
        let (told, rest) = channel();
        waiting.is_looked_after.then(|| {
            waiting.callers.push((u64::MAX, told));
            rest
        })
    }

    /// What the next call carries, and the number of the first one; `None` if nothing is to be sent any more, and the task that asks ends.
    pub(crate) fn next_call(&self) -> Option<OneCall> {
        let mut waiting = self.lock();
        if waiting.replies.is_empty() || waiting.broken.is_some() {
            waiting.is_looked_after = false;
            waiting.callers.clear();
            return None;
        }
        let mut bytes = 0;
        let fits = |reply: &&Vec<u8>| {
            let has_room = bytes == 0 || bytes + reply.len() <= BATCH_BYTES;
            bytes += reply.len();
            has_room
        };
        let replies = waiting.replies.iter().take(BATCH_JOBS).take_while(fits);
        Some((waiting.stored + 1, replies.cloned().collect()))
    }

    /// Redis has so many more.
    pub(crate) fn stored(&self, more: usize) {
        let mut waiting = self.lock();
        waiting.replies.drain(..more);
        waiting.stored += more as u64;
        let stored = waiting.stored;
        waiting.callers.retain(|(number, _)| *number > stored);
    }

    /// Nothing more can be sent.
    pub(crate) fn breaks(&self, kind: ErrorKind, why: &str) {
        let mut waiting = self.lock();
        waiting.broken.get_or_insert((kind, why.to_owned()));
        waiting.is_looked_after = false;
        waiting.callers.clear();
    }

    /// In a test of a handler alone: what waits is kept, and counts as stored.
    pub(crate) fn keep(&self) {
        let mut waiting = self.lock();
        let sent: Vec<Vec<u8>> = waiting.replies.drain(..).collect();
        waiting.stored += sent.len() as u64;
        waiting.kept.extend(sent);
    }

    /// What was kept.
    #[allow(dead_code, reason = "only the feature `memory` uses it")]
    pub(crate) fn kept(&self) -> Vec<Vec<u8>> {
        self.lock().kept.clone()
    }
}

#[cfg(test)]
mod tests {
    use tokio::sync::oneshot::error::TryRecvError;

    use super::*;

    fn numbers(sent: &SentReplies) -> Option<(u64, usize)> {
        let call = sent.next_call();
        call.map(|(first, replies)| (first, replies.len()))
    }

    #[test]
    fn what_an_earlier_attempt_has_stored_is_not_sent_again() {
        let sent = SentReplies::behind(2, 10);
        assert_eq!(sent.push(vec![1]).unwrap(), 1);
        assert_eq!(numbers(&sent), None);
        assert_eq!(sent.push(vec![2]).unwrap(), 2);
        assert_eq!(sent.push(vec![3]).unwrap(), 3);
        assert_eq!(numbers(&sent), Some((3, 1)));
        let other = SentReplies::behind(2, 10);
        assert_eq!((other.resume(), other.push(vec![3]).unwrap()), (2, 3));
        assert_eq!(other.resume(), 3);
    }

    #[test]
    fn what_piles_up_goes_in_one_call_as_far_as_it_is_small() {
        let sent = SentReplies::default();
        for _ in 0..BATCH_JOBS + 1 {
            sent.push(vec![0]).unwrap();
        }
        let last = BATCH_JOBS as u64 + 1;
        assert_eq!(numbers(&sent), Some((1, BATCH_JOBS)));
        sent.stored(BATCH_JOBS);
        assert_eq!(numbers(&sent), Some((last, 1)));
        let large = vec![0; BATCH_BYTES + 1];
        let last = sent.push(large).unwrap();
        assert_eq!(numbers(&sent), Some((last - 1, 1)));
        sent.stored(1);
        assert_eq!(numbers(&sent), Some((last, 1)), "alone");
    }

    #[test]
    fn the_bounds_are_kept() {
        let sent = SentReplies::behind(REPLIES_MAX, 0);
        sent.resume();
        assert!(sent.push(vec![1]).unwrap_err().is_invalid());
        let sent = SentReplies::behind(1, REPLY_BYTES_MAX);
        assert_eq!(sent.push(vec![1]).unwrap(), 1, "it is there");
        assert!(sent.push(vec![1]).unwrap_err().is_invalid());
        assert_eq!(sent.push(Vec::new()).unwrap(), 2);
    }

    #[test]
    fn nothing_follows_a_reply_that_could_not_be_stored() {
        let sent = SentReplies::default();
        let number = sent.push(vec![1]).unwrap();
        sent.breaks(ErrorKind::LeaseLost, "lost");
        let standing = sent.standing(number).map(|_| ());
        assert!(standing.unwrap_err().is_lease_lost());
        assert!(sent.next_call().is_none());
        assert!(sent.push(vec![2]).unwrap_err().is_lease_lost());
    }

    #[test]
    fn one_task_carries_all_and_each_caller_is_told_when_its_reply_is_there() {
        let sent = SentReplies::default();
        let standing = |number| sent.standing(number).unwrap().unwrap();
        let is_told = |waits: &mut NotYet| waits.changed.try_recv() == Err(TryRecvError::Closed);
        assert!(sent.rest().is_none());
        let [one, two] = [1, 2].map(|reply| sent.push(vec![reply]).unwrap());
        let (mut first, mut second) = (standing(one), standing(two));
        assert!(first.needs_task && !second.needs_task);
        let mut rest = sent.rest().unwrap();
        sent.stored(1);
        assert!(sent.standing(one).unwrap().is_none());
        assert!(is_told(&mut first) && !is_told(&mut second));
        sent.breaks(ErrorKind::Unknown, "no answer");
        assert!(is_told(&mut second) && sent.standing(two).is_err());
        assert_eq!(rest.try_recv(), Err(TryRecvError::Closed));
        assert!(sent.standing(one).unwrap().is_none(), "it is there");
        let again = SentReplies::default();
        let number = again.push(vec![1]).unwrap();
        assert!(again.standing(number).unwrap().unwrap().needs_task);
        again.stored(1);
        assert!(again.next_call().is_none());
        let number = again.push(vec![2]).unwrap();
        let waits = again.standing(number).unwrap().unwrap();
        assert!(waits.needs_task, "the one before has ended");
    }
}
