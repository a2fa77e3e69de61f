//! The road by which the library comes to the tests' servers: plainly, or, if the environment asks for it, over
//! TLS (`OXCART_TEST_TLS=1`), as a user who may do no more than the documentation says
//! (`OXCART_TEST_ACL=1`), and as to a cluster (`OXCART_TEST_CLUSTER=1`): then each server is a cluster of one node.
//! What a test itself asks of a server goes through its socket, as its administrator.

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

/// What he needs beside that at the tests' servers, if the environment asks for clusters.
pub fn rights_in_a_cluster() -> &'static [&'static str] {
    match is_cluster() {
        true => &["+cluster|slots"],
        false => &[],
    }
}

/// The namespaces of the tests, and a clock that some of them turn.
const KEYS: [&str; 4] = ["~oxcart:*", "~test:*", "~example-*", "~clock"];

pub fn is_tls() -> bool {
    asked_for("OXCART_TEST_TLS")
}

pub fn is_acl() -> bool {
    asked_for("OXCART_TEST_ACL")
}

pub fn is_cluster() -> bool {
    asked_for("OXCART_TEST_CLUSTER")
}

/// Whether each server is a cluster, and a test cannot run because a cluster lacks something: that is said loudly, and the test
/// returns.
pub fn is_skipped_in_a_cluster(lacks: &str) -> bool {
    if is_cluster() {
        let thread = std::thread::current();
        let test = thread.name().unwrap_or_default();
        let loud = format!("\nSKIPPED {test}: a cluster has no {lacks}\n");
        // Not by `eprintln!`, which the test runner would keep to itself.
        let _ = std::io::Write::write_all(&mut std::io::stderr(), loud.as_bytes());
    }
    is_cluster()
}

fn asked_for(name: &str) -> bool {
    std::env::var_os(name).is_some_and(|value| !value.is_empty() && value != "0")
}

/// The URL by which the library comes to what listens there.
pub fn url(address: SocketAddr) -> String {
    let [name, password] = USER;
    match is_acl() {
        true => format!("{}://{name}:{password}@{address}/", scheme(is_cluster())),
        false => open_url(address),
    }
}

/// The same for the user whom every server has, who may do everything.
pub fn open_url(address: SocketAddr) -> String {
    format!("{}://{address}/", scheme(is_cluster()))
}

/// The user as whom the library comes.
pub fn user() -> &'static str {
    match is_acl() {
        true => USER[0],
        false => "default",
    }
}

fn scheme(of_cluster: bool) -> &'static str {
    match (is_tls(), of_cluster) {
        (true, false) => "rediss",
        (false, false) => "redis",
        (true, true) => "rediss+cluster",
        (false, true) => "redis+cluster",
    }
}

/// How a server lets the library in, beside its plain port and its socket.
pub struct Entrance {
    way: Way,
    /// Of a node of a cluster, if the environment asks for one: the port at which it hears the other nodes.
    bus: Option<Port>,
}

enum Way {
    Plain,
    /// The server's own port for TLS.
    Port(Port),
    /// The server cannot speak TLS.
    Front(Front),
}

impl Entrance {
    /// `alone`: whatever the environment asks for, it is no cluster.
    pub fn to(plain: SocketAddr, alone: bool) -> Self {
        let way = match (is_tls(), is_tls() && speaks_tls()) {
            (false, _) => Way::Plain,
            (true, true) => Way::Port(Port::claim()),
            (true, false) => Way::Front(Front::start(plain, suite_acceptor())),
        };
        let bus = (is_cluster() && !alone).then(Port::claim);
        Self { way, bus }
    }

    /// Whether the server has to be given all slots.
    pub fn is_node(&self) -> bool {
        self.bus.is_some()
    }

    /// The URL by which the library comes to the server.
    pub fn url(&self, plain: SocketAddr) -> String {
        self.of_its_kind(&url(self.address(plain)))
    }

    /// The same for the user whom every server has.
    pub fn open_url(&self, plain: SocketAddr) -> String {
        self.of_its_kind(&open_url(self.address(plain)))
    }

    fn of_its_kind(&self, url: &str) -> String {
        match self.is_node() {
            true => url.to_owned(),
            false => url.replacen(scheme(is_cluster()), scheme(false), 1),
        }
    }

    /// What the server is started with.
    pub fn args(&self, plain: SocketAddr) -> Vec<String> {
        let mut args = Vec::new();
        if let Some(bus) = &self.bus {
            let announced = self.address(plain).port();
            let words = [
                ("--cluster-enabled", "yes".to_owned()),
                ("--cluster-port", bus.number().to_string()),
                ("--cluster-announce-ip", plain.ip().to_string()),
                ("--cluster-announce-port", announced.to_string()),
            ];
            args.extend(
                words
                    .into_iter()
                    .flat_map(|(name, value)| [name.to_owned(), value]),
            );
        }
        if is_acl() {
            let [name, password] = USER;
            args.extend(["--user".to_owned(), name.to_owned(), "on".to_owned()]);
            args.push(format!(">{password}"));
            args.extend(KEYS.map(str::to_owned));
            args.extend(RULE.split(' ').map(str::to_owned));
            if self.is_node() {
                args.extend(
                    rights_in_a_cluster()
                        .iter()
                        .map(|right| (*right).to_owned()),
                );
            }
        }
        if let Way::Port(port) = &self.way {
            args.extend(tls_args(port.number(), &suite_folder()));
            args.extend(["--tls-auth-clients", "no"].map(str::to_owned));
        }
        args
    }

    pub fn address(&self, plain: SocketAddr) -> SocketAddr {
        match &self.way {
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
