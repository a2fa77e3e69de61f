//! What a job knows of its children: how they ended, and what they gave back.

use std::fmt;

use serde::de::DeserializeOwned;

use crate::codec::{self, Dialect};
use crate::error::{Error, ErrorKind};
use crate::id::JobId;
use crate::job::Job;
use crate::job::outcome::Ending;
use crate::policy::flow::{KnownChild, Standing};
use crate::queue::Queue;
use crate::queue::info::Ended;
use crate::store;
use crate::store::BATCH_BYTES;
use crate::time::Timestamp;

/// The children of a job, in the order in which they were added to its [`Flow`](crate::Flow): how each ended, and what it gave back.
#[derive(Debug, Clone, Default)]
pub struct Children {
    list: Vec<ChildInfo>,
}

/// What a job knows of one of its children. It is kept with the job, whether the child itself is kept or not.
#[derive(Clone)]
#[non_exhaustive]
pub struct ChildInfo {
    /// Its position among the children, from 0.
    pub number: u32,
    /// Its id.
    pub id: JobId,
    /// The name of its type.
    pub name: String,
    /// Its queue, if that is another one.
    pub queue: Option<String>,
    /// When it ended, if it did; or when it was removed.
    pub ended_at: Option<Timestamp>,
    /// How it ended. `None` if it has not, and if it was removed before.
    pub ended: Option<Ended>,
    /// It was removed, by an operator or because dead letters are [dropped](crate::QueueSettings::keep_dead), before it had completed.
    pub removed: bool,
    /// Why it could not be added to its queue, if that is so: another job has its id, or its unique key. That is found on arrival if the flow
    /// is in several queues, or large; otherwise the whole flow is refused.
    pub refused: Option<String>,
    output: Option<(Vec<u8>, Dialect)>,
}

impl ChildInfo {
    fn of(number: u32, known: KnownChild) -> Result<Self, Error> {
        let has_ending = matches!(known.standing, Standing::Ended | Standing::Dead);
        let ending = has_ending.then(|| codec::decode_plain("a child's outcome", &known.ending));
        let mut output = None;
        let mut given = |bytes: Vec<u8>, dialect| {
            output = Some((bytes, dialect));
            Ended::Completed
        };
        let ended = ending.transpose()?.map(|ending| match ending {
            Ending::Ok(bytes) => given(bytes.into_vec(), Dialect::Readable),
            Ending::OldOk(bytes) => given(bytes.into_vec(), Dialect::Binary),
            Ending::Cancelled(reason) => Ended::Cancelled(reason),
            Ending::Compensated(reason) => Ended::Compensated(reason),
            Ending::Expired => Ended::Expired,
            Ending::Dead(reason) => Ended::Dead(reason),
        });
        Ok(Self {
            number,
            ended,
            ended_at: (known.ended_ms > 0).then(|| Timestamp::from_millis(known.ended_ms)),
            removed: known.standing == Standing::Removed,
            refused: (known.standing == Standing::Refused)
                .then(|| String::from_utf8_lossy(&known.ending).into_owned()),
            id: known.id,
            name: known.name,
            queue: known.queue,
            output,
        })
    }

    /// What it gave back, as the [`Output`](Job::Output) of its job, or any other type that can be read from it. `None` if it has
    /// not completed.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Codec`] if it cannot be read as a `T`.
    pub fn output<T: DeserializeOwned>(&self) -> Result<Option<T>, Error> {
        let read = |(bytes, dialect): &(Vec<u8>, Dialect)| {
            codec::decode("the output of a child", bytes, *dialect)
        };
        let read = self.output.as_ref().map(read).transpose();
        read.map_err(|error| error.with_job(&self.id))
    }
}

/// Of the output only its size.
impl fmt::Debug for ChildInfo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let output = self.output.as_ref();
        f.debug_struct("ChildInfo")
            .field("id", &self.id)
            .field("name", &self.name)
            .field("ended", &self.ended)
            .field("ended_at", &self.ended_at)
            .field("removed", &self.removed)
            .field("refused", &self.refused)
            .field(
                "output",
                &output.map(|(bytes, _)| format!("{} bytes", bytes.len())),
            )
            .finish_non_exhaustive()
    }
}

impl Children {
    /// Reads all of them, page by page; none if the job has none, or is not there.
    pub(crate) async fn read(queue: &Queue, id: &JobId) -> Result<Self, Error> {
        Self::read_some(queue, id, 0, u32::MAX).await
    }

