//! Objects of the store of payloads whose jobs may be gone: a worker has ended an attempt of each.

use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};

use tokio::sync::Notify;

use crate::id::JobId;

/// Further ones are left to the sweep.
const KEPT: usize = 10_000;

/// Each with the id of its job.
#[derive(Default)]
pub(crate) struct EndedObjects {
    waiting: Mutex<VecDeque<(JobId, String)>>,
    pub(crate) news: Notify,
}

impl EndedObjects {
    pub(crate) fn add(&self, id: &JobId, object: &str) {
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        if waiting.len() < KEPT {
            waiting.push_back((id.clone(), object.to_owned()));
        }
        self.news.notify_one();
    }

    /// Up to so many of them, the first that came.
    pub(crate) fn take(&self, most: usize) -> Vec<(JobId, String)> {
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        let some = waiting.len().min(most);
        waiting.drain(..some).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_list_is_bounded_and_given_in_order() {
        let ended = EndedObjects::default();
        let id = |n: usize| JobId::new(n.to_string()).unwrap();
        for n in 0..KEPT + 10 {
            ended.add(&id(n), "object");
        }
        let first = ended.take(2);
        assert_eq!(first, [0, 1].map(|n| (id(n), "object".to_owned())));
        assert_eq!(ended.take(usize::MAX).len(), KEPT - 2);
        assert!(ended.take(1).is_empty());
    }
}
