//! Which payloads in a store jobs still have: what is told, and the operation of the random sequences.

use std::sync::Arc;

use proptest::prelude::*;
use proptest::sample::{select, subsequence};

use super::random::op::{IDS, Op, Operation};
use super::random::world::{World, Wrong, names, same};
use super::{Rig, completed, job, on_both};
use crate::claim_check::ticket::Ticket;
use crate::id::JobId;
use crate::job::record::{OtherPayload, edited};
use crate::store::edit::{Edit, Rewrite};
use crate::store::enqueue::NewJob;
use crate::store::get::Get;
use crate::store::remove::Remove;
use crate::store::tickets::{TicketOf, Tickets};

fn object(name: &str) -> String {
    format!("oxcart/test/{name}")
}

fn ticket(name: &str) -> Vec<u8> {
    Ticket::of(object(name), b"payload").encode()
}

/// A job whose payload is in the object of this name.
fn with_ticket(id: &str, name: &str) -> NewJob {
    let mut job = job(id);
    job.record = job.record.with_payload(ticket(name), true).unwrap();
    job
}

impl Rig {
    /// The positions of those that jobs have.
    fn held(&mut self, asked: &[(&str, &str)]) -> Vec<usize> {
        let asked: Vec<_> = asked
            .iter()
            .map(|(id, name)| (JobId::stored(id), object(name)))
            .collect();
        let tickets: Vec<_> = asked
            .iter()
            .map(|(id, object)| TicketOf { id, object })
            .collect();
        self.call(&Tickets { tickets: &tickets })
    }
}

fn a_job_has_its_payload_until_it_is_gone(mut rig: Rig) {
    rig.enqueue(&[with_ticket("a", "1"), with_ticket("b", "2"), job("c")]);
    let asked = [("a", "1"), ("a", "2"), ("b", "2"), ("c", "3"), ("d", "1")];
    assert_eq!(rig.held(&asked), [0, 2]);
    assert_eq!(rig.held(&[]), [] as [usize; 0]);
    let claimed = rig.claim_one().unwrap();
    assert_eq!(claimed.id.as_str(), "a");
    assert_eq!(rig.held(&asked), [0, 2], "it runs");
    super::unique::end(&mut rig, &claimed, super::unique::dead());
    assert_eq!(rig.held(&asked), [0, 2], "it is dead, and may be replayed");
    rig.call(&Remove::of(&[JobId::stored("a")]));
    assert_eq!(rig.held(&asked), [2]);
}

/// Without retention a job is gone when it has completed.
fn a_job_that_is_kept_no_longer_has_no_payload(mut rig: Rig) {
    rig.enqueue(&[with_ticket("a", "1")]);
    let claimed = rig.claim_one().unwrap();
    super::unique::end(&mut rig, &claimed, completed());
    let is_there = rig.call(&Get { id: "a" }).is_some();
    assert_eq!(rig.held(&[("a", "1")]).len(), usize::from(is_there));
}

fn another_payload_takes_the_place_of_the_first(mut rig: Rig) {
    rig.enqueue(&[with_ticket("a", "1")]);
    let id = JobId::stored("a");
    for (bytes, is_ticket, held) in [
        (ticket("2"), true, &[1][..]),
        (vec![0; 5000], false, &[]),
        (ticket("1"), true, &[0]),
    ] {
        let found = rig.call(&Get { id: "a" }).unwrap();
        let other = OtherPayload {
            name: "test",
            bytes: &bytes,
            version: None,
            is_ticket,
        };
        let (rest, payload) = edited(&found.record, Some(other), None).unwrap();
        rig.call(&Edit {
            id: &id,
            priority: None,
            due: None,
            rewrite: Some(Rewrite {
                seen: &found.record,
                rest: &rest,
                payload: &payload,
            }),
        });
        assert_eq!(rig.held(&[("a", "1"), ("a", "2")]), held);
    }
}

on_both! {
    a_job_has_its_payload_until_it_is_gone,
    a_job_that_is_kept_no_longer_has_no_payload,
    another_payload_takes_the_place_of_the_first,
}

/// Somebody asks for what may be in a record.
#[derive(Debug)]
struct Ask {
    ids: Vec<u8>,
    object: &'static str,
}

impl Operation for Ask {
    fn run(&self, world: &mut World<'_>) -> Result<(), Wrong> {
        let ids = names(&self.ids);
        let object = self.object;
        let tickets: Vec<_> = ids.iter().map(|id| TicketOf { id, object }).collect();
        let verb = Tickets { tickets: &tickets };
        let redis = world.redis.call(&verb)?;
        same("tickets", &redis, &world.memory.call(&verb))
    }
}

pub(super) fn operation() -> impl Strategy<Value = Op> {
    let ids: Vec<u8> = (0..IDS).collect();
    let asked = (
        subsequence(ids, 0..=usize::from(IDS)),
        select(&["mail", "mail-bulk", "payload", "oxcart/test/1"][..]),
    );
    asked.prop_map(|(ids, object)| Op::Other(Arc::new(Ask { ids, object })))
}
