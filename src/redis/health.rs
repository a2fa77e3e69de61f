//! What a Redis must be, checked once when connecting: new enough is a must; what endangers
//! jobs is only warned about, because it may be meant.

use redis::Value;
use tracing::warn;

use crate::error::{Error, ErrorKind};
use crate::redis::connection::Connector;
use crate::redis::trouble::{Refusal, Trouble};

const REDIS_MIN: (u64, u64) = (7, 0);

/// Connects, and looks at what answers.
pub(crate) async fn check(connector: &Connector) -> Result<(), Error> {
    let info = match connector.request(redis::cmd("INFO").arg("all")).await {
        Ok(value) => text(&value).unwrap_or_default(),
        Err(trouble) => return Err(not_usable(connector, trouble)),
    };
    let field = |name: &str| {
        info.lines()
            .find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))
            .map(str::trim)
    };
    let Some(version) = field("redis_version") else {
        return Err(Error::new(
            ErrorKind::Unsuitable,
            format!(
                "what answers at {} does not say that it is a Redis; oxcart needs Redis 7.0 or \
                 newer, or Valkey 7.2 or newer",
                connector.address()
            ),
        ));
    };
    if parse_version(version) < Some(REDIS_MIN) {
        return Err(Error::new(
            ErrorKind::Unsuitable,
            format!(
                "the Redis at {} has version {version}; oxcart needs Redis 7.0 or newer, or \
                 Valkey 7.2 or newer",
                connector.address()
            ),
        ));
    }
    warn_of_eviction(connector, field("maxmemory"), field("maxmemory_policy"));
    warn_of_no_persistence(connector, field("aof_enabled")).await;
    Ok(())
}

fn warn_of_eviction(connector: &Connector, limit: Option<&str>, policy: Option<&str>) {
    if let (Some(limit), Some(policy)) = (limit, policy)
        && policy != "noeviction"
    {
        warn!(
            address = connector.address(),
            maxmemory = limit,
            policy,
            "Redis may evict keys when its memory is full, and jobs with them; set \
             `maxmemory-policy noeviction`"
        );
    }
}

/// Many hosted servers forbid `CONFIG`; then nothing is said.
async fn warn_of_no_persistence(connector: &Connector, append_only: Option<&str>) {
    if append_only == Some("1") {
        return;
    }
    let snapshots = connector
        .request(redis::cmd("CONFIG").arg("GET").arg("save"))
        .await;
    if let Ok(Value::Array(pair)) = snapshots
        && pair
            .get(1)
            .and_then(text)
            .is_some_and(|save| save.is_empty())
    {
        warn!(
            address = connector.address(),
            "Redis keeps nothing on disk: a restart loses every job; set `appendonly yes`"
        );
    }
}

fn not_usable(connector: &Connector, trouble: Trouble) -> Error {
    if let Trouble::Untrusted(_) = trouble {
        return trouble.into();
    }
    let address = connector.address();
    let (kind, hint) = match &trouble {
        Trouble::Refused(Refusal::NotAllowed, _) => (
            ErrorKind::Unsuitable,
            "check user, password and permissions",
        ),
        Trouble::Refused(..) => (ErrorKind::Refused, "it may pass by itself"),
        Trouble::Unreachable(_)
        | Trouble::Closed
        | Trouble::Unanswered(_)
        | Trouble::Cut { .. } => (
            ErrorKind::Unreachable,
            "check that it runs and that the address is right",
        ),
        Trouble::Stranger(_) | Trouble::Untrusted(_) | Trouble::Garbled(_) => (
            ErrorKind::Unsuitable,
            "check that it is a Redis that listens there",
        ),
    };
    let text = trouble.to_string();
    let text = match text.contains(address) {
        true => format!("{text}; {hint}"),
        false => format!("Redis at {address} cannot be used: {text}; {hint}"),
    };
    Error::new(kind, text)
}

fn parse_version(version: &str) -> Option<(u64, u64)> {
    let mut parts = version.split('.').map(|part| part.parse().ok());
    Some((parts.next()??, parts.next()??))
}

fn text(value: &Value) -> Option<String> {
    match value {
        Value::BulkString(bytes) => Some(String::from_utf8_lossy(bytes).into_owned()),
        Value::SimpleString(text) => Some(text.clone()),
        Value::VerbatimString { text, .. } => Some(text.clone()),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_compared_as_numbers() {
        assert!(parse_version("6.2.14") < Some(REDIS_MIN));
        assert!(parse_version("7.0.0") >= Some(REDIS_MIN));
        assert!(parse_version("10.1") >= Some(REDIS_MIN));
        assert!(parse_version("what") < Some(REDIS_MIN));
    }
}
