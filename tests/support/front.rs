//! A server of TLS in front of one without: for servers that were built without it, and for what only a
//! server of our own can be told to do.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rustls::RootCertStore;
use rustls::ServerConfig;
use rustls::crypto::ring;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::version::TLS12;
use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::{Builder, Runtime};
use tokio_rustls::TlsAcceptor;

use super::certificates::Pair;
use super::port::Port;

/// Which TLS a server speaks.
#[derive(Debug, Clone, Copy)]
pub enum Version {
    Newest,
    OneDotTwo,
}

/// What a server of TLS shows, and what it wants: a certificate signed by `clients`, if that is given.
pub fn acceptor(shown: &Pair, clients: Option<&str>, version: Version) -> TlsAcceptor {
    let versions = match version {
        Version::Newest => rustls::ALL_VERSIONS,
        Version::OneDotTwo => &[&TLS12],
    };
    // Nothing is made the default of the process: that is what the library has to do.
    let provider = Arc::new(ring::default_provider());
    let config = ServerConfig::builder_with_provider(provider.clone())
        .with_protocol_versions(versions)
        .expect("the provider knows them");
    let config = match clients {
        None => config.with_no_client_auth(),
        Some(pem) => {
            let mut roots = RootCertStore::empty();
            let ca = CertificateDer::from_pem_slice(pem.as_bytes()).expect("a certificate");
            roots.add(ca).expect("a CA");
            let verifier = WebPkiClientVerifier::builder_with_provider(roots.into(), provider);
            config.with_client_cert_verifier(verifier.build().expect("there is a CA"))
        }
    };
    let certificate =
        CertificateDer::from_pem_slice(shown.certificate.as_bytes()).expect("a certificate");
    let key = PrivateKeyDer::from_pem_slice(shown.key.as_bytes()).expect("a key");
    let config = config.with_single_cert(vec![certificate], key);
    TlsAcceptor::from(Arc::new(config.expect("a certificate and its key")))
}

/// It lives on a thread and a runtime of its own, as the proxy does.
pub struct Front {
    port: Port,
    acceptor: Arc<Mutex<TlsAcceptor>>,
    runtime: Option<Runtime>,
}

impl Front {
    pub fn start(target: SocketAddr, acceptor: TlsAcceptor) -> Self {
        Self::with(target, acceptor, false)
    }

    /// The same, and clients may also come without TLS.
    pub fn for_all(target: SocketAddr, acceptor: TlsAcceptor) -> Self {
        Self::with(target, acceptor, true)
    }

    fn with(target: SocketAddr, acceptor: TlsAcceptor, is_for_all: bool) -> Self {
        let runtime = Builder::new_multi_thread()
            .worker_threads(1)
            .thread_name("front")
            .enable_all()
            .build()
            .expect("a thread can be started");
        let port = Port::claim();
        let listener = std::net::TcpListener::bind(port.address()).expect("the port is claimed");
        listener
            .set_nonblocking(true)
            .expect("a socket can be made non-blocking");
        let acceptor = Arc::new(Mutex::new(acceptor));
        let shown = acceptor.clone();
        runtime.spawn(async move {
            let listener = TcpListener::from_std(listener).expect("a runtime takes a listener");
            while let Ok((client, _)) = listener.accept().await {
                let acceptor = locked(&shown).clone();
                tokio::spawn(serve(client, target, acceptor, is_for_all));
            }
        });
        Self {
            port,
            acceptor,
            runtime: Some(runtime),
        }
    }

    pub fn address(&self) -> SocketAddr {
        self.port.address()
    }

    /// Shows something else to those who connect from now on.
    pub fn show(&self, acceptor: TlsAcceptor) {
        *locked(&self.acceptor) = acceptor;
    }
}

impl Drop for Front {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            // Unlike a plain drop, this is allowed inside another runtime.
            runtime.shutdown_background();
        }
    }
}

fn locked(acceptor: &Mutex<TlsAcceptor>) -> MutexGuard<'_, TlsAcceptor> {
    acceptor.lock().unwrap_or_else(PoisonError::into_inner)
}

/// By the first byte that a client sends.
pub(super) async fn speaks_tls(client: &TcpStream) -> bool {
    const HANDSHAKE: u8 = 22;
    let mut first = [0];
    client.peek(&mut first).await.is_ok_and(|read| read > 0) && first[0] == HANDSHAKE
}

async fn serve(mut client: TcpStream, target: SocketAddr, acceptor: TlsAcceptor, is_for_all: bool) {
    let _ = client.set_nodelay(true);
    // A server that cannot be reached, or a client that is refused, shows as a closed connection.
    let Ok(mut server) = TcpStream::connect(target).await else {
        return;
    };
    let _ = server.set_nodelay(true);
    if is_for_all && !speaks_tls(&client).await {
        let _ = copy_bidirectional(&mut client, &mut server).await;
    } else if let Ok(mut client) = acceptor.accept(client).await {
        let _ = copy_bidirectional(&mut client, &mut server).await;
    }
}
