//! Taking a script's tagged reply apart, front to back.

use redis::Value;

use crate::redis::trouble::Trouble;

/// A reply: a tag, the server's time, and what the tag says follows.
pub(crate) struct Reply {
    verb: &'static str,
    tag: String,
    now_ms: u64,
    rest: std::vec::IntoIter<Value>,
}

impl Reply {
    pub(crate) fn new(verb: &'static str, value: Value) -> Result<Self, Trouble> {
        let Value::Array(values) = value else {
            return Err(garbled(verb, "an array", &value));
        };
        let mut reply = Self {
            verb,
            tag: String::new(),
            now_ms: 0,
            rest: values.into_iter(),
        };
        reply.tag = reply.text()?;
        reply.now_ms = reply.number()?;
        Ok(reply)
    }

    pub(crate) fn tag(&self) -> &str {
        &self.tag
    }

    /// The server's time when the script ran.
    pub(crate) fn now_ms(&self) -> u64 {
        self.now_ms
    }

    /// Whether all of it has been taken.
    pub(crate) fn is_over(&self) -> bool {
        self.rest.len() == 0
    }

    pub(crate) fn unexpected_tag<T>(&self) -> Result<T, Trouble> {
        Err(Trouble::Garbled(format!(
            "`{}` answered `{}`, which this version does not know",
            self.verb, self.tag
        )))
    }

    pub(crate) fn number(&mut self) -> Result<u64, Trouble> {
        let value = self.next();
        number(&value).ok_or_else(|| garbled(self.verb, "a number", &value))
    }

    pub(crate) fn signed(&mut self) -> Result<i64, Trouble> {
        match self.next() {
            Value::Int(n) => Ok(n),
            other => Err(garbled(self.verb, "a number", &other)),
        }
    }

    /// A number; negative means `None`.
    pub(crate) fn optional_number(&mut self) -> Result<Option<u64>, Trouble> {
        match self.next() {
            Value::Int(n) => Ok(u64::try_from(n).ok()),
            other => Err(garbled(self.verb, "a number", &other)),
        }
    }

    pub(crate) fn text(&mut self) -> Result<String, Trouble> {
        let value = self.next();
        text(value).map_err(|value| garbled(self.verb, "text", &value))
    }

    pub(crate) fn bytes(&mut self) -> Result<Vec<u8>, Trouble> {
        match self.next() {
            Value::BulkString(bytes) => Ok(bytes),
            other => Err(garbled(self.verb, "bytes", &other)),
        }
    }

    /// Bytes; empty means `None`.
    pub(crate) fn optional_bytes(&mut self) -> Result<Option<Vec<u8>>, Trouble> {
        Ok(Some(self.bytes()?).filter(|bytes| !bytes.is_empty()))
    }

    pub(crate) fn list(&mut self) -> Result<Vec<Value>, Trouble> {
        match self.next() {
            Value::Array(values) => Ok(values),
            other => Err(garbled(self.verb, "a list", &other)),
        }
    }

    /// Positions in what was sent, from 0.
    pub(crate) fn positions(&mut self) -> Result<Vec<usize>, Trouble> {
        let values = self.list()?;
        Ok(numbers(self.verb, values)?
            .into_iter()
            .map(|n| n as usize)
            .collect())
    }

    pub(crate) fn texts(&mut self) -> Result<Vec<String>, Trouble> {
        let values = self.list()?;
        texts(self.verb, values)
    }

    /// A list of texts that are pairs, two and two.
    pub(crate) fn text_pairs(&mut self) -> Result<Vec<(String, String)>, Trouble> {
        let mut texts = self.texts()?.into_iter();
        Ok(std::iter::from_fn(|| Some((texts.next()?, texts.next()?))).collect())
    }

    /// A number, and then that many values. It is not sent as a list, because a list in the list
    /// costs the server as much as a dozen numbers.
    fn flat(&mut self) -> Result<Vec<Value>, Trouble> {
        let count = self.number()? as usize;
        if count > self.rest.len() {
            let found = Value::Int(self.rest.len() as i64);
            return Err(garbled(self.verb, &format!("{count} values"), &found));
        }
        Ok(self.rest.by_ref().take(count).collect())
    }

    pub(crate) fn flat_numbers(&mut self) -> Result<Vec<u64>, Trouble> {
        let values = self.flat()?;
        numbers(self.verb, values)
    }

    /// Positions in what was sent, from 0.
    pub(crate) fn flat_positions(&mut self) -> Result<Vec<usize>, Trouble> {
        Ok(self
            .flat_numbers()?
            .into_iter()
            .map(|n| n as usize)
            .collect())
    }

    /// A list of texts or numbers, each of which stands for something.
    pub(crate) fn flat_parsed<T>(
        &mut self,
        what: &str,
        parse: impl Fn(&str) -> Option<T>,
    ) -> Result<Vec<T>, Trouble> {
        let values = self.flat()?;
        let parsed = |value: Value| {
            let shown = match number(&value) {
                Some(number) => Some(number.to_string()),
                None => text(value.clone()).ok(),
            };
            let parsed = shown.as_deref().and_then(&parse);
            parsed.ok_or_else(|| garbled(self.verb, what, &value))
        };
        values.into_iter().map(parsed).collect()
    }

    pub(crate) fn flat_texts(&mut self) -> Result<Vec<String>, Trouble> {
        let values = self.flat()?;
        texts(self.verb, values)
    }

