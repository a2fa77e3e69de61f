//! Messages to other queues: what is promised of the outbox, of drafts and of what receives them.

pub(super) mod ledger;
pub(super) mod operations;

use std::time::Duration;

use super::{Rig, completed, job, on_both, with};
use crate::codec;
use crate::id::JobId;
use crate::job::options::JobOptions;
use crate::job::outcome::Ending;
use crate::job::record::EncodedRecord;
use crate::job::state::State;
use crate::policy::unique::Unique;
use crate::store::commit::{Commit, Committed};
use crate::store::delete::{Answer, Delete};
use crate::store::enqueue::{Due, NewJob};
use crate::store::outbox::message::{Message, kind_of};
use crate::store::outbox::{Numbered, Outbox, Waiting};
use crate::store::receive::{NextOne, Receive, Received};
use crate::store::sent::{Cleared, Sent};
use crate::store::stage::{Stage, Staged};
use crate::store::trim::Trim;
use crate::store::{BATCH_BYTES, BATCH_JOBS};

/// The queue of these tests.
const RIG: &str = "rig";
const KEEP_MS: u64 = 3_600_000;

pub(super) fn numbered(first: u64, messages: Vec<Vec<u8>>) -> Vec<Numbered> {
    let numbered = (first..).zip(messages);
    numbered
        .map(|(position, message)| Numbered { position, message })
        .collect()
}

pub(super) fn jobs(ids: &[&str]) -> Vec<Vec<u8>> {
    let message = |id: &&str| Message::Job(job(id)).encode();
    ids.iter().map(message).collect()
}

pub(super) fn cancel(ids: &[JobId]) -> Vec<Vec<u8>> {
    let outcome = codec::encode_plain(&Ending::Cancelled("moot".to_owned()));
    let ids = ids.to_vec();
    vec![Message::Cancel { outcome, ids }.encode()]
}

pub(super) fn forward() -> Vec<Vec<u8>> {
    let (target, message) = ("other".to_owned(), jobs(&["a"]).remove(0));
    vec![Message::Forward { target, message }.encode()]
}

pub(super) fn expand(draft: &str) -> Vec<Vec<u8>> {
    let draft = draft.to_owned();
    vec![Message::Expand { draft }.encode()]
}

impl Rig {
    fn receive(&mut self, source: &str, messages: &[Numbered]) -> Received {
        self.call(&Receive { source, messages })
    }

    /// Takes in what a queue elsewhere has under these positions.
    fn take_in(&mut self, first: u64, messages: Vec<Vec<u8>>) -> Received {
        self.receive("elsewhere", &numbered(first, messages))
    }

    fn waiting_for(&mut self, from: &str) -> Option<Waiting> {
        self.call(&Outbox {
            from,
            limit: BATCH_JOBS,
            bytes: BATCH_BYTES,
        })
    }

    fn is_sent(&mut self, target: &str, position: u64) -> Cleared {
        self.call(&Sent { target, position })
    }

    pub(super) fn stage(
        &mut self,
        draft: &str,
        first: u64,
        messages: &[(String, Vec<u8>)],
    ) -> Staged {
        self.call(&Stage {
            draft,
            first,
            messages,
            keep_ms: KEEP_MS,
        })
    }

    fn commit(&mut self, draft: &str, total: u64, jobs: &[&NewJob]) -> Committed {
        self.call(&Commit {
            queue: RIG,
            draft,
            total,
            keep_ms: KEEP_MS,
            jobs,
        })
    }

    /// Puts messages into the outbox, in one call: by way of a queue that has them sent on.
    pub(super) fn send(&mut self, messages: &[(&str, Vec<u8>)]) {
        let forward = messages.iter().map(|(target, message)| {
            let (target, message) = ((*target).to_owned(), message.clone());
            Message::Forward { target, message }.encode()
        });
        let last = self.subject.dump().get("sources", "sender").cloned();
        let last = last.map_or(0, |text| String::from_utf8_lossy(&text).parse().unwrap());
        let taken = self.receive("sender", &numbered(last + 1, forward.collect()));
        assert_eq!(taken.taken, messages.len() as u64);
        assert!(taken.has_sent);
    }