    /// Reads so many of them, of which the first has this number.
    pub(crate) async fn read_some(
        queue: &Queue,
        id: &JobId,
        first: u32,
        count: u32,
    ) -> Result<Self, Error> {
        let mut list: Vec<ChildInfo> = Vec::new();
        let (mut from, end) = (first, first.saturating_add(count));
        loop {
            let verb = store::children::Children {
                id: id.as_str(),
                from,
                max_bytes: BATCH_BYTES,
            };
            let page = queue.inner.call(&verb).await;
            let page = page.map_err(|error| error.with_job(id))?;
            for (number, stored) in page.children {
                let number = u32::try_from(number).unwrap_or(u32::MAX);
                list.push(ChildInfo::of(number, KnownChild::decode(&stored)?)?);
            }
            let next = u32::try_from(page.next).unwrap_or(u32::MAX);
            if page.next >= page.total || next <= from || next >= end {
                list.retain(|child| child.number < end);
                return Ok(Self { list });
            }
            from = next;
        }
    }

    /// How many a job has.
    pub(crate) async fn count(queue: &Queue, id: &JobId) -> Result<u32, Error> {
        let verb = store::children::Children {
            id: id.as_str(),
            from: u32::MAX,
            max_bytes: 0,
        };
        let page = queue.inner.call(&verb).await;
        let page = page.map_err(|error| error.with_job(id))?;
        Ok(u32::try_from(page.total).unwrap_or(u32::MAX))
    }

    /// What the completed children of this type gave back, in the order in which they were added.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Codec`] if one of them cannot be read.
    pub fn outputs<J: Job>(&self) -> Result<Vec<J::Output>, Error> {
        let of_type = self.list.iter().filter(|child| child.name == J::NAME);
        let outputs = of_type.map(|child| child.output::<J::Output>().transpose());
        outputs.flatten().collect()
    }

    /// One of them.
    #[must_use]
    pub fn get(&self, id: &JobId) -> Option<&ChildInfo> {
        self.list.iter().find(|child| child.id == *id)
    }

    /// All of them, in the order in which they were added.
    pub fn iter(&self) -> std::slice::Iter<'_, ChildInfo> {
        self.list.iter()
    }

    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.list.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    /// What the job before this one in a chain gave back.
    pub(crate) fn previous<J: Job>(&self, id: &JobId) -> Result<J::Output, Error> {
        let none = |why: String| Error::new(ErrorKind::NotFound, why).with_job(id);
        let child = match &self.list[..] {
            [child] => child,
            [] => {
                return Err(none(format!(
                    "job {id} has no job before it: it is in no chain"
                )));
            }
            more => {
                return Err(none(format!(
                    "job {id} has {} children, so it is in no chain; `context.children()` has all of them",
                    more.len()
                )));
            }
        };
        if child.name != J::NAME {
            return Err(none(format!(
                "the job before job {id} is a `{}`, and not a `{}`",
                child.name,
                J::NAME
            )));
        }
        child.output::<J::Output>()?.ok_or_else(|| {
            let how = match &child.ended {
                Some(Ended::Cancelled(reason)) => format!("it was cancelled: {reason}"),
                Some(Ended::Compensated(reason)) => {
                    format!("it is a saga that was undone: {reason}")
                }
                Some(Ended::Expired) => "it expired before it started".to_owned(),
                Some(Ended::Dead(reason)) => format!("it is dead: {reason}"),
                Some(Ended::Completed) | None => match &child.refused {
                    Some(why) => format!("it could not be added: {why}"),
                    None => "it was removed".to_owned(),
                },
            };
            none(format!(
                "job {}, before job {id}, gave nothing back: {how}",
                child.id
            ))
        })
    }
}

impl Queue {
    /// The children of a job, in a [`Flow`](crate::Flow): how each ended, and what it gave back. None if the job has none, or is not
    /// there. Read in pages of at most 256 children or 1 MiB.
    ///
    /// # Errors
    ///
    /// As [`Context::children`](crate::Context::children).
    ///
    /// # Cancel safety
    ///
    /// Only reads.
    pub async fn children(&self, id: &JobId) -> Result<Children, Error> {
        Children::read(self, id).await
    }
}

impl<'a> IntoIterator for &'a Children {
    type Item = &'a ChildInfo;
    type IntoIter = std::slice::Iter<'a, ChildInfo>;

    fn into_iter(self) -> Self::IntoIter {
        self.list.iter()
    }
}
