//! A headless Chromium, spoken to by the DevTools protocol: JSON texts, each ended by a zero byte, over a pipe. So nobody else can speak to
//! it, and it ends by itself when this process does.

use std::collections::HashMap;
use std::path::Path;
use std::process::Stdio;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};
use tokio::sync::oneshot;

use crate::page::Heard;

/// How long one answer of the browser may take, on a machine that is busy with other tests.
const PATIENCE: Duration = Duration::from_secs(60);

/// Standard input and output of the shell become the two pipes that Chromium reads and writes, 3 and 4; the browser takes the place of
/// the shell, and keeps its id.
const LAUNCH: &str = r#"exec "$0" "$@" 3<&0 4>&1 0</dev/null 1>/dev/null"#;

/// What it is started with. There is no sandbox, because it shows nothing but our own pages, and tests may run as root.
const OPTIONS: [&str; 13] = [
    "--headless=new",
    "--remote-debugging-pipe",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--disable-extensions",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
    "--hide-scrollbars=false",
    "--lang=en",
    // Nothing but this computer can be reached.
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
];

/// The browser. It ends when this value is dropped.
pub(crate) struct Browser {
    child: Child,
    devtools: Devtools,
    _profile: TempDir,
}

/// What it says to whom; shared by all pages.
#[derive(Clone)]
pub(crate) struct Devtools(Arc<Shared>);

struct Shared {
    to_browser: tokio::sync::Mutex<ChildStdin>,
    last_id: AtomicU64,
    waiting: Mutex<HashMap<u64, oneshot::Sender<Result<Value, String>>>>,
    sessions: Mutex<HashMap<String, Arc<Mutex<Heard>>>>,
}

fn lock<T>(of: &Mutex<T>) -> MutexGuard<'_, T> {
    of.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Browser {
    pub(crate) fn start(program: &Path) -> Self {
        let profile = tempfile::Builder::new()
            .prefix("oxcart-browser-")
            .tempdir()
            .expect("the system's temp folder is writable");
        let mut command = Command::new("sh");
        command.args(["-c", LAUNCH]).arg(program).args(OPTIONS);
        command.arg(format!("--user-data-dir={}", profile.path().display()));
        command.stdin(Stdio::piped()).stdout(Stdio::piped());
        command.stderr(Stdio::null()).kill_on_drop(true);
        let mut child = command.spawn().expect("there is a shell");
        let to_browser = child.stdin.take().expect("it is piped");
        let from_browser = child.stdout.take().expect("it is piped");
        let shared = Arc::new(Shared {
            to_browser: tokio::sync::Mutex::new(to_browser),
            last_id: AtomicU64::new(0),
            waiting: Mutex::default(),
            sessions: Mutex::default(),
        });
        tokio::spawn(hear(Arc::clone(&shared), from_browser));
        Self {
            child,
            devtools: Devtools(shared),
            _profile: profile,
        }
    }

    pub(crate) fn devtools(&self) -> &Devtools {
        &self.devtools
    }

    /// Ends the browser, and waits until it has: its folder is removed afterwards.
    pub(crate) async fn end(mut self) {
        self.child.kill().await.expect("a child can be killed");
    }
}

impl Devtools {
    /// Calls a method of the browser, or of the page with this session.
    pub(crate) async fn call(
        &self,
        session: Option<&str>,
        method: &str,
        params: Value,
    ) -> Result<Value, String> {
        let id = self.0.last_id.fetch_add(1, Ordering::Relaxed) + 1;
        let mut call = json!({ "id": id, "method": method, "params": params });
        if let Some(session) = session {
            call["sessionId"] = session.into();
        }
        let (answer, answered) = oneshot::channel();
        lock(&self.0.waiting).insert(id, answer);
        let text = format!("{call}\0");
        let sent = async {
            let mut to_browser = self.0.to_browser.lock().await;
            to_browser.write_all(text.as_bytes()).await
        };
        sent.await.map_err(|error| format!("{method}: {error}"))?;
        match tokio::time::timeout(PATIENCE, answered).await {
            Ok(Ok(answer)) => answer.map_err(|error| format!("{method}: {error}")),
            Ok(Err(_)) => Err(format!("{method}: the browser has ended")),
            Err(_) => Err(format!("{method}: no answer within {PATIENCE:?}")),
        }
    }

    /// What the page with this session says goes there.
    pub(crate) fn listen(&self, session: &str, heard: Arc<Mutex<Heard>>) {
        lock(&self.0.sessions).insert(session.to_owned(), heard);
    }
}

async fn hear(shared: Arc<Shared>, from_browser: ChildStdout) {
    let mut from_browser = BufReader::new(from_browser);
    let mut text = Vec::new();
    while let Ok(1..) = from_browser.read_until(0, &mut text).await {
        text.pop();
        let said: Value = serde_json::from_slice(&text).expect("the browser speaks JSON");
        text.clear();
        if let Some(id) = said["id"].as_u64() {
            let answer = lock(&shared.waiting).remove(&id);
            let result = match said["error"].is_null() {
                true => Ok(said["result"].clone()),
                false => Err(said["error"].to_string()),
            };
            // Nobody waits any more for a call that took too long.
            let _ = answer.map(|answer| answer.send(result));
        } else if let (Some(session), Some(method)) =
            (said["sessionId"].as_str(), said["method"].as_str())
        {
            let heard = lock(&shared.sessions).get(session).cloned();
            if let Some(heard) = heard {
                lock(&heard).hear(method, &said["params"]);
            }
        }
    }
    lock(&shared.waiting).clear();
}
