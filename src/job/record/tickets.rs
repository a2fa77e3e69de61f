//! Records whose payload is in a store: they have a ticket in its place.

use serde_bytes::Bytes;

use super::{EncodedRecord, INLINE_PAYLOAD_MAX, read_body, written};
use crate::claim_check::ticket::{Ticket, sha256};
use crate::error::Error;
use crate::job::head::{behind_the_place, split_fields};

impl EncodedRecord {
    /// The ticket that is its payload, if it is one.
    pub(crate) fn ticket(&self) -> Option<Ticket> {
        let (_, body) = split_fields(&self.record);
        let body = read_body(body).ok().filter(|body| body.ticket)?;
        let inline = body.payload.map(|payload| &payload[..]);
        Ticket::decode(inline.or(self.external_payload.as_deref())?).ok()
    }

    /// The same with another payload, which is a ticket or not.
    pub(crate) fn with_payload(&self, payload: Vec<u8>, is_ticket: bool) -> Result<Self, Error> {
        let (fields, body) = split_fields(&self.record);
        let external = payload.len() > INLINE_PAYLOAD_MAX;
        let mut body = read_body(body)?;
        body.payload = (!external).then(|| Bytes::new(&payload));
        body.ticket = is_ticket;
        let record = written(fields.to_vec(), &body);
        Ok(Self {
            record,
            external_payload: external.then_some(payload),
            traits: self.traits,
        })
    }

    /// The same with the sum of the payload in its place: so a job is the same wherever its payload is.
    pub(crate) fn summed(&self) -> Option<Self> {
        let sum = match self.ticket() {
            Some(ticket) => ticket.sha256,
            None => sha256(&self.read().ok()?.payload),
        };
        self.with_payload(sum.into_bytes(), false).ok()
    }
}

/// The ticket in a stored record, if its payload is one.
pub(crate) fn stored_ticket(record: &[u8]) -> Option<Ticket> {
    let rest = behind_the_place(record)?;
    EncodedRecord::kept(rest.to_vec(), None).ticket()
}
