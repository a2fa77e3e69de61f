//! A way to a server on which answers are lost: the server has done what it was asked, and nobody hears of it.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream, UnixStream};

/// Where the way leads.
#[derive(Clone)]
pub(crate) enum Target {
    Socket(PathBuf),
    Address(std::net::SocketAddr),
}

/// It listens on a port of its own, for as long as the runtime lives.
#[derive(Clone)]
pub(crate) struct Lossy {
    pub(crate) port: u16,
    /// Of so many answers one is lost, with its connection; 0 for none.
    every: Arc<AtomicU64>,
    lost: Arc<AtomicU64>,
    seen: Arc<AtomicU64>,
}

impl Lossy {
    pub(crate) async fn start(target: Target) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let lossy = Self {
            port: listener.local_addr().expect("it is bound").port(),
            every: Arc::default(),
            lost: Arc::default(),
            seen: Arc::default(),
        };
        let serving = lossy.clone();
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                tokio::spawn(serving.clone().serve(client, target.clone()));
            }
        });
        lossy
    }

    pub(crate) fn lose_every(&self, answers: u64) {
        self.every.store(answers, Ordering::SeqCst);
    }

    pub(crate) fn lost(&self) -> u64 {
        self.lost.load(Ordering::SeqCst)
    }

    async fn serve(self, client: TcpStream, target: Target) {
        client.set_nodelay(true).expect("a fresh socket");
        // What cannot be reached shows as a connection closed at once.
        match target {
            Target::Socket(path) => {
                if let Ok(server) = UnixStream::connect(path).await {
                    let (read, write) = server.into_split();
                    self.relay(client, read, write).await;
                }
            }
            Target::Address(address) => {
                if let Ok(server) = TcpStream::connect(address).await {
                    let (read, write) = server.into_split();
                    self.relay(client, read, write).await;
                }
            }
        }
    }

    /// Until one side closes, or an answer is lost.
    async fn relay(
        &self,
        client: TcpStream,
        mut from_server: impl AsyncRead + Unpin,
        mut to_server: impl AsyncWrite + Unpin,
    ) {
        let (mut from_client, mut to_client) = client.into_split();
        let answers = async {
            let mut buffer = vec![0; 64 * 1024];
            while let Ok(read @ 1..) = from_server.read(&mut buffer).await {
                let every = self.every.load(Ordering::SeqCst);
                let seen = self.seen.fetch_add(1, Ordering::SeqCst) + 1;
                if every > 0 && seen.is_multiple_of(every) {
                    self.lost.fetch_add(1, Ordering::SeqCst);
                    break;
                }
                if to_client.write_all(&buffer[..read]).await.is_err() {
                    break;
                }
            }
        };
        tokio::select! {
            () = answers => {}
            _ = tokio::io::copy(&mut from_client, &mut to_server) => {}
        }
    }
}
