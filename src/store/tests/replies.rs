//! The replies of a job: what is promised of them, and the operations of the random sequences.

use std::sync::Arc;
use std::time::Duration;

use proptest::prelude::*;
use proptest::sample::select;

use super::random::op::{IDS, Op, Operation};
use super::random::world::{World, Wrong, names};
use super::{Rig, completed, job, on_both};
use crate::id::{JobId, Receipt};
use crate::job::history::{AttemptEntry, AttemptKind, Counters};
use crate::job::outcome::{DeadReason, Outcome};
use crate::policy::retention::Retention;
use crate::policy::settings::QueueSettings;
use crate::store::advance::Claimed;
use crate::store::get::Get;
use crate::store::remove::Remove;
use crate::store::replay::Replay;
use crate::store::replies::{Replies, RepliesPage};
use crate::store::send_replies::{REPLIES_MAX, SendReplies, Sent};
use crate::store::watch::Watched;

fn replies(texts: impl IntoIterator<Item = impl ToString>) -> Vec<Vec<u8>> {
    let reply = |text: _| ToString::to_string(&text).into_bytes();
    texts.into_iter().map(reply).collect()
}

impl Rig {
    pub(super) fn send_replies(
        &mut self,
        claimed: &Claimed,
        first: u64,
        replies: &[Vec<u8>],
    ) -> Sent {
        self.call(&SendReplies {
            id: &claimed.id,
            receipt: &claimed.receipt,
            first,
            replies,
        })
    }

    fn replies(&mut self, id: &str, from: u64, most: usize, bytes: usize) -> RepliesPage {
        let await_ms = 60_000;
        self.call(&Replies {
            id,
            from,
            most,
            bytes,
            await_ms,
        })
    }

    /// All of them, while the job has not ended.
    pub(super) fn all_replies(&mut self, id: &str) -> Vec<String> {
        let page = self.replies(id, 1, 100, 10_000);
        assert_eq!(page.total, page.replies.len() as u64);
        let replies = page.replies.into_iter();
        replies
            .map(|reply| String::from_utf8(reply).unwrap())
            .collect()
    }
}

fn failed() -> AttemptEntry {
    AttemptEntry::new(AttemptKind::Error, "broken".into())
}

fn replies_are_numbered_per_job_and_each_is_stored_once(mut rig: Rig) {
    let missing = rig.replies("a", 1, 9, 99);
    assert_eq!(
        (missing.total, missing.watched),
        (0, Some(Watched::Missing))
    );
    rig.enqueue(&[job("a")]);
    let claimed = rig.claim_one().unwrap();
    let sent = rig.send_replies(&claimed, 1, &replies(["one", "two"]));
    assert_eq!(sent, Sent::Yes);
    // Its answer was lost, and meanwhile there is another one.
    let again = rig.send_replies(&claimed, 1, &replies(["one", "two", "three"]));
    assert_eq!(again, Sent::Yes);
    let before = rig.subject.dump();
    rig.send_replies(&claimed, 2, &replies(["other", "other"]));
    assert_eq!(rig.subject.dump(), before);
    let gap = rig.send_replies(&claimed, 5, &replies(["five"]));
    assert_eq!(gap, Sent::Gap(3));
    assert_eq!(rig.all_replies("a"), ["one", "two", "three"]);
    let after = Duration::ZERO;
    let entry = failed();
    let retry = Outcome::Retry { after, entry };
    assert!(rig.settle(&claimed.id, &claimed.receipt, retry));
    // The next attempt hears of them, and sends some of them again.
    let second = rig.claim_one().unwrap();
    let counters = Counters::decode(second.counters.as_deref().unwrap()).unwrap();
    assert_eq!((counters.replies, counters.reply_bytes), (3, 11));
    assert_eq!((counters.failed, counters.recorded), (1, 1));
    rig.send_replies(&second, 3, &replies(["again", "four"]));
    assert_eq!(rig.all_replies("a"), ["one", "two", "three", "four"]);
}

fn g2_who_does_not_hold_the_job_sends_nothing(mut rig: Rig) {
    rig.enqueue(&[job("a")]);
    let mut claimed = rig.claim_one().unwrap();
    let receipt = claimed.receipt.clone();
    claimed.receipt = Receipt::new(&format!("1{}", receipt.as_str()));
    let one = replies(["one"]);
    assert_eq!(rig.send_replies(&claimed, 1, &one), Sent::LeaseLost);
    claimed.receipt = receipt;
    assert!(rig.settle(&claimed.id, &claimed.receipt, completed()));
    assert_eq!(rig.send_replies(&claimed, 1, &one), Sent::LeaseLost);
    assert_eq!(rig.total("refused"), 2);
    let page = rig.replies("a", 1, 9, 99);
    assert_eq!(page.total, 0);
    assert!(matches!(page.watched, Some(Watched::Finished { .. })));
}

