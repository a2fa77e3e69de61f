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

#[cfg(test)]
mod tests {
    use super::super::{OtherPayload, Record, edited};
    use super::*;
    use crate::job::options::JobOptions;

    fn plain(payload: &[u8]) -> EncodedRecord {
        let options = JobOptions::new().weight(3);
        EncodedRecord::new("hi", payload.to_vec(), &options, Vec::new())
    }

    fn claimed(payload: &[u8]) -> EncodedRecord {
        let ticket = Ticket::of("o".to_owned(), payload);
        let record = plain(payload).with_payload(ticket.encode(), true);
        record.unwrap()
    }

    fn stored(record: &EncodedRecord) -> Vec<u8> {
        [&b"\x02\xcf\0\0\0\0\0\0\0\x051 "[..], &record.record].concat()
    }

    #[test]
    fn golden_bytes_of_a_record_with_a_ticket() {
        let record = claimed(b"abc").record;
        let start = b"weight=3 \x83\xa4type\xa2hi\xa7payload\xc4\x5a\x83\xa6object\xa1o\xa5bytes\x03\xa6sha256\xd9\x40ba78";
        assert!(record.starts_with(start), "{}", record.escape_ascii());
        assert!(record.ends_with(b"\xa6ticket\xc3"));
    }

    #[test]
    fn a_ticket_goes_where_the_payload_went_and_back() {
        let payload = vec![7; 5_000];
        let record = claimed(&payload);
        assert!(record.external_payload.is_none() && record.read().unwrap().is_ticket);
        assert_eq!(record.ticket().unwrap().bytes, 5_000);
        assert_eq!(
            record.with_payload(payload.clone(), false).unwrap(),
            plain(&payload)
        );
        assert!(plain(&payload).ticket().is_none());
        let with_header = record.with_header("k", "v").unwrap();
        assert_eq!(with_header.ticket(), record.ticket());
        assert_eq!(record.clone().ordered_by("k").ticket(), record.ticket());
    }

    #[test]
    fn a_job_is_the_same_wherever_its_payload_is() {
        assert_eq!(claimed(b"abc").summed(), plain(b"abc").summed());
        assert_ne!(claimed(b"abc").summed(), plain(b"abd").summed());
    }

    #[test]
    fn an_edit_says_whether_there_is_a_ticket() {
        let record = stored(&claimed(b"abc"));
        assert_eq!(stored_ticket(&record).unwrap().bytes, 3);
        let (rest, _) = edited(&record, None, Some(2)).unwrap();
        let edited_record = |rest: &[u8]| [&record[..12], rest].concat();
        assert!(stored_ticket(&edited_record(&rest)).is_some());
        let ticket = Ticket::of("p".to_owned(), b"other").encode();
        for (bytes, is_ticket) in [(&[0xc0][..], false), (&ticket, true)] {
            let other = OtherPayload {
                name: "hi",
                bytes,
                version: None,
                is_ticket,
            };
            let (rest, _) = edited(&record, Some(other), None).unwrap();
            let read = Record::decode(&edited_record(&rest), None).unwrap();
            assert_eq!((read.is_ticket, &read.payload[..]), (is_ticket, bytes));
        }
    }
}
