//! Jobs that are made of the entries of a log, each entry once.

use std::fmt;
use std::future::{Future, IntoFuture};
use std::pin::Pin;

use crate::error::{Error, ErrorKind};
use crate::id::incarnation;
use crate::job::Job;
use crate::name;
use crate::queue::Queue;
use crate::queue::encoded::EncodedJob;
use crate::queue::many::EnqueueMany;
use crate::store::enqueue::NewJob;
use crate::store::feed::{self, Feed};
use crate::store::{BATCH_BYTES, BATCH_JOBS};

/// So many logs may feed one queue.
const SOURCES_MAX: usize = 10_000;
/// Every whole number below this has a neighbour in a double, with which scripts compute.
const POSITION_END: u64 = 1 << 53;

type Checked = Result<(Queue, Vec<NewJob>), Error>;

/// A request to enqueue many jobs that are made of the entries of a log; see [`EnqueueMany::from`] and [`Queue::feed_encoded`].
#[must_use = "a request does nothing until it is awaited"]
pub struct EnqueueFrom {
    /// Checks them.
    jobs: Pin<Box<dyn Future<Output = Checked> + Send>>,
    len: usize,
    source: String,
    positions: Vec<u64>,
    after: Option<u64>,
    /// A position without a job.
    surplus: Option<u64>,
}

/// What became of jobs that were made of the entries of a log ([`EnqueueMany::from`]).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Fed {
    /// How many of the entries the queue took now. It had passed the others before.
    pub taken: u64,
    /// The position of the last entry that the queue has taken, now or before, from whomever. A feed goes on behind it.
    pub position: Option<u64>,
}

impl<J: Job> EnqueueMany<J> {
    /// The jobs are made of the entries of a log, such as an outbox in a database, a partition of Kafka or a stream of NATS: the queue remembers how
    /// far it was fed from each log, and takes each entry once. `source` is the name of the log (as names of queues are), `positions` has the position of each
    /// job's entry: as many as there are jobs, and rising. `17..` numbers them one by one.
    ///
    /// The jobs and the position are stored in one atomic step, so this may be repeated, after an error or a crash, and by several processes at the same
    /// time: jobs of entries that the queue has passed are left out, also if they have run and are forgotten long since. The answer says where the queue
    /// stands. Whoever feeds a queue begins behind that position ([`Queue::fed`]), and leaves nothing out: entries that come with lower positions later are
    /// not taken.
    ///
    /// More than 256 jobs, or 1 MiB, go in several calls, one after the other, and the position moves with each of them: what was not sent, because the
    /// process died, is what is left behind the position. If a job cannot be added because its [id](crate::Enqueue::id) is there or another job has its
    /// unique key, the position moves past it all the same.
    ///
    /// A queue may be fed from 10,000 logs. It forgets them when it is [deleted](Queue::delete).
    ///
    /// ```no_run
    /// # use oxcart::*;
    /// # use serde::{Deserialize, Serialize};
    /// # #[derive(Serialize, Deserialize, Clone)] struct Bill { order: u64 }
    /// # impl Job for Bill { const NAME: &'static str = "bill"; type Output = (); }
    /// # async fn example(billing: Queue, log: Vec<(u64, Bill)>) -> Result<(), Error> {
    /// let stands = billing.fed("orders").await?;
    /// let news = log.iter().filter(|(position, _)| stands.is_none_or(|stands| *position > stands));
    /// let (positions, jobs): (Vec<u64>, Vec<Bill>) = news.cloned().unzip();
    /// let fed = billing.enqueue_many(jobs).from("orders", positions).await?;
    /// println!("{} were new; the queue stands at {:?}", fed.taken, fed.position);
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    ///
    /// Before anything is sent: [`ErrorKind::Invalid`] for a malformed name, for positions that are too few or too many, do not rise or are not below 2^53, and for what
    /// [`Enqueue`](crate::Enqueue) does not take. [`ErrorKind::Refused`] if too many logs feed the queue. Otherwise if Redis does not answer: repeat it, with the
    /// same positions.
    ///
    /// # Cancel safety
    ///
    /// A request that is dropped while it is awaited may be carried out in part. Repeating it does the rest.
    pub fn from(
        self,
        source: impl Into<String>,
        positions: impl IntoIterator<Item = u64>,
    ) -> EnqueueFrom {
        let mut all = positions.into_iter();
        let len = self.len();
        let positions = all.by_ref().take(len).collect();
        // `17..` has no end, and need not have one.
        let is_list = all.size_hint().1.is_some();
        let surplus = is_list.then(|| all.next()).flatten();
        EnqueueFrom {
            surplus,
            jobs: Box::pin(self.into_jobs()),
            len,
            source: source.into(),
            positions,
            after: None,
        }
    }
}

