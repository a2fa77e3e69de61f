//! Without the feature `memory` no queue is in memory: these types have no values, and what
//! would be done with them costs nothing.

use std::collections::BTreeSet;
use std::convert::Infallible;

use tokio_util::sync::CancellationToken;

use crate::name::QueueName;
use crate::redis::stream::{Entry, EntryId};
use crate::store::Verb;
use crate::store::backend::Stream;

#[derive(Clone)]
pub(crate) struct Server(Infallible);

#[derive(Clone)]
pub(crate) struct Queue(Infallible);

/// What a verb does to a queue in memory: nothing, for there is none.
pub(crate) trait Apply: Verb {}

impl<V: Verb> Apply for V {}

impl Server {
    pub(crate) fn queue(&self, _: &QueueName) -> Queue {
        match self.0 {}
    }

    pub(crate) fn queues(&self) -> BTreeSet<String> {
        match self.0 {}
    }

    pub(crate) fn topics(&self) -> BTreeSet<String> {
        match self.0 {}
    }

    pub(crate) fn breakers(&self) -> BTreeSet<String> {
        match self.0 {}
    }

    pub(crate) fn now_ms(&self) -> u64 {
        match self.0 {}
    }
}

impl Queue {
    pub(crate) fn call<V: Apply>(&self, _: &V) -> V::Answer {
        match self.0 {}
    }

    pub(crate) fn register(&self) {
        match self.0 {}
    }

    pub(crate) fn unregister(&self) {
        match self.0 {}
    }

    pub(crate) async fn pop_token(&self, _: &mut u64, _: &CancellationToken) -> Option<u64> {
        match self.0 {}
    }

    pub(crate) fn youngest(&self, _: Stream) -> Option<EntryId> {
        match self.0 {}
    }

    pub(crate) fn last_number(&self, _: Stream) -> u64 {
        match self.0 {}
    }

    pub(crate) async fn read(&self, _: Stream, _: EntryId, _: usize) -> Vec<Entry> {
        match self.0 {}
    }
}
