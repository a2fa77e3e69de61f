//! Replies that a handler sends while it runs.

use std::fmt;
use std::future::Future;
use std::marker::PhantomData;
use std::time::{Duration, Instant};

use tokio::time::timeout;
use tracing::warn;

use crate::codec;
use crate::error::{Error, ErrorKind};
use crate::job::failure::Failure;
use crate::job::replies::Replies;
use crate::service::replies::SentReplies;
use crate::store::send_replies::{SendReplies, Sent};
use crate::worker::context::Context;
use crate::worker::extract::Extract;

const REPLY: &str = "a reply";
/// How long the end of an attempt waits for replies that its handler has not waited for.
const LAST_REPLIES: Duration = Duration::from_secs(1);

/// Sends the [replies](Replies) of a job: an argument of its handler. A clone sends for the same attempt.
///
/// Each reply has a number, from 1, and a caller gets each number once, in order. The first reply that an attempt sends has number 1, the next one number 2, and so on. If an
/// earlier attempt has stored a number already, that reply stays, and nothing is sent. So a handler that is run again may send everything again; or it goes on
/// behind what is stored, and says so with [`resume`](Self::resume).
///
/// ```
/// # use oxcart::*;
/// # use serde::{Deserialize, Serialize};
/// # #[derive(Serialize, Deserialize)] struct Search { text: String }
/// # impl Job for Search { const NAME: &'static str = "search"; type Output = u64; }
/// # async fn look_for(_: &str) -> Result<Vec<String>, Failure> { Ok(Vec::new()) }
/// impl Replies for Search {
///     type Reply = String;
/// }
///
/// async fn search(query: Search, replies: ReplySender<Search>) -> Result<u64, Failure> {
///     let hits = look_for(&query.text).await?;
///     for hit in hits.iter().skip(replies.resume()) {
///         replies.send(hit).await?;
///     }
///     Ok(hits.len() as u64)
/// }
/// ```
///
/// A job has at most 1,000 replies, with 16 MiB together, each no larger than a payload may be: a handler that has more of them, and small ones, sends several in one
/// (`type Reply = Vec<..>`). There is no other back pressure: a handler does not wait for its callers.
///
/// A handler that takes several jobs makes one for each of them: `ReplySender::<Search>::extract(&context)`, see [`Extract`].
pub struct ReplySender<J: Replies> {
    context: Context,
    job: PhantomData<fn() -> J>,
}

impl Context {
    pub(crate) fn sent_replies(&self) -> &SentReplies {
        self.inner.replies.get_or_init(Box::default)
    }
}

impl<J: Replies> ReplySender<J> {
    /// Goes on behind the replies that earlier attempts have stored, and says how many these are: the next one that is sent has the number after them. In a first attempt: 0.
    ///
    /// Call it once, before the first reply, and leave out as many.
    #[must_use = "so many replies are to be left out"]
    pub fn resume(&self) -> usize {
        usize::try_from(self.context.sent_replies().resume()).unwrap_or(usize::MAX)
    }

    /// Sends the next reply. It is stored when this has been awaited, and callers hear of it. Replies that are sent at the same time go in one call, in the order in which this was called. While Redis is away
    /// the attempt tries to store them for as long as it holds the job.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::LeaseLost`](crate::ErrorKind::LeaseLost) if another attempt has the job; [`ErrorKind::Invalid`](crate::ErrorKind::Invalid) for a reply larger than a payload may be, or beyond what a job may have;
    /// [`ErrorKind::Codec`](crate::ErrorKind::Codec) if it cannot be read back ([`Job`](crate::Job)). No further attempt mends the latter two: `Failure::dead`. If a reply could not be stored, none after it is in
    /// this attempt.
    ///
    /// # Cancel safety
    ///
    /// Once this has been polled, the reply is on its way, also if it is not polled any more or dropped: it may or may not be stored, and it keeps its number.
    pub fn send(
        &self,
        reply: &J::Reply,
    ) -> impl Future<Output = Result<(), Error>> + Send + use<J> {
        let context = self.context.clone();
        let number = Self::push(&context, reply);
        async move {
            let number = number.map_err(|error| error.with_job(context.id()))?;
            store(&context, number).await
        }
    }

    fn push(context: &Context, reply: &J::Reply) -> Result<u64, Error> {
        let reply = codec::encode_to_be_read(REPLY, reply)?;
        context.check_size("the reply", &reply)?;
        context.sent_replies().push(reply)
    }
}

/// Waits until the reply of this number is stored. A task of its own stores it: a handler may begin to send a reply and turn to something else, and what
/// it does then may be to send another one.
async fn store(context: &Context, number: u64) -> Result<(), Error> {
    let sent = context.sent_replies();
    if context.inner.kept.is_some() {
        sent.keep();
        return Ok(());
    }
    loop {
        let standing = sent.standing(number);
        let Some(not_yet) = standing.map_err(|error| error.with_job(context.id()))? else {
            return Ok(());
        };
        if not_yet.needs_task {
            let sending = Sending::begin(context);
            let store = &context.inner.queue.inner.store;
            store.outlive_caller(async move { sending.look_after().await });
        }
        let _ = not_yet.changed.await;
    }
}

