//! One group of a queue: what an operator sees of it and sets for it.

use std::collections::BTreeMap;

use crate::error::Error;
use crate::policy::key::{check_key, encode_key};
use crate::policy::limits::Rate;
use crate::queue::Queue;
use crate::store::group::{self as verb, Found};
use crate::time::Timestamp;

/// One group of a queue ([`Queue::group`]): its jobs take turns with the jobs of all other groups.
#[derive(Debug, Clone)]
pub struct Group {
    queue: Queue,
    key: String,
}

/// What is known of a group.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct GroupInfo {
    /// Jobs that workers run.
    pub active: u64,
    /// Jobs that are ready to run, and wait: for their turn, for a slot of the group, or for the end of its pause. Delayed jobs are not
    /// among them.
    pub waiting: u64,
    /// Whether the group is paused.
    pub paused: bool,
    /// How many of its jobs may run at a time, if the group has a limit of its own.
    pub concurrency: Option<u64>,
    /// How many of its jobs may start in a period, if the group has a rate of its own.
    pub rate: Option<Rate>,
    /// Until when none of its jobs starts, because a handler was told to wait
    /// ([`Failure::rate_limited`](crate::Failure::rate_limited)).
    pub held_until: Option<Timestamp>,
}

impl Queue {
    /// One group of this queue, by the key that its jobs were enqueued with ([`Enqueue::group`](crate::Enqueue::group)). Nothing
    /// is asked or changed yet; a group that has no jobs is like one that never had any.
    ///
    /// ```no_run
    /// # use oxcart::*;
    /// # async fn example(mail: Queue) -> Result<(), Error> {
    /// let tenant = mail.group("tenant-7")?;
    /// println!("{} wait, {} run", tenant.info().await?.waiting, tenant.info().await?.active);
    /// tenant.set_concurrency(Some(2)).await?;
    /// tenant.pause().await?;
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Invalid`](crate::ErrorKind::Invalid) if the key is empty or has more than 512 bytes.
    pub fn group(&self, key: impl Into<String>) -> Result<Group, Error> {
        let key = key.into();
        check_key("the group", &key)?;
        let queue = self.clone();
        Ok(Group { queue, key })
    }
}

/// The calls fail like the other calls of an operator (see [`Queue::counts`]), and can safely be repeated.
impl Group {
    /// The key of the group.
    #[must_use]
    pub fn key(&self) -> &str {
        &self.key
    }

    /// What is known of the group now.
    ///
    /// # Errors
    ///
    /// If Redis does not answer.
    ///
    /// # Cancel safety
    ///
    /// Only reads.
    pub async fn info(&self) -> Result<GroupInfo, Error> {
        self.change([]).await
    }

    /// Pauses the group: no worker claims any of its jobs until [`resume`](Self::resume). Jobs that run go on; enqueueing goes on;
    /// other groups do not notice. The pause stays, however long the group has no jobs.
    ///
    /// # Errors
    ///
    /// If Redis does not answer.
    ///
    /// # Cancel safety
    ///
    /// A call that is dropped may or may not be carried out.
    pub async fn pause(&self) -> Result<GroupInfo, Error> {
        self.change([(verb::PAUSED, "1".to_owned())]).await
    }

    /// Ends a pause of the group, and a [hold](GroupInfo::held_until).
    ///
    /// # Errors
    ///
    /// If Redis does not answer.
    ///
    /// # Cancel safety
    ///
    /// A call that is dropped may or may not be carried out.
    pub async fn resume(&self) -> Result<GroupInfo, Error> {
        self.call([(verb::PAUSED, String::new())], true).await
    }

    /// How many jobs of this group may run at a time, over all workers of the queue; `None`: as many as is set for every group
    /// ([`QueueSettings::group_concurrency`](crate::QueueSettings::group_concurrency)). It holds from the next claim on; jobs that run
    /// go on. It stays, however long the group has no jobs.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Invalid`](crate::ErrorKind::Invalid) for 0: [`pause`](Self::pause) stops a group. Or if Redis does not answer.
    ///
    /// # Cancel safety
    ///
    /// A call that is dropped may or may not be carried out.
    pub async fn set_concurrency(&self, jobs: Option<u64>) -> Result<GroupInfo, Error> {
        if jobs == Some(0) {
            return Err(Error::invalid(
                "the concurrency of a group is 0; use `pause` to stop a group, or `None` for no limit of its own",
            ));
        }
        let number = jobs.map(|jobs| jobs.min(u64::from(u32::MAX)).to_string());
        let number = number.unwrap_or_default();
        self.change([(verb::CONCURRENCY, number)]).await
    }

    /// How many jobs of this group may start in a period, over all workers of the queue; `None`: as many as is set for every group
    /// ([`QueueSettings::group_rate`](crate::QueueSettings::group_rate)). It holds from the next claim on, beside the concurrency. Each
    /// start counts as one, whatever the weight of the job. It stays, however long the group has no jobs.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Invalid`](crate::ErrorKind::Invalid) for a rate of 0, and for a period below 100 ms or above 31 days. Or if Redis
    /// does not answer.
    ///
    /// # Cancel safety
    ///
    /// A call that is dropped may or may not be carried out.
    pub async fn set_rate(&self, rate: Option<Rate>) -> Result<GroupInfo, Error> {
        if let Some(rate) = rate {
            rate.check()?;
        }
        let text = rate.map(|rate| rate.text()).unwrap_or_default();
        self.change([(verb::RATE, text)]).await
    }

    async fn change<const N: usize>(
        &self,
        change: [(&'static str, String); N],
    ) -> Result<GroupInfo, Error> {
        self.call(change, false).await
    }

    async fn call<const N: usize>(
        &self,
        change: [(&'static str, String); N],
        resume: bool,
    ) -> Result<GroupInfo, Error> {
        if N > 0 || resume {
            let said = change
                .iter()
                .map(|(name, value)| format!(" {name}={value}"));
            let target = format!("{}{}", self.key, said.collect::<String>());
            self.queue.inner.asked("group", target).await?;
        }
        let verb = verb::Group {
            group: &encode_key(&self.key),
            change: BTreeMap::from(change),
            resume,
        };
        let found = self.queue.inner.call(&verb).await?;
        Ok(GroupInfo::from(&found))
    }
}

impl From<&Found> for GroupInfo {
    fn from(found: &Found) -> Self {
        Self {
            active: found.active,
            waiting: found.blocked + u64::from(found.in_line),
            paused: found.setting(verb::PAUSED).is_some(),
            concurrency: found
                .setting(verb::CONCURRENCY)
                .and_then(|jobs| jobs.parse().ok()),
            rate: found.setting(verb::RATE).and_then(Rate::parse),
            held_until: (found.held_until_ms > 0)
                .then(|| Timestamp::from_millis(found.held_until_ms)),
        }
    }
}
