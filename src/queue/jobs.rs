//! The jobs of a queue, page by page.

use std::fmt;
use std::future::{Future, IntoFuture};
use std::pin::Pin;
use std::str::FromStr;
use std::task::{Context, Poll};
use std::time::Duration;

use futures_util::stream::{self, Stream, StreamExt, TryStreamExt};

use crate::error::Error;
use crate::id::JobId;
use crate::job::state::State;
use crate::policy::key::encode_key;
use crate::queue::Queue;
use crate::queue::info::JobInfo;
use crate::store::BATCH_JOBS;
use crate::store::list::{Direction, List, Place, Wanted};
use crate::time::millis;

/// How many bytes a page carries at most, unless it is one job: a slow line takes about a second for it, and other calls wait
/// meanwhile.
const PAGE_BYTES: usize = 256 * 1024;

/// Longest name, start of an id, group or text of an error that is looked for, in bytes. Nothing that is stored is longer.
const WANTED_MAX: usize = 4 * 1024;

/// Ages that are longer are cut to this: the largest whole number that scripts count with.
const AGE_MAX_MS: u64 = 1 << 53;

/// A request for the jobs in one state: awaited, it gives a page; [`stream`](Self::stream) gives all of them. See
/// [`Queue::jobs`].
///
/// # Some of the jobs
///
/// [`named`](Self::named), [`id_prefix`](Self::id_prefix), [`in_group`](Self::in_group),
/// [`error_contains`](Self::error_contains), [`failed_at_least`](Self::failed_at_least), [`older_than`](Self::older_than) and
/// [`newer_than`](Self::newer_than) say which jobs are wanted; all that is asked for must hold. Redis decides it, by its own clock,
/// and answers the jobs that are wanted, and no others. One call looks at 256 jobs at most. So a page of a filter that few jobs
/// pass may have few jobs, or none, and yet a next page; the stream reads on by itself.
///
/// # Errors
///
/// If Redis does not answer; [`ErrorKind::Invalid`](crate::ErrorKind::Invalid) for a cursor of another state, and for a text of more
/// than 4 KiB to look for.
///
/// # Cancel safety
///
/// Only reads.
#[must_use = "nothing is read until it is awaited"]
#[derive(Debug, Clone)]
pub struct Jobs {
    pub(super) queue: Queue,
    pub(super) state: State,
    direction: Direction,
    limit: usize,
    pub(super) only: Wanted,
    pub(super) after: Option<JobCursor>,
}

/// Some of the jobs in one state, in their order.
#[derive(Debug)]
#[non_exhaustive]
pub struct JobPage {
    /// The jobs. There may be none, and yet a next page.
    pub jobs: Vec<JobInfo>,
    /// One error for each job that this version cannot read ([`Error::job_id`] says which one), because a newer
    /// version wrote it.
    pub unreadable: Vec<Error>,
    /// Where the next page begins; `None` if this is the last one. A full page has a next one also where no job
    /// follows: that page is empty, and has none.
    pub next: Option<JobCursor>,
}

/// A place in the order of the jobs in one state. It can be stored as text (`to_string`) and parsed back (`parse`): for
/// the link to the next page of a web site, for instance.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct JobCursor {
    state: State,
    place: Place,
}

/// All jobs in one state, as a [`Stream`]. See [`Jobs::stream`].
pub struct JobStream {
    of: (Queue, State),
    jobs: Pin<Box<dyn Stream<Item = Result<JobInfo, Error>> + Send>>,
}

impl Queue {
    /// The jobs in one state, with all that is known of each: a page of up to 256, or all of them as a stream.
    ///
    /// ```no_run
    /// # use oxcart::*;
    /// use futures::TryStreamExt;
    /// # async fn example(mail: Queue) -> Result<(), Error> {
    /// let page = mail.jobs(JobState::Dead).limit(20).await?;
    /// for job in &page.jobs {
    ///     println!("{} {}: {:?}", job.id, job.name, job.ended);
    /// }
    /// if let Some(next) = page.next {
    ///     let second = mail.jobs(JobState::Dead).limit(20).after(next).await?;
    /// }
    ///
    /// let mut waiting = mail.jobs(JobState::Waiting).stream();
    /// while let Some(job) = waiting.try_next().await? {
    ///     println!("{} was sent at {}", job.id, job.enqueued_at);
    /// }
    /// # Ok(()) }
    /// ```
    ///
    /// They come in the order in which they would be claimed (suspects after the others), become due (the most urgent
    /// priority first), lose their lease, or died. Of completed and cancelled jobs, those that ended first come first,
    /// and then jobs with a retention of their own or that a caller waits for, in the order in which they will be dropped
    /// ([`QueueSettings`](crate::QueueSettings)).
    ///
    /// [`newest_first`](Jobs::newest_first) gives the opposite order, and [`named`](Jobs::named) and its like [some of
    /// them](Jobs#some-of-the-jobs).
    ///
    /// A page begins behind a job, and not at a number. So whatever comes, goes or moves between two pages, a job that
    /// stays where it is comes exactly once. A job that moves meanwhile may come twice, or not at all.
    pub fn jobs(&self, state: State) -> Jobs {
        Jobs {
            queue: self.clone(),
            state,
            direction: Direction::Forward,
            limit: BATCH_JOBS,
            only: Wanted::default(),
            after: None,
        }
    }
}

