#!/bin/sh
# Prints the absolute path of axe.min.js, which looks for what keeps people from using a page. It is fetched by npm into target/axe,
# and is neither part of the repository nor of the dashboard. $OXCART_AXE names another one.
set -eu

version=4.14.1
root=$(cd "$(dirname "$0")/.." && pwd)
home=${CARGO_TARGET_DIR:-$root/target}/axe
case $home in /*) ;; *) home=$PWD/$home ;; esac
script=$home/axe-$version.min.js

if [ -n "${OXCART_AXE:-}" ]; then
    printf '%s\n' "$OXCART_AXE"
    exit
fi
if [ ! -s "$script" ]; then
    work=$home.new.$$
    trap 'rm -rf "$work"' EXIT
    trap 'exit 130' HUP INT TERM
    mkdir -p "$work" "$home"
    if ! (cd "$work" && npm pack --silent "axe-core@$version" >&2 && tar -xzf "axe-core-$version.tgz" package/axe.min.js) >&2; then
        printf 'oxcart: npm is needed to fetch axe-core %s; or name its axe.min.js: OXCART_AXE=path\n' "$version" >&2
        exit 1
    fi
    mv "$work/package/axe.min.js" "$script"
fi
printf '%s\n' "$script"
