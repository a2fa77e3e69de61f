//! What a newer version has stored, and this version works with.

use redis::{Value, cmd};

use super::{SECOND, entry, in_redis};
use crate::id::JobId;
use crate::job::outcome::{DeadReason, Outcome};
use crate::job::record::Record;
use crate::store::replay::Replay;
use crate::store::tests::{Rig, job};

/// A newer version writes a record, appends to a list, and adds a field: whatever this version does to the job, all of it stays.
#[test]
fn what_a_newer_version_wrote_is_left_as_it_is() {
    let mut rig = Rig::in_redis();
    rig.enqueue(&[job("newer")]);
    let id = JobId::stored("newer");
    let redis = in_redis(&mut rig);
    let (jobs, attempts) = (redis.key("jobs"), redis.key("attempts"));
    let mut record: Vec<u8> = redis.ask(cmd("HGET").arg(&jobs).arg("newer"));
    record[0] = 4;
    record.splice(12..12, *b"new=a ");
    let _: Value = redis.ask(cmd("HSET").arg(&jobs).arg("newer").arg(&record));
    // Six counters are known here.
    let _: Value = redis.ask(
        cmd("HSET")
            .arg(&attempts)
            .arg("newer")
            .arg(b"\x97\x01\x00\x00\x00\x00\x00\x63"),
    );

    let claimed = rig.claim_one().unwrap();
    let error = Record::decode(&claimed.record, None).unwrap_err();
    assert!(error.to_string().contains("newer version"), "{error}");
    assert_eq!(info_of_counters(&claimed.counters), (1, 0));
    let bounce = Outcome::Bounced {
        after: SECOND,
        entry: entry("a newer record"),
        name: None,
    };
    assert!(rig.settle(&id, &claimed.receipt, bounce));
    rig.wait(2 * SECOND);
    let claimed = rig.claim_one().unwrap();
    let (reason, entry_of) = (DeadReason::Undecodable, entry("a newer record"));
    assert!(rig.settle(
        &id,
        &claimed.receipt,
        Outcome::Dead {
            reason,
            entry: entry_of
        }
    ));
    assert_eq!(
        rig.call(&Replay {
            ids: std::slice::from_ref(&id)
        })
        .replayed,
        ["newer"]
    );
    let redis = in_redis(&mut rig);
    let left: Vec<u8> = redis.ask(cmd("HGET").arg(&jobs).arg("newer"));
    assert_eq!(left, record);
    let counters: Vec<u8> = redis.ask(cmd("HGET").arg(&attempts).arg("newer"));
    assert_eq!(
        counters, b"\x97\x00\x00\x00\x01\x00\x00\x63",
        "the seventh stays"
    );
}

fn info_of_counters(stored: &Option<Vec<u8>>) -> (u32, u32) {
    let counters = stored.as_deref().map(crate::job::history::Counters::decode);
    let counters = counters.expect("it has some").unwrap();
    (counters.failed, counters.bounces)
}
