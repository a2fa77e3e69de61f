//! Jobs of a paused name on which a worker died.

use super::*;
use crate::store::recover::{Doubt, Recover};

impl Rig {
    /// All workers die, and their jobs are taken back.
    pub(in crate::store::tests) fn lose_workers(&mut self) {
        self.wait(MINUTE);
        let verb = Recover {
            expected_ms: self.now_us / 1_000,
            tolerance_ms: 1_000,
            limit: 5,
            lease_ms: 1_000,
            gap_ms: u64::MAX >> 12,
            quiet_ms: 0,
            doubt: Doubt::None,
        };
        self.call(&verb);
    }
}

fn suspects_of_a_paused_name_do_not_hold_up_others(mut rig: Rig) {
    rig.set(QueueSettings::new().max_stalls(9));
    rig.lease_ms = 1_000;
    rig.enqueue(&["mail-1", "report-1"].map(named));
    assert_eq!(rig.claims(2).len(), 2);
    rig.lose_workers();
    assert_eq!(rig.size("suspects"), 2);
    rig.pause_name("mail", true);
    let plain = rig.advance(&[], 5);
    assert!(plain.claimed.is_empty() && plain.more && plain.traits);
    let worked = rig.work(&[], 5);
    assert_eq!(ids(&worked), ["report-1"]);
    assert!(!worked.more && worked.suspects == 1);
    assert_eq!(rig.claims(5), [""; 0]);
    rig.pause_name("mail", false);
    assert_eq!(rig.claims(5), ["mail-1"]);
}

fn a_group_does_not_wait_for_a_paused_suspect(mut rig: Rig) {
    rig.set(QueueSettings::new().max_stalls(9));
    rig.lease_ms = 1_000;
    rig.enqueue(&[in_group("mail-1")]);
    assert_eq!(rig.claims(1), ["mail-1"]);
    rig.lose_workers();
    let again = rig.work(&[], 1).claimed;
    let (entry, after) = (entry(), MINUTE);
    rig.ends(&again[0], Outcome::Retry { after, entry });
    rig.wait(MINUTE);
    rig.call(&PROMOTE);
    rig.enqueue(&[in_group("report-1")]);
    assert_eq!((rig.size("suspects"), rig.size("waiting")), (1, 1));
    rig.pause_name("mail", true);
    assert_eq!(rig.claims(5), ["report-1"]);
    rig.pause_name("mail", false);
    assert_eq!(rig.claims(5), ["mail-1"]);
}

on_both!(
    suspects_of_a_paused_name_do_not_hold_up_others,
    a_group_does_not_wait_for_a_paused_suspect,
);
