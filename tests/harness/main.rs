//! The test support itself: a harness that does not break what it says it breaks proves nothing.

#[path = "../support/mod.rs"]
mod support;

mod processes;
mod protocol;
mod proxy;
mod servers;
mod waiting;

use std::time::Duration;

use redis::{Connection, RedisResult};

const SOON: Duration = Duration::from_secs(10);
/// Long enough to tell "never" from "a little later".
const NEVER: Duration = Duration::from_millis(200);

/// A connection that waits for a reply as long as it takes.
fn connect(url: &str) -> RedisResult<Connection> {
    redis::Client::open(url)?.get_connection_with_timeout(SOON)
}

/// From here on it gives up waiting for a reply after [`NEVER`].
fn make_impatient(connection: &Connection) {
    connection
        .set_read_timeout(Some(NEVER))
        .expect("a timeout above zero");
}

/// A call that counts as a script, and shows afterwards whether it ran.
fn count(connection: &mut Connection) -> RedisResult<i64> {
    redis::cmd("EVAL")
        .arg("return redis.call('INCR', KEYS[1])")
        .arg(1)
        .arg("counter")
        .query(connection)
}

fn ping(connection: &mut Connection) -> RedisResult<String> {
    redis::cmd("PING").query(connection)
}
