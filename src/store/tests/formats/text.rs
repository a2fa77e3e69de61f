//! What a queue holds as text: the commands that make it, one a line.

use std::collections::{BTreeMap, BTreeSet};

use redis::{Value, cmd};

use crate::redis::keys::PARTS;
use crate::store::tests::subject::InRedis;

/// The keys whose contents no later version needs: the last call of each lane, the wake-up token, and what workers have said and counted
/// lately, of which every version drops what it cannot read.
const PASSING: [&str; 5] = ["calls", "wake", "workers", "about", "history"];

/// Commands that make what a queue holds, one a line, in one order.
pub(super) fn commands(redis: &mut InRedis) -> String {
    let mut lines = Vec::new();
    let parts: BTreeSet<&str> = PARTS.iter().copied().collect();
    for part in parts.difference(&BTreeSet::from(PASSING)) {
        let key = redis.key(part);
        let kind: String = redis.ask(cmd("TYPE").arg(&key));
        let mut line = |verb: &str, words: &[&[u8]]| {
            let words: Vec<String> = words
                .iter()
                .map(|word| word.escape_ascii().to_string())
                .collect();
            lines.push(format!("{verb} {part} {}", words.join("\t")));
        };
        match kind.as_str() {
            "hash" => {
                let fields: BTreeMap<Vec<u8>, Vec<u8>> = redis.ask(cmd("HGETALL").arg(&key));
                fields
                    .iter()
                    .for_each(|(field, value)| line("HSET", &[field, value]));
            }
            "zset" => {
                let members: Vec<(Vec<u8>, String)> =
                    redis.ask(cmd("ZRANGE").arg(&key).arg(0).arg(-1).arg("WITHSCORES"));
                members
                    .iter()
                    .for_each(|(member, score)| line("ZADD", &[score.as_bytes(), member]));
            }
            "stream" => {
                let entries: Vec<(String, Vec<Vec<u8>>)> =
                    redis.ask(cmd("XRANGE").arg(&key).arg("-").arg("+"));
                for (id, fields) in &entries {
                    let id = if ["finished", "cancels"].contains(part) {
                        "1-1"
                    } else {
                        id
                    };
                    let fields = fields.iter().map(Vec::as_slice);
                    let words: Vec<&[u8]> = [id.as_bytes()].into_iter().chain(fields).collect();
                    line("XADD", &words);
                }
            }
            "none" => panic!("a queue with everything has {part}"),
            other => panic!("{part} is a {other}"),
        }
    }
    lines.join("\n") + "\n"
}

/// What `escape_ascii` has made of these bytes.
fn bytes(text: &str) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut rest = text.as_bytes();
    while let [first, after @ ..] = rest {
        let (byte, length) = match (first, after) {
            (b'\\', [b'x', digits @ ..]) => {
                let digits = std::str::from_utf8(&digits[..2]).unwrap();
                (u8::from_str_radix(digits, 16).unwrap(), 4)
            }
            (b'\\', [b'n', ..]) => (b'\n', 2),
            (b'\\', [b't', ..]) => (b'\t', 2),
            (b'\\', [b'r', ..]) => (b'\r', 2),
            (b'\\', [other, ..]) => (*other, 2),
            (byte, _) => (*byte, 1),
        };
        bytes.push(byte);
        rest = &rest[length..];
    }
    bytes
}

pub(super) fn load(redis: &mut InRedis, commands: &str) {
    redis.clear();
    for line in commands.lines() {
        let words: Vec<&str> = line.splitn(3, ' ').collect();
        let mut command = cmd(words[0]);
        command.arg(redis.key(words[1]));
        for word in words[2].split('\t') {
            command.arg(bytes(word));
        }
        let _: Value = redis.ask(&command);
    }
}
