//! The closed list of what can be done to a queue: one verb, one file, one script of the same
//! name. Every call to Redis goes through [`call`], which measures and reports it.
//!
//! A verb has two implementations: a script, and, for tests without Redis, `memory/`.

pub(crate) mod adopt;
pub(crate) mod advance;
pub(crate) mod alert;
pub(crate) mod alert_round;
pub(crate) mod alerts;
pub(crate) mod attach;
pub(crate) mod audit;
pub(crate) mod backend;
pub(crate) mod breaker;
pub(crate) mod call_ended;
pub(crate) mod cancel;
pub(crate) mod children;
pub(crate) mod commit;
pub(crate) mod configure;
pub(crate) mod counts;
pub(crate) mod delete;
pub(crate) mod edit;
pub(crate) mod enqueue;
pub(crate) mod extend;
pub(crate) mod feed;
pub(crate) mod fire;
pub(crate) mod follow;
pub(crate) mod get;
pub(crate) mod group;
pub(crate) mod history;
pub(crate) mod import;
pub(crate) mod list;
pub(crate) mod log;
pub(crate) mod logs;
pub(crate) mod oldest;
pub(crate) mod orphans;
pub(crate) mod outbox;
pub(crate) mod owner;
pub(crate) mod pause;
pub(crate) mod pause_name;
pub(crate) mod permit;
pub(crate) mod progress;
pub(crate) mod promote;
pub(crate) mod publish;
pub(crate) mod receive;
pub(crate) mod recover;
pub(crate) mod remove;
pub(crate) mod replay;
pub(crate) mod replies;
pub(crate) mod report;
pub(crate) mod resume;
pub(crate) mod schedule;
pub(crate) mod schedules;
pub(crate) mod send_replies;
pub(crate) mod sent;
pub(crate) mod settings;
pub(crate) mod signal;
pub(crate) mod skip_undo;
pub(crate) mod spawn;
pub(crate) mod stage;
pub(crate) mod step;
pub(crate) mod steps;
pub(crate) mod subscribe;
pub(crate) mod subscribed;
pub(crate) mod tend;
pub(crate) mod topic;
pub(crate) mod trim;
pub(crate) mod undo;
pub(crate) mod unschedule;
pub(crate) mod unsubscribe;
pub(crate) mod watch;
pub(crate) mod workers;

use std::time::Instant;

use redis::Cmd;
use serde::Serialize;
use tracing::{debug, trace};

use crate::codec;
use crate::metrics;
use crate::redis::keys::Keys;
use crate::redis::repeat::Repeat;
use crate::redis::reply::Reply;
use crate::redis::script::{Call, Requester, Script};
use crate::redis::trouble::Trouble;

/// No call handles more jobs than this, at any backlog.
pub(crate) const BATCH_JOBS: usize = 256;
/// No call carries more than this, but for a single job that is larger.
pub(crate) const BATCH_BYTES: usize = 1024 * 1024;

/// Something that can be done to a queue, in one atomic call.
pub(crate) trait Verb {
    /// What the script answers.
    type Answer;

    /// Whether a call that ran may run again and gives the same answer. (A second run never does harm.)
    const ANSWERS_AGAIN: bool = true;

    fn script() -> &'static Script;

    /// The script for this call. A verb has a second script if few of its calls need keys that would cost
    /// all others something.
    fn script_of_call(&self) -> &'static Script {
        Self::script()
    }

    /// Appends `ARGV`.
    fn arguments(&self, arguments: &mut Cmd);

    fn answer(reply: Reply) -> Result<Self::Answer, Trouble>;
}

/// When a call of this verb may be sent twice.
fn repeat_of<V: Verb>() -> Repeat {
    match V::ANSWERS_AGAIN {
        true => Repeat::Always,
        false => Repeat::Unsent,
    }
}

/// Calls the script of a verb. All calls to Redis go through this function.
async fn call<V: Verb>(
    keys: &Keys,
    via: &mut impl Requester,
    verb: &V,
    repeat: Repeat,
) -> Result<V::Answer, Trouble> {
    let script = verb.script_of_call();
    let mut call = Call::new(script, keys);
    verb.arguments(call.arguments());
    let started = Instant::now();
    let answer = call.send(via, repeat).await;
    let took = started.elapsed();
    metrics::called(script.name, took, answer.is_ok());
    trace!(
        target: "oxcart::store",
        verb = script.name,
        micros = took.as_micros() as u64,
        ok = answer.is_ok(),
    );
    let answered = answer.and_then(|value| V::answer(Reply::new(script.name, value)?));
    if let Err(trouble) = &answered {
        debug!(target: "oxcart::store", verb = script.name, %trouble, "call failed");
    }
    answered
}

/// `ARGV[1]`: the named arguments.
fn named(arguments: &mut Cmd, names: &impl Serialize) {
    arguments.arg(codec::encode_plain(names));
}

/// For verbs without arguments.
#[derive(Serialize)]
struct NoArguments {}

#[cfg(test)]
mod tests;
