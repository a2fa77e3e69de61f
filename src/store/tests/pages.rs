//! Pages of jobs: each job once, in order, whatever comes and goes between two pages.

pub(super) mod operations;

use std::collections::BTreeSet;

use super::*;
use crate::job::history::AttemptEntry;
use crate::job::history::AttemptKind;
use crate::job::outcome::DeadReason;
use crate::store::list::{Direction, List, Listed, Place, Wanted};
use crate::store::remove::Remove;

impl Rig {
    fn page(&mut self, state: State, limit: usize, after: Option<&Place>) -> Listed {
        let bytes = BATCH_BYTES;
        self.page_of(state, limit, bytes, after)
    }

    fn page_of(
        &mut self,
        state: State,
        limit: usize,
        bytes: usize,
        after: Option<&Place>,
    ) -> Listed {
        self.call(&List {
            state: state.as_str(),
            direction: Direction::Forward,
            limit,
            look_at: limit,
            only: None,
            bytes,
            after,
        })
    }

    /// A page of those that are wanted among so many, the last one first.
    fn wanted(
        &mut self,
        state: State,
        look_at: usize,
        only: &Wanted,
        after: Option<&Place>,
    ) -> (Vec<String>, Option<Place>) {
        let page = self.call(&List {
            state: state.as_str(),
            direction: Direction::Backward,
            limit: 2,
            look_at,
            only: Some(only),
            bytes: BATCH_BYTES,
            after,
        });
        let ids = page.jobs.into_iter().map(|(id, _)| id);
        (ids.collect(), page.next)
    }

    /// All ids, in pages of `limit`.
    fn listed(&mut self, state: State, limit: usize) -> Vec<String> {
        let (mut all, mut after) = (Vec::new(), None);
        loop {
            let page = self.page(state, limit, after.as_ref());
            assert!(page.jobs.len() <= limit);
            all.extend(page.jobs.into_iter().map(|(id, _)| id));
            after = page.next;
            if after.is_none() {
                return all;
            }
        }
    }

    /// Claims all and ends each in the same call: all have the same score.
    fn end_all(&mut self, outcome: &Outcome) {
        let claimed = self.advance(&[], 256).claimed;
        let ended: Vec<_> = claimed
            .iter()
            .map(|claimed| settlement(&claimed.id, &claimed.receipt, outcome.clone()))
            .collect();
        assert!(self.advance(&ended, 0).refused.is_empty());
    }

    fn take_away(&mut self, id: &str) {
        let ids = [JobId::new(id).unwrap()];
        assert_eq!(self.call(&Remove::of(&ids)).removed, [id]);
    }
}

fn dead() -> Outcome {
    Outcome::Dead {
        reason: DeadReason::Declared,
        entry: AttemptEntry::new(AttemptKind::Error, "no".into()),
    }
}

fn each_job_comes_once_in_pages_of_any_size(mut rig: Rig) {
    let names: Vec<String> = (0..17).map(|n| format!("job-{n:02}")).collect();
    let later = |name: &String| {
        let due = Due::After { ms: 5_000 };
        let id = JobId::new(format!("late-{name}")).unwrap();
        NewJob {
            id,
            due,
            ..job(name)
        }
    };
    let jobs: Vec<NewJob> = names.iter().map(|name| job(name)).collect();
    rig.enqueue(&jobs);
    rig.enqueue(&names.iter().map(later).collect::<Vec<_>>());
    for limit in [1, 2, 5, 16, 17, 18, 256] {
        assert_eq!(rig.listed(State::Waiting, limit), names, "{limit}");
        let delayed = rig.listed(State::Delayed, limit);
        assert!(delayed.iter().map(|id| &id[5..]).eq(&names), "{delayed:?}");
    }
    let claimed = rig.advance(&[], 17).claimed;
    assert_eq!(rig.listed(State::Active, 3), names);
    assert!(rig.listed(State::Waiting, 3).is_empty());
    let release = |claimed: &Claimed| settlement(&claimed.id, &claimed.receipt, Outcome::Released);
    rig.advance(&claimed.iter().map(release).collect::<Vec<_>>(), 0);
    rig.end_all(&dead());
    assert_eq!(rig.listed(State::Dead, 3), names);
}

