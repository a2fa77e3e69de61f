//! The requests for all jobs of a flow, a parent before its children.

use std::collections::{BTreeMap, HashSet};
use std::fmt;
use std::sync::Arc;

use crate::error::Error;
use crate::id::JobId;
use crate::job::Job;
use crate::policy::durability::Level;
use crate::policy::flow::{ChildOf, DEATHS_MAX, NODES_MAX, OnDeath};
use crate::queue::Queue;
use crate::queue::enqueue::Enqueue;
use crate::queue::enqueue::node::Node;
use crate::store::enqueue::{Callback, Callbacks, NewJob};
use crate::store::outbox::message::{ExpectedChild, Message};
use crate::store::{BATCH_BYTES, BATCH_JOBS};

/// One flat list: a flow that is deep needs no deep stack, neither here nor when it is dropped.
pub(crate) struct Nodes {
    /// The first one waits for all others, directly or not.
    list: Vec<Placed>,
    /// The queue of the first.
    queue: String,
}

/// How the jobs of a flow are sent.
pub(super) enum Plan {
    /// In one call: all of them are in this queue.
    OneCall(Queue, Vec<NewJob>),
    /// By the queue of the first, a parent before its children.
    Messages(Vec<Large>),
}

/// A job of a flow that does not fit into one call, or one queue.
pub(super) struct Large {
    pub(super) queue: Queue,
    pub(super) job: NewJob,
    pub(super) children: Vec<ExpectedChild>,
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

    /// The heaviest job of each queue: the queue, and the weight.
    pub(super) fn heaviest(&self) -> Vec<(Queue, u32)> {
        let mut heaviest: BTreeMap<&str, (&Queue, u32)> = BTreeMap::new();
        for placed in &self.list {
            if let Some(queue) = placed.request.queue() {
                let (_, known) = heaviest.entry(queue.name()).or_insert((queue, 0));
                *known = placed.request.weight().max(*known);
            }
        }
        let heaviest = heaviest.into_values();
        heaviest.map(|(queue, it)| (queue.clone(), it)).collect()
    }

    /// What all of the jobs together ask for.
    pub(super) fn level(&self) -> Level {
        let levels = self.list.iter().map(|placed| placed.request.level());
        levels.fold(Level::MEMORY, Level::and)
    }

    /// Finds all errors that can be found before anything is sent.
    pub(super) fn prepare(&mut self) -> Result<Plan, Error> {
        check(&[&*self])?;
        let jobs = self.prepare_below(None)?;
        let (first, _) = &jobs[0];
        for (queue, job) in &jobs {
            check_queue(first, queue).map_err(|error| error.with_job(&job.id))?;
        }
        let is_in_one = jobs.iter().all(|(queue, _)| queue.name() == first.name());
        let bytes: usize = jobs.iter().map(|(_, job)| job.bytes()).sum();
        if is_in_one && jobs.len() <= BATCH_JOBS && bytes <= BATCH_BYTES {
            let queue = first.clone();
            return Ok(Plan::OneCall(
                queue,
                jobs.into_iter().map(|(_, job)| job).collect(),
            ));
        }
        let queues: Vec<&str> = jobs.iter().map(|(queue, _)| queue.name()).collect();
        let mut children = vec![Vec::new(); jobs.len()];
        for (position, placed) in self.list.iter().enumerate().skip(1) {
            let own = queues[position];
            children[placed.parent].push(ExpectedChild {
                number: placed.number,
                queue: (own != queues[placed.parent]).then(|| own.to_owned()),
                id: placed.request.id().clone(),
                name: placed.request.name().to_owned(),
            });
        }
        let jobs = jobs.into_iter().zip(children);
        let jobs = jobs.map(|((queue, job), children)| Large {
            queue,
            job,
            children,
        });
        Ok(Plan::Messages(jobs.collect()))
    }

