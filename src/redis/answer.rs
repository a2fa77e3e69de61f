//! What plain commands answer, which are no scripts.

use redis::aio::MultiplexedConnection;
use redis::{Cmd, Value};

use crate::redis::trouble::Trouble;

/// Asks on a connection that nobody else uses.
pub(crate) async fn ask(
    connection: &mut MultiplexedConnection,
    command: &Cmd,
) -> Result<Value, Trouble> {
    let answer = connection.send_packed_command(command).await;
    let answer = answer.and_then(Value::extract_error);
    answer.map_err(|error| Trouble::from_calling(&error))
}

pub(crate) fn text(value: &Value) -> Option<String> {
    match value {
        Value::BulkString(bytes) => Some(String::from_utf8_lossy(bytes).into_owned()),
        Value::SimpleString(text) => Some(text.clone()),
        Value::VerbatimString { text, .. } => Some(text.clone()),
        _ => None,
    }
}

/// Names and values, in either protocol: a map, or a list of one after the other. Nothing for another value.
pub(crate) fn pairs(value: Value) -> Vec<(Value, Value)> {
    match value {
        Value::Map(pairs) => pairs,
        Value::Array(values) => {
            let mut values = values.into_iter();
            std::iter::from_fn(|| Some((values.next()?, values.next()?))).collect()
        }
        _ => Vec::new(),
    }
}
