//! Calling Lua scripts, each of which is put together ([`linker`]) when it is first used.

use std::sync::OnceLock;
use std::time::{Duration, Instant};

use redis::{Arg, Cmd, Value};
use tokio::sync::Mutex;
use tokio::time::timeout;

use crate::redis::connection::{CALL_MAX, Connector};
use crate::redis::keys::{self, Keys};
use crate::redis::linker;
use crate::redis::of_process::OfProcess;
use crate::redis::reconnecting::Reconnecting;
use crate::redis::repeat::Repeat;
use crate::redis::trouble::{Refusal, Trouble};

/// How long a call waits for another one that brings the code to a server.
const TAUGHT_WITHIN: Duration = Duration::from_secs(1);

/// A verb's script.
pub(crate) struct Script {
    pub(crate) name: &'static str,
    /// The verb's own file.
    verb: &'static str,
    /// The part with which this script is made, if it is the second script of a verb.
    part: Option<&'static str>,
    loadable: OnceLock<Loadable>,
}

/// The code for the server, the hash by which the server knows it, and the keys that it needs.
pub(crate) struct Loadable {
    pub(crate) code: String,
    #[cfg(test)]
    body_at: usize,
    hash: String,
    parts: Vec<usize>,
    harmless: Harmless,
    /// Held by the call that brings the code to a server.
    teaching: OfProcess<Mutex<()>>,
}

/// Where a script that is stopped has certainly written nothing yet.
enum Harmless {
    /// It never writes.
    Everywhere,
    /// In this line, which reads the clock (`lib/now.lua`): that is the first thing that a script does. A user
    /// who may not call `TIME` is stopped there, before anything is written.
    ClockIn(usize),
    Nowhere,
}

impl Harmless {
    fn of(shebang: &str, code: &str) -> Self {
        if shebang.contains("no-writes") {
            return Self::Everywhere;
        }
        let reads_clock = |line: &str| line.contains("redis.call('TIME')");
        let line = code.lines().position(reads_clock);
        line.map_or(Self::Nowhere, |line| Self::ClockIn(line + 1))
    }

    fn includes(&self, line: usize) -> bool {
        match self {
            Self::Everywhere => true,
            Self::ClockIn(clock) => *clock == line,
            Self::Nowhere => false,
        }
    }
}

impl Script {
    pub(crate) const fn new(
        name: &'static str,
        verb: &'static str,
        part: Option<&'static str>,
    ) -> Self {
        Self {
            name,
            verb,
            part,
            loadable: OnceLock::new(),
        }
    }

    fn loadable(&self) -> &Loadable {
        self.loadable
            .get_or_init(|| self.with_body(&linker::link(self.verb, self.part)))
    }

    /// The fragments and the verb's own file.
    #[cfg(test)]
    pub(crate) fn body(&self) -> &str {
        let loadable = self.loadable();
        &loadable.code[loadable.body_at..]
    }

    /// The same script with another body.
    pub(crate) fn with_body(&self, body: &str) -> Loadable {
        let parts = keys::named_in(body);
        let shebang = linker::shebang(self.verb);
        let mut code = format!("{shebang}\n{}", keys::header(&parts));
        #[cfg(test)]
        let body_at = code.len();
        code.push_str(body);
        let hash = redis::Script::new(&code).get_hash().to_owned();
        let harmless = Harmless::of(shebang, &code);
        Loadable {
            code,
            #[cfg(test)]
            body_at,
            hash,
            parts,
            harmless,
            teaching: OfProcess::default(),
        }
    }
}

impl Loadable {
    /// `EVALSHA` with the keys of a queue, and no arguments yet.
    pub(crate) fn by_hash(&self, keys: &Keys) -> Cmd {
        let mut command = redis::cmd("EVALSHA");
        command.arg(&self.hash).arg(self.parts.len());
        for &part in &self.parts {
            command.arg(keys.at(part));
        }
        command
    }

    /// The same call with the code in place of its hash.
    pub(crate) fn by_code(&self, by_hash: &Cmd) -> Cmd {
        let mut command = redis::cmd("EVAL");
        command.arg(&self.code);
        for argument in by_hash.args_iter().skip(2) {
            if let Arg::Simple(bytes) = argument {
                command.arg(bytes);
            }
        }
        command
    }
}

