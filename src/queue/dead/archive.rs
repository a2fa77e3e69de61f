//! Dead letters that leave the queue as text, and come back from it.

use std::collections::{BTreeMap, VecDeque};
use std::fmt;
use std::future::{Future, IntoFuture};
use std::pin::Pin;
use std::task::{Context, Poll};

use futures_util::stream::{self, Stream, StreamExt};
use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::claim_check::put_at::PutAt;
use crate::codec;
use crate::error::{Error, ErrorKind};
use crate::id::JobId;
use crate::job::check_payload_size;
use crate::job::head::behind_the_place;
use crate::job::history::{Counters, FailedAttempt};
use crate::job::options::PRIORITY_MAX;
use crate::job::outcome::{DeadReason, Ending};
use crate::job::record::{EncodedRecord, NewPayload, OtherPayload, edited};
use crate::queue::Queue;
use crate::queue::dead::walk::{Walk, died_at};
use crate::queue::dead::{DeadLetters, beside};
use crate::queue::info::JobInfo;
use crate::store::get::Found;
use crate::store::import::{Import, ImportJob};
use crate::store::{BATCH_BYTES, BATCH_JOBS};

/// The form in which they are written. A version that does not know it refuses it.
const FORMAT: u32 = 1;
/// The form of those with steps or children, which a version that would lose them refuses.
const WITH_BESIDE: u32 = 2;
/// Attempts that are kept of a job.
const ATTEMPTS_KEPT: usize = 20;

/// A dead letter outside of its queue: what [`DeadLetters::export`] gives and [`Queue::import_dead`] takes. It is written with serde, as
/// JSON for instance, and holds the job as it is stored, byte by byte (in hexadecimal): its payload, whether that can be read or not,
/// options, headers, group, order and unique key, and the attempts that are kept, with their errors; and its durable steps, and what it
/// knows of its children. Its log stays behind. Name, reason and error are
/// there for people, and are not read back. [Secret](crate::Job::SECRET) fields of the payload are masked, and such a dead letter is not
/// imported, unless they were [revealed](DeadLetters::reveal).
#[derive(Clone, Serialize, Deserialize)]
pub struct DeadLetter {
    format: u32,
    id: JobId,
    #[serde(default)]
    name: String,
    #[serde(default)]
    reason: String,
    #[serde(default)]
    error: String,
    enqueued_ms: u64,
    died_ms: u64,
    priority: u16,
    #[serde(default)]
    stalls: u32,
    /// What stands behind the place in its record.
    record: Hex,
    /// If it lies apart from the record.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    payload: Option<Hex>,
    ending: Hex,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    counters: Option<Hex>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    history: Vec<Hex>,
    /// What is recorded of its steps and its children, by the names under which it is stored.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    beside: BTreeMap<String, Hex>,
    /// Secret fields of the payload are masked.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    masked: bool,
}

/// What became of dead letters that were imported.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct DeadImported {
    /// How many are on the dead-letter list now.
    pub imported: u64,
    /// How many were left alone, because a job with their id is there, dead or not.
    pub there: u64,
}

/// Dead letters, as a [`Stream`]. See [`DeadLetters::export`].
pub struct DeadStream {
    queue: Queue,
    letters: Pin<Box<dyn Stream<Item = Result<DeadLetter, Error>> + Send>>,
}

/// A request to put dead letters back on a dead-letter list ([`Queue::import_dead`]).
///
/// # Errors
///
/// [`ErrorKind::Incompatible`] if one of them cannot be read, or was written by a newer version, and [`ErrorKind::Invalid`] if a payload is too
/// large or lacks its secret fields: then nothing was imported. [`ErrorKind::PayloadStore`] if a payload is to go to a [store](crate::ClaimCheck) that does not take it. If Redis does not answer; see [`Queue`].
///
/// # Cancel safety
///
/// A request that is dropped may have imported some of them; repeating it is harmless, because what is there stays as it is.
#[must_use = "nothing is imported until it is awaited"]
pub struct ImportDead {
    queue: Queue,
    letters: Vec<DeadLetter>,
}

