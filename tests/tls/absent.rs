//! Without a feature for TLS.

use oxcart::{Oxcart, Tls};

#[tokio::test]
async fn a_url_with_tls_is_refused_and_the_feature_is_named() {
    for url in [
        "rediss://127.0.0.1:1/",
        "REDISS://127.0.0.1:1/",
        "valkeys://127.0.0.1:1/",
    ] {
        for settings in [Oxcart::builder(), Oxcart::builder().tls(Tls::new())] {
            let error = settings.connect(url).await.expect_err("it cannot");
            assert!(error.is_invalid(), "{error:?}");
            assert!(error.to_string().contains("`tls-rustls`"), "{error}");
        }
    }
}
