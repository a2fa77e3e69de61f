//! Jobs of a paused name that have a group: the group goes on without them, and they keep their turns.

use super::*;
use crate::store::group::Group;
use crate::store::orphans::{How, Orphans};
use crate::store::recover::{Doubt, Recover};
use crate::store::tests::subject::Subject;

/// A call moves so many jobs aside, or back, at most.
const MOVED_AT_MOST: usize = 256;

fn many(name: &str, group: &str, n: usize) -> Vec<NewJob> {
    let id = |n| format!("{name}-{group}{n:03}");
    let options = JobOptions::new().group(group);
    (0..n).map(|n| named_with(&id(n), &options)).collect()
}

impl Rig {
    fn enqueue_all(&mut self, jobs: &[NewJob]) {
        for page in jobs.chunks(200) {
            self.enqueue(page);
        }
    }

    /// How many jobs are aside, or were not taken back yet.
    fn aside(&mut self) -> usize {
        let members = self.subject.dump().names("blocked_by");
        members.iter().filter(|id| id.starts_with('p')).count()
    }

    /// Calls until one claims something, or `calls` calls did not. Each moves a bounded number of jobs.
    fn claims_within(&mut self, calls: usize, claim: usize) -> Vec<String> {
        for _ in 0..calls {
            let before = self.aside();
            let worked = self.work(&[], claim);
            let after = self.aside();
            assert!(
                before.abs_diff(after) <= MOVED_AT_MOST,
                "{before}, then {after}"
            );
            if !worked.claimed.is_empty() {
                return ids(&worked).into_iter().map(str::to_owned).collect();
            }
            assert!(
                worked.more || worked.next_at_ms.is_some(),
                "who calls again?"
            );
        }
        Vec::new()
    }
}

/// The whole backlog of a group in front of two others: they come in a few calls, and nothing of the backlog loses its turn.
fn g7_a_group_passes_a_long_backlog_of_a_paused_name(mut rig: Rig) {
    rig.enqueue_all(&many("mail", "g", 600));
    rig.enqueue_all(&many("report", "g", 2));
    rig.pause_name("mail", true);
    assert_eq!(rig.claims_within(4, 1), ["report-g000"]);
    assert_eq!(rig.claims_within(1, 1), ["report-g001"]);
    assert!(rig.size("unhandled") == 0 && rig.size("waiting") == 0);
    assert_eq!((rig.size("blocked"), rig.aside()), (600, 600));
    assert_eq!(rig.claims(5), [""; 0]);
    rig.enqueue_all(&many("report", "h", 3));
    rig.pause_name("mail", false);
    let mut order = Vec::new();
    for _ in 0..9 {
        order.extend(rig.claims(1));
    }
    let mails = order.iter().filter(|id| id.starts_with("mail-g"));
    assert!(mails.is_sorted(), "{order:?}");
    let last = order.iter().rposition(|id| id.starts_with("report-h"));
    assert!(last.is_some_and(|last| last < 6), "in turns: {order:?}");
    assert_eq!(rig.aside(), 0);
}

/// Nothing else happens to the groups: that the name is resumed lets them go on.
fn groups_of_nothing_but_paused_jobs_go_on_when_the_name_is_resumed(mut rig: Rig) {
    for group in ["a", "b", "c"] {
        rig.enqueue_all(&many("mail", group, 2));
    }
    rig.pause_name("mail", true);
    assert_eq!(rig.claims(9), [""; 0]);
    assert_eq!((rig.size("blocked"), rig.aside()), (6, 6));
    rig.subject.pop_token();
    rig.pause_name("mail", false);
    assert_eq!(rig.subject.pop_token(), Some(0.0));
    assert!(
        rig.advance(&[], 9).traits,
        "a plain call asks for the other script"
    );
    let order = [
        "mail-a000",
        "mail-b000",
        "mail-c000",
        "mail-a001",
        "mail-b001",
        "mail-c001",
    ];
    assert_eq!(rig.claims(9), order);
    let sizes = ["blocked", "blocked_by", "gates", "paced", "unhandled"].map(|part| rig.size(part));
    assert_eq!(
        sizes, [0; 5],
        "blocked, blocked_by, gates, paced, unhandled"
    );
}

/// Each call takes back a part, and says that there is more.
fn g7_many_groups_are_taken_back_in_bounded_calls(mut rig: Rig) {
    let groups = 600;
    let jobs: Vec<NewJob> = (0..groups)
        .flat_map(|n| many("mail", &format!("{n:03}-"), 1))
        .collect();
    rig.enqueue_all(&jobs);
    rig.pause_name("mail", true);
    for _ in 0..4 {
        rig.work(&[], 1);
    }
    assert_eq!(rig.aside(), groups);
    rig.pause_name("mail", false);
    let mut claimed = 0;
    for call in 1..=3 {
        claimed += rig.claims_within(1, 1).len();
        assert_eq!(rig.aside(), groups.saturating_sub(call * MOVED_AT_MOST));
    }
    assert_eq!((claimed, rig.size("paced")), (3, 0));
    assert_eq!(rig.size("waiting"), groups - 3, "each has its turn");
}

/// A call that could take back only a part takes back nothing of it.
fn a_name_that_is_paused_again_stays_aside(mut rig: Rig) {
    rig.enqueue_all(&many("mail", "g", 300));
    rig.enqueue_all(&many("report", "g", 1));
    rig.pause_name("mail", true);
    assert_eq!(rig.claims_within(3, 1), ["report-g000"]);
    rig.pause_name("mail", false);
    rig.pause_name("mail", true);
    assert_eq!(rig.claims(5), [""; 0]);
    assert_eq!((rig.aside(), rig.size("paced")), (300, 0));
    rig.pause_name("mail", false);
    assert_eq!(rig.claims(3), ["mail-g000", "mail-g001", "mail-g002"]);
}

