//! Which servers and clients are trusted, and which are not.

use std::time::Instant;

use oxcart::{ErrorKind, Oxcart, Tls};

use crate::rig::{Clients, HERE, Rig, SECOND};
use crate::support::certificates::Authority;
use crate::support::front::Version;

fn says(text: &str, parts: &[&str]) {
    for part in parts {
        assert!(text.contains(part), "`{part}` is missing: {text}");
    }
}

#[tokio::test]
async fn a_server_is_trusted_by_the_ca_that_was_given() {
    let rig = Rig::start();
    rig.connect(Tls::new().ca(rig.ca.pem())).await.unwrap();
    // Of several, whichever it is.
    let other = Authority::new("another CA");
    let both = format!("{}\n{}", other.pem(), rig.ca.pem());
    rig.connect(Tls::new().ca(both)).await.unwrap();
}

#[tokio::test]
async fn a_server_of_an_unknown_ca_is_refused() {
    let rig = Rig::start();
    let other = Authority::new("another CA");
    let text = rig.refused(Tls::new().ca(other.pem())).await;
    says(&text, &["`Tls::ca`"]);
}

#[tokio::test]
async fn a_server_with_a_certificate_of_another_name_is_refused_unless_names_do_not_matter() {
    let ca = Authority::new("a CA of this test");
    let shown = ca.server(&["redis.internal"]);
    let rig = Rig::with(ca, &shown, Clients::NeedNoCertificate, Version::Newest);
    let tls = Tls::new().ca(rig.ca.pem());
    let text = rig.refused(tls.clone()).await;
    says(&text, &["`Tls::any_host_name`"]);
    rig.connect(tls.any_host_name()).await.unwrap();
    // The CA still matters.
    let other = Authority::new("another CA");
    rig.refused(Tls::new().ca(other.pem()).any_host_name())
        .await;
}

#[tokio::test]
async fn a_server_whose_certificate_has_expired_is_refused() {
    let ca = Authority::new("a CA of this test");
    let shown = ca.expired_server(&[HERE]);
    let rig = Rig::with(ca, &shown, Clients::NeedNoCertificate, Version::Newest);
    let text = rig.refused(Tls::new().ca(rig.ca.pem())).await;
    says(&text, &["expired"]);
}

#[tokio::test]
async fn a_server_that_wants_a_certificate_lets_in_who_has_one() {
    for version in [Version::Newest, Version::OneDotTwo] {
        let ca = Authority::new("a CA of this test");
        let shown = ca.server(&[HERE]);
        let rig = Rig::with(ca, &shown, Clients::NeedACertificate, version);
        let tls = Tls::new().ca(rig.ca.pem());

        let mine = rig.ca.client();
        let with_mine = tls.clone().client_certificate(&mine.certificate, &mine.key);
        rig.connect(with_mine).await.unwrap();

        let text = rig.refused(tls.clone()).await;
        says(&text, &["`Tls::client_certificate`"]);

        let strange = Authority::new("another CA").client();
        let with_strange = tls.client_certificate(&strange.certificate, &strange.key);
        rig.refused(with_strange).await;
    }
}

#[tokio::test]
async fn a_server_that_speaks_only_tls_1_2_is_understood() {
    let ca = Authority::new("a CA of this test");
    let shown = ca.server(&[HERE]);
    let rig = Rig::with(ca, &shown, Clients::NeedNoCertificate, Version::OneDotTwo);
    rig.connect(Tls::new().ca(rig.ca.pem())).await.unwrap();
}

#[tokio::test]
async fn an_insecure_url_looks_at_no_certificate() {
    let rig = Rig::start();
    let url = format!("{}#insecure", rig.url());
    Oxcart::connect(&url).await.unwrap();
}

/// Each way round, in bounded time, it is told what may be wrong.
#[tokio::test]
async fn tls_where_there_is_none_and_none_where_there_is_tls() {
    let rig = Rig::start();
    let plain = format!("rediss://{}/", rig.server.tcp_addr());
    let tls = Tls::new().ca(rig.ca.pem());
    let began = Instant::now();
    let error = Oxcart::builder().tls(tls).connect(&plain).await;
    let text = error.expect_err("nobody speaks TLS there").to_string();
    says(&text, &["does it speak TLS there?", "`redis://`"]);
    assert!(began.elapsed() < 5 * SECOND, "{:?}", began.elapsed());

    let secured = format!("redis://{}/", rig.address());
    let error = Oxcart::connect(&secured).await;
    let error = error.expect_err("nobody speaks without TLS there");
    assert_eq!(error.kind(), ErrorKind::Unsuitable, "{error}");
    assert!(!error.is_retryable());
    says(&error.to_string(), &["speaks TLS", "`rediss://`"]);
}
