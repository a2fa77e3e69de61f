//! The URL of a Redis. URLs that redis-rs would read differently than they look are refused here; the error says
//! what to write instead.
//!
//! No message shows any part of the URL but its scheme: a mistake may have put the password anywhere.

use crate::error::Error;

/// Where user and password have to stand in front of `@`.
const OVER_TCP: &[&str] = &["redis", "rediss", "valkey", "valkeys"];
const OVER_SOCKET: &[&str] = &["redis+unix", "valkey+unix", "unix"];

const PROTOCOLS: &[&str] = &["2", "3", "resp2", "resp3"];

const FORMS: &str = "it looks like `redis://127.0.0.1/`, `redis://user:password@host:6379/0` or \
                     `redis+unix:///path/to/socket?db=0`";

/// Refuses URLs that redis-rs would read differently than they look.
pub(crate) fn check(url: &str) -> Result<(), Error> {
    let url = url.trim();
    let (scheme, rest) = url.split_once(':').unwrap_or_default();
    let is = |schemes: &[&str]| {
        schemes
            .iter()
            .any(|known| scheme.eq_ignore_ascii_case(known))
    };
    if is(OVER_SOCKET) {
        if rest.contains('#') {
            return wrong("nothing may follow a `#`; in a path or a password write it as `%23`");
        }
        return check_parameters(rest, &["db", "user", "pass", "protocol"]);
    }
    let Some(rest) = rest.strip_prefix("//") else {
        return wrong("it does not begin with `redis://`");
    };
    if !is(OVER_TCP) {
        // The text there could be the end of a password, so it is shown only if it looks like a scheme.
        let is_word = scheme.len() <= 12 && scheme.chars().all(|c| c.is_ascii_alphanumeric());
        return match is_word {
            true => wrong(&format!("`{scheme}://` is not known")),
            false => wrong("what stands in front of `://` is not known"),
        };
    }
    let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    let (authority, rest) = rest.split_at(end);
    if rest.contains('@') {
        return wrong(
            "there is an `@` behind the first `/`, `?` or `#`: in a user name or a password write `/` as `%2F`, \
             `?` as `%3F`, `#` as `%23` and `@` as `%40`",
        );
    }
    let host = authority
        .rsplit_once('@')
        .map_or(authority, |(_, host)| host);
    check_host(host)?;
    check_database(rest)?;
    let is_tls = scheme.to_ascii_lowercase().ends_with('s') && scheme.len() > "redis".len();
    match rest.split_once('#') {
        Some((_, "insecure")) if is_tls => {}
        Some(_) => return wrong("nothing may follow a `#`; in a password write it as `%23`"),
        None => {}
    }
    check_parameters(rest, &["protocol"])
}

/// Host and port, as they stand in front of the path.
pub(crate) fn check_host(host: &str) -> Result<(), Error> {
    let (name, port) = match host.strip_prefix('[') {
        Some(rest) => match rest.split_once(']') {
            Some((name, port)) => (
                name,
                port.strip_prefix(':').or((!port.is_empty()).then_some("?")),
            ),
            None => return wrong("the `]` behind the IPv6 address is missing"),
        },
        None if host.matches(':').count() > 1 => {
            return wrong(
                "the host has more than one `:`: write an IPv6 address in brackets, as in `redis://[::1]:6379/`, \
                 and a user and password in front of an `@`",
            );
        }
        None => match host.split_once(':') {
            Some((name, port)) => (name, Some(port)),
            None => (host, None),
        },
    };
    if name.is_empty() {
        return wrong("it names no host");
    }
    // What is shown as the host in messages must not have a password in front of it.
    let is_strange = |c: char| c.is_whitespace() || matches!(c, '@' | '/' | '?' | '#' | ',');
    if name.contains(is_strange) {
        return wrong(
            "a host has a space in it, or one of `@`, `/`, `?`, `#`, `,`; a user and password are given apart from it",
        );
    }
    // Nothing behind the `:` means the usual port.
    let is_port = |port: &str| port.is_empty() || port.parse::<u16>().is_ok_and(|port| port > 0);
    match port {
        Some(port) if !is_port(port) => wrong(
            "what follows the `:` behind the host is no port, a number from 1 to 65535; a user and password \
             stand in front of an `@`",
        ),
        _ => Ok(()),
    }
}

fn check_database(rest: &str) -> Result<(), Error> {
    let path = rest.split(['?', '#']).next().unwrap_or_default();
    let number = path.trim_matches('/');
    if number.is_empty() || number.parse::<u32>().is_ok() {
        return Ok(());
    }
    wrong("what follows the host is no database number, as in `redis://host:6379/0`")
}

