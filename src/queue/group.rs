//! One group of a queue: what an operator sees of it and sets for it.

use std::collections::BTreeMap;

use crate::error::Error;
use crate::policy::key::{check_key, encode_key};
use crate::queue::Queue;
use crate::store::group::{self as verb, Found};

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
        self.change(BTreeMap::new()).await
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
        self.change(BTreeMap::from([(verb::PAUSED, 1)])).await
    }

    /// Ends a pause of the group.
    ///
    /// # Errors
    ///
    /// If Redis does not answer.
    ///
    /// # Cancel safety
    ///
    /// A call that is dropped may or may not be carried out.
    pub async fn resume(&self) -> Result<GroupInfo, Error> {
        self.change(BTreeMap::from([(verb::PAUSED, 0)])).await
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
        let number = jobs.unwrap_or(0).min(u64::from(u32::MAX));
        self.change(BTreeMap::from([(verb::CONCURRENCY, number)]))
            .await
    }

    async fn change(&self, change: BTreeMap<&'static str, u64>) -> Result<GroupInfo, Error> {
        let group = &encode_key(&self.key);
        if !change.is_empty() {
            let said = change
                .iter()
                .map(|(name, number)| format!(" {name}={number}"));
            let target = format!("{}{}", self.key, said.collect::<String>());
            self.queue.inner.asked("group", target).await?;
        }
        let found = self
            .queue
            .inner
            .call(&verb::Group { group, change })
            .await?;
        Ok(GroupInfo::from(&found))
    }
}

impl From<&Found> for GroupInfo {
    fn from(found: &Found) -> Self {
        Self {
            active: found.active,
            waiting: found.blocked + u64::from(found.in_line),
            paused: found.setting(verb::PAUSED).is_some(),
            concurrency: found.setting(verb::CONCURRENCY),
        }
    }
}