impl DeadLetters {
    /// Those that pass, each as a [`DeadLetter`] that can be written to a file: those that died first before the others, up to now. They stay
    /// where they are. It reads pages of up to 256. A job that a newer version wrote is an error in the stream ([`ErrorKind::Incompatible`]), and so
    /// is one whose steps and children have given more than 16 MiB ([`ErrorKind::Invalid`]); the stream then goes on. After any other error it
    /// ends. A payload that is in a [store](crate::ClaimCheck) is read from there, and is in the letter. A dead letter whose secret fields are masked has no steps: what they gave may be secret as well.
    ///
    /// ```no_run
    /// # use oxcart::*;
    /// use futures::TryStreamExt;
    /// # async fn example(billing: Queue, elsewhere: Queue) -> Result<(), Error> {
    /// let mut letters = billing.dead_letters().named("charge").export();
    /// while let Some(letter) = letters.try_next().await? {
    ///     elsewhere.import_dead([letter]).await?;
    /// }
    /// # Ok(()) }
    /// ```
    pub fn export(self) -> DeadStream {
        struct Reading {
            letters: Option<DeadLetters>,
            walk: Option<Walk>,
            revealed: bool,
            ready: VecDeque<Result<(JobInfo, Found), Error>>,
        }
        let queue = self.queue.clone();
        let reading = Reading {
            letters: Some(self),
            walk: None,
            revealed: false,
            ready: VecDeque::new(),
        };
        let letters = stream::try_unfold(reading, async |mut reading| {
            if let Some(letters) = reading.letters.take() {
                if letters.revealed {
                    let target = format!("export of dead letters: {}", letters.filter);
                    letters.queue.inner.asked("reveal", target).await?;
                }
                reading.revealed = letters.revealed;
                reading.walk = Some(Walk::begin(letters).await?);
            }
            while reading.ready.is_empty()
                && let Some(walk) = &mut reading.walk
                && let Some(page) = walk.page_as_stored().await?
            {
                reading.ready.extend(page.jobs.into_iter().map(Ok));
                reading.ready.extend(page.unreadable.into_iter().map(Err));
            }
            let (Some(next), Some(walk)) = (reading.ready.pop_front(), &reading.walk) else {
                return Ok(None);
            };
            let letter = match next {
                Ok((job, found)) => {
                    DeadLetter::read(walk.queue(), job, &found, reading.revealed).await?
                }
                Err(error) => Err(error),
            };
            Ok::<_, Error>(Some((letter, reading)))
        });
        let letters = letters
            .map(|letter| letter.and_then(|letter| letter))
            .boxed();
        DeadStream { queue, letters }
    }
}

impl Queue {
    /// A request to put dead letters, which were exported from this queue or another one, on the dead-letter list of this queue, each
    /// with its id, as it was: up to 256 in a call. A job whose id is there already, in whatever state, is left alone, so a
    /// file can be imported twice. A job does not get its unique key back before it is replayed. Readers of events get
    /// [`EventKind::Added`](crate::EventKind::Added) and [`EventKind::Dead`](crate::EventKind::Dead).
    pub fn import_dead(&self, letters: impl IntoIterator<Item = DeadLetter>) -> ImportDead {
        ImportDead {
            queue: self.clone(),
            letters: letters.into_iter().collect(),
        }
    }
}

impl ImportDead {
    async fn run(self) -> Result<DeadImported, Error> {
        let inner = &self.queue.inner;
        let most = inner.largest_payload();
        let jobs = self.letters.into_iter().map(|letter| {
            let job = letter.into_job(most)?;
            match job.record.ticket() {
                None => Ok(job),
                Some(_) => Err(unreadable(
                    &job.id,
                    "it has no payload, but a ticket for one",
                )),
            }
        });
        let jobs = jobs.collect::<Result<VecDeque<ImportJob>, Error>>()?;
        let mut sum = DeadImported::default();
        if jobs.is_empty() {
            return Ok(sum);
        }
        // The queue may be new here.
        inner.store.register().await.map_err(|trouble| {
            Error::from(trouble).within(format_args!("`import_dead` into `{}`", inner.name))
        })?;
        let target = format!("{} dead letters", jobs.len());
        inner.began("import", &target).await?;
        let mut left = jobs;
        let (mut page, mut bytes, mut put_at) = (Vec::new(), 0, PutAt::now());
        while let Some(mut job) = left.pop_front() {
            let kept = inner.kept_here(&job.id, job.record).await;
            job.record = kept.map_err(|error| error.with_job(&job.id))?;
            bytes += job.bytes();
            page.push(job);
            // One that is larger goes alone.
            let next = left.front().map(|next| bytes + next.bytes());
            let has_room = page.len() < BATCH_JOBS && !put_at.is_to_go();
            if has_room && next.is_some_and(|bytes| bytes <= BATCH_BYTES) {
                continue;
            }
            put_at.check()?;
            let answer = inner.call(&Import { jobs: &page }).await?;
            sum.imported += answer.imported.len() as u64;
            sum.there += answer.there.len() as u64;
            let objects = page
                .iter()
                .filter(|job| answer.there.iter().any(|id| id == job.id.as_str()));
            let objects =
                objects.filter_map(|job| Some((job.id.clone(), job.record.ticket()?.object)));
            inner.discard_unused(objects.collect()).await;
            (page, bytes, put_at) = (Vec::new(), 0, PutAt::now());
        }
        inner.ended("import", &target, sum.imported).await?;
        Ok(sum)
    }
}