fn a_job_has_so_many_replies_and_no_more(mut rig: Rig) {
    rig.enqueue(&[job("a")]);
    let claimed = rig.claim_one().unwrap();
    for first in (1..REPLIES_MAX).step_by(250) {
        let sent = rig.send_replies(&claimed, first, &replies(first..first + 250));
        assert_eq!(sent, Sent::Yes);
    }
    let before = rig.subject.dump();
    let over = rig.send_replies(&claimed, REPLIES_MAX, &replies(["last", "over"]));
    assert_eq!(over, Sent::Full);
    let last = rig.send_replies(&claimed, REPLIES_MAX, &replies(["last"]));
    assert_eq!(last, Sent::Yes, "it is there");
    assert_eq!(rig.subject.dump(), before);
    rig.keep_nothing();
    assert!(rig.settle(&claimed.id, &claimed.receipt, completed()));
    assert_eq!(rig.size("attempts"), 0);
}

fn replies_are_read_in_bounded_pages_and_the_end_comes_with_the_last(mut rig: Rig) {
    rig.enqueue(&[job("a")]);
    let claimed = rig.claim_one().unwrap();
    rig.send_replies(&claimed, 1, &replies(["11", "22", "33", "44", "55"]));
    let page = rig.replies("a", 2, 2, 99);
    assert_eq!(page.replies, replies(["22", "33"]));
    assert_eq!((page.total, page.watched), (5, Some(Watched::Pending)));
    assert_eq!(rig.replies("a", 2, 9, 3).replies, replies(["22", "33"]));
    assert_eq!(rig.replies("a", 2, 9, 1).replies, replies(["22"]));
    assert_eq!(rig.replies("a", 6, 9, 99).replies, replies([""; 0]));
    assert!(rig.settle(&claimed.id, &claimed.receipt, completed()));
    let page = rig.replies("a", 1, 4, 99);
    assert_eq!((page.replies.len(), page.watched), (4, None));
    let page = rig.replies("a", 5, 4, 99);
    assert_eq!(page.replies, replies(["55"]));
    assert!(matches!(page.watched, Some(Watched::Finished { .. })));
    let page = rig.replies("a", REPLIES_MAX + 1, 4, 99);
    assert!(matches!(page.watched, Some(Watched::Finished { .. })));
}

/// Otherwise it would be dropped at once, or after its minute.
fn a_job_is_kept_as_long_as_a_caller_reads_its_replies(mut rig: Rig) {
    rig.keep_nothing();
    rig.enqueue(&[job("a")]);
    let claimed = rig.claim_one().unwrap();
    rig.replies("a", 1, 9, 99);
    rig.send_replies(&claimed, 1, &replies(["1", "2", "3", "4"]));
    assert!(rig.settle(&claimed.id, &claimed.receipt, completed()));
    for from in 1..4 {
        rig.wait(Duration::from_secs(45));
        rig.trim();
        let page = rig.replies("a", from, 1, 99);
        assert_eq!((page.replies.len(), page.watched), (1, None));
    }
    let page = rig.replies("a", 4, 1, 99);
    assert!(matches!(page.watched, Some(Watched::Finished { .. })));
    rig.wait(Duration::from_secs(61));
    rig.trim();
    assert_eq!(rig.replies("a", 1, 9, 99).watched, Some(Watched::Missing));
    assert_eq!(rig.size("attempts"), 0);
    // One that moves on, because completed jobs are kept, does so from its last page on.
    rig.set(QueueSettings::new().keep_completed(Retention::from_millis(86_400_000)));
    rig.enqueue(&[job("b")]);
    let claimed = rig.claim_one().unwrap();
    rig.replies("b", 1, 9, 99);
    rig.send_replies(&claimed, 1, &replies(["1", "2"]));
    assert!(rig.settle(&claimed.id, &claimed.receipt, completed()));
    rig.wait(Duration::from_secs(45));
    rig.replies("b", 1, 1, 99);
    rig.wait(Duration::from_secs(45));
    rig.trim();
    assert_eq!((rig.size("kept"), rig.size("completed")), (1, 0));
    rig.wait(Duration::from_secs(16));
    rig.trim();
    assert_eq!((rig.size("kept"), rig.size("completed")), (0, 1));
}

