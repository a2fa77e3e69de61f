//! Claims that no worker has, ids of no job, states, numbers and revisions that have passed.

use super::*;

/// No job has any of these; most of them no caller can name.
fn unknown_ids() -> Vec<JobId> {
    let ids = [
        "",
        "nobody",
        "a b",
        "a:17",
        "held#1",
        "nightly@17",
        "-inf",
        "+inf",
        "(1",
        "*",
        "a\0b",
        "a\r\nDEL x",
        "held ",
        "HELD",
        "ключ 🐂",
        "\u{7f}",
        "%d%s",
        "0",
        "-1",
        "nil",
        "{held}",
    ];
    let long = ["x".repeat(129), "é".repeat(40_000)];
    let ids = ids.into_iter().chain(long.iter().map(String::as_str));
    ids.map(JobId::stored).collect()
}

/// Claims that no worker has: what is wrong with each is its job, its state or its receipt.
fn void_claims(both: &Both) -> Vec<(JobId, Receipt)> {
    let mine = both.receipt.as_str();
    let fence: u64 = mine.split(' ').next().unwrap().parse().unwrap();
    let others = ["waiting", "delayed", "completed", "dead"].map(JobId::stored);
    let unheld = unknown_ids().into_iter().chain(others);
    let unheld = unheld.map(|id| (id, both.receipt.clone()));
    let stale = [
        String::new(),
        "nonsense".to_owned(),
        mine.replacen(&fence.to_string(), &(fence - 1).to_string(), 1),
        mine.replacen(&fence.to_string(), &(fence + 1).to_string(), 1),
        format!("{mine} "),
        format!("{mine}2"),
        mine.trim_end_matches("worker").to_owned(),
        mine.to_uppercase(),
        "9".repeat(70_000),
    ];
    let stale = stale.map(|receipt| (JobId::stored("held"), Receipt::new(&receipt)));
    unheld.chain(stale).collect()
}

#[test]
fn g2_whoever_holds_no_claim_changes_nothing() {
    let mut both = Both::start();
    let void = void_claims(&both);
    for (id, receipt) in &void {
        let leases = &[(id.clone(), receipt.clone())];
        let lease_ms = 1;
        assert_eq!(
            both.leaves(&Extend { leases, lease_ms }).lost,
            [0],
            "{id:.20}"
        );
        let before = both.refused();
        let value = b"\x07";
        let verb = Progress { id, receipt, value };
        assert_eq!(both.changes(&["meta"], &verb), Stored::LeaseLost);
        assert_eq!(both.refused(), before + 1);
    }
    // All of them at once, beside the one that is held.
    let mut leases = void.clone();
    leases.insert(3, (JobId::stored("held"), both.receipt.clone()));
    let (leases, lease_ms) = (&leases[..], 60_000);
    let lost = both.leaves(&Extend { leases, lease_ms }).lost;
    let all_but_one: Vec<usize> = (0..leases.len()).filter(|n| *n != 3).collect();
    assert_eq!(lost, all_but_one);

    for (number, outcome) in (10..).zip(every_outcome()) {
        let settle = void.iter();
        let settle = settle.map(|(id, receipt)| settlement(id, receipt, outcome.clone()));
        let settle: Vec<_> = settle.collect();
        let before = both.refused();
        // The last call of the lane and the number of the refused.
        let verb = advance("worker", number, &settle, 0);
        let answer = both.changes(&["calls", "meta", "wake"], &verb);
        let Answer::Advanced(advanced) = answer else {
            panic!("{answer:?}");
        };
        assert!(advanced.refused.iter().copied().eq(0..settle.len()));
        assert_eq!(both.refused(), before + settle.len() as u64);
    }
}

#[test]
fn ids_that_no_job_has_are_found_nowhere() {
    let mut both = Both::start();
    let ids = &unknown_ids()[..];
    for id in ids {
        let id = id.as_str();
        assert_eq!(both.leaves(&Get { id }), None);
        let await_ms = 60_000;
        assert_eq!(both.leaves(&Watch { id, await_ms }), Watched::Missing);
        let named = both.leaves(&Schedules::Named { name: id });
        assert!(named.schedules.is_empty() && named.job.is_none());
        assert!(!both.leaves(&Unschedule { name: id }));
    }
    let removed = both.leaves(&Remove::of(ids));
    assert!(removed.removed.is_empty() && removed.active.is_empty());
    assert!(both.leaves(&Replay { ids }).replayed.is_empty());
}

