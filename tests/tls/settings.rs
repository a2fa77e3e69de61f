//! Settings that cannot be used are told before anything is sent, and by their names.

use deadpool_redis::{Manager, Pool};
use oxcart::{Oxcart, Tls};

use crate::support::certificates::Authority;

/// Nothing listens there: an error of another kind would say so.
const NOBODY: &str = "rediss://127.0.0.1:1/";

async fn invalid(url: &str, tls: Tls) -> String {
    let error = Oxcart::builder().tls(tls).connect(url).await;
    let error = error.expect_err("it cannot be used");
    assert!(error.is_invalid(), "{error:?}");
    error.to_string()
}

#[tokio::test]
async fn what_is_no_certificate_or_key_is_named() {
    let ca = Authority::new("a CA of this test");
    let (mine, other) = (ca.client(), ca.client());
    let garbled = ca.pem().replacen("MII", "!!!", 1);
    let unlike = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
    let with =
        |certificate: &str, key: &str| Tls::new().ca(ca.pem()).client_certificate(certificate, key);
    let cases = [
        (Tls::new().ca(""), "the CA"),
        (Tls::new().ca("ca.pem"), "the CA"),
        (Tls::new().ca(&mine.key), "the CA"),
        (Tls::new().ca(&garbled), "the CA"),
        (Tls::new().ca(unlike), "the CA"),
        (Tls::new().ca([0xff, 0xfe]), "the CA"),
        (Tls::new().ca(format!("{}{unlike}", ca.pem())), "the CA"),
        (with("", &mine.key), "the client certificate"),
        (with(&mine.key, &mine.key), "the client certificate"),
        (with(unlike, &mine.key), "the client certificate"),
        (
            with(&mine.certificate, ""),
            "the key of the client certificate",
        ),
        (
            with(&mine.certificate, &mine.certificate),
            "the key of the client certificate",
        ),
        (
            with(&mine.certificate, &other.key),
            "the client certificate and its key",
        ),
    ];
    for (tls, named) in cases {
        let text = invalid(NOBODY, tls).await;
        assert!(text.contains(&format!("as {named} ")), "{named}: {text}");
    }
}

#[tokio::test]
async fn settings_that_would_not_be_looked_at_are_refused() {
    let ca = Authority::new("a CA of this test");
    let tls = || Tls::new().ca(ca.pem());
    let text = invalid("redis://127.0.0.1:1/", tls()).await;
    assert!(text.contains("`rediss://`"), "{text}");
    let text = invalid(&format!("{NOBODY}#insecure"), tls()).await;
    assert!(text.contains("`#insecure`"), "{text}");
    let text = invalid(NOBODY, Tls::new().any_host_name()).await;
    assert!(text.contains("`Tls::ca`"), "{text}");

    let manager = Manager::new("redis://127.0.0.1:1/").unwrap();
    let pool = Pool::builder(manager).build().unwrap();
    let error = Oxcart::builder().tls(tls()).with_pool(pool).await;
    assert!(error.expect_err("the pool decides").is_invalid());
}

#[test]
fn nothing_of_a_key_is_shown() {
    let mine = Authority::new("a CA of this test").client();
    let tls = Tls::new().client_certificate(&mine.certificate, &mine.key);
    let shown = format!("{:?} {:?}", tls, Oxcart::builder().tls(tls.clone()));
    let line = mine.key.lines().nth(1).expect("a key has lines");
    assert!(!shown.contains(line), "{shown}");
    assert!(shown.contains("given"), "{shown}");
}
