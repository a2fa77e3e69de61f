//! The replies that one attempt has sent, and those of them that Redis does not have yet.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::error::{Error, ErrorKind};
use crate::store::send_replies::REPLIES_MAX;
use crate::store::{BATCH_BYTES, BATCH_JOBS};

/// The replies of a job have no more bytes than this, together.
pub(crate) const REPLY_BYTES_MAX: u64 = 16 * 1024 * 1024;

#[derive(Default)]
pub(crate) struct SentReplies {
    waiting: Mutex<Waiting>,
    /// One call at a time carries replies, so that they get there in their order.
    pub(crate) turn: tokio::sync::Mutex<()>,
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
    /// In a test of a handler alone: those that are not to go to Redis.
    kept: Vec<Vec<u8>>,
    /// Why nothing more can be sent.
    broken: Option<(ErrorKind, String)>,
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
            ..Self::default()
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

    /// What the next call carries, and the number of the first one; `None` if the reply of this number is stored.
    pub(crate) fn next_call(&self, number: u64) -> Result<Option<OneCall>, Error> {
        let waiting = self.lock();
        if number <= waiting.stored {
            return Ok(None);
        }
        if let Some((kind, why)) = &waiting.broken {
            return Err(Error::new(*kind, why.clone()));
        }
        let mut bytes = 0;
        let fits = |reply: &&Vec<u8>| {
            let has_room = bytes == 0 || bytes + reply.len() <= BATCH_BYTES;
            bytes += reply.len();
            has_room
        };
        let replies = waiting.replies.iter().take(BATCH_JOBS).take_while(fits);
        Ok(Some((waiting.stored + 1, replies.cloned().collect())))
    }

    /// Redis has so many more.
    pub(crate) fn stored(&self, more: usize) {
        let mut waiting = self.lock();
        waiting.replies.drain(..more);
        waiting.stored += more as u64;
    }

    /// Nothing more can be sent.
    pub(crate) fn breaks(&self, kind: ErrorKind, why: &str) {
        let mut waiting = self.lock();
        waiting.broken.get_or_insert((kind, why.to_owned()));
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
    use super::*;

    fn numbers(sent: &SentReplies, number: u64) -> Option<(u64, usize)> {
        let call = sent.next_call(number).unwrap();
        call.map(|(first, replies)| (first, replies.len()))
    }

    #[test]
    fn what_an_earlier_attempt_has_stored_is_not_sent_again() {
        let sent = SentReplies::behind(2, 10);
        assert_eq!(sent.push(vec![1]).unwrap(), 1);
        assert_eq!(numbers(&sent, 1), None);
        assert_eq!(sent.push(vec![2]).unwrap(), 2);
        assert_eq!(sent.push(vec![3]).unwrap(), 3);
        assert_eq!(numbers(&sent, 3), Some((3, 1)));
        let other = SentReplies::behind(2, 10);
        assert_eq!((other.resume(), other.push(vec![3]).unwrap()), (2, 3));
        assert_eq!(other.resume(), 3);
    }

    #[test]
    fn what_piles_up_goes_in_one_call_as_far_as_it_is_small() {
        let sent = SentReplies::default();
        let mut last = 0;
        for _ in 0..BATCH_JOBS + 1 {
            last = sent.push(vec![0]).unwrap();
        }
        assert_eq!(numbers(&sent, last), Some((1, BATCH_JOBS)));
        sent.stored(BATCH_JOBS);
        assert_eq!(numbers(&sent, last), Some((last, 1)));
        let large = vec![0; BATCH_BYTES + 1];
        let last = sent.push(large).unwrap();
        assert_eq!(numbers(&sent, last), Some((last - 1, 1)));
        sent.stored(1);
        assert_eq!(numbers(&sent, last), Some((last, 1)), "alone");
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
        assert!(sent.next_call(number).unwrap_err().is_lease_lost());
        assert!(sent.push(vec![2]).unwrap_err().is_lease_lost());
    }
}