/// Many members have one score, and the one where a page ended is gone: the next page begins where it was.
fn what_comes_and_goes_between_two_pages_moves_none_of_the_others(mut rig: Rig) {
    // By their bytes, in which order upper case stands before lower case.
    let names = ["B", "C-1", "C-2", "a", "a-1", "b", "c"];
    rig.enqueue(&names.map(job));
    rig.end_all(&dead());
    for end in 1..names.len() {
        let first = rig.page(State::Dead, end, None);
        assert_eq!(first.jobs.len(), end);
        let place = first.next.unwrap();
        assert_eq!(place.id, names[end - 1]);
        let rest = rig.page(State::Dead, 256, Some(&place));
        assert!(rest.jobs.iter().map(|(id, _)| id).eq(&names[end..]));
    }
    let place = rig.page(State::Dead, 4, None).next.unwrap();
    for gone in ["B", "a", "b"] {
        rig.take_away(gone);
    }
    let rest = rig.page(State::Dead, 256, Some(&place));
    assert!(rest.jobs.iter().map(|(id, _)| id.as_str()).eq(["a-1", "c"]));
    rig.wait(Duration::from_millis(1));
    rig.enqueue(&[job("A")]);
    rig.end_all(&dead());
    let rest = rig.page(State::Dead, 256, Some(&place));
    assert!(
        rest.jobs
            .iter()
            .map(|(id, _)| id.as_str())
            .eq(["a-1", "c", "A"])
    );
    for gone in ["C-1", "C-2", "a-1", "c", "A"] {
        rig.take_away(gone);
    }
    assert_eq!(rig.page(State::Dead, 256, Some(&place)), Listed::default());
}

fn cancelled_jobs_are_not_among_the_completed_ones(mut rig: Rig) {
    for (id, outcome, keep) in [
        ("a", completed(), None),
        ("b", Outcome::Cancelled("moot".into()), None),
        (
            "c",
            completed(),
            Some(Retention::For(Duration::from_secs(9))),
        ),
        (
            "d",
            Outcome::Cancelled("x".repeat(4_096)),
            Some(Retention::For(Duration::from_secs(9))),
        ),
    ] {
        rig.enqueue(&[job(id)]);
        let claimed = rig.claim_one().unwrap();
        let settlement = Settlement {
            keep,
            ..settlement(&claimed.id, &claimed.receipt, outcome)
        };
        assert!(rig.advance(&[settlement], 0).refused.is_empty());
    }
    for limit in [1, 2, 9] {
        assert_eq!(rig.listed(State::Completed, limit), ["a", "c"]);
        assert_eq!(rig.listed(State::Cancelled, limit), ["b", "d"]);
    }
    let all: BTreeSet<State> = ["a", "b", "c", "d"]
        .iter()
        .filter_map(|id| rig.state(&JobId::new(id).unwrap()))
        .collect();
    assert!(all.into_iter().eq([State::Completed, State::Cancelled]));
}

fn g7_a_page_has_no_more_bytes_than_asked_for_but_for_one_job(mut rig: Rig) {
    let large = |id: &str| {
        let record = EncodedRecord::new("large", vec![7; 4_000], &JobOptions::new(), Vec::new());
        NewJob { record, ..job(id) }
    };
    rig.enqueue(&["a", "b", "c", "d"].map(large));
    for (bytes, jobs) in [
        (0, 1),
        (4_000, 1),
        (8_000, 1),
        (9_000, 2),
        (13_000, 3),
        (1 << 20, 4),
    ] {
        let page = rig.page_of(State::Waiting, 256, bytes, None);
        assert_eq!(page.jobs.len(), jobs, "{bytes}");
        assert_eq!(page.next.is_some(), jobs < 4, "{bytes}");
        if let Some(place) = page.next {
            let rest = rig.page(State::Waiting, 256, Some(&place));
            assert_eq!(rest.jobs.len(), 4 - jobs, "{bytes}");
        }
    }
}

/// A call looks at so many jobs at most, whether they are wanted or not, and answers where the next one goes on.
fn a_page_of_wanted_jobs_looks_at_no_more_than_it_may(mut rig: Rig) {
    let ids: Vec<String> = (0..9)
        .map(|n| format!("{}-{n}", ["x", "y"][n % 2]))
        .collect();
    rig.enqueue(&ids.iter().map(|id| job(id)).collect::<Vec<_>>());
    rig.end_all(&dead());
    let only = |start: &str| Wanted {
        id_prefix: Some(start.into()),
        ..Wanted::default()
    };
    // In the order of their ids: x-0 x-2 x-4 x-6 x-8 y-1 y-3 y-5 y-7.
    let (found, next) = rig.wanted(State::Dead, 4, &only("x"), None);
    assert!(found.is_empty(), "{found:?}");
    let (found, next) = rig.wanted(State::Dead, 4, &only("x"), next.as_ref());
    assert_eq!(found, ["x-8", "x-6"]);
    let (found, next) = rig.wanted(State::Dead, 4, &only("x"), next.as_ref());
    assert_eq!(found, ["x-4", "x-2"]);
    let (found, next) = rig.wanted(State::Dead, 4, &only("x"), next.as_ref());
    assert_eq!((found, next), (vec!["x-0".to_owned()], None));
}