    /// The jobs, each with its queue. The first is a child of a job that is there already, if that is said.
    pub(super) fn prepare_below(
        &mut self,
        of: Option<ChildOf>,
    ) -> Result<Vec<(Queue, NewJob)>, Error> {
        let ids: Vec<JobId> = self.list.iter().map(|it| it.request.id().clone()).collect();
        let queues = self.list.iter().map(|it| it.request.queue());
        let queues: Vec<Option<String>> = queues
            .map(|queue| queue.map(|queue| queue.name().to_owned()))
            .collect();
        let root = queues[0].clone();
        let mut jobs = Vec::with_capacity(self.list.len());
        for (position, placed) in self.list.iter_mut().enumerate() {
            let (own, of_parent) = (&queues[position], &queues[placed.parent]);
            let is_far = own != of_parent;
            let child_of = (position > 0).then(|| ChildOf {
                queue: of_parent.clone().filter(|_| is_far),
                // The queue of the first job sends all others (`lua/lib/tell_far.lua`).
                route: root.clone().filter(|_| is_far && *own != root),
                parent: ids[placed.parent].clone(),
                number: placed.number,
                on_death: placed.on_death,
                of_step: None,
            });
            let child_of = child_of.or_else(|| of.clone());
            let (queue, mut job) = placed.request.prepare(child_of, placed.children)?;
            let callbacks = placed.callbacks.prepare(&queue, placed.children);
            job.callbacks = callbacks.map_err(|error| error.with_job(&job.id))?;
            jobs.push((queue, job));
        }
        Ok(jobs)
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
            check_queue(queue, &target).map_err(|error| error.with_job(&job.id))?;
            let message = Message::Job(job).encode();
            Ok(Some(Callback::new(target.name(), &message)))
        };
        Ok(Some(Arc::new(Callbacks {
            on_failure: callback(&mut self.on_failure)?,
            on_complete: callback(&mut self.on_complete)?,
        })))
    }
}

/// Whether these may be jobs of one flow.
pub(super) fn check(flows: &[&Nodes]) -> Result<(), Error> {
    let jobs: usize = flows.iter().map(|nodes| nodes.len()).sum();
    if jobs > NODES_MAX {
        return Err(Error::invalid(format!(
            "the flow has {jobs} jobs; {NODES_MAX} are allowed"
        )));
    }
    let mut seen = HashSet::new();
    for placed in flows.iter().flat_map(|nodes| &nodes.list) {
        let id = placed.request.id();
        let queue = placed.request.queue().map_or("", Queue::name);
        if !seen.insert((queue, id)) {
            return Err(Error::invalid(format!(
                "two jobs of the flow have the id {id} in one queue, one of them a `{}`",
                placed.request.name()
            ))
            .with_job(id));
        }
    }
    flows.iter().try_for_each(|nodes| check_deaths(&nodes.list))
}

/// The death of one job may kill its parent, and that the next one. A job that is there gets no parent later, so this is all of them.
fn check_deaths(list: &[Placed]) -> Result<(), Error> {
    let mut deaths: Vec<usize> = Vec::with_capacity(list.len());
    for (position, placed) in list.iter().enumerate() {
        // A parent is before its children.
        let above = match placed.on_death {
            OnDeath::Fail if position > 0 => deaths[placed.parent],
            _ => 0,
        };
        deaths.push(above + 1);
        if above + 1 > DEATHS_MAX {
            let id = placed.request.id();
            return Err(Error::invalid(format!(
                "more than {DEATHS_MAX} jobs of the flow in a row, each the parent of the one before, would die of one death \
                 (OnDeath::Fail); the first of them is the job {id}, a `{}`",
                placed.request.name()
            ))
            .with_job(id));
        }
    }
    Ok(())
}

/// The queues of a flow are reached through one connection.
pub(super) fn check_queue(first: &Queue, queue: &Queue) -> Result<(), Error> {
    let (one, other) = (&first.inner, &queue.inner);
    let what = if one.setup.namespace != other.setup.namespace {
        "namespace"
    } else if !Arc::ptr_eq(&one.setup, &other.setup) {
        "connection (`Oxcart`)"
    } else {
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
