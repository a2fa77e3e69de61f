//! What makes a job the same job.

use oxcart::{Context, EncodedJob, Enqueue, Job, JobId};

use crate::error::{Error, ErrorKind};

/// A header that says which of several jobs with the same id this one is: any text of at most 256 bytes. A job that is sent again under its own id, because Redis had
/// lost it, carries the same text again, and is the same job. The [outbox](crate::Outbox) sets it for each job whose id the application chose.
pub const INCARNATION_HEADER: &str = "oxcart-incarnation";

/// So long that text may be, so that the key fits in an index.
const GIVEN_MAX: usize = 256;

/// Ticks are counted in milliseconds; a smaller number after the `@` is part of an id that somebody chose.
const EARLIEST_TICK_MS: u64 = 1_000_000_000_000;

/// The outbox sends a job again if Redis has lost it. So a job whose id does not say all says it by its header.
pub(crate) fn with_incarnation<J: Job>(request: Enqueue<J>) -> Enqueue<J> {
    let says_all = is_uuid_v7(request.job_id().as_str());
    match says_all || request.has_header(INCARNATION_HEADER) {
        true => request,
        false => request.header(INCARNATION_HEADER, JobId::generate().as_str()),
    }
}

/// The same for a request that is encoded.
pub(crate) fn incarnated(job: EncodedJob) -> Result<EncodedJob, oxcart::Error> {
    let says_all = is_uuid_v7(job.job_id().as_str());
    match says_all || job.header(INCARNATION_HEADER).is_some() {
        true => Ok(job),
        false => job.with_header(INCARNATION_HEADER, JobId::generate().as_str()),
    }
}

/// A job, as the inbox knows it.
pub(super) struct JobKey<'a> {
    pub(super) queue: &'a str,
    pub(super) job: &'a str,
    pub(super) incarnation: String,
    pub(super) fence: i64,
}

impl<'a> JobKey<'a> {
    /// An error says that the header cannot be stored.
    pub(super) fn of(context: &'a Context) -> Result<Self, Error> {
        let attempt = context.attempt();
        Ok(Self {
            queue: attempt.queue.as_str(),
            job: attempt.id.as_str(),
            incarnation: incarnation(context)?,
            fence: i64::try_from(attempt.fence.get()).unwrap_or(i64::MAX),
        })
    }
}

/// An id that the library makes is never made again, so it says all, also if the job was moved to another queue. One that an application chose may
/// come again, in another queue or once the first job of that id was removed: then it is another job.
fn incarnation(context: &Context) -> Result<String, Error> {
    let id = context.id();
    let queue = &context.attempt().queue;
    Ok(match context.header(INCARNATION_HEADER) {
        Some(given) if given.len() > GIVEN_MAX || given.contains('\0') => {
            let message = format!(
                "the header `{INCARNATION_HEADER}` of job {id} has {} bytes, or a zero byte; {GIVEN_MAX} bytes are allowed",
                given.len()
            );
            return Err(Error::new(ErrorKind::Invalid, message));
        }
        Some(given) => format!("{queue} {given}"),
        None if is_uuid_v7(id.as_str()) => String::new(),
        None if is_tick(id) => queue.to_string(),
        None => format!("{queue} {}", context.enqueued_at().as_millis()),
    })
}

/// Whether a schedule has made this id, for one of its ticks.
fn is_tick(id: &JobId) -> bool {
    id.tick()
        .is_some_and(|(_, at)| at.as_millis() >= EARLIEST_TICK_MS)
}

/// A UUIDv7 in Crockford base32, as [`JobId::generate`] makes it.
fn is_uuid_v7(id: &str) -> bool {
    const DIGITS: &[u8] = b"0123456789abcdefghjkmnpqrstvwxyz";
    if id.len() != 26 || id.as_bytes()[0] > b'7' {
        return false;
    }
    let number = id.bytes().try_fold(0u128, |number, byte| {
        let digit = DIGITS.iter().position(|digit| *digit == byte)?;
        Some(number << 5 | digit as u128)
    });
    number.is_some_and(|number| number >> 76 & 0xf == 7 && number >> 62 & 0b11 == 0b10)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_of_the_library_are_told_from_chosen_ones() {
        for _ in 0..1_000 {
            assert!(is_uuid_v7(JobId::generate().as_str()));
        }
        let tick = |id: &str| is_tick(&JobId::new(id).expect("an id"));
        assert!(tick("nightly@1735700400000"));
        for chosen in [
            "invoice-2026-0042",
            "user@7",
            "00000000000000000000000000",
            "zzzzzzzzzzzzzzzzzzzzzzzzzz",
            "abcdefghijklmnopqrstuvwxyz",
        ] {
            assert!(!is_uuid_v7(chosen) && !tick(chosen), "{chosen}");
        }
    }
}