fn replies_stay_through_death_and_go_with_their_job(mut rig: Rig) {
    rig.enqueue(&[job("a"), job("b")]);
    let claimed = rig.claim_one().unwrap();
    rig.send_replies(&claimed, 1, &replies(["first"]));
    let (reason, id) = (DeadReason::Declared, claimed.id.clone());
    let entry = failed();
    let died = Outcome::Dead { reason, entry };
    assert!(rig.settle(&id, &claimed.receipt, died));
    let page = rig.replies("a", 1, 9, 99);
    assert_eq!(page.replies, replies(["first"]));
    assert!(matches!(page.watched, Some(Watched::Finished { .. })));
    rig.call(&Replay {
        ids: std::slice::from_ref(&id),
    });
    rig.call(&Remove::of(&[JobId::stored("b")]));
    let again = rig.claim_one().unwrap();
    let counters = Counters::decode(again.counters.as_deref().unwrap()).unwrap();
    assert_eq!((counters.replies, counters.failed), (1, 0));
    rig.send_replies(&again, 2, &replies(["second"]));
    assert_eq!(rig.all_replies("a"), ["first", "second"]);
    let found = rig.call(&Get { id: "a" }).unwrap();
    assert_eq!(found.history.len(), 1, "replies are no attempts");
    rig.wait(Duration::from_secs(61));
    rig.keep_nothing();
    assert!(rig.settle(&id, &again.receipt, completed()));
    assert_eq!(rig.size("attempts"), 0);
}

on_both!(
    replies_are_numbered_per_job_and_each_is_stored_once,
    g2_who_does_not_hold_the_job_sends_nothing,
    a_job_has_so_many_replies_and_no_more,
    replies_are_read_in_bounded_pages_and_the_end_comes_with_the_last,
    a_job_is_kept_as_long_as_a_caller_reads_its_replies,
    replies_stay_through_death_and_go_with_their_job,
);

/// A handler sends replies, again after their answer was lost, or after its lease.
#[derive(Debug)]
struct Send {
    claim: u8,
    stale: bool,
    first: u64,
    replies: usize,
}

pub(super) fn operation() -> impl Strategy<Value = Op> {
    let replies = select(&[1, 2, 3, 20][..]);
    let what = (any::<u8>(), prop::bool::weighted(0.1), 1..4u64, replies);
    what.prop_map(|(claim, stale, first, replies)| {
        Op::Other(Arc::new(Send {
            claim,
            stale,
            first,
            replies,
        }))
    })
}

impl Operation for Send {
    fn run(&self, world: &mut World<'_>) -> Result<(), Wrong> {
        let Some((id, fence, receipt)) = world.claim(self.claim, self.stale) else {
            return Ok(());
        };
        let fence = fence.get();
        let reply = |n| format!("{n} of {fence}").into_bytes();
        let replies: Vec<Vec<u8>> = (0..self.replies).map(reply).collect();
        world.both(&SendReplies {
            id: &id,
            receipt: &receipt,
            first: self.first,
            replies: &replies,
        })
    }
}

#[derive(Debug, Clone, Copy)]
enum Of {
    Any,
    Active,
    Kept,
}

/// A caller reads the replies of a job, mostly of one that runs, or is kept for its callers.
#[derive(Debug)]
struct Read {
    id: u8,
    of: Of,
    from: u64,
    most: usize,
    bytes: usize,
    await_ms: u64,
}

pub(super) fn read() -> impl Strategy<Value = Op> {
    let await_ms = select(&[0, 500, 60_000][..]);
    let from = select(&[1, 1, 2, 5, REPLIES_MAX + 1][..]);
    let page = (select(&[1, 3, 256][..]), select(&[1, 60, 10_000][..]));
    let of = select(&[Of::Any, Of::Active, Of::Kept][..]);
    let job = (any::<u8>(), of);
    (job, from, page, await_ms).prop_map(|((id, of), from, (most, bytes), await_ms)| {
        Op::Other(Arc::new(Read {
            id,
            of,
            from,
            most,
            bytes,
            await_ms,
        }))
    })
}

impl Operation for Read {
    fn run(&self, world: &mut World<'_>) -> Result<(), Wrong> {
        let found = match self.of {
            Of::Any => None,
            Of::Active => world.claim(self.id, false).map(|(id, ..)| id),
            Of::Kept => {
                let kept: Vec<String> = world.last.names("kept").into_iter().collect();
                let at = usize::from(self.id) % kept.len().max(1);
                kept.get(at).map(|id| JobId::stored(id))
            }
        };
        let named = || names(&[self.id % IDS]).remove(0);
        let id = found.unwrap_or_else(named);
        world.both(&Replies {
            id: id.as_str(),
            from: self.from,
            most: self.most,
            bytes: self.bytes,
            await_ms: self.await_ms,
        })
    }
}