/// Carries the replies of an attempt to Redis, as long as some wait. Meanwhile no wait beside it puts the attempt aside.
struct Sending {
    context: Context,
    /// Nothing waits any more.
    is_over: bool,
}

impl Sending {
    fn begin(context: &Context) -> Self {
        context.steps().begin_beside();
        Self {
            context: context.clone(),
            is_over: false,
        }
    }

    async fn look_after(mut self) {
        let context = &self.context;
        let sent = context.sent_replies();
        let store = context.step_store();
        let lease = &store.lease;
        while let Some((first, replies)) = sent.next_call() {
            let verb = SendReplies {
                id: context.id(),
                receipt: &lease.receipt,
                first,
                replies: &replies,
            };
            let (kind, why) = match store.lasting(&verb).await {
                Ok(Sent::Yes) => {
                    sent.stored(replies.len());
                    continue;
                }
                Ok(Sent::LeaseLost) => {
                    lease.lose(Instant::now());
                    let fence = lease.fence;
                    let why = format!(
                        "a reply of job {} was refused: this attempt (fence {fence}) no longer holds it; stop working on it",
                        context.id()
                    );
                    (ErrorKind::LeaseLost, why)
                }
                Ok(Sent::Full) => (
                    ErrorKind::Invalid,
                    "the job has too many replies".to_owned(),
                ),
                Ok(Sent::Gap(there)) => {
                    let why = format!(
                        "Redis has lost replies of job {}: it has {there} of the {} that were stored; another attempt sends them again",
                        context.id(),
                        first - 1
                    );
                    (ErrorKind::Refused, why)
                }
                Err(error) => (error.kind(), error.to_string()),
            };
            sent.breaks(kind, &why);
        }
        self.is_over = true;
    }
}

impl Drop for Sending {
    fn drop(&mut self) {
        let context = &self.context;
        if !self.is_over {
            let why = "the task that sends the replies was stopped";
            context.sent_replies().breaks(ErrorKind::Unknown, why);
        }
        let suspension = &context.inner.suspension;
        context.steps().ended_beside(suspension);
    }
}

/// The handler has ended. What it sends without waiting for it is stored before its job ends, and no later.
pub(super) async fn last_replies(context: &Context) {
    let sent = context.inner.replies.get();
    let lease = &context.inner.lease;
    if let Some(rest) = sent
        .and_then(|sent| sent.rest())
        .filter(|_| !lease.is_over())
        && timeout(LAST_REPLIES, rest).await.is_err()
    {
        let (queue, id) = (context.inner.queue.name(), context.id());
        warn!(queue, %id, "the last replies of a job may be lost");
    }
}

impl<J: Replies> Extract for ReplySender<J> {
    async fn extract(context: &Context) -> Result<Self, Failure> {
        let name = &context.attempt().name;
        let is_tested_alone = context.inner.kept.is_some();
        if name != J::NAME && !is_tested_alone {
            let error = Error::invalid(format!(
                "the handler of `{name}` asks for a sender of the replies of `{}`",
                J::NAME
            ));
            return Err(Failure::dead(error.with_job(context.id())));
        }
        Ok(Self {
            context: context.clone(),
            job: PhantomData,
        })
    }
}

impl<J: Replies> Clone for ReplySender<J> {
    fn clone(&self) -> Self {
        Self {
            context: self.context.clone(),
            job: PhantomData,
        }
    }
}

impl<J: Replies> fmt::Debug for ReplySender<J> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ReplySender")
            .field("job", &J::NAME)
            .field("id", self.context.id())
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use futures_util::future::try_join_all;
    use serde::{Deserialize, Serialize};

    use super::*;
    use crate::job::Job;
    use crate::memory::Server;
    use crate::oxcart::Oxcart;
    use crate::worker::Worker;

    #[derive(Serialize, Deserialize)]
    struct Count(u64);

    impl Job for Count {
        const NAME: &'static str = "count";
        type Output = u64;
    }

    impl Replies for Count {
        type Reply = u64;
    }

    #[tokio::test]
    async fn replies_come_from_a_queue_in_memory_as_well() {
        let oxcart = Oxcart::builder().build(Server::default().into()).unwrap();
        let queue = oxcart.queue("work").unwrap();
        let count = async |job: Count, replies: ReplySender<Count>| {
            assert_eq!(replies.resume(), 0);
            try_join_all((1..=job.0).map(|number| replies.send(&number))).await?;
            Ok::<_, Failure>(job.0)
        };
        let worker = Worker::builder(&queue).handle(count).build().unwrap();
        let running = tokio::spawn(worker.run_until(std::future::pending::<()>()));
        let mut stream = queue.enqueue(Count(600)).replies().await.unwrap();
        for number in 1..=600 {
            assert_eq!(stream.next().await.unwrap(), Some(number));
        }
        assert_eq!(stream.next().await.unwrap(), None);
        assert_eq!(stream.output().await.unwrap(), 600);
        running.abort();
    }
}
