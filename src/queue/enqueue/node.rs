//! A request as a part of a flow, whatever its type of job.

use crate::error::Error;
use crate::id::JobId;
use crate::job::Job;
use crate::policy::durability::Level;
use crate::policy::flow::ChildOf;
use crate::policy::unique::OnDuplicate;
use crate::queue::Queue;
use crate::queue::enqueue::Enqueue;
use crate::store::enqueue::NewJob;

/// What a flow asks of the request for each of its jobs.
pub(crate) trait Node: Send {
    fn id(&self) -> &JobId;

    fn name(&self) -> &str;

    /// The queue it is for, if that is well formed.
    fn queue(&self) -> Option<&Queue>;

    fn weight(&self) -> u32;

    /// How safe the job has to be before the caller is told.
    fn level(&self) -> Level;

    /// Finds all errors that can be found before anything is sent.
    fn prepare(
        &mut self,
        child_of: Option<ChildOf>,
        children: u32,
    ) -> Result<(Queue, NewJob), Error>;

    /// The same for a job that is of no flow.
    fn prepare_alone(&mut self) -> Result<(Queue, NewJob), Error>;
}

impl<J: Job> Node for Enqueue<J> {
    fn id(&self) -> &JobId {
        self.job_id()
    }

    fn name(&self) -> &str {
        self.name()
    }

    fn queue(&self) -> Option<&Queue> {
        self.queue()
    }

    fn weight(&self) -> u32 {
        self.weight_asked()
    }

    fn level(&self) -> Level {
        self.level()
    }

    fn prepare(
        &mut self,
        child_of: Option<ChildOf>,
        children: u32,
    ) -> Result<(Queue, NewJob), Error> {
        let replaces = |on_duplicate| on_duplicate != OnDuplicate::Reject;
        let unique = self.options.unique.as_ref();
        if unique.is_some_and(|unique| replaces(unique.on_duplicate)) {
            return Err(Error::invalid(format!(
                "the job `{}` of a flow is to replace another one with its unique key, or to follow it; jobs of a flow can only \
                 be refused (OnDuplicate::Reject)",
                self.name()
            ))
            .with_job(&self.id));
        }
        (self.options.child_of, self.options.children) = (child_of, children);
        self.prepare()
    }

    fn prepare_alone(&mut self) -> Result<(Queue, NewJob), Error> {
        self.prepare()
    }
}
