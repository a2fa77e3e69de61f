//! One connection that is made when first needed, and made again after trouble.
//!
//! Patience: on a slow line a call takes long, on a dead line for ever. So an answer may take longer
//! the more bytes are on their way. The time doubles after each call that got no answer, and is never
//! less than twice what the slowest answer of the last half minute took. A dead connection on a fast
//! line is still noticed after the patience that it was made with.
//!
//! A connection that was closed while it was idle (a server's `timeout`, a firewall) is no
//! trouble: it is made again, and the request is sent on the new connection, if the caller
//! allows that.
//!
//! A firewall may have forgotten a connection that was idle, and swallows what is sent on it: nobody tells. So the first request after a
//! while is waited for shortly. If no answer comes, the connection counts as one that was closed while it was idle.
//!
//! Many callers may wait for one connection to be made. They share a failure, so no caller waits longer
//! than for two attempts to connect: the attempt that was under way when it asked, and the next.

use std::future::poll_fn;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::Poll;
use std::time::{Duration, Instant};

use redis::{Arg, Cmd, RedisError, RedisResult, Value};
use tokio::time::{sleep, timeout, timeout_at};

use crate::redis::cell::{ConnectionCell, Numbered, Request};
use crate::redis::cluster::Slot;
use crate::redis::connection::Connector;
use crate::redis::of_process::OfProcess;
use crate::redis::repeat::Repeat;
use crate::redis::trouble::{Refusal, Trouble};
use crate::runtime;

/// The slowest line on which requests still get their answers at the first try.
pub(crate) const BYTES_PER_SECOND: usize = 256 * 1024;
/// No answer is waited for longer, unless the connection was made for longer ones.
const PATIENCE_MAX: Duration = Duration::from_secs(30);
/// After so many calls without an answer the patience is not doubled any more.
const DOUBLINGS_MAX: u32 = 5;
/// A connection without an answer for so long may have been closed meanwhile.
const IDLE: Duration = Duration::from_secs(1);
/// A connection without an answer for so long may have been forgotten by a firewall; and how long the first answer on it may take.
const SUSPECT: Duration = Duration::from_secs(4);
const SUSPECT_PATIENCE: Duration = Duration::from_secs(2);

/// For how long a command that a cluster refuses because of a slot is sent again before the caller is told; and the pauses between.
const MOVE_FOR: Duration = Duration::from_secs(1);
const MOVE_PAUSE: Duration = Duration::from_millis(2);
const MOVE_PAUSE_MAX: Duration = Duration::from_millis(100);

/// The bytes of a command's arguments.
pub(crate) fn bytes_of(command: &Cmd) -> usize {
    let bytes = |argument: Arg<&[u8]>| match argument {
        Arg::Simple(bytes) => bytes.len(),
        _ => 0,
    };
    command.args_iter().map(bytes).sum()
}

/// A dedicated connection, or the connection that all single calls of a process share.
///
/// Clones share it. As long as it lives, what one task asks through them reaches the server in
/// the order in which the requests were first polled. A request that is dropped takes a dedicated
/// connection with it, and leaves a shared connection to the other callers.
#[derive(Clone)]
pub(crate) struct Reconnecting {
    connector: Connector,
    cell: Arc<ConnectionCell>,
    patience: Duration,
    kind: Kind,
    /// When the caller gives up.
    until: Option<Instant>,
}

/// The connection that all single calls of a process share.
#[derive(Clone, Default)]
pub(crate) struct SharedConnection(OfProcess<ConnectionCell>);

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Dedicated,
    /// For commands that block on the server: how long these take says nothing of the line.
    Blocking,
    Shared,
}

impl Reconnecting {
    /// A connection of its own. `patience` is how long an answer to a small request may take on
    /// a line that is not known to be slow.
    pub(crate) fn new(connector: Connector, patience: Duration) -> Self {
        Self::with(connector, Arc::default(), patience, Kind::Dedicated)
    }

    /// A connection of its own for blocking commands. `patience` includes the time that the
    /// server blocks.
    pub(crate) fn blocking(connector: Connector, patience: Duration) -> Self {
        Self::with(connector, Arc::default(), patience, Kind::Blocking)
    }