impl EnqueueFrom {
    /// The entry before the first of these has this position, so the queue stands there, or further on. If it does not, Redis has lost what the queue
    /// took (a failover to a replica that was behind, a restart without its last second): nothing is taken then ([`ErrorKind::Refused`]), so that the loss is not
    /// hidden. [`Queue::fed`] tells where to begin again. Default: nothing is asked.
    pub fn after(mut self, position: u64) -> Self {
        self.after = Some(position);
        self
    }

    fn check(&self) -> Result<(), Error> {
        name::check("name of the source", &self.source)?;
        let (jobs, positions) = (self.len, self.positions.len());
        if positions < jobs {
            return Err(Error::invalid(format!(
                "there are {jobs} jobs, and only {positions} positions: each job has one"
            )));
        }
        if let Some(position) = self.surplus {
            return Err(Error::invalid(format!(
                "there are {jobs} jobs, and more positions, the next of them {position}: each job has one, so that no entry is taken \
                 twice or passed over"
            )));
        }
        let falls = self.positions.windows(2).find(|pair| pair[0] >= pair[1]);
        if let Some([one, next]) = falls {
            return Err(Error::invalid(format!(
                "the position {next} follows {one}: each is to be larger than the one before"
            )));
        }
        match self.positions.last() {
            Some(last) if *last >= POSITION_END => Err(Error::invalid(format!(
                "the position {last} is too large: it is to be below 2^53"
            ))),
            _ => Ok(()),
        }
    }

    async fn send(self) -> Result<Fed, Error> {
        self.check()?;
        let Self {
            jobs,
            source,
            positions,
            mut after,
            ..
        } = self;
        let (queue, jobs) = jobs.await?;
        let mut fed = Fed {
            taken: 0,
            position: None,
        };
        let mut at = 0;
        loop {
            let page = page(&jobs[at..]);
            let positions = &positions[at..at + page.len()];
            let is_old = positions.last() <= fed.position.as_ref() && !page.is_empty();
            if !is_old {
                let (before, now) = queue.inner.feed(&source, positions, after, &page).await?;
                let new = |position: &&u64| before.is_none_or(|before| **position > before);
                fed.taken += positions.iter().filter(new).count() as u64;
                fed.position = now;
            }
            // The next call is for what follows this one.
            after = positions.last().copied().or(after);
            at += page.len();
            if at == jobs.len() {
                return Ok(fed);
            }
        }
    }
}

/// The first of these jobs, as many as go in one call.
fn page(jobs: &[NewJob]) -> Vec<&NewJob> {
    let mut bytes = 0;
    let fits = |(at, job): &(usize, &NewJob)| {
        bytes += job.bytes();
        *at == 0 || bytes <= BATCH_BYTES
    };
    let page = jobs.iter().take(BATCH_JOBS).enumerate().take_while(fits);
    page.map(|(_, job)| job).collect()
}