    /// The next of the entries at the end of a reply: a position, a name, and bytes; `None` when there is no more.
    pub(crate) fn extra(&mut self) -> Result<Option<(usize, String, Vec<u8>)>, Trouble> {
        if self.rest.len() == 0 {
            return Ok(None);
        }
        Ok(Some((self.number()? as usize, self.text()?, self.bytes()?)))
    }

    /// Values by their positions in what was sent, from 0: the last thing in a reply, and only there if there are any.
    pub(crate) fn by_position_if_any(&mut self) -> Result<Vec<(usize, Vec<u8>)>, Trouble> {
        if self.rest.len() == 0 {
            return Ok(Vec::new());
        }
        let mut pairs = Vec::new();
        let mut values = self.list()?.into_iter();
        while let Some(position) = values.next() {
            let position =
                number(&position).ok_or_else(|| garbled(self.verb, "a position", &position))?;
            match values.next() {
                Some(Value::BulkString(bytes)) => pairs.push((position as usize, bytes)),
                other => {
                    let other = other.unwrap_or(Value::Nil);
                    return Err(garbled(self.verb, "bytes", &other));
                }
            }
        }
        Ok(pairs)
    }

    /// A flat list of names and numbers.
    pub(crate) fn named_numbers(&mut self) -> Result<Vec<(String, u64)>, Trouble> {
        let values = self.list()?;
        let mut pairs = Vec::with_capacity(values.len() / 2);
        let mut values = values.into_iter();
        while let (Some(name), Some(value)) = (values.next(), values.next()) {
            let name = text(name).map_err(|value| garbled(self.verb, "a name", &value))?;
            let number = number(&value).ok_or_else(|| garbled(self.verb, "a number", &value))?;
            pairs.push((name, number));
        }
        Ok(pairs)
    }

    /// A flat list of names and texts.
    pub(crate) fn named_texts(&mut self) -> Result<Vec<(String, String)>, Trouble> {
        let values = self.list()?;
        let mut pairs = Vec::with_capacity(values.len() / 2);
        let mut values = values.into_iter();
        while let (Some(name), Some(value)) = (values.next(), values.next()) {
            // What is no text was written by another program.
            if let (Ok(name), Ok(value)) = (text(name), text(value)) {
                pairs.push((name, value));
            }
        }
        Ok(pairs)
    }

    fn next(&mut self) -> Value {
        self.rest.next().unwrap_or(Value::Nil)
    }
}

fn numbers(verb: &str, values: Vec<Value>) -> Result<Vec<u64>, Trouble> {
    let to_number = |value: Value| number(&value).ok_or_else(|| garbled(verb, "a number", &value));
    values.into_iter().map(to_number).collect()
}

fn texts(verb: &str, values: Vec<Value>) -> Result<Vec<String>, Trouble> {
    let to_text = |value: Value| text(value).map_err(|value| garbled(verb, "text", &value));
    values.into_iter().map(to_text).collect()
}

fn number(value: &Value) -> Option<u64> {
    match value {
        Value::Int(n) => u64::try_from(*n).ok(),
        Value::BulkString(bytes) => std::str::from_utf8(bytes).ok()?.parse().ok(),
        _ => None,
    }
}

fn text(value: Value) -> Result<String, Value> {
    match value {
        Value::BulkString(bytes) => {
            String::from_utf8(bytes).map_err(|error| Value::BulkString(error.into_bytes()))
        }
        Value::SimpleString(text) => Ok(text),
        other => Err(other),
    }
}

fn garbled(verb: &str, wanted: &str, found: &Value) -> Trouble {
    let mut shown = format!("{found:?}");
    if shown.len() > 80 {
        shown.truncate(shown.floor_char_boundary(80));
        shown.push('…');
    }
    Trouble::Garbled(format!("`{verb}` answered {shown} where {wanted} belongs"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bulk(text: &str) -> Value {
        Value::BulkString(text.as_bytes().to_vec())
    }

    #[test]
    fn takes_a_reply_apart() {
        let value = Value::Array(vec![
            bulk("added"),
            Value::Int(7),
            Value::Array(vec![bulk("a"), Value::Int(1), bulk("b"), bulk("2")]),
            Value::Array(vec![bulk("c"), bulk("x"), bulk("d"), Value::Nil]),
            Value::Int(-3),
            Value::Int(-1),
        ]);
        let mut reply = Reply::new("test", value).unwrap();
        assert_eq!((reply.tag(), reply.now_ms()), ("added", 7));
        let pair = |name: &str, value| (name.to_owned(), value);
        assert_eq!(reply.named_numbers().unwrap(), [pair("a", 1), pair("b", 2)]);
        let texts = reply.named_texts().unwrap();
        assert_eq!(texts, [("c".to_owned(), "x".to_owned())]);
        assert_eq!(reply.signed().unwrap(), -3);
        assert_eq!(reply.optional_number().unwrap(), None);
    }

    #[test]
    fn nonsense_is_an_error_that_names_the_verb() {
        for value in [
            Value::Nil,
            Value::Array(vec![]),
            Value::Array(vec![bulk("tag"), bulk("not a number")]),
            Value::Array(vec![Value::BulkString(vec![0xff]), Value::Int(1)]),
        ] {
            let error = Reply::new("advance", value).err().unwrap();
            assert!(error.to_string().contains("advance"), "{error}");
        }
    }
}
