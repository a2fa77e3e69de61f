//! The cookies that we set and read.

use axum::http::header::{COOKIE, SET_COOKIE};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderValue};

/// That somebody has signed in.
pub(super) const SESSION: &str = "oxcart_session";
/// What the forms of a browser must say, too.
pub(super) const CSRF: &str = "oxcart_csrf";
/// What became of the last action, until it is shown.
pub(super) const NOTICE: &str = "oxcart_notice";

/// The cookie of this name.
pub(super) fn cookie<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    let all = headers.get_all(COOKIE).iter();
    let pairs = all
        .filter_map(|header| header.to_str().ok())
        .flat_map(|header| header.split(';'));
    pairs
        .filter_map(|pair| pair.trim().split_once('='))
        .find_map(|(key, value)| (key == name).then_some(value))
}

/// Whether the browser has an encrypted connection, at least to a proxy.
fn is_encrypted(parts: &Parts) -> bool {
    let forwarded = parts.headers.get("x-forwarded-proto");
    forwarded.is_some_and(|scheme| scheme == "https") || parts.uri.scheme_str() == Some("https")
}

/// Sets a cookie for the pages of the dashboard; `seconds` 0 removes it, and none keeps it until the browser is closed.
pub(super) fn set(
    answer: &mut HeaderMap,
    parts: &Parts,
    base: &str,
    (name, value): (&str, &str),
    seconds: Option<u64>,
) {
    let path = if base.is_empty() { "/" } else { base };
    let secure = if is_encrypted(parts) { "; Secure" } else { "" };
    let age = seconds.map_or_else(String::new, |seconds| format!("; Max-Age={seconds}"));
    let text = format!("{name}={value}; Path={path}; HttpOnly; SameSite=Strict{secure}{age}");
    if let Ok(text) = HeaderValue::from_str(&text) {
        answer.append(SET_COOKIE, text);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cookie_is_found_among_others() {
        let mut headers = HeaderMap::new();
        headers.append(COOKIE, HeaderValue::from_static("a=1; oxcart_csrf=x=y;b=2"));
        headers.append(COOKIE, HeaderValue::from_static("c=3"));
        assert_eq!(cookie(&headers, CSRF), Some("x=y"));
        assert_eq!(cookie(&headers, "c"), Some("3"));
        assert_eq!(cookie(&headers, SESSION), None);
    }
}
