#!/bin/sh
# Do the library and the packages beside it build with the oldest Rust that they name, and with the oldest version of each
# dependency that they name? Both at once, in a folder of its own, which leaves Cargo.lock as it is.
set -eu
cd "$(dirname "$0")/.."

rust=$(sed -n 's/^rust-version = "\(.*\)"$/\1/p' Cargo.toml)
folder=target/oldest-versions
mkdir -p "$folder"
rm -rf "$folder/oxcart"
mkdir "$folder/oxcart"
git ls-files -z | tar --null -T - -cf - | tar -xf - -C "$folder/oxcart"
cd "$folder/oxcart"

# An option that cargo has not made stable.
RUSTC_BOOTSTRAP=1 cargo update --quiet -Z direct-minimal-versions

if command -v rustup >/dev/null && rustup toolchain install "$rust" --profile minimal >/dev/null 2>&1; then
    toolchain=+$rust
else
    toolchain=
    printf '\n!!! NOT TESTED: Rust %s, which cannot be installed here; %s is used instead\n\n' "$rust" "$(rustc --version)"
fi
printf '\n--- the oldest dependencies, Rust %s\n' "${toolchain:-of this machine}"
export CARGO_TARGET_DIR=..
cargo $toolchain check --lib --features memory,metrics,opentelemetry,tls-rustls,tower
cargo $toolchain check --lib --no-default-features
cargo $toolchain check --package oxcart-alerts
cargo $toolchain check --package oxcart-cli
cargo $toolchain check --package oxcart-dashboard
cargo $toolchain check --package oxcart-object-store
cargo $toolchain check --package oxcart-postgres