#[test]
fn a_job_in_the_wrong_state_is_left_where_it_is() {
    let mut both = Both::start();
    let ids = &["held", "waiting", "delayed", "completed"].map(JobId::stored);
    assert!(both.leaves(&Replay { ids }).replayed.is_empty());
    let ids = &ids[..1];
    assert_eq!(both.leaves(&Remove::of(ids)).active, ["held"]);
    // Named twice, it is done once.
    let ids = &["dead", "dead"].map(JobId::stored);
    assert_eq!(both.call(&Replay { ids }).replayed, ["dead"]);
    let ids = &["dead", "held", "dead"].map(JobId::stored);
    let removed = both.call(&Remove::of(ids));
    assert_eq!((removed.removed.len(), removed.active.len()), (1, 1));
    // What is so already.
    assert!(!both.leaves(&Resume));
    assert!(both.call(&Pause));
    assert!(!both.leaves(&Pause));
    let ended = both.leaves(&Watch {
        id: "completed",
        await_ms: 60_000,
    });
    assert!(matches!(ended, Watched::Finished { .. }), "{ended:?}");
}

#[test]
fn g3_a_number_that_has_passed_does_nothing_whatever_it_asks_for() {
    let mut both = Both::start();
    let others = [job("other"), job("waiting")];
    let jobs: Vec<&NewJob> = others.iter().collect();
    let (lane, jobs) = ("producer", &jobs[..]);
    let again = both.leaves(&Enqueue {
        lane,
        call: 1,
        jobs,
        novelty: Novelty::Unsure,
    });
    assert_eq!(
        again,
        Enqueued::Added {
            there: vec![],
            replaced: 0,
            is_first: false,
        }
    );
    let late = both.leaves(&Enqueue {
        lane,
        call: 0,
        jobs,
        novelty: Novelty::Unsure,
    });
    assert_eq!(late, Enqueued::Superseded);

    let ended = [both.ended("held", completed())];
    for call in [0, 1] {
        let late = both.leaves(&advance("worker", call, &ended, 5));
        assert_eq!(late, Answer::Superseded, "{call}");
    }
    let again = both.changes(&["meta", "wake"], &advance("worker", 2, &ended, 5));
    let Answer::Advanced(again) = again else {
        panic!("{again:?}");
    };
    assert!(again.claimed.is_empty() && again.refused.is_empty());
    assert_eq!(
        both.advance("worker", WHOLE_MAX, &[], 1)
            .unwrap()
            .claimed
            .len(),
        1
    );
    assert_eq!(both.advance("worker", WHOLE_MAX - 1, &ended, 1), None);
}

#[test]
fn s1_a_schedule_that_is_not_as_its_caller_saw_it_is_left_alone() {
    let mut both = Both::start();
    let before = both.redis.dump();
    for (name, revision) in [
        ("nightly", 0),
        ("nightly", 2),
        ("nightly", WHOLE_MAX),
        ("no", 1),
    ] {
        let tick = NextTick::At { ms: NOW };
        assert!(!both.define(name, revision, tick));
    }
    let entry = |name: &str, revision, tick_ms, last_ms| Entry {
        name: name.to_owned(),
        revision,
        tick_ms,
        ticks: vec![tick_ms],
        due_ms: vec![tick_ms],
        missed: 1,
        last_ms,
        next_ms: Some(NOW),
        limit: None,
        no_overlap: false,
        priority: Some(PRIORITY_MAX),
        front: true,
    };
    let entries = &[
        entry("nightly", 0, PAST, PAST),
        entry("nightly", 2, PAST, PAST),
        entry("nightly", 1, PAST + 1, PAST + 1),
        entry("nightly", 1, PAST, NOW + 1),
        entry("", 1, PAST, PAST),
        entry("night", 1, PAST, PAST),
        entry("nightly#state", 1, PAST, PAST),
    ];
    let (worker, hold) = ("worker", false);
    let fired = both.call(&Fire {
        passed_ms: None,
        worker,
        hold,
        entries,
    });
    assert!(fired.verdicts.iter().all(Option::is_none), "{fired:?}");
    assert_eq!(both.redis.dump().parts_unlike(&before), [""; 0]);
}