/// While a call can move only a part of a backlog, the jobs of other groups go on.
fn a_long_backlog_of_a_paused_name_holds_up_no_other_group(mut rig: Rig) {
    rig.enqueue_all(&many("mail", "g", 800));
    rig.enqueue_all(&many("report", "h", 3));
    rig.pause_name("mail", true);
    let each = [1, 2, 3].map(|_| rig.claims(1));
    assert_eq!(each.concat(), ["report-h000", "report-h001", "report-h002"]);
    while rig.work(&[], 1).more {}
    assert_eq!((rig.aside(), rig.size("waiting")), (800, 0));
    rig.pause_name("mail", false);
    let mut mails = Vec::new();
    for _ in 0..8 {
        mails.extend(rig.claims(100));
    }
    assert!(mails.len() == 800 && mails.is_sorted(), "each at its place");
}

/// A call that claims for several slots passes paused jobs between the others.
fn a_claim_takes_the_jobs_between_those_that_are_paused(mut rig: Rig) {
    let names = [
        "report-1", "mail-1", "report-2", "mail-2", "mail-3", "report-3", "report-4",
    ];
    rig.enqueue(&names.map(in_group));
    rig.pause_name("mail", true);
    assert_eq!(
        rig.claims(9),
        ["report-1", "report-2", "report-3", "report-4"]
    );
    assert_eq!(rig.aside(), 3);
}

fn a_job_that_is_aside_is_changed_counted_and_removed_like_others(mut rig: Rig) {
    rig.enqueue_all(&many("mail", "g", 4));
    rig.enqueue_all(&many("mail", "h", 1));
    rig.pause_name("mail", true);
    assert_eq!(rig.claims(9), [""; 0]);
    let group = Group {
        group: "g",
        change: Default::default(),
        resume: false,
    };
    assert_eq!(rig.call(&group).blocked, 4);
    let lost = Orphans {
        cursor: Orphans::FIRST,
        limit: 1_000,
        how: How::PutBack,
        lease_ms: 60_000,
    };
    assert!(rig.call(&lost).ids.is_empty(), "none of them is lost");
    let ids = &[JobId::stored("mail-g000")];
    assert_eq!(rig.call(&Remove::of(ids)).removed, ["mail-g000"]);
    let (ids, reason) = (&[JobId::stored("mail-g001")], "moot");
    assert_eq!(rig.call(&Cancel { ids, reason }).cancelled, ["mail-g001"]);
    let edited = JobId::stored("mail-g003");
    rig.call(&Edit {
        id: &edited,
        priority: Some(100),
        due: None,
        rewrite: None,
    });
    assert_eq!(rig.claims(9), [""; 0]);
    assert_eq!((rig.aside(), rig.call(&group).blocked), (3, 2));
    rig.pause_name("mail", false);
    assert_eq!(rig.claims(9), ["mail-g003", "mail-h000", "mail-g002"]);
    assert_eq!((rig.size("blocked_by"), rig.size("paced")), (0, 0));
}

/// More suspects of a paused name than a call used to try stand before a job of the group.
fn a_group_does_not_wait_for_many_paused_suspects(mut rig: Rig) {
    rig.set(QueueSettings::new().max_stalls(9));
    rig.lease_ms = 1_000;
    rig.enqueue_all(&many("mail", "g", 5));
    assert_eq!(rig.claims(5).len(), 5);
    rig.wait(MINUTE);
    rig.call(&Recover {
        expected_ms: rig.now_us / 1_000,
        tolerance_ms: 1_000,
        limit: 9,
        lease_ms: 1_000,
        gap_ms: u64::MAX >> 12,
        quiet_ms: 0,
        doubt: Doubt::None,
    });
    assert_eq!(rig.size("suspects"), 5);
    let paused = Group {
        group: "g",
        change: [("paused", "1".to_owned())].into(),
        resume: false,
    };
    rig.call(&paused);
    assert_eq!(rig.claims(9), [""; 0], "their group holds them back");
    assert_eq!(rig.size("blocked"), 5);
    rig.enqueue_all(&many("report", "g", 1));
    rig.pause_name("mail", true);
    let resumed = Group {
        group: "g",
        change: [("paused", String::new())].into(),
        resume: false,
    };
    rig.call(&resumed);
    assert_eq!((rig.size("suspects"), rig.aside()), (0, 5));
    assert_eq!(rig.claims(9), ["report-g000"]);
    rig.pause_name("mail", false);
    let first = rig.work(&[], 9);
    assert_eq!(first.claimed.len(), 5, "{:?}", ids(&first));
}

#[test]
fn what_tells_that_a_name_was_resumed_is_found_again() {
    let mut rig = Rig::in_redis();
    rig.enqueue_all(&many("mail", "g", 3));
    rig.pause_name("mail", true);
    rig.claims(9);
    rig.pause_name("mail", false);
    let Subject::Redis(redis) = &mut rig.subject else {
        unreachable!("this is Redis");
    };
    redis.lose_list("paced");
    rig.trim();
    assert_eq!(rig.claims(9), ["mail-g000", "mail-g001", "mail-g002"]);
}

on_both!(
    g7_a_group_passes_a_long_backlog_of_a_paused_name,
    groups_of_nothing_but_paused_jobs_go_on_when_the_name_is_resumed,
    g7_many_groups_are_taken_back_in_bounded_calls,
    a_name_that_is_paused_again_stays_aside,
    a_long_backlog_of_a_paused_name_holds_up_no_other_group,
    a_claim_takes_the_jobs_between_those_that_are_paused,
    a_job_that_is_aside_is_changed_counted_and_removed_like_others,
    a_group_does_not_wait_for_many_paused_suspects,
);