    pub(crate) fn shared(
        connector: Connector,
        shared: &SharedConnection,
        patience: Duration,
    ) -> Self {
        Self::with(connector, shared.0.get(), patience, Kind::Shared)
    }

    /// The same, for a caller that waits no longer than this, whatever happens.
    pub(crate) fn until(self, until: Instant) -> Self {
        let until = Some(until);
        Self { until, ..self }
    }

    fn with(
        connector: Connector,
        cell: Arc<ConnectionCell>,
        patience: Duration,
        kind: Kind,
    ) -> Self {
        Self {
            connector,
            cell,
            patience,
            kind,
            until: None,
        }
    }

    /// Makes the connection, if there is none, and says its number. Whatever
    /// this ends with, nothing was sent.
    pub(crate) async fn connect(&self) -> Result<u64, Trouble> {
        if let Some(slot) = self.slot_of_shared() {
            let finding: Pin<Box<dyn Future<Output = _> + Send + '_>> =
                Box::pin(slot.cluster.owner(slot.number));
            let (_, owner): (_, Connector) = finding.await?;
            let open = owner.shared().connection().await;
            return open.map(|open| open.number).map_err(Trouble::in_cluster);
        }
        self.connection().await.map(|open| open.number)
    }

    /// Sends a command that waits on the server, for no longer than `patience`, through the connection of this number. If that is
    /// gone, nothing is sent.
    pub(crate) async fn request_on(
        &self,
        number: u64,
        command: &Cmd,
        patience: Duration,
    ) -> Result<Value, Trouble> {
        match self.cell.open() {
            Some(open) if open.number == number => {
                let waiting = Self {
                    patience,
                    kind: Kind::Blocking,
                    ..self.clone()
                };
                waiting.try_request(command).await
            }
            _ => Err(Trouble::Closed),
        }
    }

    async fn connection(&self) -> Result<Numbered, Trouble> {
        if let Some(open) = self.cell.open() {
            return Ok(open);
        }
        // Boxed, to keep the futures of the callers small.
        let connecting: Pin<Box<dyn Future<Output = _> + Send + '_>> =
            Box::pin(self.connect_in_turn(Instant::now()));
        let Some(until) = self.until else {
            return connecting.await;
        };
        let in_time = timeout_at(until.into(), connecting).await;
        in_time.unwrap_or_else(|_| {
            let address = self.connector.address();
            let why = format!("no connection to Redis at {address} could be made in time");
            Err(Trouble::Unreachable(why))
        })
    }

    async fn connect_in_turn(&self, asked: Instant) -> Result<Numbered, Trouble> {
        let mut failure = self.cell.connecting.lock().await;
        if let Some(open) = self.cell.open() {
            return Ok(open);
        }
        if let Some((began, trouble)) = &*failure
            && *began >= asked
        {
            return Err(trouble.clone());
        }
        let began = Instant::now();
        let made = match self.connector.connect().await {
            Ok(made) => made,
            Err(trouble) => {
                *failure = Some((began, trouble.clone()));
                return Err(trouble);
            }
        };
        let open = Numbered {
            connection: made.connection,
            renewal: made.renewal,
            number: self.cell.made.fetch_add(1, Ordering::Relaxed),
        };
        self.cell.heard(Instant::now());
        *self.cell.lock() = Some(open.clone());
        Ok(open)
    }

    /// Sends a command, and once more on a new connection if that is allowed. In a cluster it goes to the node that has
    /// the slot, wherever that is meanwhile.
    pub(crate) async fn request(&self, command: &Cmd, repeat: Repeat) -> Result<Value, Trouble> {
        let Some(slot) = self.connector.slot() else {
            return self.request_here(command, repeat).await;
        };
        // Boxed, to keep the futures of others small.
        let asking: Pin<Box<dyn Future<Output = _> + Send + '_>> =
            Box::pin(self.request_in_cluster(slot, command, repeat));
        asking.await
    }

