//! What a job carries beside its payload: what the application says, its trace, its cause and its source.

use crate::job::{Job, headers};
use crate::propagation;
use crate::queue::Queue;
use crate::queue::cause::{self, CAUSATION, CORRELATION, SOURCE};
use crate::queue::enqueue::Enqueue;

impl<J: Job> Enqueue<J> {
    /// Whether it has a [header](Self::header) of this name.
    #[must_use]
    pub fn has_header(&self, key: &str) -> bool {
        self.headers.iter().any(|(known, _)| known == key)
    }

    pub(crate) fn header_value(&self, key: &str) -> Option<&str> {
        cause::header_of(&self.headers, key)
    }

    /// Send this along, for the handler to read: a trace id, a tenant. All headers of a job
    /// together may have 1 KiB. A key that is set twice keeps the later value.
    pub fn header(mut self, key: impl Into<String>, value: impl Into<String>) -> Self {
        headers::set(&mut self.headers, key.into(), value.into());
        self
    }

    /// The id of all that comes of one first cause, such as a request of a customer: the header `correlationid`. What the handler of the job
    /// enqueues has the same. Default: in a handler that of the job that runs; elsewhere none.
    pub fn correlation_id(self, id: impl Into<String>) -> Self {
        self.header(CORRELATION, id)
    }

    /// The id of the job, event or message that is the cause of this job: the header `causationid`. Default: in a handler the id of the job that
    /// runs; elsewhere none.
    pub fn causation_id(self, id: impl Into<String>) -> Self {
        self.header(CAUSATION, id)
    }

    /// What enqueues it is not its cause.
    pub(crate) fn without_cause(mut self) -> Self {
        self.without_cause = true;
        self
    }

    /// Those that the application has set, and those that come by themselves.
    pub(super) fn all_headers(&self, queue: &Queue) -> Vec<(String, String)> {
        let mut headers = self.headers.clone();
        let room = headers::room(&self.headers);
        propagation::inject(&mut headers, room);
        let setup = &queue.inner.setup;
        if setup.causes && !self.without_cause {
            cause::inherit(&mut headers);
        }
        if let Some(source) = &setup.source {
            cause::add(&mut headers, &[(SOURCE, source)]);
        }
        headers
    }
}
