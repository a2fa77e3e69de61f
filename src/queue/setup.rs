//! What the queues of one connection have in common: where they live, and the settings of the connection.

use std::time::Duration;

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
    pub(crate) shelf: Shelf,
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
