#!/bin/sh
# Prints the absolute path of a redis-server (7.0 or newer) or valkey-server (7.2 or newer) that works here.
#
# Looked at in this order; the first that works is printed, and everything else goes to stderr:
#   1. $OXCART_REDIS_SERVER, if set: that one or nothing
#   2. redis-server, then valkey-server, on PATH
#   3. the private copy of an earlier run, in target/redis
#   4. the server inside an installed redis-tools or valkey-tools, which Debian hides behind another name
#   5. the system's package manager: apt-get, dnf, apk or brew
#
# No server and no service is ever started. On Debian and Ubuntu nothing is even installed: the packages are
# unpacked into target/redis, because installing redis-server there starts a service on port 6379.
set -eu
LC_ALL=C
export LC_ALL

root=$(cd "$(dirname "$0")/.." && pwd)
home=${CARGO_TARGET_DIR:-$root/target}/redis
case $home in /*) ;; *) home=$PWD/$home ;; esac
private=$home/redis-server
work=$home.new.$$
. "$root/.ci/apt.sh"

say() { printf 'oxcart: %s\n' "$*" >&2; }

have() { command -v "$1" >/dev/null 2>&1; }

# --- Is this server good enough? ---------------------------------------------------------------------------------

version_of() { "$1" --version 2>/dev/null </dev/null | sed -n 's/.*server \(v=[0-9]\)/\1/p' | plain_version; }

# Valkey begins at 7.2, so that one limit serves both.
new_enough() {
    case ${1%%.*} in
        '' | *[!0-9]*) return 1 ;;
        *) [ "${1%%.*}" -ge 7 ] ;;
    esac
}

absolute() { printf '%s/%s\n' "$(cd "$(dirname "$1")" && pwd)" "$(basename "$1")"; }

# Prints the absolute path, or says on stderr what is wrong with this one.
usable() {
    found=$(version_of "$1") || found=
    if new_enough "$found"; then
        absolute "$1"
    else
        say "passing over $1: it is ${found:-no Redis server that runs here}, and 7.0 is the oldest that will do"
        return 1
    fi
}

# --- Roads that only look ----------------------------------------------------------------------------------------

on_path() {
    for name in redis-server valkey-server; do
        path=$(command -v "$name") || continue
        usable "$path" && return
    done
    return 1
}

private_copy() { [ -x "$private" ] && usable "$private"; }

# Debian's redis-tools holds the server: one binary, which goes by the name it is called with.
renamed_checker() {
    for name in redis-check-rdb valkey-check-rdb; do
        checker=$(command -v "$name") || continue
        mkdir -p "$home"
        ln -sf "$checker" "$private"
        usable "$private" 2>/dev/null && return
        rm -f "$private"
    done
    return 1
}

# --- apt-get: unpack into a private folder, touch nothing else ---------------------------------------------------

apt_package() {
    for package in redis-tools valkey-tools; do
        candidate=$(apt_candidate "$package")
        new_enough "$candidate" && printf '%s\n' "$package" && return
        [ -z "$candidate" ] || say "the distribution's $package is $candidate, which is too old"
    done
    return 1
}

# The server beside its own libraries.
wrap() {
    cd "$work/files/usr/bin" || return 1
    for name in redis-server valkey-server redis-check-rdb valkey-check-rdb; do
        [ -x "$name" ] && break
    done
    [ "$name" = redis-server ] || ln -sf "$name" redis-server
    cd "$work" || return 1
    apt_wrapper redis-server files/usr/bin/redis-server
    usable "$work/redis-server" >/dev/null
}

# redis-tools and valkey-tools carry no service, so even this starts nothing.
apt_install() {
    package=$(apt_package 2>/dev/null) || return 1
    say "unpacking did not work; installing $package"
    as_root apt-get -q update || say "some package lists could not be fetched"
    as_root env DEBIAN_FRONTEND=noninteractive apt-get -q install -y --no-install-recommends "$package" &&
        renamed_checker
}

by_apt() { apt_fetch apt_server || apt_install; }

# --- The others: their packages start nothing --------------------------------------------------------------------

by_dnf() {
    for package in valkey redis; do
        candidate=$(dnf -q repoquery --latest-limit 1 --qf '%{version}\n' "$package" 2>/dev/null | plain_version)
        new_enough "$candidate" || continue
        as_root dnf install -y "$package" && on_path && return
    done
    return 1
}

by_apk() {
    for package in redis valkey; do
        as_root apk add --no-cache "$package" && on_path && return
    done
    return 1
}

by_brew() { brew install redis >&2 && usable "$(brew --prefix redis)/bin/redis-server"; }

install() {
    say "no redis-server 7.0 or valkey-server 7.2 on PATH; asking the package manager"
    { have apt-get && by_apt; } || { have dnf && by_dnf; } || { have apk && by_apk; } || { have brew && by_brew; }
}

# --- The answer --------------------------------------------------------------------------------------------------

advice() {
    cat >&2 <<'EOF'

oxcart needs a Redis server 7.0 or newer, or Valkey 7.2 or newer. None was found, and none could be installed here.
Install one (it need not run: oxcart starts its own, and stops it):

    Debian 12+, Ubuntu 24.04+   apt-get install redis-tools    (a server, without the service of redis-server)
    Ubuntu 22.04, Debian 11     the distribution's is older than 7.0: take the packages that redis.io describes,
                                or compile Redis or Valkey: `make` in its source folder, no root needed
    Fedora                      dnf install valkey
    RHEL 9 and its kin          dnf module install redis:7
    Alpine                      apk add redis
    macOS                       brew install redis

Then put redis-server or valkey-server on PATH, or name it:  OXCART_REDIS_SERVER=/path/to/redis-server make test
EOF
    exit 1
}

named() {
    usable "$(command -v "$OXCART_REDIS_SERVER" || printf '%s' "$OXCART_REDIS_SERVER")" && return
    say "OXCART_REDIS_SERVER names it; unset that, or point it to a Redis 7.0, a Valkey 7.2, or newer"
    exit 1
}

trap 'rm -rf "$work"' EXIT
trap 'exit 130' HUP INT TERM

if [ -n "${OXCART_REDIS_SERVER:-}" ]; then
    named
else
    on_path || private_copy || renamed_checker || install || advice
fi
