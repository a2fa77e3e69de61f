//! Deleting a queue.

use std::fmt;
use std::pin::Pin;
use std::sync::Arc;

use tracing::warn;

use crate::error::{Error, ErrorKind};
use crate::name::QueueName;
use crate::queue::{Queue, QueueInner};
use crate::store;
use crate::store::backend::{LANE_TTL, Refusal, Trouble};
use crate::store::counts::Counts;
use crate::store::delete::{Answer, Holdings};
use crate::store::schedules::Schedules;
use crate::store::subscribed::{Subscribed, To};
use crate::store::unsubscribe::Unsubscribe;
use crate::time::millis;

/// A request to delete a queue; see [`Queue::delete`].
///
/// # Errors
///
/// [`ErrorKind::NotEmpty`] if the queue holds jobs that have not ended, dead letters or schedules, and
/// [`with_jobs`](Self::with_jobs) was not called: nothing was deleted.
/// Otherwise [`ErrorKind::Unreachable`], [`ErrorKind::Refused`] or [`ErrorKind::Unknown`] when Redis does
/// not answer, within about 8 s; repeating it is harmless.
///
/// # Cancel safety
///
/// A call that is dropped may or may not be carried out. If it was, the name may still be among
/// [`Oxcart::queues`](crate::Oxcart::queues); repeating it mends that.
#[must_use = "nothing is deleted until it is awaited"]
pub struct Delete {
    queue: Queue,
    what: What,
}

/// What a queue may hold for the deletion to go on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum What {
    NothingWanted,
    Everything,
}

/// What was in a queue that was deleted.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Deleted {
    /// Jobs that were in line.
    pub waiting: u64,
    /// Jobs that were held back by their group or their order.
    pub blocked: u64,
    /// Jobs that were not due yet.
    pub delayed: u64,
    /// Jobs that were worked on. Their workers hear that they have lost them.
    pub active: u64,
    /// Jobs that were finished and still kept.
    pub completed: u64,
    /// Jobs that were on the dead-letter list.
    pub dead: u64,
    /// Schedules.
    pub schedules: u64,
    /// Records of jobs that were in no list ([`Queue::orphans`]).
    pub orphans: u64,
    /// Messages for other queues that were not carried yet ([`Queue::outbox`]). They are lost.
    pub unsent: u64,
}

impl Deleted {
    /// How many jobs there were, in whatever state.
    #[must_use]
    pub fn jobs(&self) -> u64 {
        let open = self.waiting + self.blocked + self.delayed + self.active;
        open + self.completed + self.dead + self.orphans
    }
}

impl From<Holdings> for Deleted {
    fn from(held: Holdings) -> Self {
        Self {
            waiting: held.waiting,
            blocked: held.blocked,
            delayed: held.delayed,
            active: held.active,
            completed: held.completed,
            dead: held.dead,
            schedules: held.schedules,
            orphans: held.lost,
            unsent: held.unsent,
        }
    }
}

impl Queue {
    /// A request to delete the queue: all its keys and its place in [`Oxcart::queues`](crate::Oxcart::queues).
    /// It is refused while the queue holds jobs that have not ended, dead letters or schedules;
    /// [`Delete::with_jobs`] deletes these as well. What was deleted is counted in the answer.
    ///
    /// ```no_run
    /// # async fn example(oxcart: oxcart::Oxcart) -> Result<(), oxcart::Error> {
    /// // The queue of a customer who has left: refused if there is still something to do.
    /// let deleted = oxcart.queue("customer-17")?.delete().await?;
    /// println!("{} completed jobs are gone", deleted.completed);
    ///
    /// // With all that it holds.
    /// oxcart.queue("tests")?.delete().with_jobs().await?;
    /// # Ok(()) }
    /// ```
    ///
    /// It is one call, which takes the same time for a million jobs as for one. Stop the queue's workers
    /// first. A worker that still runs loses the jobs that it works on, and is told
    /// ([`Outcome::LeaseLost`](crate::Outcome::LeaseLost)); outcomes that it sends later change nothing. It then waits
    /// for new jobs, and stores anew the schedules that it declares. A caller that waits for a result gets
    /// [`ErrorKind::NotFound`], within about 3 s.
    ///
    /// [Subscriptions](crate::Topic::subscribe) that fed the queue are removed.
    ///
    /// The name can be used again at once. What was set for the queue is gone with it, a
    /// [`pause`](Self::pause) for instance. Redis keeps the numbers of the last calls for an hour: an enqueue that was
    /// carried out before, and is repeated because its answer was lost, does not bring its job back.
    pub fn delete(&self) -> Delete {
        Delete {
            queue: self.clone(),
            what: What::NothingWanted,
        }
    }
}

impl Delete {
    /// Also if it holds jobs that have not ended, dead letters or schedules. They are lost.
    pub fn with_jobs(mut self) -> Self {
        self.what = What::Everything;
        self
    }

