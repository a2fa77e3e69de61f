//! Where an idle worker waits for the wake-up token.

use tokio_util::sync::CancellationToken;

use crate::memory;
use crate::redis::connection::Connector;
use crate::redis::keys::Keys;
use crate::redis::tap;
use crate::redis::trouble::Trouble;

pub(crate) enum Tap {
    Redis(tap::Tap),
    Memory(memory::Queue),
}

impl Tap {
    pub(crate) fn redis(connector: &Connector, keys: &Keys) -> Self {
        Self::Redis(tap::Tap::new(connector, keys.wake()))
    }

    /// Waits up to 5 s for a token, or until `stop`; what it says, the moment of the work in ms.
    pub(crate) async fn pop(&mut self, stop: &CancellationToken) -> Result<Option<u64>, Trouble> {
        match self {
            Self::Redis(tap) => tap.pop(stop).await,
            Self::Memory(queue) => Ok(queue.pop_token(stop).await),
        }
    }
}
