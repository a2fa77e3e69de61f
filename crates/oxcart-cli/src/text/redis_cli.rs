//! How `redis-cli` is told which server is meant.

use super::quoted::quoted;

/// `redis-cli` with the host and the port, or the socket, of a URL that was connected to. It names no user and no password.
pub(crate) fn redis_cli(url: &str) -> String {
    const PORT: &str = "6379";
    let url = url.trim();
    let (scheme, rest) = url.split_once(':').unwrap_or_default();
    let scheme = scheme.to_ascii_lowercase();
    if scheme.ends_with("unix") {
        let path = rest.strip_prefix("//").unwrap_or(rest);
        let path = path.split('?').next().unwrap_or(path);
        return format!("redis-cli -s {}", quoted(path));
    }
    let rest = rest.strip_prefix("//").unwrap_or(rest);
    let authority = rest.split(['/', '?', '#']).next().unwrap_or(rest);
    let (_, host) = authority.rsplit_once('@').unwrap_or(("", authority));
    // Colons of an IPv6 address stand within brackets.
    let (host, port) = match host.rsplit_once(':') {
        Some((host, port)) if !port.ends_with(']') => (host, port),
        _ => (host, PORT),
    };
    let host = host.trim_start_matches('[').trim_end_matches(']');
    let host = match host {
        "" => "127.0.0.1",
        host => host,
    };
    let port = match port {
        "" => PORT,
        port => port,
    };
    let tls = match scheme.as_str() {
        "rediss" | "valkeys" => " --tls",
        _ => "",
    };
    format!("redis-cli -h {} -p {}{tls}", quoted(host), quoted(port))
}

#[cfg(test)]
mod tests {
    use super::redis_cli;

    #[test]
    fn a_server_is_named_without_its_password() {
        for (url, line) in [
            ("redis://127.0.0.1/", "redis-cli -h 127.0.0.1 -p 6379"),
            (
                "redis://user:p%40ss@redis.internal:6380/2?protocol=3",
                "redis-cli -h redis.internal -p 6380",
            ),
            (
                "rediss://:word@[::1]:7000",
                "redis-cli -h ::1 -p 7000 --tls",
            ),
            ("valkey://[fe80::1]/", "redis-cli -h fe80::1 -p 6379"),
            (
                "redis+unix:///run/redis.sock?db=1&pass=x",
                "redis-cli -s /run/redis.sock",
            ),
            ("unix:/run/a b.sock", "redis-cli -s '/run/a b.sock'"),
        ] {
            assert_eq!(redis_cli(url), line);
        }
    }
}
