//! Jobs whose list was deleted.

use super::removal::everything;
use std::time::Duration;

use super::{Rig, completed, job, on_both, settlement, with};
use crate::id::{JobId, Receipt};
use crate::job::history::{AttemptEntry, AttemptKind};
use crate::job::options::JobOptions;
use crate::job::outcome::Outcome;
use crate::job::traits::EndTraits;
use crate::policy::unique::Unique;
use crate::redis::keys::PLACES;
use crate::store::orphans::{How, Orphans};

impl Rig {
    /// Of all that is found in one call: what was put back or removed, or only seen.
    pub(in crate::store::tests) fn orphans(&mut self, how: How) -> Vec<String> {
        let verb = Orphans {
            cursor: Orphans::FIRST,
            limit: 1_000,
            how,
            lease_ms: 60_000,
        };
        self.call(&verb).ids
    }
}

fn g7_orphans_are_dealt_with_in_bounded_calls(mut rig: Rig) {
    let names = |range: std::ops::Range<u32>| range.map(|n| job(&format!("job-{n:03}")));
    rig.enqueue(&names(0..200).collect::<Vec<_>>());
    rig.enqueue(&names(200..400).collect::<Vec<_>>());
    for how in [How::PutBack, How::Remove] {
        rig.subject.lose_list(0);
        let verb = Orphans {
            cursor: Orphans::FIRST,
            limit: 10_000,
            how,
            lease_ms: 60_000,
        };
        let first = rig.call(&verb);
        assert_eq!((first.ids.len(), first.more), (256, true));
        let rest = rig.call(&verb);
        assert_eq!((rest.ids.len(), rest.more), (144, false));
    }
    assert_eq!((rig.size("jobs"), rig.size("waiting")), (0, 0));
}

/// Whatever list is lost: the jobs in it are found, and go where they belong.
fn g1_jobs_of_a_lost_list_are_put_back(mut rig: Rig) {
    // The place of each, and where its jobs go.
    let goes = [
        ("waiting", "waiting"),
        ("suspects", "suspects"),
        ("unhandled", "waiting"),
        ("blocked", "blocked"),
        ("delayed", "waiting"),
        ("active", "active"),
        ("completed", "completed"),
        ("kept", "completed"),
        ("dead", "dead"),
    ];
    for (place, (part, into)) in goes.into_iter().enumerate() {
        assert_eq!(part, PLACES[place]);
        rig.clear();
        rig.call = 0;
        everything(&mut rig);
        let before = rig.subject.dump();
        let lost: Vec<String> = before.names(part).into_iter().collect();
        assert!(!lost.is_empty(), "{part} is empty");
        rig.subject.lose_list(place);
        assert_eq!(rig.orphans(How::Look), lost, "{part}");
        assert_eq!(rig.orphans(How::PutBack), lost, "{part}");
        let after = rig.subject.dump();
        for id in &lost {
            assert!(
                after.get(into, id).is_some(),
                "{part}: {id} is not in {into}"
            );
            rig.check_whole(&JobId::stored(id));
        }
        // In line it has the place it had.
        if ["waiting", "suspects"].contains(&part) {
            assert!(!before.parts_unlike(&after).contains(&part), "{part}");
        }
        assert!(rig.orphans(How::Look).is_empty());
        // A late outcome of the attempt under way is taken.
        if part == "active" {
            let claim = before.get("claims", "held").unwrap().clone();
            let receipt = Receipt::new(&String::from_utf8(claim).unwrap());
            let held = JobId::new("held").unwrap();
            assert!(rig.settle(&held, &receipt, completed()));
        }
    }
    for (place, part) in PLACES.iter().enumerate() {
        rig.clear();
        rig.call = 0;
        everything(&mut rig);
        let lost = rig.subject.dump().names(part);
        rig.subject.lose_list(place);
        let removed = rig.orphans(How::Remove);
        assert_eq!(removed.is_empty(), *part == "active", "{part}: {removed:?}");
        for id in &lost {
            rig.check_whole(&JobId::stored(id));
        }
    }
}

/// Its key was free when its list was lost: another job may have it since.
fn a_job_whose_key_another_one_has_is_put_back_when_that_has_ended(mut rig: Rig) {
    let orphans = |rig: &mut Rig, how| {
        let verb = Orphans {
            cursor: Orphans::FIRST,
            limit: 100,
            how,
            lease_ms: 60_000,
        };
        let found = rig.call(&verb);
        assert!(!found.more);
        found.ids
    };
    let end = |rig: &mut Rig, outcome| {
        let job = rig.claim_one().expect("one waits");
        let mut ended = settlement(&job.id, &job.receipt, outcome);
        ended.traits = EndTraits::of(&job.record);
        assert!(rig.advance(&[ended], 0).refused.is_empty());
        job.id.to_string()
    };
    let keyed = |id: &str| with(id, &JobOptions::new().unique("k"));
    let until_started = |id: &str| {
        with(
            id,
            &JobOptions::new().unique(Unique::by("l").until_started()),
        )
    };
    rig.traits = true;
    // It has begun, and waits for its next attempt: it needs its key no more.
    rig.enqueue(&[until_started("begun")]);
    let after = Duration::ZERO;
    let entry = AttemptEntry::new(AttemptKind::Error, "broken".into());
    assert_eq!(end(&mut rig, Outcome::Retry { after, entry }), "begun");
    rig.enqueue(&[keyed("a"), until_started("b")]);
    rig.subject.lose_list(0);
    rig.enqueue(&[keyed("c"), until_started("d")]);
    assert_eq!((rig.size("waiting"), rig.size("unique")), (2, 2));
    assert_eq!(orphans(&mut rig, How::PutBack), ["begun"]);
    assert_eq!(orphans(&mut rig, How::Look), ["a", "b"]);
    for id in ["begun", "c"] {
        assert_eq!(end(&mut rig, completed()), id);
    }
    assert_eq!(orphans(&mut rig, How::PutBack), ["a"]);
    rig.enqueue(&[keyed("e")]);
    assert_eq!(rig.total("duplicates"), 1, "its key is taken again");
    for id in ["a", "d"] {
        assert_eq!(end(&mut rig, completed()), id);
    }
    assert_eq!(orphans(&mut rig, How::PutBack), ["b"]);
    assert!(orphans(&mut rig, How::Look).is_empty());
    assert_eq!(rig.size("unique"), 1);
}

on_both!(
    a_job_whose_key_another_one_has_is_put_back_when_that_has_ended,
    g1_jobs_of_a_lost_list_are_put_back,
    g7_orphans_are_dealt_with_in_bounded_calls,
);