    async fn request_here(&self, command: &Cmd, repeat: Repeat) -> Result<Value, Trouble> {
        let first = match self.try_request(command).await {
            Err(trouble) if repeat.allows(&trouble) => trouble,
            answer => return answer,
        };
        match self.try_request(command).await {
            // The second certainly did not run; of the first that is not known.
            Err(second) if first.may_have_run() && !second.may_have_run() => Err(first),
            answer => answer,
        }
    }

    /// What was refused because of a slot did not run, so it may be sent to another node. A caller who decides by itself has
    /// other calls under way, whose order is its own affair.
    async fn request_in_cluster(
        &self,
        slot: &Slot,
        command: &Cmd,
        repeat: Repeat,
    ) -> Result<Value, Trouble> {
        let end = Instant::now() + MOVE_FOR;
        let end = self.until.map_or(end, |until| until.min(end));
        let mut pause = MOVE_PAUSE;
        loop {
            let answer = match self.slot_of_shared() {
                None => self.request_here(command, repeat).await,
                Some(_) => self.request_at_owner(slot, command, repeat).await,
            };
            match answer {
                Err(Trouble::Refused(Refusal::Moving, _) | Trouble::Unreachable(_))
                    if repeat != Repeat::Never && Instant::now() + pause < end =>
                {
                    sleep(pause).await;
                    pause = (pause * 2).min(MOVE_PAUSE_MAX);
                }
                answer => return answer,
            }
        }
    }

    /// Over the connection for single calls of the node that has the slot.
    async fn request_at_owner(
        &self,
        slot: &Slot,
        command: &Cmd,
        repeat: Repeat,
    ) -> Result<Value, Trouble> {
        let (_, owner) = slot.cluster.owner(slot.number).await?;
        let until = self.until;
        let link = Self {
            until,
            ..owner.shared()
        };
        let answer = link.request_here(command, repeat).await;
        slot.cluster.learned(slot.number, answer)
    }

    /// The slot, if this is the connection for single calls: in a cluster each node has such a connection, and a call uses the one to the node that has the slot.
    fn slot_of_shared(&self) -> Option<&Slot> {
        let slot = self.connector.slot();
        slot.filter(|_| self.kind == Kind::Shared)
    }

    /// Sends a command once.
    pub(crate) async fn try_request(&self, command: &Cmd) -> Result<Value, Trouble> {
        let answer = self.try_here(command).await;
        match self.connector.slot() {
            None => answer,
            Some(slot) => slot.cluster.learned(slot.number, answer),
        }
    }

    async fn try_here(&self, command: &Cmd) -> Result<Value, Trouble> {
        let Numbered {
            number,
            mut connection,
            ..
        } = self.connection().await?;
        let cell = &*self.cell;
        let mut request = Request::new(cell, number, bytes_of(command), self.kind == Kind::Shared);
        let began = Instant::now();
        let idle = began.saturating_duration_since(cell.last_heard());
        let is_suspect = idle >= SUSPECT && self.kind != Kind::Blocking;
        let patience = self.patience(began, is_suspect);
        let limit = match self.kind {
            Kind::Shared => PATIENCE_MAX,
            Kind::Dedicated | Kind::Blocking => patience,
        };
        connection.set_response_timeout(limit);
        let mut asking = pin!(connection.send_packed_command(command));
        // A closed connection refuses a command at once. On the thread that drives the connection,
        // nothing can have happened since the command was given to it: it was not sent.
        let at_once = poll_fn(|context| Poll::Ready(asking.as_mut().poll(context))).await;
        let was_refused = runtime::is_here()
            && matches!(&at_once, Poll::Ready(Err(error)) if error.is_connection_dropped());
        let answer = match at_once {
            Poll::Ready(answer) => answer.map_err(Some),
            Poll::Pending if self.kind == Kind::Shared => {
                let is_given_up = || is_suspect && !cell.is_open(number);
                self.wait(asking, began, patience, is_given_up).await
            }
            Poll::Pending => asking.await.map_err(Some),
        };
        let now = Instant::now();
        let answer = answer.and_then(|value| value.extract_error().map_err(Some));
        let error = match answer {
            Ok(value) => {
                request.keeps = true;
                self.answered(now - began, now);
                return Ok(value);
            }
            Err(error) => error,
        };
        if was_refused {
            cell.close(number);
            return Err(Trouble::Closed);
        }
        let is_late = error.as_ref().is_none_or(RedisError::is_timeout);
        let is_dead = cell.last_heard() <= began || !cell.is_open(number);
        let trouble = match is_late && is_suspect && is_dead {
            true => Trouble::Cut {
                why: format!("no answer within {patience:.1?} on a connection that was idle"),
                was_idle: true,
            },
            false => self.judge(error, began, patience),
        };
        match trouble.wants_new_connection(self.kind == Kind::Shared) {
            // Another answer has come meanwhile. So the connection is only slow, and others still
            // wait for answers on it.
            true if request.keeps && cell.last_heard() > began && is_late => {}
            true => {
                // Many callers may wait on one connection: only the first failure counts.
                if cell.close(number) && is_late {
                    cell.silent.fetch_add(1, Ordering::Relaxed);
                }
            }
            false => {
                request.keeps = true;
                self.answered(now - began, now);
            }
        }
        Err(trouble)
    }

