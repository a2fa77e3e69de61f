//! What was lost of schedules is found, and what replaces it is stored only where nothing has changed.

use super::schedules::{FAR, T, at, entry};
use super::subject::Lost;
use super::{Rig, on_both};
use crate::store::fire::Entry;
use crate::store::schedule::{NextTick, Schedule, SeenTick};
use crate::store::schedules::Schedules;
use crate::store::tend::{Tend, Tended};
use crate::store::unschedule::Unschedule;

impl Rig {
    fn replace(
        &mut self,
        name: &str,
        revision: u64,
        tick: NextTick,
        seen: Option<SeenTick>,
    ) -> bool {
        let change = Schedule {
            name,
            revision,
            paused: false,
            tick,
            seen,
            define: None,
        };
        self.call(&change)
    }
}

fn s4_what_was_lost_is_found_and_the_moment_of_the_next_tick_is_mended(mut rig: Rig) {
    for (revision, name) in ["a", "b", "c"].into_iter().enumerate() {
        assert!(rig.define(name, 0, at(FAR + revision as u64)));
    }
    rig.subject.lose_tick(Lost::Of("a"));
    rig.subject.lose_tick(Lost::First);
    assert_eq!(rig.tick(), None);
    rig.subject.pop_token();
    let tended = tend(&mut rig, &["a", "none", "b"]);
    assert_eq!((tended.mended, tended.tick_ms), (true, Some(FAR + 1)));
    assert_eq!((tended.lost, tended.gone), (vec!["a".to_owned()], vec![1]));
    assert!(tended.short);
    assert_eq!(rig.subject.pop_token(), Some((FAR + 1) as f64));
    // It is shown, and can be changed or removed, as any other.
    let stored = rig.stored("a").unwrap();
    assert!(stored.lost && stored.tick_ms.is_none() && !stored.rule.is_empty());
    assert!(!rig.define("a", 1, NextTick::Keep));
    assert!(rig.define("a", 1, at(FAR)));
    let tended = tend(&mut rig, &["a"]);
    assert_eq!((tended.mended, tended.tick_ms), (false, Some(FAR)));
    assert!(tended.lost.is_empty() && tended.gone.is_empty() && !tended.short);
    rig.subject.lose_tick(Lost::Of("b"));
    assert!(rig.call(&Unschedule { name: "b" }));
    assert!(!rig.call(&Unschedule { name: "b" }));
}

fn tend(rig: &mut Rig, names: &[&str]) -> Tended {
    let verb = Tend {
        worker: "worker",
        hold: true,
        names,
        cursor: Schedules::ALL,
        limit: 64,
    };
    rig.call(&verb)
}

fn s2_a_change_replaces_the_tick_that_was_seen_and_none_that_is_due(mut rig: Rig) {
    rig.define("s", 0, at(T));
    rig.fire(entry("s", 1, T));
    let seen = |ms| Some(SeenTick::At { ms });
    // It is due by now: a worker fires it first.
    assert!(!rig.replace("s", 1, at(FAR), seen(T + 1_000)));
    rig.fire(Entry {
        next_ms: Some(FAR),
        ..entry("s", 1, T + 1_000)
    });
    assert!(!rig.replace("s", 1, at(FAR), seen(T + 1_000)), "fired");
    assert!(!rig.replace("s", 1, at(FAR), Some(SeenTick::None)));
    // The clock went back: what comes is earlier than the last one, and so it may be.
    assert!(rig.replace("s", 1, at(T - 5), seen(FAR)));
    assert_eq!(rig.fire(entry("s", 2, T - 5)), Some(1));
    assert_eq!(rig.state_of("s").5, T - 5);
}

on_both!(
    s4_what_was_lost_is_found_and_the_moment_of_the_next_tick_is_mended,
    s2_a_change_replaces_the_tick_that_was_seen_and_none_that_is_due,
);
