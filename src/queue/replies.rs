//! The replies of one job, in order, as its handler sends them.

use std::collections::VecDeque;
use std::fmt;
use std::future::{Future, IntoFuture};
use std::mem::take;
use std::pin::Pin;
use std::time::Duration;

use tokio::time::{Instant, timeout_at};

use crate::codec::{self, Dialect};
use crate::error::{Error, ErrorKind};
use crate::id::JobId;
use crate::job::Job;
use crate::job::replies::Replies;
use crate::queue::Queue;
use crate::queue::awaited::{
    AwaitedJob, LAST_LOOK, LOOK_EVERY, Pause, WAIT_DEFAULT, finished, missing, result_in, too_late,
};
use crate::queue::cancel_on_drop::CancelOnDrop;
use crate::queue::enqueue::Enqueue;
use crate::queue::handle::JobHandle;
use crate::queue::inside::OwnWait;
use crate::queue::results::Listening;
use crate::store::replies::{Replies as ReadReplies, RepliesPage};
use crate::store::send_replies::REPLIES_MAX;
use crate::store::watch::Watched;
use crate::time::{WAIT_MAX, millis};

/// One page of replies.
const PAGE: usize = 256;
const PAGE_BYTES: usize = 256 * 1024;

impl<J: Replies> Enqueue<J> {
    /// Enqueue the job, and get the [replies](Replies) that its handler sends, in order, as they come. One limit holds for all of it
    /// ([`OpenReplies::within`]).
    ///
    /// ```no_run
    /// # use oxcart::*;
    /// # use serde::{Deserialize, Serialize};
    /// # use std::time::Duration;
    /// # #[derive(Serialize, Deserialize)] struct Search { text: String }
    /// # impl Job for Search { const NAME: &'static str = "search"; type Output = u64; }
    /// # impl Replies for Search { type Reply = String; }
    /// # async fn example(queue: Queue) -> Result<(), Error> {
    /// let search = Search { text: "ox".to_owned() };
    /// let mut hits = queue.enqueue(search).replies().within(Duration::from_secs(30)).await?;
    /// while let Some(hit) = hits.next().await? {
    ///     println!("{hit}");
    /// }
    /// println!("{} hits", hits.output().await?);
    /// # Ok(()) }
    /// ```
    #[must_use = "nothing is sent until it is awaited"]
    pub fn replies(self) -> OpenReplies<J> {
        OpenReplies::new(AwaitedJob::of_request(self))
    }
}

impl<J: Replies> JobHandle<J> {
    /// The [replies](Replies) of the job, from the first one on, or [from another one on](OpenReplies::starting_at): those that are there, and those that its handler will send. For a
    /// caller that starts again, and for another caller of the same job: each gets all replies.
    #[must_use = "nothing is read until it is awaited"]
    pub fn replies(&self) -> OpenReplies<J> {
        OpenReplies::new(AwaitedJob::of_job(self))
    }
}

/// Opens a [`ReplyStream`]. Where the job is not enqueued yet ([`Enqueue::replies`]), awaiting this enqueues it; else it asks Redis nothing.
///
/// # Errors
///
/// What [`Enqueue`] gives. If awaiting it by reference fails, awaiting it again goes on with the same request, and no job is enqueued twice.
///
/// # Cancel safety
///
/// A request that is dropped while it is awaited may or may not be carried out.
#[must_use = "nothing is sent or read until it is awaited"]
pub struct OpenReplies<J: Replies> {
    awaited: AwaitedJob<J>,
    limit: Duration,
    from: u64,
}

impl<J: Replies> OpenReplies<J> {
    fn new(awaited: AwaitedJob<J>) -> Self {
        Self {
            awaited,
            limit: WAIT_DEFAULT,
            from: 1,
        }
    }

    /// Wait at most this long, from when this is awaited: for the enqueue, all replies and the outcome together. After that nothing is waited for any
    /// more; what is stored can still be read. Default 60 s.
    pub fn within(mut self, limit: Duration) -> Self {
        self.limit = limit;
        self
    }

    /// As [`within`](Self::within), and a job that no worker has taken by then [expires](Enqueue::expires_in) and never starts. A job that runs goes on; see also
    /// [`cancel_on_drop`](Self::cancel_on_drop). Where the job was enqueued before, it is `within` alone.
    pub fn deadline(mut self, limit: Duration) -> Self {
        self.awaited = self.awaited.expires_in(limit);
        self.within(limit)
    }

    /// Cancels the job if the stream is dropped before the job is known to have ended, and while the job is still being enqueued: as
    /// [`ResultWait::cancel_on_drop`](crate::ResultWait::cancel_on_drop). For a caller that may have had enough after some replies.
    pub fn cancel_on_drop(mut self) -> Self {
        self.awaited.on_drop.want();
        self
    }

