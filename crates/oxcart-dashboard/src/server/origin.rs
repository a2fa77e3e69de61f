//! Whether a request that changes something comes from one of our pages, and not from another site that the viewer has open.

use axum::http::header::{CONTENT_TYPE, HOST, ORIGIN};
use axum::http::request::Parts;
use axum::http::{HeaderMap, Uri};
use subtle::ConstantTimeEq;

fn text<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name).and_then(|value| value.to_str().ok())
}

/// The host that was asked, with its port.
pub(super) fn host(parts: &Parts) -> Option<&str> {
    let header = parts.headers.get(HOST).and_then(|host| host.to_str().ok());
    header.or_else(|| parts.uri.authority().map(|authority| authority.as_str()))
}

/// What the browser says of where the request comes from; `None` if it says nothing.
fn is_same_origin(parts: &Parts) -> Option<bool> {
    if let Some(site) = text(&parts.headers, "sec-fetch-site") {
        return Some(site == "same-origin");
    }
    let origin = text(&parts.headers, ORIGIN.as_str())?;
    let origin: Option<Uri> = origin.parse().ok();
    let authority = origin.as_ref().and_then(Uri::authority);
    Some(authority.is_some_and(|origin| Some(origin.as_str()) == host(parts)))
}

/// Whether it may come from another site, as far as its head tells. A body of JSON is something that no form of another site can send without
/// being asked about first, so it needs no origin; browsers send one nevertheless.
pub(super) fn may_be_foreign(parts: &Parts) -> bool {
    match is_same_origin(parts) {
        Some(is_same) => !is_same,
        None => !is_json(&parts.headers),
    }
}

pub(super) fn is_json(headers: &HeaderMap) -> bool {
    let kind = text(headers, CONTENT_TYPE.as_str()).unwrap_or_default();
    let kind = kind.split(';').next().unwrap_or_default().trim();
    kind.eq_ignore_ascii_case("application/json")
}

/// Whether a form says what the cookie says.
pub(super) fn are_same(cookie: Option<&str>, field: Option<&str>) -> bool {
    match (cookie, field) {
        (Some(cookie), Some(field)) if !cookie.is_empty() => {
            cookie.as_bytes().ct_eq(field.as_bytes()).into()
        }
        _ => false,
    }
}

/// Whether a name stands for this machine: a page of another site can make its own name lead here, but not these.
pub(super) fn is_local_name(host: &str) -> bool {
    let name = match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => name,
        _ => host,
    };
    matches!(name, "localhost" | "127.0.0.1" | "[::1]")
}

#[cfg(test)]
mod tests {
    use axum::http::Request;

    use super::*;

    fn parts(headers: &[(&str, &str)]) -> Parts {
        let mut request = Request::builder().uri("/queues");
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        request.body(()).unwrap().into_parts().0
    }

    #[test]
    fn a_request_of_another_site_is_noticed() {
        let host = ("host", "ops.example:8080");
        for own in [
            &[("sec-fetch-site", "same-origin"), host][..],
            &[("origin", "https://ops.example:8080"), host],
            &[("content-type", "application/json; charset=utf-8"), host],
        ] {
            assert!(!may_be_foreign(&parts(own)), "{own:?}");
        }
        for foreign in [
            &[host][..],
            &[("sec-fetch-site", "cross-site"), host],
            &[("sec-fetch-site", "same-site"), host],
            &[("sec-fetch-site", "none"), host],
            &[("origin", "https://evil.example"), host],
            &[("origin", "null"), host],
            &[
                ("origin", "https://evil.example"),
                ("content-type", "application/json"),
                host,
            ],
            &[("content-type", "text/plain; application/json"), host],
        ] {
            assert!(may_be_foreign(&parts(foreign)), "{foreign:?}");
        }
    }

    #[test]
    fn a_form_says_what_the_cookie_says() {
        assert!(are_same(Some("abc"), Some("abc")));
        for (cookie, field) in [
            (Some("abc"), Some("abd")),
            (Some("abc"), None),
            (None, Some("abc")),
            (Some(""), Some("")),
        ] {
            assert!(!are_same(cookie, field));
        }
    }

    #[test]
    fn only_names_of_this_machine_are_local() {
        for local in [
            "localhost",
            "localhost:7474",
            "127.0.0.1:7474",
            "[::1]:7474",
        ] {
            assert!(is_local_name(local), "{local}");
        }
        for other in [
            "evil.example",
            "localhost.evil.example:7474",
            "127.0.0.1.nip.io",
            "::1",
            "",
        ] {
            assert!(!is_local_name(other), "{other}");
        }
    }
}