    /// One of each: a message that waits, one that was taken, a draft, and a log, of which a job would be made that is there.
    pub(super) fn send_stage_and_feed(&mut self, there: &str) {
        self.send(&[("other", jobs(&["sent"]).remove(0))]);
        self.stage("draft", 0, &drafted(["staged".to_owned()]));
        self.feed("log", "token", &[(17, there)]);
    }

    /// A whole round of a relay; how many messages were taken.
    fn carry(&mut self) -> u64 {
        let mut taken = 0;
        while let Some(waiting) = self.waiting_for(RIG).filter(|it| it.target == RIG) {
            let received = self.receive(RIG, &waiting.messages);
            taken += received.taken;
            self.is_sent(RIG, received.position);
        }
        taken
    }
}

fn positions(waiting: &Waiting) -> Vec<u64> {
    waiting.messages.iter().map(|it| it.position).collect()
}

pub(super) fn drafted(ids: impl IntoIterator<Item = String>) -> Vec<(String, Vec<u8>)> {
    let message = |id: String| (RIG.to_owned(), Message::Job(job(&id)).encode());
    ids.into_iter().map(message).collect()
}

/// All that is known of a job goes with it.
fn a_job_arrives_as_it_was_sent(mut rig: Rig) {
    let mut late = job("late");
    late.due = Due::After { ms: 5_000 };
    let options = JobOptions::new().priority(7).group("g");
    let mut large = with("large", &options);
    large.record.external_payload = Some(vec![7; 5_000]);
    large.await_ms = Some(60_000);
    let sent = [late, large, job("plain")].map(|job| Message::Job(job).encode());
    let received = rig.take_in(5, sent.to_vec());
    let expected = Received {
        position: 7,
        taken: 3,
        next: NextOne::Goes,
        has_sent: false,
        is_first: true,
    };
    assert_eq!(received, expected);
    assert_eq!(rig.state(&JobId::stored("late")), Some(State::Delayed));
    assert_eq!(rig.size("awaited"), 1);
    rig.traits = true;
    let claimed = rig.advance(&[], 5).claimed;
    let ids: Vec<_> = claimed.iter().map(|claimed| claimed.id.as_str()).collect();
    assert_eq!(ids, ["large", "plain"]);
    assert_eq!(claimed[0].payload.as_deref(), Some(&[7; 5_000][..]));
    assert!(!rig.take_in(8, jobs(&["more"])).is_first);
}

/// However late a relay is, and although nothing is known of the jobs any more.
fn g3_a_message_is_taken_once(mut rig: Rig) {
    rig.keep_nothing();
    assert_eq!(rig.take_in(3, jobs(&["a", "b"])).taken, 2);
    let claimed = rig.advance(&[], 2).claimed;
    for job in &claimed {
        assert!(rig.settle(&job.id, &job.receipt, completed()));
    }
    assert_eq!((rig.size("jobs"), rig.total("completed")), (0, 2));
    let before = rig.subject.dump();
    // The same page once more, the first half of it, and one that another relay has read since.
    for late in [&["a", "b"][..], &["a"]] {
        let told = rig.take_in(3, jobs(late));
        assert_eq!((told.taken, told.position), (0, 4));
    }
    assert_eq!(rig.subject.dump(), before);
    let told = rig.take_in(3, jobs(&["a", "b", "c"]));
    assert_eq!((told.taken, told.position), (1, 5));
    assert_eq!(rig.size("jobs"), 1);
    // Another queue has positions of its own.
    assert_eq!(rig.receive("third", &numbered(3, jobs(&["d"]))).taken, 1);
}

