//! A server that speaks TLS, and the CA that signs for it and for its clients.

use std::fs;
use std::net::SocketAddr;
use std::path::Path;
use std::time::{Duration, Instant};

use oxcart::{Error, ErrorKind, Oxcart, Tls};

use crate::support::certificates::{self, Authority, Pair};
use crate::support::front::{Front, Version, acceptor};
use crate::support::{Port, Server, road};

pub(crate) const SECOND: Duration = Duration::from_secs(1);

/// The address of every server here, as it stands in a certificate.
pub(crate) const HERE: &str = "127.0.0.1";

pub(crate) enum Clients {
    NeedNoCertificate,
    NeedACertificate,
}

pub(crate) struct Rig {
    pub(crate) server: Server,
    pub(crate) ca: Authority,
    entrance: Entrance,
    files: tempfile::TempDir,
}

enum Entrance {
    Port(Port),
    Front(Front),
}

impl Rig {
    /// A server of an ordinary kind.
    pub(crate) fn start() -> Self {
        let ca = Authority::new("a CA of this test");
        let shown = ca.server(&[HERE]);
        Self::with(ca, &shown, Clients::NeedNoCertificate, Version::Newest)
    }

    pub(crate) fn with(ca: Authority, shown: &Pair, clients: Clients, version: Version) -> Self {
        let files = tempfile::tempdir().expect("the system's temp folder is writable");
        certificates::write(files.path(), "server", shown);
        fs::write(files.path().join("ca.pem"), ca.pem()).expect("it can be written");
        let (server, entrance) = match road::speaks_tls() {
            true => {
                let port = Port::claim();
                let server = start_server(&port, files.path(), &clients, version);
                (server, Entrance::Port(port))
            }
            false => {
                let server = Server::options().alone().start();
                let wanted = matches!(clients, Clients::NeedACertificate).then(|| ca.pem());
                let acceptor = acceptor(shown, wanted, version);
                let front = Front::start(server.tcp_addr(), acceptor);
                (server, Entrance::Front(front))
            }
        };
        Self {
            server,
            ca,
            entrance,
            files,
        }
    }

    pub(crate) fn address(&self) -> SocketAddr {
        match &self.entrance {
            Entrance::Port(port) => port.address(),
            Entrance::Front(front) => front.address(),
        }
    }

    pub(crate) fn url(&self) -> String {
        format!("rediss://{}/", self.address())
    }

    /// Where `ca.pem` is.
    pub(crate) fn files(&self) -> &Path {
        self.files.path()
    }

    pub(crate) async fn connect(&self, tls: Tls) -> Result<Oxcart, Error> {
        Oxcart::builder().tls(tls).connect(&self.url()).await
    }

    /// What somebody is told who is not let in, or does not trust the server: at once, and that it does not pass
    /// by itself.
    pub(crate) async fn refused(&self, tls: Tls) -> String {
        let began = Instant::now();
        let error = self.connect(tls).await.expect_err("it is refused");
        assert_eq!(error.kind(), ErrorKind::Unsuitable, "{error:?}");
        assert!(!error.is_retryable());
        assert!(began.elapsed() < 3 * SECOND, "{:?}", began.elapsed());
        let text = error.to_string();
        assert!(text.contains(&self.address().to_string()), "{text}");
        assert!(text.contains("TLS"), "{text}");
        text
    }

    /// From now on the server shows this, and everybody has to connect again.
    pub(crate) fn show(&self, shown: &Pair) {
        match &self.entrance {
            Entrance::Port(_) => {
                certificates::write(self.files.path(), "next", shown);
                let file = |name: &str| self.files.path().join(name).display().to_string();
                let (pem, key) = (file("next.pem"), file("next.key"));
                let set = ["CONFIG", "SET", "tls-cert-file", &pem, "tls-key-file", &key];
                self.server.cli(&set);
            }
            Entrance::Front(front) => {
                front.show(acceptor(shown, None, Version::Newest));
            }
        }
        self.server.cli(&["CLIENT", "KILL", "TYPE", "normal"]);
    }
}

fn start_server(port: &Port, files: &Path, clients: &Clients, version: Version) -> Server {
    let mut options = Server::options().alone();
    let args = road::tls_args(port.number(), files);
    for pair in args.chunks(2) {
        options = options.arg(&pair[0], &pair[1]);
    }
    let wanted = match clients {
        Clients::NeedNoCertificate => "no",
        Clients::NeedACertificate => "yes",
    };
    options = options.arg("--tls-auth-clients", wanted);
    if let Version::OneDotTwo = version {
        options = options.arg("--tls-protocols", "TLSv1.2");
    }
    options.start()
}
