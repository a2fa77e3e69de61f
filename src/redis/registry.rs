//! The lists of queues and of topics: sets, so that listing them needs no scan of all keys.

use std::collections::BTreeSet;

use redis::{Cmd, Value};

use crate::redis::repeat::Repeat;
use crate::redis::script::Requester;
use crate::redis::trouble::Trouble;

/// What puts a name on this list.
pub(crate) fn entry(registry: &str, name: &str) -> Cmd {
    let mut command = redis::cmd("SADD");
    command.arg(registry).arg(name);
    command
}

/// What takes a name off this list.
pub(crate) fn removal(registry: &str, name: &str) -> Cmd {
    let mut command = redis::cmd("SREM");
    command.arg(registry).arg(name);
    command
}

/// The names on one of the lists.
pub(crate) async fn names(
    via: &mut impl Requester,
    registry: &str,
) -> Result<BTreeSet<String>, Trouble> {
    let mut command = redis::cmd("SMEMBERS");
    command.arg(registry);
    let members = match via.send(&command, Repeat::Always).await? {
        Value::Array(members) | Value::Set(members) => members,
        other => {
            return Err(Trouble::Garbled(format!(
                "the list of queues is no list but {other:?}"
            )));
        }
    };
    let name = |member| match member {
        Value::BulkString(name) => String::from_utf8(name).ok(),
        _ => None,
    };
    Ok(members.into_iter().filter_map(name).collect())
}