/// `script!("verb")`: the script of `lua/<verb>.lua`; `script!("verb" with "part")`: another one of the same file, with
/// the fragments of a part that few calls need ([`linker`]).
///
/// The first line of the file tells Redis what the script may do: `#!lua` for a verb that adds work, which a full Redis
/// refuses; `#!lua flags=allow-oom` for one that ends, trims or recovers work, which a full Redis must not refuse;
/// `#!lua flags=no-writes` for one that only reads, unless a replica must not answer.
macro_rules! script {
    (@file $verb:literal) => {
        include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/lua/", $verb, ".lua"))
    };
    ($verb:literal) => {
        $crate::redis::script::Script::new($verb, script!(@file $verb), None)
    };
    // A script that few calls need has all parts in it.
    ($verb:literal in full) => {
        $crate::redis::script::Script::new($verb, script!(@file $verb), Some("all"))
    };
    ($verb:literal with $part:literal) => {
        $crate::redis::script::Script::new(
            concat!($verb, " with ", $part),
            script!(@file $verb),
            Some($part),
        )
    };
}
pub(crate) use script;

/// Where a command can be sent.
pub(crate) trait Requester {
    /// `repeat` says when it may be sent twice.
    async fn send(&mut self, command: &Cmd, repeat: Repeat) -> Result<Value, Trouble>;
}

impl Requester for Reconnecting {
    async fn send(&mut self, command: &Cmd, repeat: Repeat) -> Result<Value, Trouble> {
        self.request(command, repeat).await
    }
}

/// The connection that all single calls share, for a call that has to end by then.
pub(crate) struct Single<'a> {
    pub(crate) connector: &'a Connector,
    pub(crate) until: Instant,
}

impl Requester for Single<'_> {
    async fn send(&mut self, command: &Cmd, repeat: Repeat) -> Result<Value, Trouble> {
        let asking = self.connector.request_until(self.until, command, repeat);
        asking.await
    }
}

/// The same, for one command.
impl Requester for &Connector {
    async fn send(&mut self, command: &Cmd, repeat: Repeat) -> Result<Value, Trouble> {
        let until = Instant::now() + CALL_MAX;
        self.request_until(until, command, repeat).await
    }
}

/// One call of a script, ready to be sent, and to be sent again.
pub(crate) struct Call {
    script: &'static Loadable,
    command: Cmd,
}

impl Call {
    /// A call for one queue; the caller appends `ARGV` to [`arguments`](Self::arguments).
    pub(crate) fn new(script: &'static Script, keys: &Keys) -> Self {
        let script = script.loadable();
        let command = script.by_hash(keys);
        Self { script, command }
    }

    pub(crate) fn arguments(&mut self) -> &mut Cmd {
        &mut self.command
    }

    /// Sends it by the script's hash; a server that does not know the hash (it was restarted,
    /// or its scripts were flushed) gets the code, and then knows the script again.
    pub(crate) async fn send(
        &self,
        via: &mut impl Requester,
        repeat: Repeat,
    ) -> Result<Value, Trouble> {
        let answer = match via.send(&self.command, repeat).await {
            Err(Trouble::Refused(Refusal::UnknownScript, _)) => {
                // Boxed, to keep the futures of the callers small: it is rare.
                Box::pin(self.teach(via, repeat)).await
            }
            answer => answer,
        };
        answer.map_err(|trouble| trouble.in_script(|line| self.script.harmless.includes(line)))
    }

    /// Of many calls at once only the first brings the code, which is long: some scripts take a connection of their own. The
    /// others wait for it, and go by the hash again.
    async fn teach(&self, via: &mut impl Requester, repeat: Repeat) -> Result<Value, Trouble> {
        let teaching = self.script.teaching.get();
        let first = teaching.try_lock();
        if first.is_err() {
            // If it takes long, it may be another server that is slow.
            let _ = timeout(TAUGHT_WITHIN, teaching.lock()).await;
            match via.send(&self.command, repeat).await {
                Err(Trouble::Refused(Refusal::UnknownScript, _)) => {}
                answer => return answer,
            }
        }
        via.send(&self.script.by_code(&self.command), repeat).await
    }
}

/// What each verb needs, and nothing else.
static TRIAL: Script = Script::new("trial", "#!lua flags=no-writes,allow-oom\nreturn 0", None);

/// Whether scripts are run for this user, and may read the clock. It changes nothing.
pub(crate) async fn try_one(mut via: &Connector) -> Result<(), Trouble> {
    let script = TRIAL.loadable();
    let mut command = redis::cmd("EVALSHA");
    command.arg(&script.hash).arg(0);
    let call = Call { script, command };
    call.send(&mut via, Repeat::Always).await.map(|_| ())
}

/// Sends the text of a script that has no keys and writes nothing, for what is asked rarely.
pub(crate) async fn ask<'a>(
    via: &Connector,
    code: &str,
    args: impl Iterator<Item = &'a str>,
) -> Result<Value, Trouble> {
    let mut command = redis::cmd("EVAL");
    command.arg(code).arg(0);
    for arg in args {
        command.arg(arg);
    }
    via.request(&command).await
}
