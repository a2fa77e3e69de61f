#!/bin/sh
# Prints the absolute path of a promtool that works here: it checks the alert rules in docs/monitoring, and the text of /metrics.
#
# Looked at in this order; the first that works is printed, and everything else goes to stderr:
#   1. $OXCART_PROMTOOL, if set: that one or nothing
#   2. promtool on PATH
#   3. the private copy of an earlier run, in target/promtool
#   4. the package `prometheus` of Debian and Ubuntu, unpacked there: installing it would start a service
set -eu
LC_ALL=C
export LC_ALL

root=$(cd "$(dirname "$0")/.." && pwd)
home=${CARGO_TARGET_DIR:-$root/target}/promtool
case $home in /*) ;; *) home=$PWD/$home ;; esac
work=$home.new.$$
. "$root/.ci/apt.sh"

say() { printf 'oxcart: %s\n' "$*" >&2; }

usable() {
    path=$(command -v "$1") && "$path" --version >/dev/null 2>&1 </dev/null || return 1
    printf '%s/%s\n' "$(cd "$(dirname "$path")" && pwd)" "$(basename "$path")"
}

# promtool needs nothing but the C library, so what the package depends on is left away. Another run may have put its own copy
# there meanwhile; then that one stays.
apt_promtool() {
    apt_unpack prometheus && usable "$work/files/usr/bin/promtool" >/dev/null || return 1
    usable "$home/promtool" >/dev/null && return
    rm -rf "$home"
    mkdir -p "$home"
    mv "$work/files/usr/bin/promtool" "$home/promtool"
}

trap 'rm -rf "$work"' EXIT
trap 'exit 130' HUP INT TERM

if [ -n "${OXCART_PROMTOOL:-}" ]; then
    usable "$OXCART_PROMTOOL" && exit
    say "OXCART_PROMTOOL names no promtool that runs here: $OXCART_PROMTOOL"
    exit 1
fi
usable promtool && exit
usable "$home/promtool" && exit
if command -v apt-get >/dev/null; then
    apt_fetch apt_promtool && usable "$home/promtool" && exit
fi
say "no promtool was found, and none could be fetched here. It is part of Prometheus (https://prometheus.io/download);"
say "put it on PATH, or name it: OXCART_PROMTOOL=/path/to/promtool make test-monitoring"
exit 1
