//! Why a server closes a connection that it has just accepted: it has no room (`maxclients`), it accepts no client
//! from another machine (protected mode), or it speaks TLS.
//!
//! In the first two cases the server sends the reason before any request, and closes. redis-rs, which waits for several
//! answers, reports only that the connection was closed. So a connection is made once more, and nothing is sent on it until
//! the server has been silent for a while. Then a greeting of TLS is sent.

use std::time::Duration;

use redis::ConnectionAddr;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

/// A server that closes a connection sends its reason at once.
const PATIENCE: Duration = Duration::from_millis(250);
/// The reason of protected mode has about 1 KiB.
const BYTES: u64 = 4096;
/// Enough for its first sentences.
const CHARS_MAX: usize = 300;
/// The beginning of a greeting with TLS, which is empty: a server of TLS answers with an alert, a Redis waits for more.
const EMPTY_HELLO: &[u8] = &[22, 3, 1, 0, 4, 1, 0, 0, 0];
/// With this byte an alert begins (RFC 8446, section 5.1).
const ALERT: u8 = 21;

/// What a server says that closes connections.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum LastWord {
    /// An error of Redis, without the `-`.
    Error(String),
    /// It wants TLS.
    Tls,
}

/// How the server at this address turns away clients that do not speak TLS; `None` if it does not do so, or not any more.
pub(crate) async fn last_word(address: &ConnectionAddr) -> Option<LastWord> {
    let saying = async {
        match address {
            ConnectionAddr::Tcp(host, port) => {
                heard(TcpStream::connect((host.as_str(), *port)).await.ok()?).await
            }
            #[cfg(unix)]
            ConnectionAddr::Unix(path) => {
                heard(tokio::net::UnixStream::connect(path).await.ok()?).await
            }
            _ => None,
        }
    };
    timeout(2 * PATIENCE, saying).await.ok()?
}

async fn heard(mut stream: impl AsyncRead + AsyncWrite + Unpin) -> Option<LastWord> {
    let mut said = Vec::new();
    // Bytes that came before the connection broke count.
    let mut by_itself = (&mut stream).take(BYTES);
    let is_open = timeout(PATIENCE, by_itself.read_to_end(&mut said))
        .await
        .is_err();
    if is_open && said.is_empty() {
        stream.write_all(EMPTY_HELLO).await.ok()?;
        let _ = stream.take(1).read_to_end(&mut said).await;
    }
    match said.first()? {
        b'-' => error_in(&said).map(LastWord::Error),
        &ALERT => Some(LastWord::Tls),
        _ => None,
    }
}

fn error_in(said: &[u8]) -> Option<String> {
    let said = String::from_utf8_lossy(said);
    let line = said.strip_prefix('-')?.lines().next()?;
    let end = line
        .char_indices()
        .nth(CHARS_MAX)
        .map_or(line.len(), |(at, _)| at);
    Some(line[..end].to_owned())
}
