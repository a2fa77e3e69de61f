//! Who waits for which job in this process. One task per queue reads the announcements, and
//! only while somebody waits; it never reads the stream of all events.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use redis::Value;
use tokio::sync::watch;
use tokio::time::sleep;
use tracing::debug;

use crate::id::JobId;
use crate::redis::connection::{Connector, Link};
use crate::redis::trouble::Trouble;

const BLOCK: Duration = Duration::from_secs(5);
const GRACE: Duration = Duration::from_secs(1);
const PAUSE: Duration = Duration::from_millis(200);
/// How long a waiter waits for the task to start; after that it looks for itself now and then.
const START_PATIENCE: Duration = Duration::from_secs(1);

pub(crate) struct Results {
    connector: Connector,
    /// The stream of announcements.
    stream: String,
    shared: Arc<Shared>,
}

#[derive(Default)]
struct Shared {
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    waiters: HashMap<JobId, Waiters>,
    /// Says when the running task has found its place in the stream.
    task: Option<watch::Receiver<bool>>,
}

struct Waiters {
    count: usize,
    announced: watch::Sender<()>,
}

/// One waiter's place; gives it up when dropped.
pub(crate) struct Listening {
    id: JobId,
    announced: watch::Receiver<()>,
    shared: Arc<Shared>,
}

impl Listening {
    /// Completes when the job was announced since the last time. Cancel safe.
    pub(crate) async fn heard(&mut self) {
        // The sender lives as long as anybody listens.
        let _ = self.announced.changed().await;
    }
}

impl Drop for Listening {
    fn drop(&mut self) {
        let mut state = self.shared.lock();
        if let Some(waiters) = state.waiters.get_mut(&self.id) {
            waiters.count -= 1;
            if waiters.count == 0 {
                state.waiters.remove(&self.id);
            }
        }
    }
}

impl Shared {
    fn lock(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn announce(&self, ids: &[u8]) {
        let state = self.lock();
        for id in String::from_utf8_lossy(ids).split(' ') {
            if let Some(waiters) = state.waiters.get(&JobId::stored(id)) {
                waiters.announced.send_replace(());
            }
        }
    }
}

impl Results {
    pub(crate) fn new(connector: Connector, stream: String) -> Self {
        Self {
            connector,
            stream,
            shared: Arc::default(),
        }
    }

    /// Announcements of `id` are heard from here on.
    pub(crate) async fn listen(&self, id: &JobId) -> Listening {
        let (listening, mut started) = self.register(id);
        // A task that cannot reach Redis does not start; the waiter then looks for itself.
        let _ = tokio::time::timeout(START_PATIENCE, started.wait_for(|ready| *ready)).await;
        listening
    }

    fn register(&self, id: &JobId) -> (Listening, watch::Receiver<bool>) {
        let mut state = self.shared.lock();
        let waiters = state.waiters.entry(id.clone()).or_insert_with(|| Waiters {
            count: 0,
            announced: watch::Sender::new(()),
        });
        waiters.count += 1;
        let listening = Listening {
            id: id.clone(),
            announced: waiters.announced.subscribe(),
            shared: Arc::clone(&self.shared),
        };
        let running = state.task.clone().filter(|task| task.has_changed().is_ok());
        let started = running.unwrap_or_else(|| {
            let (ready, started) = watch::channel(false);
            state.task = Some(started.clone());
            let link = Link::new(self.connector.clone(), BLOCK + GRACE);
            let shared = Arc::clone(&self.shared);
            tokio::spawn(follow(shared, link, self.stream.clone(), ready));
            started
        });
        (listening, started)
    }
}

/// The task: from the end of the stream on, as long as anybody waits.
async fn follow(shared: Arc<Shared>, mut link: Link, stream: String, ready: watch::Sender<bool>) {
    let mut cursor = None;
    loop {
        {
            let mut state = shared.lock();
            if state.waiters.is_empty() {
                // Under the lock: whoever comes next starts another task.
                state.task = None;
                return;
            }
        }
        let step = match &cursor {
            None => find_end(&mut link, &stream).await.map(|end| {
                cursor = Some(end);
                ready.send_replace(true);
            }),
            Some(after) => read(&mut link, &stream, after).await.map(|entries| {
                for (id, ids) in entries {
                    shared.announce(&ids);
                    cursor = Some(id);
                }
            }),
        };
        if let Err(trouble) = step {
            debug!(%trouble, "waiting for results is held up");
            sleep(PAUSE).await;
        }
    }
}

async fn find_end(link: &mut Link, stream: &str) -> Result<String, Trouble> {
    let mut command = redis::cmd("XREVRANGE");
    command.arg(stream).arg("+").arg("-").arg("COUNT").arg(1);
    let Value::Array(entries) = link.request(&command).await? else {
        return Ok("0-0".to_owned());
    };
    let last = entries.into_iter().next().and_then(entry);
    Ok(last.map_or_else(|| "0-0".to_owned(), |(id, _)| id))
}

async fn read(
    link: &mut Link,
    stream: &str,
    after: &str,
) -> Result<Vec<(String, Vec<u8>)>, Trouble> {
    let mut command = redis::cmd("XREAD");
    command.arg("COUNT").arg(64).arg("BLOCK");
    command.arg(BLOCK.as_millis() as u64);
    command.arg("STREAMS").arg(stream).arg(after);
    Ok(entries_of(link.request(&command).await?)
        .into_iter()
        .filter_map(entry)
        .collect())
}

/// The entries of the one stream that was read; none after a timeout.
pub(crate) fn entries_of(value: Value) -> Vec<Value> {
    let stream = match value {
        Value::Array(streams) => streams.into_iter().next(),
        Value::Map(streams) => {
            return match streams.into_iter().next() {
                Some((_, Value::Array(entries))) => entries,
                _ => Vec::new(),
            };
        }
        _ => None,
    };
    match stream {
        Some(Value::Array(pair)) => match pair.into_iter().nth(1) {
            Some(Value::Array(entries)) => entries,
            _ => Vec::new(),
        },
        _ => Vec::new(),
    }
}

/// An announcement: its stream id and the job ids.
fn entry(value: Value) -> Option<(String, Vec<u8>)> {
    let Value::Array(pair) = value else {
        return None;
    };
    let mut pair = pair.into_iter();
    let (Value::BulkString(id), Value::Array(fields)) = (pair.next()?, pair.next()?) else {
        return None;
    };
    let Value::BulkString(ids) = fields.into_iter().nth(1)? else {
        return None;
    };
    Some((String::from_utf8(id).ok()?, ids))
}