impl DeadLetter {
    /// The id of the job.
    #[must_use]
    pub fn id(&self) -> &JobId {
        &self.id
    }

    /// The name of the job.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// One that is to be exported. The inner error is one of this job.
    async fn read(
        queue: &Queue,
        job: JobInfo,
        found: &Found,
        is_revealed: bool,
    ) -> Result<Result<Self, Error>, Error> {
        let job = match queue.load_payload(job).await {
            Ok(job) if is_revealed => job.reveal(),
            Ok(job) => job,
            Err(error) if error.is_payload_store() => return Err(error),
            Err(error) => return Ok(Err(error)),
        };
        match Self::of(&job, found) {
            Ok(letter) => letter.with_beside(queue, found).await,
            Err(error) => Ok(Err(error)),
        }
    }

    pub(in crate::queue) fn of(job: &JobInfo, found: &Found) -> Result<Self, Error> {
        let (masked, mut payload) = (job.masked_payload()?, found.payload.clone());
        let mut rest = behind_the_place(&found.record).map(<[u8]>::to_vec);
        if let Some(bytes) = masked.as_deref().or(job.loaded_payload()) {
            let masked = OtherPayload {
                name: &job.name,
                bytes,
                version: None,
                is_ticket: false,
            };
            let (changed, new) = edited(&found.record, Some(masked), None)?;
            rest = Some(changed);
            payload = match new {
                NewPayload::Apart(payload) => Some(payload),
                _ => None,
            };
        }
        let ending = found.outcome.as_deref().and_then(codec::split_stamp);
        let ending = match ending {
            Some((_, ending)) => ending.to_vec(),
            // The outcome was lost.
            None => codec::encode_plain(&Ending::Dead(DeadReason::Other)),
        };
        Ok(Self {
            format: FORMAT,
            id: job.id.clone(),
            name: job.name.clone(),
            reason: reason_of(&ending).to_string(),
            error: job.last_error().to_owned(),
            enqueued_ms: job.enqueued_at.as_millis(),
            died_ms: died_at(job).as_millis(),
            priority: job.priority,
            stalls: job.stalls,
            record: Hex(rest.ok_or_else(|| unreadable(&job.id, "its record is cut short"))?),
            payload: payload.map(Hex),
            masked: masked.is_some(),
            ending: Hex(ending),
            counters: found.counters.clone().map(Counters::without_log).map(Hex),
            history: found.history.iter().cloned().map(Hex).collect(),
            beside: BTreeMap::new(),
        })
    }

    /// With what is recorded of its steps and its children. The inner error is one of this job.
    async fn with_beside(
        mut self,
        queue: &Queue,
        found: &Found,
    ) -> Result<Result<Self, Error>, Error> {
        if self.masked {
            return Ok(Ok(self));
        }
        let read = beside::read(queue, self.id.as_str(), found.counters.as_deref()).await;
        let fields = match read {
            Ok(fields) => fields,
            Err(error) if error.kind() == ErrorKind::Invalid => {
                return Ok(Err(error.with_job(&self.id)));
            }
            Err(error) => return Err(error.with_job(&self.id)),
        };
        if !fields.is_empty() {
            self.format = WITH_BESIDE;
            let fields = fields.into_iter().map(|(name, value)| (name, Hex(value)));
            self.beside = fields.collect();
        }
        Ok(Ok(self))
    }