impl Queue {
    /// The same as [`EnqueueMany::from`] for requests that were kept as bytes ([`EncodedJob`]): of any types, each with the options it was made with, and with
    /// the position of its entry in the log.
    ///
    /// # Errors
    ///
    /// As [`EnqueueMany::from`]. [`ErrorKind::Invalid`], before anything is sent and with the id of the job ([`Error::job_id`]), also for a job that is for another queue, whose
    /// payload is larger than this connection allows, or that is too heavy for the rate of the queue.
    ///
    /// # Cancel safety
    ///
    /// A request that is dropped while it is awaited may be carried out in part. Repeating it does the rest.
    pub fn feed_encoded(
        &self,
        source: impl Into<String>,
        entries: impl IntoIterator<Item = (u64, EncodedJob)>,
    ) -> EnqueueFrom {
        let (positions, jobs): (Vec<u64>, Vec<EncodedJob>) = entries.into_iter().unzip();
        let queue = self.clone();
        EnqueueFrom {
            len: jobs.len(),
            jobs: Box::pin(async move {
                for job in &jobs {
                    job.check(&queue).await?;
                }
                Ok((queue, jobs.into_iter().map(|job| job.job).collect()))
            }),
            source: source.into(),
            positions,
            after: None,
            surplus: None,
        }
    }

