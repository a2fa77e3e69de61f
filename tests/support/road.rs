//! The road by which the library comes to the tests' servers: plainly, or, if the environment asks for it, over
//! TLS (`OXCART_TEST_TLS=1`) and as a user who may do no more than the documentation says
//! (`OXCART_TEST_ACL=1`). What a test itself asks of a server goes through its socket, as its administrator.

use std::fs;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::OnceLock;

use tokio_rustls::TlsAcceptor;

use super::certificates::{self, Pair};
use super::front::{Front, Version, acceptor};
use super::port::Port;

/// Name and password of the user.
pub const USER: [&str; 2] = ["app", "secret"];

/// What `docs/security.md` says that the user of an application needs.
pub const RULE: &str = "+@read +@write +@scripting +@connection +@transaction +info +time";

/// The namespaces of the tests, and a clock that some of them turn.
const KEYS: [&str; 4] = ["~oxcart:*", "~test:*", "~example-*", "~clock"];

pub fn is_tls() -> bool {
    asked_for("OXCART_TEST_TLS")
}

pub fn is_acl() -> bool {
    asked_for("OXCART_TEST_ACL")
}

fn asked_for(name: &str) -> bool {
    std::env::var_os(name).is_some_and(|value| !value.is_empty() && value != "0")
}

/// The URL by which the library comes to what listens there.
pub fn url(address: SocketAddr) -> String {
    let [name, password] = USER;
    match is_acl() {
        true => format!("{}://{name}:{password}@{address}/", scheme()),
        false => open_url(address),
    }
}

/// The same for the user whom every server has, who may do everything.
pub fn open_url(address: SocketAddr) -> String {
    format!("{}://{address}/", scheme())
}

/// The user as whom the library comes.
pub fn user() -> &'static str {
    match is_acl() {
        true => USER[0],
        false => "default",
    }
}

fn scheme() -> &'static str {
    match is_tls() {
        true => "rediss",
        false => "redis",
    }
}

/// How a server lets the library in, beside its plain port and its socket.
pub struct Entrance(Way);

enum Way {
    Plain,
    /// The server's own port for TLS.
    Port(Port),
    /// The server cannot speak TLS.
    Front(Front),
}

impl Entrance {
    pub fn to(plain: SocketAddr) -> Self {
        Self(match (is_tls(), is_tls() && speaks_tls()) {
            (false, _) => Way::Plain,
            (true, true) => Way::Port(Port::claim()),
            (true, false) => Way::Front(Front::start(plain, suite_acceptor())),
        })
    }

    /// What the server is started with.
    pub fn args(&self) -> Vec<String> {
        let mut args = Vec::new();
        if is_acl() {
            let [name, password] = USER;
            args.extend(["--user".to_owned(), name.to_owned(), "on".to_owned()]);
            args.push(format!(">{password}"));
            args.extend(KEYS.map(str::to_owned));
            args.extend(RULE.split(' ').map(str::to_owned));
        }
        if let Way::Port(port) = &self.0 {
            args.extend(tls_args(port.number(), &suite_folder()));
            args.extend(["--tls-auth-clients", "no"].map(str::to_owned));
        }
        args
    }

    pub fn address(&self, plain: SocketAddr) -> SocketAddr {
        match &self.0 {
            Way::Plain => plain,
            Way::Port(port) => port.address(),
            Way::Front(front) => front.address(),
        }
    }
}

/// A server's port for TLS, with the files in that folder: `ca.pem`, `server.pem` and `server.key`.
pub fn tls_args(port: u16, folder: &std::path::Path) -> Vec<String> {
    let file = |name: &str| folder.join(name).display().to_string();
    let args = [
        ("--tls-port", port.to_string()),
        ("--tls-cert-file", file("server.pem")),
        ("--tls-key-file", file("server.key")),
        ("--tls-ca-cert-file", file("ca.pem")),
    ];
    let words = |(name, value): (&str, String)| [name.to_owned(), value];
    args.into_iter().flat_map(words).collect()
}

/// What proxies show to clients that speak TLS.
pub fn suite_acceptor() -> TlsAcceptor {
    let read =
        |name: &str| fs::read_to_string(suite_folder().join(name)).expect("the folder is complete");
    let shown = Pair {
        certificate: read("server.pem"),
        key: read("server.key"),
    };
    acceptor(&shown, None, Version::Newest)
}

/// The folder whose CA every process of this run trusts, as it trusts those of the system.
fn suite_folder() -> PathBuf {
    let trusted = std::env::var_os("SSL_CERT_FILE").map(PathBuf::from);
    let folder = trusted.as_deref().and_then(std::path::Path::parent);
    // A machine may have set this variable, to something that is not for tests.
    let Some(folder) = folder.filter(|folder| folder.ends_with("test-certificates")) else {
        panic!(
            "OXCART_TEST_TLS needs a CA for this run, SSL_CERT_FILE=../test-certificates/ca.pem: use `make test-tls`"
        );
    };
    certificates::of_the_suite(folder);
    folder.to_owned()
}

/// Whether the server can speak TLS; if it cannot, says so, and a TLS proxy of the tests' own stands before it.
pub fn speaks_tls() -> bool {
    static SPEAKS: OnceLock<bool> = OnceLock::new();
    *SPEAKS.get_or_init(|| {
        // It ends at once, either for want of a certificate or for want of TLS.
        let folder = tempfile::tempdir().expect("the system's temp folder is writable");
        let tried = Command::new(super::server::server_binary())
            .args(["--port", "0", "--tls-port", "1", "--daemonize", "no", "--dir"])
            .arg(folder.path())
            .stdin(Stdio::null())
            .output()
            .expect("the server can be started");
        let said = String::from_utf8_lossy(&tried.stdout);
        let speaks = said.contains("No tls-cert-file configured");
        if !speaks {
            // Not by `eprintln!`, which the test runner would keep to itself.
            let loud = b"\n!!! This Redis was built without TLS: it is tested behind a TLS proxy of the tests' own.\n\n";
            let _ = std::io::Write::write_all(&mut std::io::stderr(), loud);
        }
        speaks
    })
}