    /// Checks all of it, before anything is written.
    pub(in crate::queue) fn into_job(self, payload_max: usize) -> Result<ImportJob, Error> {
        let id = self.id;
        let bad = |what: &str| unreadable(&id, what);
        if self.format != FORMAT && self.format != WITH_BESIDE {
            return Err(bad(&format!(
                "it has format {}, this version reads {FORMAT} and {WITH_BESIDE}; a newer version wrote it",
                self.format
            )));
        }
        if self.masked {
            return Err(Error::invalid(format!(
                "the dead letter {id} was exported without its secret fields, so it cannot be imported; export it with \
                 `reveal`"
            ))
            .with_job(&id));
        }
        let record = EncodedRecord::kept(self.record.0, self.payload.map(|payload| payload.0));
        let readable = record.read().map_err(|error| error.with_job(&id))?;
        check_payload_size(&readable.name, &readable.payload, payload_max)?;
        if self.priority > PRIORITY_MAX {
            return Err(bad("its priority is above 1023"));
        }
        if !is_dead(&self.ending.0) {
            return Err(bad("it did not end as a dead job"));
        }
        let counters = self
            .counters
            .map(|counters| Counters::without_log(counters.0));
        let counted = counters.as_deref().map(Counters::decode);
        let recorded = counted.transpose()?.unwrap_or_default().recorded;
        let fields = self.beside.into_iter().map(|(name, value)| (name, value.0));
        let beside = beside::check(fields.collect()).map_err(|what| bad(&what))?;
        let counters = match beside.fields.is_empty() {
            true => counters,
            false => Some(Counters::with_beside(
                counters,
                beside.last,
                beside.children,
            )),
        };
        let history: Vec<Vec<u8>> = self.history.into_iter().map(|attempt| attempt.0).collect();
        if history.len() > ATTEMPTS_KEPT || history.len() as u64 > recorded {
            return Err(bad("it has more attempts than can be"));
        }
        for attempt in &history {
            FailedAttempt::decode(attempt).map_err(|error| error.with_job(&id))?;
        }
        Ok(ImportJob {
            priority: self.priority,
            enqueued_ms: self.enqueued_ms,
            died_ms: self.died_ms,
            reason: reason_of(&self.ending.0).to_string(),
            ending: self.ending.0,
            stalls: self.stalls,
            counters,
            recorded,
            history,
            record,
            beside,
            id,
        })
    }
}

fn unreadable(id: &JobId, what: &str) -> Error {
    let error = Error::new(
        ErrorKind::Incompatible,
        format!("cannot read the dead letter {id}: {what}"),
    );
    error.with_job(id)
}

fn is_dead(ending: &[u8]) -> bool {
    let ending = codec::decode_plain("a job's outcome", ending);
    matches!(ending, Ok(Ending::Dead(_)))
}

fn reason_of(ending: &[u8]) -> DeadReason {
    match codec::decode_plain("a job's outcome", ending) {
        Ok(Ending::Dead(reason)) => reason,
        _ => DeadReason::Other,
    }
}

/// Bytes as text.
#[derive(Clone)]
struct Hex(Vec<u8>);

impl Serialize for Hex {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let digit = |half: u8| char::from_digit(half.into(), 16).unwrap_or('0');
        let both = |byte: &u8| [digit(byte >> 4), digit(byte & 15)];
        let text: String = self.0.iter().flat_map(both).collect();
        serializer.serialize_str(&text)
    }
}

impl<'de> Deserialize<'de> for Hex {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let half = |digit: &u8| char::from(*digit).to_digit(16).map(|half| half as u8);
        let byte = |pair: &[u8]| match pair {
            [high, low] => Some(half(high)? << 4 | half(low)?),
            _ => None,
        };
        let bytes: Option<Vec<u8>> = text.as_bytes().chunks(2).map(byte).collect();
        let bad =
            || D::Error::custom("bytes in hexadecimal have two digits each, 0 to 9 and a to f");
        Ok(Self(bytes.ok_or_else(bad)?))
    }
}

/// Without the payload: what is in it is the application's, and may be secret.
impl fmt::Debug for DeadLetter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DeadLetter")
            .field("id", &self.id)
            .field("name", &self.name)
            .field("reason", &self.reason)
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for DeadStream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("DeadStream")
            .field(&self.queue.name())
            .finish()
    }
}

impl fmt::Debug for ImportDead {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ImportDead")
            .field("queue", &self.queue.name())
            .field("letters", &self.letters.len())
            .finish()
    }
}

impl Stream for DeadStream {
    type Item = Result<DeadLetter, Error>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.letters.poll_next_unpin(cx)
    }
}

impl IntoFuture for ImportDead {
    type Output = Result<DeadImported, Error>;
    type IntoFuture = Pin<Box<dyn Future<Output = Self::Output> + Send>>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(self.run())
    }
}
