//! A connection that one task owns, or that all single calls share: made when first needed, and
//! made again after trouble.

use std::time::{Duration, Instant};

use crate::memory::{self, Apply};
use crate::policy::durability::Level;
use crate::redis::durability::{self, Confirmed};
use crate::redis::reconnecting::Reconnecting;
use crate::redis::registry;
use crate::redis::repeat::Repeat;
use crate::redis::trouble::Trouble;
use crate::store;
use crate::store::backend::InRedis;

/// An answer that takes longer is asked for again, on a new connection, and then waited for longer.
pub(crate) const ANSWER_PATIENCE: Duration = Duration::from_secs(1);

/// Clones share the connection.
#[derive(Clone)]
pub(crate) enum Connection {
    Redis(InRedis, Reconnecting),
    Memory(memory::Queue),
}

impl Connection {
    /// Makes the connection, if there is none, and gives its number. Whatever this ends with, nothing was
    /// sent. What is asked at once goes through the connection of this number.
    pub(crate) async fn connect(&mut self) -> Result<u64, Trouble> {
        match self {
            Self::Redis(_, connection) => connection.connect().await,
            Self::Memory(_) => Ok(0),
        }
    }

    /// A connection that was closed while it was idle is made again, and the call is sent on that.
    pub(crate) async fn call<V: Apply>(&mut self, verb: &V) -> Result<V::Answer, Trouble> {
        self.call_repeated(verb, store::repeat_of::<V>()).await
    }

    /// The same, but a connection that was found closed is trouble like any other.
    pub(crate) async fn call_once<V: Apply>(&mut self, verb: &V) -> Result<V::Answer, Trouble> {
        self.call_repeated(verb, Repeat::Never).await
    }

    async fn call_repeated<V: Apply>(
        &mut self,
        verb: &V,
        repeat: Repeat,
    ) -> Result<V::Answer, Trouble> {
        match self {
            Self::Redis(queue, connection) => {
                store::call(&queue.keys, connection, verb, repeat).await
            }
            Self::Memory(queue) => {
                let answer = queue.call(verb);
                // As a round trip would, it lets others have their turn.
                tokio::task::yield_now().await;
                Ok(answer)
            }
        }
    }

    /// Waits, for at most `within`, until what was answered through the connection of this number is as safe as `level` asks. If that
    /// connection is gone, nothing is asked: another one may lead to another server. A queue in memory has no disk, and is as safe as it
    /// gets.
    ///
    /// Only what one task asks at a time goes through a connection that waits.
    pub(crate) async fn confirm(
        &mut self,
        number: u64,
        level: Level,
        within: Duration,
    ) -> Result<Confirmed, Trouble> {
        let Self::Redis(_, connection) = self else {
            return Ok(Confirmed::Reached);
        };
        let until = Instant::now() + within;
        for wait in durability::waits(level) {
            let left = until.saturating_duration_since(Instant::now());
            let (command, patience) = (wait.command(left), left + ANSWER_PATIENCE);
            let answer = connection.request_on(number, &command, patience).await?;
            match durability::answered(level, &answer)? {
                Confirmed::Reached => {}
                short @ Confirmed::Short(_) => return Ok(short),
            }
        }
        Ok(Confirmed::Reached)
    }

    /// Puts the queue on the list of queues.
    pub(crate) async fn register(&mut self) -> Result<(), Trouble> {
        match self {
            Self::Redis(queue, connection) => {
                let (connector, registry) = queue.registry();
                let entry = registry::entry(&registry, queue.queue.as_str());
                let registered = match queue.connector.slot() {
                    None => connection.request(&entry, Repeat::Always).await,
                    Some(_) => connector.request(&entry).await,
                };
                registered.map(|_| ())
            }
            Self::Memory(queue) => {
                queue.register();
                Ok(())
            }
        }
    }
}
