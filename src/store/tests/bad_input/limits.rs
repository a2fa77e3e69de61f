//! As little and as much as there can be.

use super::*;

#[test]
fn nothing_asked_for_is_nothing_done() {
    let mut both = Both::start();
    let hold = false;
    let worker = "";
    both.changes(&["calls", "meta", "wake"], &advance("worker", 9, &[], 0));
    let limit = 0;
    assert_eq!(
        both.leaves(&Promote {
            limit,
            worker,
            hold
        })
        .moved,
        0
    );
    let recover = |expected_ms: u64, limit: usize| Recover {
        expected_ms,
        tolerance_ms: 0,
        limit,
        lease_ms: 60_000,
        gap_ms: 0,
        quiet_ms: 0,
        doubt: Doubt::None,
    };
    // It notes that a worker looked, and nothing else.
    let recovered = both.changes(&["meta"], &recover(NOW, limit));
    assert!(matches!(recovered, Recovered::Done { .. }), "{recovered:?}");
    for expected_ms in [0, NOW - 1, NOW + 1, WHOLE_MAX] {
        let unsure = both.leaves(&recover(expected_ms, BATCH_JOBS));
        let (now_ms, from_ms, pulled) = (NOW, NOW, 0);
        let nothing = Recovered::Unsure {
            now_ms,
            from_ms,
            pulled,
            to_carry: crate::store::recover::ToCarry::default(),
        };
        assert_eq!(unsure, nothing);
    }
    let trimmed = both.leaves(&Trim {
        limit,
        lane_ttl_ms: WHOLE_MAX,
        lanes_cursor: "0",
    });
    assert_eq!(trimmed.dropped, 0);
    let ids = &[];
    assert!(both.leaves(&Remove::of(ids)).removed.is_empty());
    assert!(both.leaves(&Replay { ids }).replayed.is_empty());
    let entries = &[];
    let fired = both.leaves(&Fire {
        passed_ms: None,
        worker,
        hold,
        entries,
    });
    assert!(fired.verdicts.is_empty());
    assert!(both.leaves(&Schedules::due(0, 0)).schedules.is_empty());
    assert!(both.leaves(&Schedules::due(7, 5)).schedules.is_empty());
    let place = |list, score: &str, id: &str| {
        let (score, id) = (score.to_owned(), id.to_owned());
        Some(Place { list, score, id })
    };
    for (state, limit, after) in [
        ("waiting", 0, None),
        ("waiting", 10, place(1, "4", "waiting")),
        ("waiting", 10, place(1, "inf", "")),
        ("waiting", 10, place(9, "-inf", "")),
        ("dead", BATCH_JOBS, place(WHOLE_MAX as usize, "0", "")),
        ("", 10, None),
        ("blocked", 10, None),
        ("WAITING", 10, None),
    ] {
        let verb = List {
            state,
            direction: Direction::Forward,
            limit,
            look_at: limit,
            only: None,
            bytes: 0,
            after: after.as_ref(),
        };
        assert_eq!(both.leaves(&verb), Listed::default(), "{state} {after:?}");
    }
    let all = both.leaves(&List {
        state: "waiting",
        direction: Direction::Forward,
        limit: BATCH_JOBS,
        look_at: BATCH_JOBS,
        only: None,
        bytes: 0,
        after: place(1, "-inf", "").as_ref(),
    });
    let all: Vec<_> = all.jobs.iter().map(|(id, _)| id.as_str()).collect();
    assert_eq!(all, ["waiting"]);
}

/// Ids, payloads, priorities and numbers of jobs, as large and as small as they come.
#[test]
fn what_is_at_the_limit_is_done_alike() {
    let mut both = Both::start();
    let ids = [
        "\"quoted\"",
        "back\\slash",
        "%s%d",
        "-inf",
        "+inf",
        "(1",
        "*",
        "0",
        "17",
        "a.b@c!d$e&f",
        "🐂é\u{301}",
        "nil",
        "false",
        "'",
        "[1]",
        "<a>",
        "a=b",
        "a|b;c,d",
    ];
    let longest = "y".repeat(128);
    let mut jobs: Vec<NewJob> = ids.iter().map(|id| job(id)).collect();
    jobs.push(job(&longest));
    for (number, priority) in (0..).zip([0, PRIORITY_MAX]) {
        let mut edge = job(&format!("edge-{number}"));
        (edge.priority, edge.front) = (Some(priority), true);
        edge.await_ms = Some(number * 60_000);
        jobs.push(edge);
    }
    for (number, bytes) in (0..).zip([0, 2_047, 2_048, 2_049, BATCH_BYTES]) {
        let mut sized = job(&format!("sized-{number}"));
        sized.record = EncodedRecord::new("t", vec![7; bytes], &JobOptions::new(), Vec::new());
        jobs.push(sized);
    }
    for (number, due) in (0..).zip([Due::After { ms: 0 }, Due::At { ms: 0 }, Due::At { ms: NOW }]) {
        let mut due_now = job(&format!("now-{number}"));
        due_now.due = due;
        jobs.push(due_now);
    }
    assert_eq!(both.enqueue("producer", 2, &jobs), Some(vec![]));
    let all: Vec<usize> = (0..jobs.len()).collect();
    assert_eq!(both.enqueue("producer", 3, &jobs), Some(all));

    // No room for bytes, and still one; then more than there are.
    let mut verb = advance("worker", 3, &[], BATCH_JOBS);
    verb.claim_bytes = 0;
    let Answer::Advanced(first) = both.call(&verb) else {
        panic!("superseded");
    };
    assert_eq!(first.claimed.len(), 1);
    let mut claimed = first.claimed;
    for call in 4..20 {
        claimed.extend(
            both.advance("worker", call, &[], BATCH_JOBS)
                .unwrap()
                .claimed,
        );
    }
    assert_eq!(claimed.len(), jobs.len() + 1, "and the one that waited");
    for (claim, bytes) in claimed.iter().zip([0, 256, 257, BATCH_BYTES]) {
        let (id, receipt, value) = (&claim.id, &claim.receipt, &vec![1; bytes][..]);
        assert_eq!(both.call(&Progress { id, receipt, value }), Stored::Yes);
    }
    let ended = claimed.iter().zip(every_outcome().into_iter().cycle());
    let ended = ended.map(|(claim, outcome)| settlement(&claim.id, &claim.receipt, outcome));
    let mut ended: Vec<_> = ended.collect();
    Advance::sort(&mut ended);
    let settled = both.advance("worker", 20, &ended, 0).unwrap();
    assert!(settled.refused.is_empty());
    for claim in &claimed {
        both.call(&Watch {
            id: claim.id.as_str(),
            await_ms: 0,
        });
    }
}
