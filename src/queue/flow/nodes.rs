//! The requests for all jobs of a flow, a parent before its children.

use std::collections::HashSet;
use std::fmt;
use std::sync::Arc;

use crate::error::Error;
use crate::id::JobId;
use crate::job::Job;
use crate::policy::flow::{ChildOf, NODES_MAX, OnDeath};
use crate::queue::Queue;
use crate::queue::enqueue::Enqueue;
use crate::queue::enqueue::node::Node;
use crate::store::enqueue::{Callback, Callbacks, NewJob};
use crate::store::outbox::message::Message;
use crate::store::{BATCH_BYTES, BATCH_JOBS};

/// One flat list: a flow that is deep needs no deep stack, neither here nor when it is dropped.
pub(crate) struct Nodes {
    /// The first one waits for all others, directly or not.
    list: Vec<Placed>,
    /// The queue of the first.
    queue: String,
}

struct Placed {
    request: Box<dyn Node>,
    /// The position of its parent, its own number there, and what its death means; not of the first.
    parent: usize,
    number: u32,
    on_death: OnDeath,
    children: u32,
    callbacks: Calls,
}

/// What is enqueued when something has become of the children of a job.
#[derive(Default)]
struct Calls {
    on_failure: Option<Box<dyn Node>>,
    on_complete: Option<Box<dyn Node>>,
}

impl Nodes {
    pub(super) fn of<J: Job>(request: Enqueue<J>) -> Self {
        let queue = request.queue().map_or("", Queue::name).to_owned();
        let first = Placed {
            request: Box::new(request),
            parent: 0,
            number: 0,
            on_death: OnDeath::Hold,
            children: 0,
            callbacks: Calls::default(),
        };
        Self {
            list: vec![first],
            queue,
        }
    }

    /// The first of these becomes a child of the first here.
    pub(super) fn add(&mut self, others: Self, on_death: OnDeath) {
        let behind = self.list.len();
        let number = self.list[0].children;
        self.list[0].children += 1;
        self.list.extend(others.list);
        for added in &mut self.list[behind..] {
            added.parent += behind;
        }
        let child = &mut self.list[behind];
        (child.parent, child.number, child.on_death) = (0, number, on_death);
    }

    /// These wait for one another: each for the one before it.
    pub(super) fn in_a_row(links: Vec<(Self, OnDeath)>) -> Self {
        let mut list: Vec<Placed> = Vec::with_capacity(links.len());
        let mut queue = String::new();
        for (link, on_death) in links.into_iter().rev() {
            let first = list.is_empty();
            if first {
                queue = link.queue;
            }
            let behind = list.len();
            list.extend(link.list);
            if !first {
                let previous = behind - 1;
                list[previous].children = 1;
                (list[behind].parent, list[behind].on_death) = (previous, on_death);
            }
        }
        Self { list, queue }
    }

    /// When the first child of the first job is dead.
    pub(super) fn on_any_failure<J: Job>(&mut self, request: Enqueue<J>) {
        self.list[0].callbacks.on_failure = Some(Box::new(request));
    }

    /// When each child of the first job has ended, or was dead once.
    pub(super) fn on_complete<J: Job>(&mut self, request: Enqueue<J>) {
        self.list[0].callbacks.on_complete = Some(Box::new(request));
    }

    pub(super) fn first_id(&self) -> &JobId {
        self.list[0].request.id()
    }

    pub(super) fn len(&self) -> usize {
        self.list.len()
    }

    pub(super) fn queue_name(&self) -> String {
        self.queue.clone()
    }

    pub(super) fn heaviest(&self) -> u32 {
        let weights = self.list.iter().map(|placed| placed.request.weight());
        weights.max().unwrap_or(1)
    }

    /// Finds all errors that can be found before anything is sent.
    pub(super) fn prepare(&mut self) -> Result<(Queue, Vec<NewJob>), Error> {
        check(&[&*self])?;
        let (queue, jobs) = self.prepare_below(None)?;
        check_bytes(&jobs)?;
        Ok((queue, jobs))
    }