    /// How far the queue was fed from a log: the position of the last entry that it has taken; `None` if there is none ([`EnqueueMany::from`]).
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Invalid`] for a malformed name; otherwise if Redis does not answer.
    ///
    /// # Cancel safety
    ///
    /// Only reads.
    pub async fn fed(&self, source: &str) -> Result<Option<u64>, Error> {
        name::check("name of the source", source)?;
        let (_, stands) = self.inner.feed(source, &[], None, &[]).await?;
        Ok(stands)
    }
}

impl super::QueueInner {
    /// One call: where the queue stood, and where it stands.
    async fn feed(
        &self,
        source: &str,
        positions: &[u64],
        after: Option<u64>,
        jobs: &[&NewJob],
    ) -> Result<(Option<u64>, Option<u64>), Error> {
        let token = incarnation();
        let feed = Feed {
            source,
            positions,
            after,
            upto: None,
            token: &token,
            most: SOURCES_MAX,
            jobs,
        };
        match self.call(&feed).await? {
            feed::Fed::Done {
                before,
                now,
                is_first,
            } => {
                if is_first {
                    self.store.register().await?;
                }
                Ok((before, now))
            }
            feed::Fed::Behind => Err(Error::new(
                ErrorKind::Refused,
                format!(
                    "`{}` stands before the entry that comes before these, so Redis has lost what the queue took from `{source}`: ask \
                     `Queue::fed` where it stands, and feed it from there",
                    self.name
                ),
            )),
            feed::Fed::Full => Err(Error::new(
                ErrorKind::Refused,
                format!("`{}` is fed from {SOURCES_MAX} logs already", self.name),
            )),
        }
    }
}

impl fmt::Debug for EnqueueFrom {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EnqueueFrom")
            .field("source", &self.source)
            .field("jobs", &self.len)
            .finish_non_exhaustive()
    }
}

impl IntoFuture for EnqueueFrom {
    type Output = Result<Fed, Error>;
    type IntoFuture = Pin<Box<dyn Future<Output = Self::Output> + Send>>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(self.send())
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::time::Duration;

    use serde::{Deserialize, Serialize};

    use super::*;
    use crate::queue::setup::Setup;

    #[derive(Clone, Serialize, Deserialize)]
    struct Entry(String);

    impl Job for Entry {
        const NAME: &'static str = "entry";
        type Output = ();
    }

    fn entries(n: usize, bytes: usize) -> Vec<Entry> {
        vec![Entry("x".repeat(bytes)); n]
    }

    async fn waiting(queue: &Queue) -> u64 {
        queue.counts().await.unwrap().waiting
    }

    fn fed(taken: u64, position: u64) -> Fed {
        let position = Some(position);
        Fed { taken, position }
    }

    #[tokio::test]
    async fn g3_a_feed_of_many_calls_goes_on_where_the_queue_stands() {
        let queue = Setup::in_memory().queue("work");
        assert_eq!(queue.fed("log").await.unwrap(), None);
        let first = queue.enqueue_many(entries(300, 1)).from("log", 10..);
        assert_eq!(first.await.unwrap(), fed(300, 309));
        // Another process feeds a part of the same entries, and more.
        for (from, n, expected) in [(10, 300, fed(0, 309)), (200, 700, fed(590, 899))] {
            let again = queue.enqueue_many(entries(n, 1)).from("log", from..);
            assert_eq!(again.await.unwrap(), expected);
        }
        assert_eq!(
            (waiting(&queue).await, queue.fed("log").await.unwrap()),
            (890, Some(899))
        );
        // By bytes; of another log, whose positions have gaps.
        let large = queue.enqueue_many(entries(5, 600_000));
        let large = large.from("other", [1, 2, 40, 41, 900]).await.unwrap();
        assert_eq!(large, fed(5, 900));
        assert_eq!(waiting(&queue).await, 895);
        let nothing = queue.enqueue_many(entries(0, 1)).from("other", []);
        assert_eq!(nothing.await.unwrap(), fed(0, 900));
    }

    /// What was encoded is enqueued as if it had been sent at once.
    #[tokio::test]
    async fn encoded_requests_keep_their_options() {
        let queue = Setup::in_memory().queue("work");
        let requests = || {
            let plain = queue.enqueue(Entry("a".to_owned()));
            let large = queue.enqueue(Entry("x".repeat(5_000))).ordered_by("k");
            let late = queue.enqueue(Entry("b".to_owned())).priority(7);
            let late = late.delay(Duration::from_secs(60)).header("tenant", "t");
            [plain, large.attempts(3), late.unique("u")]
        };
        let encoded = requests().map(|request| {
            let encoded = request.encode().unwrap();
            assert_eq!(encoded.queue(), "work");
            EncodedJob::from_bytes(&encoded.to_bytes()).unwrap()
        });
        let keys = encoded.each_ref().map(EncodedJob::ordered_by);
        assert_eq!(keys, [None, Some("k".to_owned()), None]);
        let ids = encoded.each_ref().map(|job| job.job_id().clone());
        let others = requests();
        let other_ids = others.each_ref().map(|job| job.job_id().clone());
        queue.enqueue_many(others).await.unwrap();
        // The unique key is that of the one before.
        assert_eq!(
            queue.remove(&other_ids[2]).await.unwrap(),
            crate::Changed::Done
        );
        queue.feed_encoded("log", (1..).zip(encoded)).await.unwrap();
        for (id, other) in ids.iter().zip(&other_ids).take(2) {
            let [one, other] = [id, other].map(|id| queue.job(id));
            let (one, other) = (one.await.unwrap().unwrap(), other.await.unwrap().unwrap());
            assert_eq!(one.priority, other.priority);
            assert_eq!(one.headers, other.headers);
        }
        assert_eq!(queue.counts().await.unwrap().delayed, 1);
    }

    #[tokio::test]
    async fn encoded_requests_that_cannot_be_sent_are_named() {
        let setup = Setup::in_memory();
        let (queue, other) = (Arc::clone(&setup).queue("work"), setup.queue("other"));
        let encode = |queue: &Queue| queue.enqueue(Entry("a".to_owned())).encode().unwrap();
        let (good, bad) = (encode(&queue), encode(&other));
        let id = bad.job_id().clone();
        let error = queue.feed_encoded("log", [(1, good), (2, bad)]).await;
        assert_eq!(error.unwrap_err().job_id(), Some(&id));
        assert_eq!(queue.fed("log").await.unwrap(), None);
        let bytes = encode(&queue).to_bytes();
        for end in [0, 1, 9, bytes.len() / 2, bytes.len() - 1] {
            let error = EncodedJob::from_bytes(&bytes[..end]).unwrap_err();
            assert!(error.is_codec(), "{end}: {error}");
        }
        let error = queue.enqueue(Entry("x".repeat(2 << 20))).encode();
        assert!(error.unwrap_err().is_invalid());
    }

    #[tokio::test]
    async fn bad_positions_and_names_are_refused_before_anything_is_sent() {
        let queue = Setup::in_memory().queue("work");
        for positions in [vec![1], vec![2, 1], vec![1, 1], vec![1, POSITION_END]] {
            let request = queue.enqueue_many(entries(2, 1)).from("log", positions);
            assert!(request.await.unwrap_err().is_invalid());
        }
        let request = queue.enqueue_many(entries(2, 1)).from("a log", 1..);
        assert!(request.await.unwrap_err().is_invalid());
        assert!(queue.fed("").await.unwrap_err().is_invalid());
        assert_eq!(waiting(&queue).await, 0);
    }
}
