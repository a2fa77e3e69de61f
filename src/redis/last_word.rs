//! What a server says when it closes a connection that it has just taken: that it has no room (`maxclients`), or that
//! it takes nobody from elsewhere (protected mode).
//!
//! It says that before anything was asked, and closes. redis-rs, which waits for several answers, reports only
//! that the connection was closed. So a connection is made once more, on which nothing is asked.

use std::time::Duration;

use redis::ConnectionAddr;
use tokio::io::{AsyncRead, AsyncReadExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

/// A server that has something to say says it at once.
const PATIENCE: Duration = Duration::from_millis(500);
/// That of protected mode has about 1 KiB.
const BYTES: u64 = 4096;
/// Enough for its first sentences.
const CHARS_MAX: usize = 300;

/// The words with which the server at this address turns clients away; none if it does not, or not any more. With
/// TLS it says nothing that could be read.
pub(crate) async fn last_word(address: &ConnectionAddr) -> Option<String> {
    let saying = async {
        match address {
            ConnectionAddr::Tcp(host, port) => {
                line_of(TcpStream::connect((host.as_str(), *port)).await.ok()?).await
            }
            #[cfg(unix)]
            ConnectionAddr::Unix(path) => {
                line_of(tokio::net::UnixStream::connect(path).await.ok()?).await
            }
            _ => None,
        }
    };
    timeout(PATIENCE, saying).await.ok()?
}

/// The error that comes by itself.
async fn line_of(stream: impl AsyncRead + Unpin) -> Option<String> {
    let mut said = Vec::new();
    // What came before the connection broke counts.
    let _ = stream.take(BYTES).read_to_end(&mut said).await;
    let said = String::from_utf8_lossy(&said);
    let line = said.strip_prefix('-')?.lines().next()?;
    let end = line
        .char_indices()
        .nth(CHARS_MAX)
        .map_or(line.len(), |(at, _)| at);
    Some(line[..end].to_owned())
}
