//! Jobs that duplicates put off: what is promised of it.

use super::*;
use crate::queue::info::JobInfo;

fn a_debounced_job_is_due_when_the_last_one_would_be(mut rig: Rig) {
    let new = |id| after(replaces(id, OnDuplicate::Debounce), MINUTE);
    rig.enqueue(&[new("a")]);
    for _ in 0..3 {
        rig.wait(MINUTE / 2);
        assert_eq!(met(&mut rig, &[new("b")]), ["~a"]);
        assert!(claim(&mut rig).is_none());
    }
    rig.wait(MINUTE);
    assert_eq!(claim(&mut rig).unwrap().id.as_str(), "a");
}

/// However many come.
fn a_debounced_job_is_put_off_for_a_time_at_most(mut rig: Rig) {
    let new = |id, delay| {
        let key = Unique::by("k").on_duplicate(OnDuplicate::Debounce);
        after(unique(id, key.wait_at_most(2 * MINUTE)), delay)
    };
    rig.enqueue(&[new("a", MINUTE)]);
    let first_ms = rig.now_us / 1_000;
    for _ in 0..3 {
        rig.wait(MINUTE / 2);
        assert_eq!(met(&mut rig, &[new("b", MINUTE)]), ["~a"]);
        assert!(claim(&mut rig).is_none());
    }
    let found = rig.call(&Get { id: "a" }).unwrap();
    let info = JobInfo::decode(&JobId::stored("a"), found).unwrap();
    assert_eq!(info.enqueued_at.as_millis(), first_ms);
    rig.wait(MINUTE / 2);
    let claimed = claim(&mut rig).unwrap();
    assert_eq!(claimed.id.as_str(), "a");
    end(&mut rig, &claimed, completed());
    // One that comes when the time is over sends it off.
    rig.enqueue(&[new("c", 9 * MINUTE)]);
    rig.wait(3 * MINUTE);
    assert_eq!(met(&mut rig, &[new("d", MINUTE)]), ["~c"]);
    assert_eq!(claim(&mut rig).unwrap().id.as_str(), "c");
}

/// Which job is due next is looked up once, however many jobs are put off: that takes a command for each priority.
#[test]
fn g7_many_debounced_jobs_are_cheap() {
    let mut rig = Rig::in_redis();
    let new = |n: u16| {
        let unique = Unique::by(format!("k{n}")).on_duplicate(OnDuplicate::Debounce);
        let priority = Some(4 * n);
        let id = format!("{n}-{}", "a");
        NewJob {
            priority,
            ..after(
                with(&id, &JobOptions::new().unique(unique).priority(4 * n)),
                MINUTE,
            )
        }
    };
    let jobs: Vec<NewJob> = (0..256).map(new).collect();
    rig.enqueue(&jobs);
    rig.wait(MINUTE / 2);
    let commands = |rig: &mut Rig| -> u64 {
        let stats = rig.subject.command_stats();
        let calls = stats
            .lines()
            .filter_map(|line| line.split_once(":calls=")?.1.split(',').next());
        calls.map(|calls| calls.parse::<u64>().unwrap()).sum()
    };
    let before = commands(&mut rig);
    let again: Vec<NewJob> = (0..256)
        .map(|n| NewJob {
            id: JobId::stored(&format!("{n}-b")),
            ..new(n)
        })
        .collect();
    let told = met(&mut rig, &again);
    assert!(told.iter().all(|told| told.starts_with('~')), "{told:?}");
    let spent = commands(&mut rig) - before;
    assert!(spent < 256 * 25, "{spent} commands");
}

on_both!(
    a_debounced_job_is_due_when_the_last_one_would_be,
    a_debounced_job_is_put_off_for_a_time_at_most,
);