    /// The first job is a child of a job that is there already, if that is said.
    pub(super) fn prepare_below(
        &mut self,
        of: Option<ChildOf>,
    ) -> Result<(Queue, Vec<NewJob>), Error> {
        let ids: Vec<JobId> = self.list.iter().map(|it| it.request.id().clone()).collect();
        let mut jobs = Vec::with_capacity(self.list.len());
        let mut first_queue: Option<Queue> = None;
        for (position, placed) in self.list.iter_mut().enumerate() {
            let child_of = (position > 0).then(|| ChildOf {
                queue: None,
                parent: ids[placed.parent].clone(),
                number: placed.number,
                on_death: placed.on_death,
                of_step: None,
            });
            let child_of = child_of.or_else(|| of.clone());
            let (queue, mut job) = placed.request.prepare(child_of, placed.children)?;
            let first = first_queue.get_or_insert_with(|| queue.clone());
            check_queue(first, &queue).map_err(|error| error.with_job(&job.id))?;
            let callbacks = placed.callbacks.prepare(&queue, placed.children);
            job.callbacks = callbacks.map_err(|error| error.with_job(&job.id))?;
            jobs.push(job);
        }
        let queue = first_queue.expect("a flow has a first job");
        Ok((queue, jobs))
    }
}

impl Calls {
    /// As they are stored with a job of this queue.
    fn prepare(&mut self, queue: &Queue, children: u32) -> Result<Option<Arc<Callbacks>>, Error> {
        let are_there = self.on_failure.is_some() || self.on_complete.is_some();
        if !are_there {
            return Ok(None);
        }
        if children == 0 {
            return Err(Error::invalid(
                "the flow has a job for when its children have failed or ended, and no children",
            ));
        }
        let callback = |request: &mut Option<Box<dyn Node>>| -> Result<Option<Callback>, Error> {
            let request = request.as_mut();
            let prepared = request.map(|request| request.prepare_alone()).transpose()?;
            let Some((target, job)) = prepared else {
                return Ok(None);
            };
            check_connection(queue, &target).map_err(|error| error.with_job(&job.id))?;
            let message = Message::Job(job).encode();
            Ok(Some(Callback::new(target.name(), &message)))
        };
        Ok(Some(Arc::new(Callbacks {
            on_failure: callback(&mut self.on_failure)?,
            on_complete: callback(&mut self.on_complete)?,
        })))
    }
}

/// Whether these jobs can be added in one call.
pub(super) fn check(flows: &[&Nodes]) -> Result<(), Error> {
    let jobs: usize = flows.iter().map(|nodes| nodes.len()).sum();
    if jobs > NODES_MAX {
        return Err(Error::invalid(format!(
            "the flow has {jobs} jobs; {NODES_MAX} are allowed"
        )));
    }
    if jobs > BATCH_JOBS {
        return Err(Error::invalid(format!(
            "the flow has {jobs} jobs; {BATCH_JOBS} fit into one call"
        )));
    }
    let mut seen = HashSet::new();
    for placed in flows.iter().flat_map(|nodes| &nodes.list) {
        let id = placed.request.id();
        if !seen.insert(id) {
            return Err(Error::invalid(format!(
                "two jobs of the flow have the id {id}, one of them a `{}`",
                placed.request.name()
            ))
            .with_job(id));
        }
    }
    Ok(())
}

pub(super) fn check_bytes(jobs: &[NewJob]) -> Result<(), Error> {
    let bytes: usize = jobs.iter().map(NewJob::bytes).sum();
    if bytes > BATCH_BYTES {
        return Err(Error::invalid(format!(
            "the jobs of the flow have {bytes} bytes together; {BATCH_BYTES} are allowed"
        )));
    }
    Ok(())
}

/// What two queues do not have in common, if no message can go from one to the other.
fn unlike(first: &Queue, queue: &Queue) -> Option<&'static str> {
    let (one, other) = (&first.inner, &queue.inner);
    if one.setup.namespace != other.setup.namespace {
        return Some("namespace");
    }
    (!Arc::ptr_eq(&one.setup, &other.setup)).then_some("connection (`Oxcart`)")
}

fn check_connection(first: &Queue, queue: &Queue) -> Result<(), Error> {
    match unlike(first, queue) {
        None => Ok(()),
        Some(what) => Err(Error::invalid(format!(
            "a job that a flow enqueues later is for `{}`, in another {what} than the flow, which is for `{}`",
            queue.name(),
            first.name()
        ))),
    }
}

/// All jobs of a flow are in one queue.
pub(super) fn check_queue(first: &Queue, queue: &Queue) -> Result<(), Error> {
    let is_other = first.inner.name != queue.inner.name;
    let Some(what) = unlike(first, queue).or(is_other.then_some("queue")) else {
        return Ok(());
    };
    Err(Error::invalid(format!(
        "a job of a flow is for `{}`, in another {what} than the first job of the flow, which is for `{}`",
        queue.name(),
        first.name()
    )))
}

impl fmt::Debug for Nodes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shown = |placed: &Placed| format!("{} {}", placed.request.name(), placed.request.id());
        f.debug_list().entries(self.list.iter().map(shown)).finish()
    }
}
