//! What belongs to a whole process: what the system trusts, and the crypto provider of rustls.

use std::time::Duration;

use oxcart::Oxcart;
use rustls::crypto::{CryptoProvider, ring};

use crate::rig::Rig;
use crate::support::{child_of_test, spawn_self};

fn ends_well(test: &str) {
    let rig = Rig::start();
    let ca = rig.files().join("ca.pem").display().to_string();
    let env = [("URL", rig.url()), ("SSL_CERT_FILE", ca)];
    let env = env.each_ref().map(|(name, value)| (*name, value.as_str()));
    let mut child = spawn_self(test, &env);
    assert!(child.wait(Duration::from_secs(20)).success());
}

fn connect() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let url = std::env::var("URL").unwrap();
    let connected = runtime.block_on(Oxcart::connect(&url));
    connected.expect("the system trusts this server");
}

/// Here nobody has installed a provider, and rustls does not guess: the feature `custom-provider`, with which
/// the tests are built, forbids it, as two providers in one program do.
#[test]
fn what_the_system_trusts_is_trusted_and_no_provider_need_be_installed() {
    ends_well("processes::child_without_a_provider");
}

#[test]
fn child_without_a_provider() {
    if child_of_test() {
        assert!(CryptoProvider::get_default().is_none());
        connect();
    }
}

#[test]
fn a_provider_that_the_application_installed_stays() {
    ends_well("processes::child_with_a_provider");
}

#[test]
fn child_with_a_provider() {
    if child_of_test() {
        let mut own = ring::default_provider();
        own.cipher_suites.truncate(1);
        own.install_default().unwrap();
        connect();
        assert_eq!(
            CryptoProvider::get_default().unwrap().cipher_suites.len(),
            1
        );
    }
}
