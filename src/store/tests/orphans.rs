//! Jobs whose list was deleted.

use super::removal::everything;
use super::{Rig, completed, job, on_both};
use crate::id::{JobId, Receipt};
use crate::redis::keys::PLACES;
use crate::store::orphans::{How, Orphans};

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
    let orphans = |rig: &mut Rig, how| {
        let verb = Orphans {
            cursor: Orphans::FIRST,
            limit: 1_000,
            how,
            lease_ms: 60_000,
        };
        rig.call(&verb).ids
    };
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
        assert_eq!(orphans(&mut rig, How::Look), lost, "{part}");
        assert_eq!(orphans(&mut rig, How::PutBack), lost, "{part}");
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
        assert!(orphans(&mut rig, How::Look).is_empty());
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
        let removed = orphans(&mut rig, How::Remove);
        assert_eq!(removed.is_empty(), *part == "active", "{part}: {removed:?}");
        for id in &lost {
            rig.check_whole(&JobId::stored(id));
        }
    }
}

on_both!(
    g1_jobs_of_a_lost_list_are_put_back,
    g7_orphans_are_dealt_with_in_bounded_calls,
);
