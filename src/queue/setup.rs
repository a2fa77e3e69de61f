//! What the queues of one connection have in common: where they live, and the settings of the connection.

use std::time::Duration;

use crate::claim_check::ClaimCheck;
use crate::error::Error;
use crate::job::check_payload_size;
use crate::name::Namespace;
use crate::queue::shelf::Shelf;
use crate::store::backend::Backend;

#[derive(Clone)]
pub(crate) struct Setup {
    pub(crate) backend: Backend,
    pub(crate) namespace: Namespace,
    /// Largest payload and largest result, in bytes.
    pub(crate) payload_max: usize,
    /// How long enqueueing may take.
    pub(crate) call_timeout: Duration,
    /// Who works with this program: noted in the audits of queues.
    pub(crate) operator: Option<String>,
    /// Where jobs and events say that they come from, if something is set.
    pub(crate) source: Option<String>,
    /// What is enqueued in a handler gets its cause as headers.
    pub(crate) causes: bool,
    /// Where payloads go that are too large for Redis, if a store is set.
    pub(crate) claim_check: Option<ClaimCheck>,
    pub(crate) shelf: Shelf,
}

impl Setup {
    /// Whether a payload is small enough, and whether it goes to a store. `may_go`: it can, in the way in which it is sent.
    pub(crate) fn check_payload(
        &self,
        name: &str,
        payload: &[u8],
        may_go: bool,
    ) -> Result<bool, Error> {
        let claim_check = self.claim_check.as_ref().filter(|_| may_go);
        match claim_check {
            Some(claim_check) if payload.len() > claim_check.over.min(self.payload_max) => {
                claim_check.check_size(name, payload.len())?;
                Ok(true)
            }
            _ => check_payload_size(name, payload, self.payload_max).map(|()| false),
        }
    }
}

#[cfg(test)]
mod in_memory {
    use std::collections::BTreeSet;
    use std::sync::Arc;

    use super::*;
    use crate::memory::Server;
    use crate::name::QueueName;
    use crate::queue::{Queue, QueueInner};

    /// Queues in memory, for tests of what is below [`Oxcart`](crate::Oxcart).
    impl Setup {
        pub(crate) fn in_memory() -> Arc<Self> {
            Arc::new(Self {
                backend: Server::default().into(),
                namespace: Namespace::new("test").unwrap(),
                payload_max: 1024 * 1024,
                call_timeout: Duration::from_secs(5),
                operator: None,
                source: None,
                causes: true,
                claim_check: None,
                shelf: Shelf::default(),
            })
        }

        pub(crate) fn queue(self: Arc<Self>, name: &str) -> Queue {
            let name = QueueName::new(name).unwrap();
            let inner = Arc::new(QueueInner::new(self, name));
            Queue { inner }
        }

        pub(crate) async fn queues(&self) -> BTreeSet<String> {
            self.backend.queues(&self.namespace).await.unwrap()
        }
    }
}
