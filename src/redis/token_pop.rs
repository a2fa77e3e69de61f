//! Waiting for the wake-up token, on a connection of its own.
//!
//! Never drop a pending `BZPOPMIN`: Redis would hand the token to a connection on which nobody reads any more.
//! A pop that is to end is ended with `CLIENT UNBLOCK`.

use std::pin::pin;
use std::time::{Duration, Instant};

use redis::{Cmd, Value};
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

use crate::redis::connection::Connector;
use crate::redis::node::SILENT_MAX;
use crate::redis::reconnecting::Reconnecting;
use crate::redis::repeat::Repeat;
use crate::redis::trouble::{Refusal, Trouble};

/// Fixed: shorter times on the server fire up to 99 ms late.
const BLOCK: Duration = SILENT_MAX;
/// If there is no answer after this time, the connection is dead.
const WATCHDOG: Duration = BLOCK.saturating_add(Duration::from_secs(1));
/// A pop that comes back empty sooner did not wait on the server; after the second such pop in a row, the wait is here.
const SOON: Duration = Duration::from_secs(1);

/// The blocking connection.
pub(crate) struct TokenPop {
    connector: Connector,
    connection: Reconnecting,
    pop: Cmd,
    /// The connection that was last popped on, and how the server calls it, if it says so.
    known: Option<(u64, Option<u64>)>,
    /// The last pop came back empty too soon.
    was_soon: bool,
}

impl TokenPop {
    /// Pops from the sorted set at `key`.
    pub(crate) fn new(connector: &Connector, key: &str) -> Self {
        let mut pop = redis::cmd("BZPOPMIN");
        pop.arg(key).arg(BLOCK.as_secs_f64());
        Self {
            connector: connector.clone(),
            connection: Reconnecting::blocking(connector.clone(), WATCHDOG),
            pop,
            known: None,
            was_soon: false,
        }
    }

    /// Waits up to 4.5 s for a token, or until `stop`; its score, if one was popped. None as well if
    /// the connection was closed while it was idle: what comes is a reason to look for work.
    pub(crate) async fn pop(&mut self, stop: &CancellationToken) -> Result<Option<u64>, Trouble> {
        let began = Instant::now();
        let popped = self.pop_once(stop).await?;
        let is_soon = popped.is_none() && began.elapsed() < SOON;
        if is_soon && self.was_soon {
            // Something closes each connection at once: a pause, so that the worker does not connect all the time.
            tokio::select! {
                () = sleep(SOON) => {}
                () = stop.cancelled() => {}
            }
        }
        self.was_soon = is_soon;
        Ok(popped)
    }

    async fn pop_once(&mut self, stop: &CancellationToken) -> Result<Option<u64>, Trouble> {
        let client = self.client().await?;
        let mut popping = pin!(self.connection.try_request(&self.pop));
        tokio::select! {
            answer = &mut popping => return popped(answer),
            () = stop.cancelled() => {}
        }
        let Some(client) = client else {
            return Ok(None);
        };
        // Redis would give the next token to this connection, even one that is just being
        // closed, and no other worker would hear of the work.
        let mut unblock = redis::cmd("CLIENT");
        unblock.arg("UNBLOCK").arg(client);
        self.connector.request(&unblock).await?;
        popped(popping.await)
    }

    /// The server's id of the connection; `None` if it does not tell it.
    async fn client(&mut self) -> Result<Option<u64>, Trouble> {
        let number = self.connection.connect().await?;
        if let Some((known, client)) = self.known
            && known == number
        {
            return Ok(client);
        }
        let mut ask = redis::cmd("CLIENT");
        let id = self.connection.request(ask.arg("ID"), Repeat::Always).await;
        let client = match id {
            Ok(Value::Int(id)) => u64::try_from(id).ok(),
            _ => None,
        };
        self.known = Some((number, client));
        Ok(client)
    }
}

fn popped(answer: Result<Value, Trouble>) -> Result<Option<u64>, Trouble> {
    match answer {
        Ok(answer) => Ok(score(answer)),
        // The slot of a cluster has moved: the next pop goes to where it is.
        Err(Trouble::Refused(Refusal::Moving, _)) => Ok(None),
        Err(trouble) if trouble.was_idle() => Ok(None),
        Err(trouble) => Err(trouble),
    }
}

/// The score of the popped member; `None` after a timeout.
fn score(answer: Value) -> Option<u64> {
    let Value::Array(popped) = answer else {
        return None;
    };
    match popped.into_iter().nth(2)? {
        Value::BulkString(digits) => {
            let score = std::str::from_utf8(&digits).ok()?.parse::<f64>().ok()?;
            Some(score as u64)
        }
        Value::Double(score) => Some(score as u64),
        _ => None,
    }
}
