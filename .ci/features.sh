#!/bin/sh
# Does each feature do what it says, alone, and what is said without any? `tls-native` needs the headers of OpenSSL on
# Linux; where they are missing, this says so, and tests the others.
set -eu
cd "$(dirname "$0")/.."

lint() {
    printf '\n--- only the features "%s"\n' "$1"
    cargo clippy --lib --no-default-features --features "$1" -- -D warnings
}

run() {
    lint "$2"
    cargo test --no-default-features --features "$2" --test "$1"
}

can_native() {
    [ "$(uname)" != Linux ] || [ -n "${OPENSSL_DIR:-}" ] || pkg-config --exists openssl 2>/dev/null
}

run smallest ''
run tls ''
run tls tls-rustls
if can_native; then
    run tls tls-native
    run tls tls-rustls,tls-native
else
    printf '\n!!! NOT TESTED: tls-native, for want of the headers of OpenSSL (Debian: libssl-dev and pkg-config)\n\n'
fi
# The whole suite has these on, together.
lint cron
lint memory
lint metrics
lint opentelemetry
lint tower
