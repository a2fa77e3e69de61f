//! Lua scripts, composed at compile time from a verb's own file and the fragments it names.

use std::sync::OnceLock;

use redis::{Arg, Cmd, Value};

use crate::redis::connection::{Connector, Link};
use crate::redis::trouble::{Refusal, Trouble};

/// A script and the hash by which the server knows it.
pub(crate) struct Script {
    pub(crate) name: &'static str,
    code: &'static str,
    hash: OnceLock<String>,
}

impl Script {
    pub(crate) const fn new(name: &'static str, code: &'static str) -> Self {
        Self {
            name,
            code,
            hash: OnceLock::new(),
        }
    }

    fn hash(&self) -> &str {
        self.hash
            .get_or_init(|| redis::Script::new(self.code).get_hash().to_owned())
    }
}

/// `script!("verb", flags, ["fragment", ..], rarely ["fragment", ..])`: the fragments, then
/// `lua/<verb>.lua`. `flags` is `grows` for a verb that adds work, which a full Redis refuses,
/// `always` for one that ends, trims or recovers work, which it must not, and `reads`.
///
/// A fragment adds functions to the table `queue`. Lua makes them anew in each call, so those
/// that few calls need are made when the first of them is asked for.
macro_rules! script {
    (@flags grows) => { "" };
    (@flags always) => { " flags=allow-oom" };
    (@flags reads) => { " flags=no-writes" };
    (@file $path:expr) => { include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/lua/", $path, ".lua")) };
    (@fragments $($fragment:literal),*) => {
        concat!($(script!(@file concat!("lib/", $fragment)), "\n",)*)
    };
    (
        $name:literal, $flags:ident, [$($fragment:literal),* $(,)?]
        $(, rarely [$($rare:literal),* $(,)?])? $(,)?
    ) => {
        $crate::redis::script::Script::new(
            $name,
            concat!(
                "#!lua", script!(@flags $flags), "\n",
                $crate::redis::keys::key_header!(),
                "local queue = {}\n",
                script!(@fragments $($fragment),*),
                $(
                    "setmetatable(queue, { __index = function(_, name)\n",
                    "setmetatable(queue, nil)\n",
                    script!(@fragments $($rare),*),
                    "return queue[name]\nend })\n",
                )?
                script!(@file $name),
            ),
        )
    };
}
pub(crate) use script;

/// Where a command can be sent.
pub(crate) trait Requester {
    async fn send(&mut self, command: &Cmd) -> Result<Value, Trouble>;
}

impl Requester for Link {
    async fn send(&mut self, command: &Cmd) -> Result<Value, Trouble> {
        self.request(command).await
    }
}

/// Some pooled connection.
impl Requester for &Connector {
    async fn send(&mut self, command: &Cmd) -> Result<Value, Trouble> {
        self.request(command).await
    }
}

/// One call of a script, ready to be sent, and to be sent again.
pub(crate) struct Call {
    script: &'static Script,
    command: Cmd,
}

impl Call {
    /// A call with these `KEYS`; the caller appends `ARGV` to [`arguments`](Self::arguments).
    pub(crate) fn new(script: &'static Script, keys: &[String]) -> Self {
        let mut command = redis::cmd("EVALSHA");
        command.arg(script.hash()).arg(keys.len()).arg(keys);
        Self { script, command }
    }

    pub(crate) fn arguments(&mut self) -> &mut Cmd {
        &mut self.command
    }

    /// Sends it by the script's hash; a server that does not know the hash (it was restarted,
    /// or somebody flushed its scripts) gets the code, which it then knows again.
    pub(crate) async fn send(&self, via: &mut impl Requester) -> Result<Value, Trouble> {
        match via.send(&self.command).await {
            Err(Trouble::Refused(Refusal::UnknownScript, _)) => via.send(&self.with_code()).await,
            answer => answer,
        }
    }

    fn with_code(&self) -> Cmd {
        let mut command = redis::cmd("EVAL");
        command.arg(self.script.code);
        for argument in self.command.args_iter().skip(2) {
            if let Arg::Simple(bytes) = argument {
                command.arg(bytes);
            }
        }
        command
    }
}