fn what_stops_a_page_is_told(mut rig: Rig) {
    rig.enqueue(&[job("goes")]);
    let goes = [JobId::stored("goes")];
    let page = [
        jobs(&["a"]),
        cancel(&goes),
        jobs(&["b"]),
        vec![b"soon x".to_vec()],
    ]
    .concat();
    let page = numbered(1, [page, jobs(&["behind"])].concat());
    // A call takes what is of one kind.
    for (position, taken) in [(1, 1), (2, 1), (3, 1)] {
        let told = rig.receive("x", &page);
        assert_eq!((told.position, told.taken), (position, taken));
        assert_eq!(told.next, NextOne::Goes);
    }
    assert_eq!(rig.state(&goes[0]), Some(State::Cancelled));
    // A newer version wrote the fourth; nothing overtakes it.
    for _ in 0..2 {
        let told = rig.receive("x", &page);
        assert_eq!(
            (told.position, told.taken, told.next),
            (3, 0, NextOne::Unknown)
        );
    }
    assert_eq!(rig.state(&JobId::stored("behind")), None);
    for garbled in [
        &b"job \0\0\0\x09a"[..],
        b"job",
        b"cancel \0\0\0\x01a",
        b"expand ",
        b"",
    ] {
        let page = numbered(1, [vec![garbled.to_vec()], jobs(&["no"])].concat());
        let told = rig.receive("y", &page);
        assert_eq!(
            (told.taken, told.next),
            (0, NextOne::Unknown),
            "{garbled:?}"
        );
    }
}

fn what_waits_is_told_target_by_target(mut rig: Rig) {
    assert_eq!(rig.waiting_for(""), None);
    let large = vec![b'x'; 600_000];
    rig.send(&[
        ("b", jobs(&["1"]).remove(0)),
        ("a", large.clone()),
        ("b", jobs(&["2"]).remove(0)),
        ("a", large.clone()),
        ("ab", jobs(&["3"]).remove(0)),
        ("a", large),
    ]);
    let of = |rig: &mut Rig, from| {
        let waiting = rig.waiting_for(from).unwrap();
        let sizes = (waiting.depth, waiting.messages.len());
        (waiting.target, sizes, waiting.next)
    };
    let next = |name: &str| Some(name.to_owned());
    assert_eq!(of(&mut rig, ""), ("a".into(), (3, 1), next("ab")));
    assert_eq!(of(&mut rig, "ab"), ("ab".into(), (1, 1), next("b")));
    assert_eq!(of(&mut rig, "ac"), ("b".into(), (2, 2), None));
    assert_eq!(rig.waiting_for("c"), None);
    let first = rig.waiting_for("").unwrap();
    assert_eq!(positions(&first), [first.oldest]);
    let glance = Outbox {
        from: "",
        limit: 0,
        bytes: 0,
    };
    let glance = rig.call(&glance).unwrap();
    assert_eq!((glance.depth, glance.messages.len()), (3, 0));
    // What is deleted is for one target alone.
    let last = rig.waiting_for("b").unwrap().messages[1].position;
    let cleared = |deleted, left| Cleared { deleted, left };
    assert_eq!(rig.is_sent("a", first.oldest), cleared(1, 5));
    assert_eq!(rig.is_sent("a", first.oldest), cleared(0, 5));
    assert_eq!(rig.is_sent("b", last - 1), cleared(1, 4));
    assert_eq!(rig.is_sent("a", last + 9), cleared(2, 2));
    assert_eq!(rig.is_sent("b", last), cleared(1, 1));
}

/// Whatever the clock shows, and whatever the target is.
fn positions_only_rise(mut rig: Rig) {
    let message = || jobs(&["a"]).remove(0);
    let mut last = 0;
    for step in 0..3 {
        rig.send(&[("a", message()), ("b", message())]);
        let all = rig.subject.dump();
        let mut all: Vec<u64> = all.outbox().map(|(_, position, _)| position).collect();
        all.sort_unstable();
        assert_eq!(all.len(), 2);
        assert!(all[0] > last && all[1] > all[0], "{all:?} after {last}");
        last = all[1];
        for target in ["a", "b"] {
            rig.is_sent(target, last);
        }
        // Forward, and back.
        rig.now_us = rig.now_us + 5_000_000 - step * 4_000_000;
        rig.subject.set_clock(rig.now_us);
    }
}