/// The state, and the filters that are set: it is also what an audit entry says.
impl fmt::Display for Jobs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Wanted {
            id_prefix,
            name,
            group,
            failed,
            error,
            older_ms,
            newer_ms,
        } = &self.only;
        let ago = |ms: &u64| humantime::format_duration(Duration::from_millis(*ms)).to_string();
        let parts = [
            ("name", name.clone()),
            ("id-prefix", id_prefix.clone()),
            ("group", group.clone()),
            ("error", error.clone()),
            ("failed", failed.map(|attempts| attempts.to_string())),
            ("older-than", older_ms.as_ref().map(ago)),
            ("newer-than", newer_ms.as_ref().map(ago)),
        ];
        f.write_str(self.state.as_str())?;
        for (name, value) in parts {
            if let Some(value) = value {
                write!(f, " {name}={value}")?;
            }
        }
        Ok(())
    }
}

impl Jobs {
    /// How many jobs a page may have: 1 to 256, which is the default. 0 is taken as 1, and more than 256 as 256. A page
    /// has fewer if they are large (256 KiB together), and where completed and cancelled jobs are mixed, which are read
    /// together.
    pub fn limit(mut self, jobs: usize) -> Self {
        self.limit = jobs.clamp(1, BATCH_JOBS);
        self
    }

    /// Begin behind the last job of another page ([`JobPage::next`]).
    pub fn after(mut self, cursor: JobCursor) -> Self {
        self.after = Some(cursor);
        self
    }

    /// In the opposite order: first the jobs that died or ended last, that become due last, or that would be claimed last. A cursor
    /// goes with both orders: with the cursor of a page in the other order, the jobs before that page come.
    ///
    /// ```no_run
    /// # use oxcart::*;
    /// # use std::time::Duration;
    /// # async fn example(queue: Queue) -> Result<(), Error> {
    /// let hour = Duration::from_secs(3_600);
    /// let dead = queue.jobs(JobState::Dead).newest_first().newer_than(hour);
    /// for job in dead.named("mail").error_contains("timeout").limit(20).await?.jobs {
    ///     println!("{} died at {:?}", job.id, job.ended_at);
    /// }
    /// # Ok(()) }
    /// ```
    pub fn newest_first(mut self) -> Self {
        self.direction = Direction::Backward;
        self
    }

    /// Only jobs of this name.
    pub fn named(mut self, name: impl Into<String>) -> Self {
        self.only.name = Some(name.into());
        self
    }

    /// Only jobs whose id begins so.
    pub fn id_prefix(mut self, start: impl Into<String>) -> Self {
        self.only.id_prefix = Some(start.into());
        self
    }

    /// Only jobs of this group.
    pub fn in_group(mut self, group: impl AsRef<str>) -> Self {
        self.only.group = Some(encode_key(group.as_ref()));
        self
    }

    /// Only jobs that have this text in the error of the last attempt that is recorded ([`JobInfo::history`]). `a` to `z` stand for
    /// upper case as well, and the other way round.
    pub fn error_contains(mut self, text: impl Into<String>) -> Self {
        self.only.error = Some(text.into().to_ascii_lowercase());
        self
    }

    /// Only jobs with so many failed attempts or more ([`JobInfo::failed`]).
    pub fn failed_at_least(mut self, attempts: u32) -> Self {
        self.only.failed = Some(attempts);
        self
    }

    /// Only jobs that ended or died at least so long ago; or, if they have not ended, that were enqueued at least so long ago.
    pub fn older_than(mut self, age: Duration) -> Self {
        self.only.older_ms = Some(millis(age).min(AGE_MAX_MS));
        self
    }

