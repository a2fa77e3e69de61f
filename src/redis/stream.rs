//! Reading streams: where they end, and what comes behind a place in them.

use std::time::Duration;

use redis::Value;

use crate::redis::connection::Connector;
use crate::redis::node::SILENT_MAX;
use crate::redis::reconnecting::Reconnecting;
use crate::redis::repeat::Repeat;
use crate::redis::script::Requester;
use crate::redis::trouble::Trouble;

const BLOCK: Duration = SILENT_MAX;
const GRACE: Duration = Duration::from_secs(1);

/// The two parts of an entry's id, which order the entries.
pub(crate) type EntryId = (u64, u64);

#[derive(Debug, Clone)]
pub(crate) struct Entry {
    pub(crate) id: EntryId,
    pub(crate) fields: Vec<(String, Vec<u8>)>,
}

/// A connection for [`read`], with the patience for an answer that blocks.
pub(crate) fn reader(connector: Connector) -> Reconnecting {
    Reconnecting::blocking(connector, BLOCK + GRACE)
}

/// The id of the last entry, if there is one.
pub(crate) async fn youngest(
    via: &mut impl Requester,
    stream: &str,
) -> Result<Option<EntryId>, Trouble> {
    let mut command = redis::cmd("XREVRANGE");
    command.arg(stream).arg("+").arg("-").arg("COUNT").arg(1);
    let Value::Array(entries) = via.send(&command, Repeat::Always).await? else {
        return Ok(None);
    };
    Ok(entries.into_iter().find_map(parse).map(|entry| entry.id))
}

/// The number of the last event, kept or not (`lib/emit.lua`).
pub(crate) async fn last_number(via: &mut impl Requester, meta: &str) -> Result<u64, Trouble> {
    let mut command = redis::cmd("HGET");
    command.arg(meta).arg("event");
    let number = match via.send(&command, Repeat::Always).await? {
        Value::BulkString(text) => String::from_utf8_lossy(&text).parse().ok(),
        _ => None,
    };
    Ok(number.unwrap_or(0))
}

/// Up to `count` entries behind `after`; waits up to 4.5 s for the first. Empty also if the connection was closed
/// while it was idle: that is no trouble, and the next read makes a new connection.
pub(crate) async fn read(
    link: &mut Reconnecting,
    stream: &str,
    after: EntryId,
    count: usize,
) -> Result<Vec<Entry>, Trouble> {
    let mut command = redis::cmd("XREAD");
    command.arg("COUNT").arg(count);
    command.arg("BLOCK").arg(BLOCK.as_millis() as u64);
    command.arg("STREAMS").arg(stream);
    command.arg(format!("{}-{}", after.0, after.1));
    match link.try_request(&command).await {
        Ok(answer) => Ok(entries(answer)),
        Err(trouble) if trouble.was_idle() => Ok(Vec::new()),
        Err(trouble) => Err(trouble),
    }
}

/// What an `XREAD` of one stream answered; nonsense is left out.
pub(crate) fn entries(value: Value) -> Vec<Entry> {
    entries_of(value).into_iter().filter_map(parse).collect()
}

/// The entries of the stream that was read, by either version of the protocol; none after a timeout.
fn entries_of(value: Value) -> Vec<Value> {
    let entries = match value {
        Value::Map(streams) => streams.into_iter().next().map(|(_, entries)| entries),
        Value::Array(streams) => match streams.into_iter().next() {
            Some(Value::Array(pair)) => pair.into_iter().nth(1),
            _ => None,
        },
        _ => None,
    };
    match entries {
        Some(Value::Array(entries)) => entries,
        _ => Vec::new(),
    }
}

fn parse(entry: Value) -> Option<Entry> {
    let Value::Array(pair) = entry else {
        return None;
    };
    let mut pair = pair.into_iter();
    let (Value::BulkString(id), Value::Array(values)) = (pair.next()?, pair.next()?) else {
        return None;
    };
    let id = String::from_utf8(id).ok()?;
    let (ms, sequence) = id.split_once('-')?;
    let mut fields = Vec::with_capacity(values.len() / 2);
    let mut values = values.into_iter();
    while let (Some(Value::BulkString(name)), Some(Value::BulkString(value))) =
        (values.next(), values.next())
    {
        fields.push((String::from_utf8_lossy(&name).into_owned(), value));
    }
    Some(Entry {
        id: (ms.parse().ok()?, sequence.parse().ok()?),
        fields,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bulk(text: &str) -> Value {
        Value::BulkString(text.as_bytes().to_vec())
    }

    #[test]
    fn entries_are_read_in_both_protocols_and_nonsense_is_left_out() {
        let entry = Value::Array(vec![
            bulk("17-3"),
            Value::Array(vec![bulk("added"), bulk("a b")]),
        ]);
        let entries = Value::Array(vec![entry, Value::Nil, Value::Array(vec![bulk("x")])]);
        let pair = Value::Array(vec![bulk("stream"), entries.clone()]);
        for answer in [
            Value::Array(vec![pair]),
            Value::Map(vec![(bulk("stream"), entries)]),
        ] {
            let read = super::entries(answer);
            assert_eq!(read.len(), 1);
            assert_eq!(read[0].id, (17, 3));
            assert_eq!(read[0].fields, [("added".to_owned(), b"a b".to_vec())]);
        }
        assert!(super::entries(Value::Nil).is_empty());
    }
}
