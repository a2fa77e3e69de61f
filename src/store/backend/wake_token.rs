//! Where an idle worker waits for the wake-up token.

use tokio_util::sync::CancellationToken;

use crate::memory;
use crate::redis::connection::Connector;
use crate::redis::keys::Keys;
use crate::redis::token_pop::TokenPop;
use crate::redis::trouble::Trouble;

pub(crate) enum WakeToken {
    Redis(Box<TokenPop>),
    /// And how often its clock had been turned when it was last looked at.
    Memory(memory::Queue, u64),
}

impl WakeToken {
    pub(crate) fn redis(connector: &Connector, keys: &Keys) -> Self {
        Self::Redis(Box::new(TokenPop::new(connector, keys.wake())))
    }

    /// Waits up to 5 s for a token, or until `stop`; the moment of the work in ms, if it names one.
    pub(crate) async fn pop(&mut self, stop: &CancellationToken) -> Result<Option<u64>, Trouble> {
        match self {
            Self::Redis(token) => token.pop(stop).await,
            Self::Memory(queue, turns) => Ok(queue.pop_token(turns, stop).await),
        }
    }
}