fn a_draft_goes_out_whole_or_not_at_all(mut rig: Rig) {
    let ids = |range: std::ops::Range<usize>| range.map(|n| format!("j{n:04}"));
    assert_eq!(rig.stage("d", 0, &drafted(ids(0..256))), Staged::Done);
    assert_eq!(
        rig.stage("d", 300, &drafted(ids(300..301))),
        Staged::Gone,
        "a gap"
    );
    // The answer to a call was lost.
    for _ in 0..2 {
        assert_eq!(rig.stage("d", 256, &drafted(ids(256..512))), Staged::Done);
    }
    assert_eq!(rig.stage("d", 512, &drafted(ids(512..600))), Staged::Done);
    assert_eq!(rig.waiting_for(""), None);
    let root = job("root");
    for (draft, total) in [("d", 599), ("e", 600)] {
        assert_eq!(rig.commit(draft, total, &[&root]), Committed::Gone);
    }
    assert_eq!(rig.size("jobs"), 0);
    let is_first = true;
    assert_eq!(rig.commit("d", 600, &[&root]), Committed::Done { is_first });
    let is_first = false;
    for _ in 0..2 {
        assert_eq!(rig.commit("d", 600, &[&root]), Committed::Done { is_first });
    }
    assert_eq!(
        rig.size("outbox"),
        1,
        "what is committed twice goes out once"
    );
    assert_eq!(rig.stage("d", 600, &drafted(ids(0..1))), Staged::Gone);
    assert_eq!(rig.stage("d", 0, &drafted(ids(0..1))), Staged::Gone);
    // Three pages; a relay that is late each time.
    let first = rig.waiting_for("").unwrap();
    for left in [344, 88, 0] {
        let told = rig.receive(RIG, &first.messages);
        assert!(told.has_sent);
        let is_last = left == 0;
        assert_eq!(
            told.next,
            if is_last {
                NextOne::Goes
            } else {
                NextOne::Again
            }
        );
        assert_eq!(told.taken, u64::from(is_last));
        let expected = if is_last { 0 } else { left + 1 };
        assert_eq!(rig.size("staged"), expected);
    }
    assert!(!rig.receive(RIG, &first.messages).has_sent);
    assert_eq!(rig.carry(), 600);
    assert_eq!((rig.size("waiting"), rig.size("outbox")), (601, 0));
    assert_eq!(rig.receive(RIG, &first.messages).taken, 0);
    assert_eq!(rig.commit("d", 600, &[]), Committed::Done { is_first });
    assert_eq!(rig.size("outbox"), 0);
}

fn a_draft_whose_job_is_met_does_not_go_out(mut rig: Rig) {
    rig.traits = true;
    let by = |key: &str| JobOptions::new().unique(Unique::by(key));
    rig.enqueue(&[job("there"), with("owner", &by("k"))]);
    rig.stage("d", 0, &drafted(["a".to_owned()]));
    let met = |position, id: &str| {
        let id = JobId::stored(id);
        Committed::Met { position, id }
    };
    let (new, there) = (job("new"), job("there"));
    let (keyed, one, two) = (
        with("x", &by("k")),
        with("one", &by("l")),
        with("two", &by("l")),
    );
    let before = rig.subject.dump();
    assert_eq!(rig.commit("d", 1, &[&new, &there]), met(1, "there"));
    assert_eq!(rig.commit("d", 1, &[&keyed]), met(0, "owner"));
    assert_eq!(rig.commit("d", 1, &[&one, &two]), met(1, "one"));
    assert_eq!(rig.commit("d", 1, &[&new, &new]), met(1, "new"));
    assert_eq!(rig.subject.dump(), before);
    let is_first = false;
    assert_eq!(
        rig.commit("d", 1, &[&new, &one]),
        Committed::Done { is_first }
    );
    assert_eq!((rig.size("jobs"), rig.carry()), (4, 2));
}

