//! A way to PostgreSQL on which connections die without a word.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use sqlx::postgres::PgConnectOptions;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, UnixStream};
use tokio::task::JoinSet;

/// Passes on what it gets; a connection in which these bytes come is dead from there on, as often as it is to happen.
pub(crate) struct SilentWay {
    pub(crate) options: PgConnectOptions,
    pub(crate) swallowed: Arc<AtomicU32>,
    _task: JoinSet<()>,
}

impl SilentWay {
    pub(crate) async fn start(to: &PgConnectOptions, at: &'static str, times: u32) -> Self {
        let socket = to.get_socket().cloned();
        let folder = socket.unwrap_or_else(|| PathBuf::from(to.get_host()));
        let socket = folder.join(format!(".s.PGSQL.{}", to.get_port()));
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let port = listener.local_addr().expect("it is bound").port();
        let swallowed = Arc::new(AtomicU32::new(0));
        let mut task = JoinSet::new();
        task.spawn({
            let swallowed = Arc::clone(&swallowed);
            async move {
                let mut connections = JoinSet::new();
                while let Ok((client, _)) = listener.accept().await {
                    let server = UnixStream::connect(&socket).await.expect("a server");
                    let swallowed = Arc::clone(&swallowed);
                    connections.spawn(async move {
                        let (from_client, to_client) = client.into_split();
                        let (from_server, to_server) = server.into_split();
                        let is_last = move |bytes: &[u8]| {
                            let is_it = bytes.windows(at.len()).any(|part| part == at.as_bytes());
                            is_it && swallowed.fetch_add(1, Ordering::SeqCst) < times
                        };
                        tokio::join!(
                            pass(from_client, to_server, is_last),
                            pass(from_server, to_client, |_| false)
                        );
                    });
                }
            }
        });
        let options = PgConnectOptions::new_without_pgpass()
            .host("127.0.0.1")
            .port(port);
        let options = options
            .username("postgres")
            .database(to.get_database().expect("a name"));
        Self {
            options,
            swallowed,
            _task: task,
        }
    }
}

async fn pass(
    mut from: impl AsyncRead + Unpin,
    mut to: impl AsyncWrite + Unpin,
    is_last: impl Fn(&[u8]) -> bool,
) {
    let mut bytes = vec![0; 64 * 1024];
    loop {
        let Ok(read @ 1..) = from.read(&mut bytes).await else {
            return;
        };
        if is_last(&bytes[..read]) {
            // Neither closed nor answered.
            return std::future::pending().await;
        }
        if to.write_all(&bytes[..read]).await.is_err() {
            return;
        }
    }
}