    /// Only jobs that ended or died less than so long ago; or, if they have not ended, that were enqueued less than so long ago.
    pub fn newer_than(mut self, age: Duration) -> Self {
        self.only.newer_ms = Some(millis(age).min(AGE_MAX_MS));
        self
    }

    /// All of them, from there on, as a stream that reads a page at a time. A job that this version cannot read is an
    /// error in the stream, which then goes on; after any other error it ends.
    pub fn stream(self) -> JobStream {
        let of = (self.queue.clone(), self.state);
        let pages = stream::try_unfold(Some(self), async |request| {
            let Some(request) = request else {
                return Ok(None);
            };
            let page = request.page().await?;
            let next = page.next.map(|next| request.after(next));
            let jobs = page.jobs.into_iter().map(Ok);
            let jobs: Vec<_> = jobs.chain(page.unreadable.into_iter().map(Err)).collect();
            Ok::<_, Error>(Some((stream::iter(jobs), next)))
        });
        let jobs = pages.try_flatten().boxed();
        JobStream { of, jobs }
    }

    pub(super) async fn page(&self) -> Result<JobPage, Error> {
        if let Some(cursor) = self.after.as_ref().filter(|it| it.state != self.state) {
            return Err(Error::invalid(format!(
                "the cursor `{cursor}` is for jobs that are {}; these are {}",
                cursor.state, self.state
            )));
        }
        let Wanted {
            id_prefix,
            name,
            group,
            error,
            ..
        } = &self.only;
        let mut texts = [id_prefix, name, group, error].into_iter().flatten();
        if let Some(text) = texts.find(|text| text.len() > WANTED_MAX) {
            return Err(Error::invalid(format!(
                "a text to look for has {} bytes; {WANTED_MAX} are allowed",
                text.len()
            )));
        }
        let only = Some(&self.only).filter(|only| !only.is_all());
        let verb = List {
            state: self.state.as_str(),
            direction: self.direction,
            limit: self.limit,
            look_at: only.map_or(self.limit, |_| BATCH_JOBS),
            only,
            bytes: PAGE_BYTES,
            after: self.after.as_ref().map(|cursor| &cursor.place),
        };
        let listed = self.queue.inner.call(&verb).await?;
        let mut page = JobPage {
            jobs: Vec::with_capacity(listed.jobs.len()),
            unreadable: Vec::new(),
            next: listed.next.map(|place| JobCursor {
                state: self.state,
                place,
            }),
        };
        for (id, found) in listed.jobs {
            match JobInfo::decode(&JobId::stored(&id), found) {
                Ok(job) => page.jobs.push(job),
                Err(error) => page.unreadable.push(error),
            }
        }
        Ok(page)
    }
}

impl IntoFuture for Jobs {
    type Output = Result<JobPage, Error>;
    type IntoFuture = Pin<Box<dyn Future<Output = Self::Output> + Send>>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(async move { self.page().await })
    }
}

impl Stream for JobStream {
    type Item = Result<JobInfo, Error>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.jobs.poll_next_unpin(cx)
    }
}

impl fmt::Debug for JobStream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (queue, state) = &self.of;
        f.debug_struct("JobStream")
            .field("queue", &queue.name())
            .field("state", state)
            .finish_non_exhaustive()
    }
}

impl fmt::Display for JobCursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Place { list, score, id } = &self.place;
        write!(f, "{}:{list}:{score}:{id}", self.state)
    }
}

impl FromStr for JobCursor {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let parse = || {
            let mut parts = text.splitn(4, ':');
            let state = State::parse(parts.next()?)?;
            let list = parts.next()?.parse().ok().filter(|list| *list > 0)?;
            let score = parts.next()?;
            let number: f64 = score.parse().ok()?;
            let place = Place {
                list,
                score: score.to_owned(),
                id: parts.next()?.to_owned(),
            };
            (!number.is_nan()).then_some(Self { state, place })
        };
        parse().ok_or_else(|| {
            Error::invalid(format!(
                "{text:?} is no cursor of jobs; one looks like `waiting:1:17:invoice-2026-0042`"
            ))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cursors_are_text_and_back() {
        for text in ["waiting:1:-17:a", "cancelled:7:1700000000000.5:b@1"] {
            let cursor: JobCursor = text.parse().unwrap();
            assert_eq!(cursor.to_string(), text);
        }
        for bad in [
            "",
            "waiting",
            "limbo:1:1:a",
            "dead:0:1:a",
            "dead:8:x:a",
            "dead:8:nan:a",
            "dead:8:1",
        ] {
            assert!(bad.parse::<JobCursor>().unwrap_err().is_invalid(), "{bad}");
        }
    }
}