    /// Begin with the reply of this number, from 1: for a caller that goes on where it was ([`ReplyStream::next_number`]). Replies keep their numbers, whichever attempt has sent
    /// them. Default: 1; 0 counts as 1.
    pub fn starting_at(mut self, number: u64) -> Self {
        self.from = number.max(1);
        self
    }

    async fn open(&mut self) -> Result<ReplyStream<J>, Error> {
        let limit = self.limit.min(WAIT_MAX);
        let deadline = Instant::now() + limit;
        let (queue, id) = self.awaited.job(limit).await?;
        let left = deadline.saturating_duration_since(Instant::now());
        let announced = queue.inner.results.listen(&id, left).await;
        Ok(ReplyStream {
            queue,
            id,
            limit,
            deadline,
            announced,
            on_drop: take(&mut self.awaited.on_drop),
            next: self.from,
            page: VecDeque::new(),
            total: 0,
            has_looked: false,
            end: None,
            is_broken: false,
            job: std::marker::PhantomData,
        })
    }
}

impl<J: Replies> fmt::Debug for OpenReplies<J> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (queue, id) = self.awaited.known();
        f.debug_struct("OpenReplies")
            .field("job", &J::NAME)
            .field("id", id)
            .field("queue", &queue)
            .field("limit", &self.limit)
            .field("from", &self.from)
            .finish()
    }
}

impl<J: Replies> IntoFuture for OpenReplies<J> {
    type Output = Result<ReplyStream<J>, Error>;
    type IntoFuture = Pin<Box<dyn Future<Output = Self::Output> + Send>>;

    fn into_future(mut self) -> Self::IntoFuture {
        Box::pin(async move { self.open().await })
    }
}

impl<'a, J: Replies> IntoFuture for &'a mut OpenReplies<J> {
    type Output = Result<ReplyStream<J>, Error>;
    type IntoFuture = Pin<Box<dyn Future<Output = Self::Output> + Send + 'a>>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(self.open())
    }
}

/// The replies of one job, in the order of their numbers. A caller that is slower than the handler gets all of them: they are read from Redis in pages, as the caller comes to
/// them.
///
/// When a job has ended, its replies are kept for as long as the job is, and for a caller that waited for it then at least for 60 s after its last page. A caller that may take
/// longer than that for a page (256 replies, or 256 KiB) has the job kept for longer ([`Enqueue::keep`]). A caller that begins later than that does not prolong it.
pub struct ReplyStream<J: Replies> {
    queue: Queue,
    id: JobId,
    limit: Duration,
    deadline: Instant,
    announced: Listening,
    on_drop: CancelOnDrop,
    /// The number of the next reply that the caller gets.
    next: u64,
    /// These have been read, and come next.
    page: VecDeque<Vec<u8>>,
    /// How many replies the job had at the last look, or when it ended.
    total: u64,
    /// Nothing was announced since the last look, as far as it is known.
    has_looked: bool,
    /// How the job ended, once it has.
    end: Option<End>,
    /// The job is not as it was when it ended, and not all of its replies have been read.
    is_broken: bool,
    job: std::marker::PhantomData<fn() -> J>,
}

struct End {
    outcome: Vec<u8>,
    last_attempt: Option<Vec<u8>>,
}

/// What a look is for.
#[derive(Clone, Copy, PartialEq)]
enum Wanted {
    Replies,
    End,
}

impl<J: Replies> ReplyStream<J> {
    /// The id of the job: with it, another process can go on.
    #[must_use]
    pub fn id(&self) -> &JobId {
        &self.id
    }

    /// The number of the reply that [`next`](Self::next) gives next: where another stream of the same job goes on ([`OpenReplies::starting_at`]).
    #[must_use]
    pub fn next_number(&self) -> u64 {
        self.next
    }

    /// The next reply; `None` when there are no more, because the job is completed.
    ///
    /// # Errors
    ///
    /// If the job has ended otherwise, then after its last reply: [`ErrorKind::Dead`](crate::ErrorKind::Dead), [`Cancelled`](crate::ErrorKind::Cancelled),
    /// [`Compensated`](crate::ErrorKind::Compensated), [`Expired`](crate::ErrorKind::Expired). [`Timeout`](crate::ErrorKind::Timeout) if the limit of the stream has passed, at most 1 s after it;
    /// [`NotFound`](crate::ErrorKind::NotFound) if nothing is known of the job (any more), also if it was removed, replayed or added anew after its end and before its last reply was read, which stays so; [`Codec`](crate::ErrorKind::Codec) if the reply is of another type: the stream then goes on with the one behind it.
    ///
    /// # Cancel safety
    ///
    /// No reply is lost if this is dropped before it has ended.
    pub async fn next(&mut self) -> Result<Option<J::Reply>, Error> {
        loop {
            if let Some(reply) = self.page.pop_front() {
                self.next += 1;
                let reply = codec::decode("a reply", &reply, Dialect::Readable);
                return reply.map(Some).map_err(|error| error.with_job(&self.id));
            }
            self.is_whole()?;
            if let Some(end) = self.end.as_ref().filter(|_| self.next > self.total) {
                let last = end.last_attempt.as_deref();
                result_in(&self.queue, &self.id, &end.outcome, last)?;
                return Ok(None);
            }
            self.look(Wanted::Replies).await?;
        }
    }

