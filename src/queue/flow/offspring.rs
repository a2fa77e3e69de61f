//! The children that a job adds while it runs, and what is below them.

use crate::error::Error;
use crate::id::JobId;
use crate::policy::flow::{ChildOf, NODES_MAX, OnDeath};
use crate::queue::Queue;
use crate::queue::flow::Child;
use crate::queue::flow::nodes::{Nodes, check, check_queue};
use crate::store::enqueue::NewJob;
use crate::store::{BATCH_BYTES, BATCH_JOBS};

/// In the order in which they are added.
pub(crate) struct Offspring {
    children: Vec<(Nodes, OnDeath)>,
}

/// The job that adds them.
pub(crate) struct Adder<'a> {
    pub(crate) queue: &'a Queue,
    pub(crate) id: &'a JobId,
    pub(crate) order: Option<&'a str>,
}

impl Offspring {
    pub(crate) fn of<C: Into<Child>>(children: impl IntoIterator<Item = C>) -> Self {
        let children = children.into_iter().map(Into::into);
        let children = children.map(|child: Child| (child.nodes, child.on_death));
        Self {
            children: children.collect(),
        }
    }

    /// How many children the job itself gets.
    pub(crate) fn count(&self) -> u32 {
        u32::try_from(self.children.len()).unwrap_or(u32::MAX)
    }

    /// The heaviest of all.
    pub(crate) fn heaviest(&self) -> u32 {
        let all = self.children.iter().flat_map(|(nodes, _)| nodes.heaviest());
        all.map(|(_, weight)| weight).max().unwrap_or(1)
    }

    /// All of the jobs, as children of this step of that job; the first of them has this number there. Finds all errors that can
    /// be found before anything is sent.
    pub(crate) fn prepare(
        &mut self,
        adder: &Adder<'_>,
        step: u32,
        first: u32,
    ) -> Result<Vec<NewJob>, Error> {
        let queue = adder.queue;
        let nodes: Vec<&Nodes> = self.children.iter().map(|(nodes, _)| nodes).collect();
        check(&nodes)?;
        let all: usize = nodes.iter().map(|nodes| nodes.len()).sum();
        if all > BATCH_JOBS {
            return Err(Error::invalid(format!(
                "a step is to add {all} jobs; {BATCH_JOBS} fit into one call"
            )));
        }
        let total = first as usize + self.children.len();
        if total > NODES_MAX {
            return Err(Error::invalid(format!(
                "the job would have {total} children; {NODES_MAX} are allowed"
            )));
        }
        let mut jobs = Vec::new();
        for (number, (nodes, on_death)) in (first..).zip(&mut self.children) {
            let of = ChildOf {
                queue: None,
                route: None,
                parent: adder.id.clone(),
                number,
                on_death: *on_death,
                of_step: Some(step),
            };
            for (of_job, job) in nodes.prepare_below(Some(of))? {
                check_queue(queue, &of_job).map_err(|error| error.with_job(&job.id))?;
                if of_job.name() != queue.name() {
                    return Err(Error::invalid(format!(
                        "a child is for `{}`, in another queue than the job that adds it, which is in `{}`",
                        of_job.name(),
                        queue.name()
                    ))
                    .with_job(&job.id));
                }
                check_order(adder, &job)?;
                jobs.push(job);
            }
        }
        let bytes: usize = jobs.iter().map(NewJob::bytes).sum();
        if bytes > BATCH_BYTES {
            return Err(Error::invalid(format!(
                "a step is to add jobs of {bytes} bytes together; {BATCH_BYTES} fit into one call"
            )));
        }
        Ok(jobs)
    }
}

/// A job keeps its turn while it waits for its children: one with the same order would wait for it, and both for ever.
fn check_order(adder: &Adder<'_>, job: &NewJob) -> Result<(), Error> {
    let order = job.record.order_key();
    match (adder.order, order) {
        (Some(own), Some(order)) if own == order => Err(Error::invalid(format!(
            "a child has the order `{order}` of the job that adds it: it would wait for that job, which waits for it"
        ))
        .with_job(&job.id)),
        _ => Ok(()),
    }
}
