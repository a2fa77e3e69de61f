//! Certificates that the tests make themselves.

use std::fs;
use std::path::Path;

use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose, date_time_ymd,
};

/// A certificate and its private key, both in PEM.
#[derive(Clone)]
pub struct Pair {
    pub certificate: String,
    pub key: String,
}

/// A CA.
pub struct Authority {
    issuer: Issuer<'static, KeyPair>,
    pem: String,
}

impl Authority {
    pub fn new(name: &str) -> Self {
        let mut params = named(name, &[]);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        let key = KeyPair::generate().expect("keys can be made");
        let certificate = params.self_signed(&key).expect("a CA signs itself");
        Self {
            pem: certificate.pem(),
            issuer: Issuer::new(params, key),
        }
    }

    /// Its own certificate, in PEM.
    pub fn pem(&self) -> &str {
        &self.pem
    }

    /// A certificate of a server with these names or addresses.
    pub fn server(&self, names: &[&str]) -> Pair {
        let mut params = named("a Redis of the tests", names);
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        self.sign(&params)
    }

    /// The same, and its time is over.
    pub fn expired_server(&self, names: &[&str]) -> Pair {
        let mut params = named("a Redis of yesterday", names);
        params.not_before = date_time_ymd(2020, 1, 1);
        params.not_after = date_time_ymd(2021, 1, 1);
        self.sign(&params)
    }

    /// A certificate of a client.
    pub fn client(&self) -> Pair {
        let mut params = named("an application of the tests", &[]);
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        self.sign(&params)
    }

    fn sign(&self, params: &CertificateParams) -> Pair {
        let key = KeyPair::generate().expect("keys can be made");
        let certificate = params.signed_by(&key, &self.issuer);
        Pair {
            certificate: certificate.expect("a CA signs").pem(),
            key: key.serialize_pem(),
        }
    }
}

fn named(name: &str, hosts: &[&str]) -> CertificateParams {
    let hosts: Vec<String> = hosts.iter().map(|host| (*host).to_owned()).collect();
    let mut params = CertificateParams::new(hosts).expect("names and addresses");
    params.distinguished_name.push(DnType::CommonName, name);
    params.use_authority_key_identifier_extension = true;
    params
}

/// Writes a pair where a server can read it: `<name>.pem` and `<name>.key`.
pub fn write(folder: &Path, name: &str, pair: &Pair) {
    for (ending, text) in [("pem", &pair.certificate), ("key", &pair.key)] {
        fs::write(folder.join(name).with_extension(ending), text).expect("it can be written");
    }
}

/// The CA and the server's certificate of one run of the whole suite: `ca.pem`, `server.pem` and
/// `server.key`. Many processes may ask at once; the first one makes the folder.
pub fn of_the_suite(folder: &Path) {
    if folder.join("ca.pem").is_file() {
        return;
    }
    let parent = folder.parent().expect("it is in another folder");
    fs::create_dir_all(parent).expect("the folder can be made");
    let made = tempfile::tempdir_in(parent).expect("the folder is writable");
    let authority = Authority::new("the tests' own CA");
    let server = authority.server(&["127.0.0.1", "localhost"]);
    write(made.path(), "server", &server);
    fs::write(made.path().join("ca.pem"), authority.pem()).expect("it can be written");
    // It fails if another process was quicker; then its own are used.
    let renamed = fs::rename(made.path(), folder);
    assert!(
        renamed.is_ok() || folder.join("ca.pem").is_file(),
        "{renamed:?}"
    );
}