fn a_draft_that_nobody_commits_is_dropped(mut rig: Rig) {
    let ids = |n: usize| (0..n).map(|n| format!("j{n}"));
    let trim = |rig: &mut Rig, limit| {
        let lanes_cursor = "0";
        let lane_ttl_ms = KEEP_MS;
        rig.call(&Trim {
            limit,
            lane_ttl_ms,
            lanes_cursor,
        })
    };
    rig.stage("forgotten", 0, &drafted(ids(5)));
    rig.stage("sent", 0, &drafted(ids(3)));
    rig.commit("sent", 3, &[]);
    rig.wait(Duration::from_millis(KEEP_MS - 1));
    rig.stage("young", 0, &drafted(ids(2)));
    trim(&mut rig, 10);
    assert_eq!(rig.size("drafts"), 3);
    rig.wait(Duration::from_millis(1));
    assert!(trim(&mut rig, 2).more);
    assert_eq!(rig.stage("forgotten", 5, &drafted(ids(1))), Staged::Gone);
    assert_eq!(rig.commit("forgotten", 5, &[]), Committed::Gone);
    while trim(&mut rig, 2).more {}
    assert_eq!(rig.subject.dump().names("drafts").len(), 1);
    assert_eq!(rig.size("staged"), (2 + 1) + (3 + 1));
    // What was committed goes out, however late.
    assert_eq!(rig.carry(), 4);
    assert_eq!(rig.size("staged"), 2 + 1);
}

/// Also those of a job that is nowhere any more.
fn what_a_queue_has_taken_outlives_it(mut rig: Rig) {
    rig.take_in(3, jobs(&["a"]));
    rig.send(&[("other", jobs(&["b"]).remove(0))]);
    let delete = |rig: &mut Rig, all| {
        let lanes_ms = KEEP_MS;
        rig.call(&Delete { all, lanes_ms })
    };
    let claimed = rig.claim_one().unwrap();
    rig.keep_nothing();
    assert!(rig.settle(&claimed.id, &claimed.receipt, completed()));
    let answer = delete(&mut rig, false);
    assert!(
        matches!(answer, Answer::NotEmpty(held) if held.unsent == 1),
        "{answer:?}"
    );
    assert!(matches!(delete(&mut rig, true), Answer::Deleted(held) if held.unsent == 1));
    assert_eq!(rig.take_in(3, jobs(&["a"])).taken, 0);
    assert_eq!(rig.size("jobs"), 0);
    let ms = rig.subject.expires_ms("sources");
    assert!(ms.is_none_or(|ms| ms <= KEEP_MS), "{ms:?}");
    // It is in use again.
    let lanes_cursor = "0";
    let (limit, lane_ttl_ms) = (1, KEEP_MS);
    rig.call(&Trim {
        limit,
        lane_ttl_ms,
        lanes_cursor,
    });
    assert_eq!(rig.subject.expires_ms("sources"), None);
}

fn a_queue_that_takes_something_in_is_in_use_again(mut rig: Rig) {
    rig.take_in(3, jobs(&["a"]));
    let (all, lanes_ms) = (true, KEEP_MS);
    rig.call(&Delete { all, lanes_ms });
    rig.take_in(4, jobs(&["b"]));
    assert_eq!(rig.subject.expires_ms("sources"), None);
    assert_eq!(rig.take_in(3, jobs(&["a"])).taken, 0);
}

/// Or other queues would take its next messages for those that they have.
fn positions_rise_also_when_the_queue_was_deleted_and_the_clock_is_set_back(mut rig: Rig) {
    rig.send(&[("other", jobs(&["a"]).remove(0))]);
    let outbox = |rig: &mut Rig| {
        let (from, limit, bytes) = ("", 1, 1_000);
        rig.call(&Outbox { from, limit, bytes }).unwrap().oldest
    };
    let before = outbox(&mut rig);
    let (all, lanes_ms) = (true, KEEP_MS);
    for _ in 0..2 {
        rig.call(&Delete { all, lanes_ms });
    }
    rig.now_us -= 10_000_000;
    rig.subject.set_clock(rig.now_us);
    rig.send(&[("other", jobs(&["b"]).remove(0))]);
    assert_eq!(outbox(&mut rig), before + 1);
}

on_both!(
    a_job_arrives_as_it_was_sent,
    g3_a_message_is_taken_once,
    what_stops_a_page_is_told,
    what_waits_is_told_target_by_target,
    positions_only_rise,
    a_draft_goes_out_whole_or_not_at_all,
    a_draft_whose_job_is_met_does_not_go_out,
    a_draft_that_nobody_commits_is_dropped,
    what_a_queue_has_taken_outlives_it,
    a_queue_that_takes_something_in_is_in_use_again,
    positions_rise_also_when_the_queue_was_deleted_and_the_clock_is_set_back,
);
