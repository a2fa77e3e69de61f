//! The requests for all jobs of a flow, a parent before its children.

use std::collections::{BTreeMap, HashSet};
use std::fmt;
use std::sync::Arc;

use crate::error::Error;
use crate::id::JobId;
use crate::job::Job;
use crate::policy::flow::{ChildOf, NODES_MAX, OnDeath};
use crate::queue::Queue;
use crate::queue::enqueue::Enqueue;
use crate::queue::enqueue::node::Node;
use crate::store::enqueue::NewJob;
use crate::store::outbox::message::ExpectedChild;
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

    /// Finds all errors that can be found before anything is sent.
    pub(super) fn prepare(&mut self) -> Result<Plan, Error> {
        self.check()?;
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
            });
            jobs.push(placed.request.prepare(child_of, placed.children)?);
        }
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
        let mut children = vec![Vec::new(); jobs.len()];
        for (position, placed) in self.list.iter().enumerate().skip(1) {
            children[placed.parent].push(ExpectedChild {
                number: placed.number,
                queue: queues[position]
                    .clone()
                    .filter(|own| Some(own) != queues[placed.parent].as_ref()),
                id: ids[position].clone(),
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

    fn check(&self) -> Result<(), Error> {
        let jobs = self.list.len();
        if jobs > NODES_MAX {
            return Err(Error::invalid(format!(
                "the flow has {jobs} jobs; {NODES_MAX} are allowed"
            )));
        }
        let mut seen = HashSet::new();
        for placed in &self.list {
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
        Ok(())
    }
}

/// The queues of a flow are reached through one connection.
fn check_queue(first: &Queue, queue: &Queue) -> Result<(), Error> {
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