/// Each part of what is wanted leaves out what it should, and several must all hold.
fn a_job_is_wanted_if_all_holds_that_is_asked_for(mut rig: Rig) {
    rig.enqueue(&[job("a")]);
    rig.end_all(&dead());
    rig.wait(Duration::from_secs(5));
    rig.enqueue(&[job("b")]);
    rig.end_all(&dead());
    let mut found = |only: Wanted| rig.wanted(State::Dead, 9, &only, None).0;
    let text = |text: &str| Some(text.to_owned());
    let none = Wanted::default;
    for (only, expected) in [
        (none(), &["b", "a"][..]),
        (
            Wanted {
                older_ms: Some(4_000),
                ..none()
            },
            &["a"],
        ),
        (
            Wanted {
                newer_ms: Some(4_000),
                ..none()
            },
            &["b"],
        ),
        (
            Wanted {
                error: text("no"),
                ..none()
            },
            &["b", "a"],
        ),
        (
            Wanted {
                error: text("error"),
                ..none()
            },
            &[],
        ),
        (
            Wanted {
                failed: Some(1),
                ..none()
            },
            &["b", "a"],
        ),
        (
            Wanted {
                failed: Some(2),
                ..none()
            },
            &[],
        ),
        (
            Wanted {
                group: text("g"),
                ..none()
            },
            &[],
        ),
        (
            Wanted {
                name: text("no such name"),
                ..none()
            },
            &[],
        ),
        (
            Wanted {
                id_prefix: text("a"),
                newer_ms: Some(4_000),
                ..none()
            },
            &[],
        ),
    ] {
        assert_eq!(found(only.clone()), expected, "{only:?}");
    }
}

/// A job that has moved since it was read is left alone.
fn jobs_are_removed_only_in_the_state_that_is_asked_for(mut rig: Rig) {
    rig.enqueue(&["a", "b"].map(job));
    rig.end_all(&dead());
    rig.enqueue(&["c"].map(job));
    let ids = ["a", "b", "c"].map(|id| JobId::new(id).unwrap());
    let mut remove = |ids: &[JobId], state: State| {
        let only_in = Some(state.as_str());
        rig.call(&Remove {
            ids,
            only_in,
            seen: None,
        })
    };
    let removed = remove(&ids, State::Waiting);
    let dead = |id: &str| (id.to_owned(), "dead".to_owned());
    assert_eq!(
        (removed.removed, removed.others),
        (vec!["c".to_owned()], vec![dead("a"), dead("b")])
    );
    let removed = remove(&ids[..1], State::Dead);
    assert_eq!(
        (removed.removed, removed.others),
        (vec!["a".to_owned()], Vec::new())
    );
}

/// How many jobs stand before a job is known of those in line.
fn the_position_of_a_job_is_its_number_in_line(mut rig: Rig) {
    rig.enqueue(&["a", "b", "c"].map(job));
    let mut position = |id: &str| {
        let found = rig.call(&Get { id }).expect("it is there");
        found
            .position
            .map(|position| String::from_utf8(position).unwrap())
    };
    assert_eq!(position("a").as_deref(), Some("0"));
    assert_eq!(position("c").as_deref(), Some("2"));
    assert!(rig.claim_one().is_some());
    let mut position = |id: &str| rig.call(&Get { id }).and_then(|found| found.position);
    assert_eq!(position("a"), None);
    assert_eq!(position("c").as_deref(), Some(&b"1"[..]));
}

on_both!(
    a_page_of_wanted_jobs_looks_at_no_more_than_it_may,
    a_job_is_wanted_if_all_holds_that_is_asked_for,
    jobs_are_removed_only_in_the_state_that_is_asked_for,
    the_position_of_a_job_is_its_number_in_line,
    each_job_comes_once_in_pages_of_any_size,
    what_comes_and_goes_between_two_pages_moves_none_of_the_others,
    cancelled_jobs_are_not_among_the_completed_ones,
    g7_a_page_has_no_more_bytes_than_asked_for_but_for_one_job,
);