/// redis-rs ignores parameters that it does not know, so they are refused here.
fn check_parameters(rest: &str, known: &[&str]) -> Result<(), Error> {
    let Some((_, query)) = rest.split_once('?') else {
        return Ok(());
    };
    let query = query.split('#').next().unwrap_or_default();
    for parameter in query.split('&').filter(|text| !text.is_empty()) {
        let (name, value) = parameter.split_once('=').unwrap_or((parameter, ""));
        if value.contains('+') {
            return wrong("a `+` behind the `?` would be read as a space; write it as `%2B`");
        }
        return match name {
            // For any other value redis-rs would show the value in its error.
            "protocol" if !PROTOCOLS.contains(&value) => {
                wrong("`protocol` is `2` or `3`, and an `&` stands between parameters")
            }
            name if known.contains(&name) => continue,
            "db" => wrong(
                "the database is part of the path, as in `redis://host:6379/3`, and not `?db=3`",
            ),
            _ => wrong(&format!(
                "it has a parameter behind the `?` that is not known; known are: {}",
                known.join(", ")
            )),
        };
    }
    Ok(())
}

fn wrong(what: &str) -> Result<(), Error> {
    Err(Error::invalid(format!(
        "the Redis URL cannot be used: {what}; {FORMS}"
    )))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_would_be_read_as_something_else_is_refused_with_what_to_write() {
        let cases = [
            ("", "begin with `redis://`"),
            ("127.0.0.1:6379", "begin with `redis://`"),
            ("localhost", "begin with `redis://`"),
            ("http://127.0.0.1/", "`http://` is not known"),
            ("redis+tls://127.0.0.1/", "not known"),
            ("se-cret://127.0.0.1/", "not known"),
            ("redis://:se/cret@host/0", "%2F"),
            ("redis://:se#cret@host/0", "%23"),
            ("redis://:se?cret@host/0", "%3F"),
            ("redis://:a@se/cret@host/0", "%40"),
            ("redis://host/0#secret", "%23"),
            ("redis://::1/", "brackets"),
            ("redis://fe80::1:6379/", "brackets"),
            ("redis://:secret@::1:6379/0", "brackets"),
            ("redis://[::1/", "`]`"),
            ("redis://", "no host"),
            ("redis:///0", "no host"),
            ("redis://:6379", "no host"),
            ("redis://user:secret@/0", "no host"),
            ("redis://user:secret@:6379/0", "no host"),
            ("redis://host:99999/", "no port"),
            ("redis://host:0/", "no port"),
            ("redis://host:-1/", "no port"),
            ("redis://user:secret", "no port"),
            ("redis://[::1]x/", "no port"),
            ("redis://host:6379/secret", "no database number"),
            ("redis://host/-1", "no database number"),
            ("redis://host/0/1", "no database number"),
            ("redis://host?db=3", "and not `?db=3`"),
            ("redis://host/0?db=3", "and not `?db=3`"),
            ("redis://host/0?secret=3", "not known"),
            ("redis://host/0?password=secret", "not known"),
            ("redis+unix:///tmp/socket?database=3", "db"),
            ("rediss://host/0#unsafe", "%23"),
            ("redis+unix:///tmp/socket?pass=secret#secret", "%23"),
            ("unix:///tmp/se#cret", "%23"),
            ("unix:///tmp/socket?pass=secret+secret", "%2B"),
            ("unix:///tmp/socket?protocol=3?pass=secret", "`2` or `3`"),
            ("redis://host/0?protocol=secret", "`2` or `3`"),
        ];
        for (url, says) in cases {
            let Err(error) = check(url) else {
                unreachable!("{url} is accepted");
            };
            assert!(error.is_invalid(), "{url}: {error}");
            let text = format!("{error} {error:?}");
            assert!(text.contains(says), "{url}: {text}");
            for secret in ["secret", "se-cret", "se/cret", "se#cret", "cret@"] {
                assert!(!text.contains(secret), "{url}: {text}");
            }
        }
    }

    #[test]
    fn what_is_well_is_accepted() {
        for url in [
            "redis://127.0.0.1/",
            "redis://127.0.0.1",
            "redis://localhost:6379/0",
            "redis://localhost:/15",
            "REDIS://localhost",
            " redis://localhost/\n",
            "valkey://user@host/3",
            "redis://:pass%2Fword%23@host/3",
            "redis://user:p@ss@host/3",
            "redis://user:pa:ss@[::1]:6379/3?protocol=3",
            "rediss://host:6380/0#insecure",
            "redis+unix:///tmp/redis.sock?db=3&user=me&pass=it",
            "unix:///tmp/redis.sock",
            "unix:///tmp/a+b?pass=a%2Bb&protocol=resp3",
            "unix:/tmp/redis.sock",
        ] {
            assert!(check(url).is_ok(), "{url}");
        }
    }
}