    fn answered(&self, took: Duration, now: Instant) {
        match self.kind {
            Kind::Blocking => self.cell.heard(now),
            Kind::Dedicated | Kind::Shared => self.cell.answered(took, self.patience, now),
        }
    }

    /// How long an answer to what is sent now may take.
    fn patience(&self, now: Instant, is_suspect: bool) -> Duration {
        if self.kind == Kind::Blocking {
            return self.patience;
        }
        let cell = &self.cell;
        let doublings = cell.silent.load(Ordering::Relaxed).min(DOUBLINGS_MAX);
        let usual = match is_suspect {
            true => self.patience.min(SUSPECT_PATIENCE),
            false => self.patience,
        };
        let usual = usual.max(2 * cell.slowest(now));
        let bytes = cell.under_way.load(Ordering::Relaxed);
        let reading = Duration::from_millis((bytes * 1000 / BYTES_PER_SECOND) as u64);
        let patience = (usual + reading) * 2_u32.pow(doublings);
        let patience = patience.min(PATIENCE_MAX.max(self.patience));
        let left = self.until.map(|until| until.saturating_duration_since(now));
        left.map_or(patience, |left| left.min(patience))
    }

    /// Waits on a connection that others use, too: as long as they get answers, it is not dead.
    /// `None`: no answer in time.
    async fn wait(
        &self,
        mut asking: Pin<&mut impl Future<Output = RedisResult<Value>>>,
        began: Instant,
        patience: Duration,
        is_given_up: impl Fn() -> bool,
    ) -> Result<Value, Option<RedisError>> {
        let mut since = began;
        let longest = began + PATIENCE_MAX;
        let end = self.until.map_or(longest, |until| until.min(longest));
        loop {
            let until = (since + patience).min(end);
            let left = until.saturating_duration_since(Instant::now());
            if let Ok(answer) = timeout(left, asking.as_mut()).await {
                return answer.map_err(Some);
            }
            let heard = self.cell.last_heard();
            if heard <= since || until == end || is_given_up() {
                return Err(None);
            }
            since = heard;
        }
    }

    /// What the error means.
    fn judge(&self, error: Option<RedisError>, began: Instant, patience: Duration) -> Trouble {
        let timed_out = error.as_ref().is_none_or(RedisError::is_timeout);
        let mut trouble = match &error {
            Some(error) if !timed_out => Trouble::from_calling(error),
            _ => Trouble::timed_out(patience),
        };
        let idle = began.saturating_duration_since(self.cell.last_heard());
        // While a command waits on the server, its connection is as silent as an idle one.
        let while_blocked = self.kind == Kind::Blocking && began.elapsed() >= IDLE;
        if let Trouble::Cut { was_idle, .. } = &mut trouble {
            *was_idle = idle >= IDLE || while_blocked;
        }
        trouble
    }
}