    /// Waits until the job has ended and gives what its handler gave, as [`JobHandle::result`]; replies that were not read yet can be read afterwards.
    ///
    /// # Errors
    ///
    /// Those of [`ResultWait`](crate::ResultWait), at most 1 s after the limit of the stream.
    ///
    /// # Cancel safety
    ///
    /// Dropping it ends the waiting, and it can be called again.
    pub async fn output(&mut self) -> Result<J::Output, Error> {
        loop {
            self.is_whole()?;
            if let Some(End {
                outcome,
                last_attempt,
            }) = &self.end
            {
                return finished::<J>(&self.queue, &self.id, outcome, last_attempt.as_deref());
            }
            self.look(Wanted::End).await?;
        }
    }

    fn is_whole(&self) -> Result<(), Error> {
        if !self.is_broken {
            return Ok(());
        }
        let what = format!(
            "the replies of job {} in `{}` cannot be read from number {} on: it had {} when it ended, and was removed, replayed or added anew since, \
             or Redis has lost some",
            self.id,
            self.queue.name(),
            self.next,
            self.total
        );
        Err(Error::new(ErrorKind::NotFound, what).with_job(&self.id))
    }

    /// Waits for an announcement, or until it is time to look in any case. Says whether something was announced.
    async fn hear(&mut self) -> bool {
        let next = self.deadline.min(Instant::now() + LOOK_EVERY);
        let heard = timeout_at(next, self.announced.heard()).await;
        // If the look that follows is given up, the next one comes at once.
        self.has_looked = false;
        heard.is_ok()
    }

    /// Looks until there is what is wanted.
    async fn look(&mut self, wanted: Wanted) -> Result<(), Error> {
        let own = OwnWait::begin(&self.queue, &self.id);
        // What is stored can be read after the deadline, too.
        let until = self.deadline.max(Instant::now()) + LAST_LOOK;
        let mut pause = Pause::default();
        loop {
            let nothing_waits = wanted == Wanted::End || self.next > self.total;
            if self.has_looked
                && nothing_waits
                && self.end.is_none()
                && self.hear().await
                && wanted == Wanted::End
            {
                pause.after_announcement(self.deadline).await;
            }
            let left = self.deadline.saturating_duration_since(Instant::now());
            let verb = ReadReplies {
                id: self.id.as_str(),
                from: match wanted {
                    Wanted::Replies => self.next,
                    Wanted::End => REPLIES_MAX + 1,
                },
                most: PAGE,
                bytes: PAGE_BYTES,
                await_ms: millis(left),
            };
            let look = timeout_at(until, self.queue.inner.call(&verb)).await;
            let unsure = match look {
                Ok(Ok(page)) => {
                    if self.take_in(page)? {
                        return Ok(());
                    }
                    if let Some(own) = &own {
                        own.may_end(&self.id, until).await?;
                    }
                    None
                }
                Ok(Err(error)) if !error.is_retryable() => return Err(error.with_job(&self.id)),
                Ok(Err(error)) => {
                    tracing::debug!(%error, job = %self.id, "waiting for replies");
                    Some(error.to_string())
                }
                Err(_) => Some("it did not answer".to_owned()),
            };
            if left.is_zero() {
                return Err(too_late(&self.queue, &self.id, self.limit, unsure));
            }
            if unsure.is_some() {
                self.hear().await;
            }
        }
    }

    /// Whether it has brought anything.
    fn take_in(&mut self, page: RepliesPage) -> Result<bool, Error> {
        if self.end.is_some() {
            // It has ended, with a total that stays.
            let is_ended = matches!(page.watched, Some(Watched::Finished { .. }) | None);
            self.is_broken = !is_ended || page.total != self.total || page.replies.is_empty();
            self.page
                .extend(page.replies.into_iter().filter(|_| !self.is_broken));
            return self.is_whole().map(|()| true);
        }
        (self.total, self.has_looked) = (page.total, true);
        let brought = !page.replies.is_empty();
        self.page.extend(page.replies);
        match page.watched {
            Some(Watched::Finished {
                outcome,
                last_attempt,
            }) => {
                self.on_drop.leave_alone();
                self.end = Some(End {
                    outcome,
                    last_attempt,
                });
                Ok(true)
            }
            Some(Watched::Missing) => {
                self.on_drop.leave_alone();
                Err(missing(&self.queue, &self.id))
            }
            Some(Watched::Pending) | None => Ok(brought),
        }
    }
}

impl<J: Replies> fmt::Debug for ReplyStream<J> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ReplyStream")
            .field("job", &<J as Job>::NAME)
            .field("id", &self.id)
            .field("queue", &self.queue.name())
            .field("next", &self.next)
            .finish_non_exhaustive()
    }
}
