use rcgen::generate_simple_self_signed;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::pki_types::PrivateKeyDer;

use super::*;

#[test]
fn urls_that_make_no_sense_are_refused_and_never_shown() {
    for url in [
        "",
        "host",
        "/path",
        "ftp://host/",
        "http://",
        "http://user:secret@host/",
        "http://a b/",
        "https://host:99999/",
        "http://host:0/",
        "http://host:http/",
        "http://[::1]:65536/",
    ] {
        let error = Destination::new(url).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Invalid, "{url}: {error}");
        assert!(!error.to_string().contains("secret"), "{error}");
    }
    let hidden = Destination::new("http://host:81/services/secret?token=secret").unwrap();
    assert!(!format!("{hidden:?}").contains("secret"));
    assert_eq!((&hidden.host[..], hidden.port), ("host", 81));
    assert_eq!(hidden.target, "/services/secret?token=secret");
    assert_eq!(Destination::new("http://[::1]/").unwrap().host, "::1");
    for (url, port) in [("http://[::1]:65535/", 65_535), ("http://host:/", 80)] {
        assert_eq!(Destination::new(url).unwrap().port, port, "{url}");
    }
}

#[tokio::test]
async fn private_addresses_are_refused_however_they_are_written() {
    for host in [
        "127.0.0.1",
        "localhost",
        "[::1]",
        "[::ffff:127.0.0.1]",
        "10.0.0.1",
        "169.254.169.254",
        "0.0.0.0",
        // Some resolvers read these as 127.0.0.1.
        "2130706433",
        "0x7f000001",
        "127.1",
    ] {
        let destination = Destination::new(&format!("http://{host}:9/")).unwrap();
        let error = destination.post(Vec::new(), &[]).await.unwrap_err();
        let expected = [ErrorKind::Forbidden, ErrorKind::Unreachable];
        assert!(expected.contains(&error.kind()), "{host}: {error:?}");
        let is_plain = host.contains("0.0.") || host.starts_with("127.0") || host.contains('[');
        assert!(!is_plain || error.kind() == ErrorKind::Forbidden, "{host}");
    }
}

/// Answers one request over TLS.
async fn serve_tls(listener: TcpListener, config: ServerConfig) {
    let acceptor = TlsAcceptor::from(Arc::new(config));
    loop {
        let (stream, _) = listener.accept().await.unwrap();
        let Ok(mut stream) = acceptor.accept(stream).await else {
            continue;
        };
        let _ = stream.read(&mut [0; 4096]).await;
        let _ = stream.write_all(b"HTTP/1.1 204 No Content\r\n\r\n").await;
        let _ = stream.flush().await;
    }
}

#[tokio::test]
async fn only_a_certificate_that_is_trusted_and_has_the_name_is_accepted() {
    let own = generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let key = PrivateKeyDer::try_from(own.signing_key.serialize_der()).unwrap();
    let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![own.cert.der().clone()], key)
        .unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(serve_tls(listener, config));
    let to = |host: &str, is_trusted: bool| {
        let mut trusted = RootCertStore::empty();
        if is_trusted {
            trusted.add(own.cert.der().clone()).unwrap();
        }
        let tls = Some(connector(trusted).unwrap());
        let url = format!("http://{host}:{port}/");
        let plain = Destination::new(&url).unwrap().with_any_address();
        Destination { tls, ..plain }
    };
    let post = async |to: Destination| to.post(b"{}".to_vec(), &[]).await;
    let posted = post(to("localhost", true)).await;
    assert!(posted.is_ok(), "{posted:?}");
    for other in [to("localhost", false), to("127.0.0.1", true)] {
        let error = post(other).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unreachable, "{error:?}");
    }
}