    async fn send(self) -> Result<Deleted, Error> {
        let verb = store::delete::Delete {
            all: self.what == What::Everything,
            lanes_ms: millis(LANE_TTL),
        };
        let subscribed = self.queue.inner.call(&Subscribed::LOOK).await?;
        match self.queue.inner.call(&verb).await? {
            Answer::NotEmpty(held) => Err(not_empty(&self.queue, &held)),
            Answer::Deleted(held) => {
                self.queue.inner.results.look_again();
                self.unsubscribe(&subscribed).await?;
                self.take_off_the_list().await?;
                Ok(held.into())
            }
        }
    }

    /// Nobody would take the events of these topics any more.
    async fn unsubscribe(&self, from: &[To]) -> Result<(), Error> {
        for To {
            topic, name, since, ..
        } in from
        {
            let since = Some(*since);
            let topic = QueueName::of_topic(topic)?;
            let setup = Arc::clone(&self.queue.inner.setup);
            let topic = QueueInner::new(setup, topic);
            topic.call(&Unsubscribe { name, since }).await?;
        }
        Ok(())
    }

    /// Takes the name off the list of queues. The queue may have been used again before that: then the name is
    /// put back.
    async fn take_off_the_list(&self) -> Result<(), Error> {
        let store = &self.queue.inner.store;
        let relist = async {
            store.unregister().await?;
            let mut is_used = store.call(&Counts).await?.total("added") > 0;
            if !is_used {
                // A worker may have stored schedules that have not fired yet.
                let (cursor, limit) = (Schedules::ALL, 1);
                let some = store.call(&Schedules::Some { cursor, limit }).await?;
                is_used = !some.schedules.is_empty() || some.cursor != Schedules::ALL;
            }
            match is_used {
                true => store.register().await,
                false => Ok(()),
            }
        };
        match relist.await {
            Err(Trouble::Refused(Refusal::NotAllowed, why)) => {
                let queue = self.queue.name();
                warn!(queue, %why, "the queue is deleted, but stays on the list of queues");
                Ok(())
            }
            Err(trouble) => Err(Error::from(trouble).within(format_args!(
                "`{}` was deleted, but may still be on the list of queues; repeat the call",
                self.queue.name()
            ))),
            Ok(()) => Ok(()),
        }
    }
}

fn not_empty(queue: &Queue, held: &Holdings) -> Error {
    let parts = [
        (held.waiting, "waiting"),
        (held.blocked, "blocked"),
        (held.delayed, "delayed"),
        (held.active, "active"),
        (held.dead, "dead"),
        (held.lost, "in no list (see `Queue::orphans`)"),
    ];
    let there = parts.iter().filter(|(n, _)| *n > 0);
    let mut there: Vec<String> = there.map(|(n, what)| format!("{n} {what}")).collect();
    if !there.is_empty() {
        there = vec![format!("jobs ({})", there.join(", "))];
    }
    if held.schedules > 0 {
        there.push(format!("schedules ({})", held.schedules));
    }
    if held.unsent > 0 {
        there.push(format!("messages for other queues ({})", held.unsent));
    }
    Error::new(
        ErrorKind::NotEmpty,
        format!(
            "`{}` is not deleted: it holds {}; `.delete().with_jobs()` deletes them as well",
            queue.name(),
            there.join(" and ")
        ),
    )
}

impl fmt::Debug for Delete {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Delete")
            .field("queue", &self.queue.name())
            .field("what", &self.what)
            .finish()
    }
}

impl IntoFuture for Delete {
    type Output = Result<Deleted, Error>;
    type IntoFuture = Pin<Box<dyn Future<Output = Self::Output> + Send>>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(self.send())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::job::Job;
    use crate::queue::setup::Setup;

    #[derive(serde::Serialize, serde::Deserialize)]
    struct Nothing;

    impl Job for Nothing {
        const NAME: &'static str = "nothing";
        type Output = ();
    }

    #[tokio::test]
    async fn a_queue_in_memory_is_deleted_and_used_again() {
        let queue = Setup::in_memory().queue("work");
        let listed = async |wanted: &[&str]| {
            while !queue.inner.setup.queues().await.iter().eq(wanted) {
                tokio::task::yield_now().await;
            }
        };
        for _ in 0..2 {
            let sent = queue.enqueue(Nothing).await.unwrap();
            listed(&["work"]).await;
            let refused = queue.delete().await.unwrap_err();
            assert_eq!(refused.kind(), ErrorKind::NotEmpty);
            assert_eq!(queue.delete().with_jobs().await.unwrap().waiting, 1);
            listed(&[]).await;
            assert!(sent.info().await.unwrap().is_none());
            assert!(sent.result().await.unwrap_err().is_not_found());
        }
    }

    /// Between the deletion and the moment at which its name is taken off the list.
    #[tokio::test]
    async fn a_queue_that_is_used_again_at_once_stays_on_the_list() {
        let queue = Setup::in_memory().queue("work");
        let daily = queue.schedule("daily").cron("0 3 * * *").job(Nothing);
        daily.await.unwrap();
        let delete = queue.delete();
        delete.take_off_the_list().await.unwrap();
        let listed = || queue.inner.setup.queues();
        assert!(listed().await.iter().eq(["work"]));
        queue.delete().with_jobs().await.unwrap();
        assert!(listed().await.is_empty());
    }
}
