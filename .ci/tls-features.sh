#!/bin/sh
# Is TLS what each feature says, alone, and what is said without any? `tls-native` needs the headers of OpenSSL on Linux;
# where they are missing, this says so, and tests the others.
set -eu
cd "$(dirname "$0")/.."

run() {
    printf '\n--- tests/tls with --features "%s"\n' "$1"
    cargo clippy --lib --features "$1" -- -D warnings
    cargo test --test tls --features "$1"
}

can_native() {
    [ "$(uname)" != Linux ] || [ -n "${OPENSSL_DIR:-}" ] || pkg-config --exists openssl 2>/dev/null
}

run ''
run tls-rustls
if can_native; then
    run tls-native
    run tls-rustls,tls-native
else
    printf '\n!!! NOT TESTED: tls-native, for want of the headers of OpenSSL (Debian: libssl-dev and pkg-config)\n\n'
fi
