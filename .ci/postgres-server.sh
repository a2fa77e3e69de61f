#!/bin/sh
# Prints the absolute path of a program `postgres` (14 or newer) that works here, with `initdb` beside it.
#
# Looked at in this order; the first that works is printed, and everything else goes to stderr:
#   1. $OXCART_POSTGRES, if set: that one or nothing
#   2. postgres on PATH
#   3. where distributions and Homebrew put it: /usr/lib/postgresql/*/bin and the like, the newest first
#   4. the private copy of an earlier run, in target/postgres
#   5. the system's package manager: apt-get (unpacked, not installed), dnf, apk or brew
#
# No server and no service is ever started. On Debian and Ubuntu nothing is even installed: the package is unpacked into
# target/postgres, because installing it there starts a service on port 5432.
set -eu
LC_ALL=C
export LC_ALL

root=$(cd "$(dirname "$0")/.." && pwd)
home=${CARGO_TARGET_DIR:-$root/target}/postgres
case $home in /*) ;; *) home=$PWD/$home ;; esac
. "$root/.ci/apt.sh"

say() { printf 'oxcart: %s\n' "$*" >&2; }

have() { command -v "$1" >/dev/null 2>&1; }

# PostgreSQL does not run as root, and the tests run it as `nobody` then, who has to be able to get at it.
if [ "$(id -u)" -eq 0 ]; then
    folder=$(dirname "$home")
    mkdir -p "$folder"
    while [ "$folder" != / ]; do
        case $(ls -ld "$folder" | cut -c 10) in x | t) ;; *) home=/var/tmp/oxcart-postgres ;; esac
        folder=$(dirname "$folder")
    done
fi
work=$home.new.$$

# --- Is this one good enough? ------------------------------------------------------------------------------------

version_of() { "$1" --version 2>/dev/null </dev/null | sed -n 's/^postgres (PostgreSQL) \([0-9][0-9]*\).*/\1/p'; }

absolute() { printf '%s/%s\n' "$(cd "$(dirname "$1")" && pwd)" "$(basename "$1")"; }

# Prints the absolute path, or says on stderr what is wrong with this one.
usable() {
    found=$(version_of "$1") || found=
    if [ "${found:-0}" -lt 14 ]; then
        say "passing over $1: it is ${found:-no PostgreSQL that runs here}, and 14 is the oldest that will do"
    elif [ ! -x "$(dirname "$1")/initdb" ]; then
        say "passing over $1: there is no initdb beside it"
    else
        absolute "$1" && return
    fi
    return 1
}

# --- Roads that only look ----------------------------------------------------------------------------------------

on_path() {
    path=$(command -v postgres) || return 1
    # A link on PATH may lead to where initdb is.
    usable "$path" 2>/dev/null || usable "$(readlink -f "$path")"
}

in_known_places() {
    for path in $(ls -d /usr/lib/postgresql/*/bin/postgres /usr/pgsql-*/bin/postgres /usr/libexec/postgresql*/postgres \
        /opt/homebrew/opt/postgresql*/bin/postgres /usr/local/opt/postgresql*/bin/postgres 2>/dev/null | sort -rV); do
        usable "$path" && return
    done
    return 1
}

private_copy() { [ -x "$home/postgres" ] && usable "$home/postgres"; }

# --- apt-get: unpack into a private folder, touch nothing else ---------------------------------------------------

# The packages are named by their version; `postgresql`, whose own version (15+248) has no dot, needs the one of this distribution.
apt_package() {
    newest=$(apt_tool apt-cache policy postgresql 2>/dev/null | sed -n 's/^ *Candidate: \([0-9][0-9]*\).*/\1/p')
    [ "${newest:-0}" -ge 14 ] && printf 'postgresql-%s\n' "$newest"
}

# Both programs beside their own libraries.
wrap() {
    cd "$work" || return 1
    programs=$(ls -d files/usr/lib/postgresql/*/bin | tail -n 1)
    for program in postgres initdb; do
        apt_wrapper "$program" "$programs/$program"
    done
    chmod -R a+rX "$work"
    usable "$work/postgres" >/dev/null
}

# --- The others: their packages start nothing --------------------------------------------------------------------

by_dnf() { as_root dnf install -y postgresql-server && { on_path || in_known_places; }; }

by_apk() { as_root apk add --no-cache postgresql && { on_path || in_known_places; }; }

by_brew() { brew install postgresql@17 >&2 && in_known_places; }

install() {
    say "no PostgreSQL 14 on PATH; asking the package manager"
    { have apt-get && apt_fetch apt_server; } || { have dnf && by_dnf; } || { have apk && by_apk; } || { have brew && by_brew; }
}

# --- The answer --------------------------------------------------------------------------------------------------

advice() {
    cat >&2 <<'EOF'

The tests of oxcart-postgres need PostgreSQL 14 or newer. None was found, and none could be installed here.
Install one (it need not run: the tests start their own, and stop it):

    Debian 12+, Ubuntu 22.04+   apt-get install postgresql     (this starts a service, which oxcart leaves alone)
    Fedora, RHEL 9              dnf install postgresql-server
    Alpine                      apk add postgresql
    macOS                       brew install postgresql@17

Then put postgres on PATH, or name it:  OXCART_POSTGRES=/path/to/bin/postgres make test
EOF
    exit 1
}

named() {
    usable "$(command -v "$OXCART_POSTGRES" || printf '%s' "$OXCART_POSTGRES")" && return
    say "OXCART_POSTGRES names it; unset that, or point it to the program postgres of PostgreSQL 14 or newer"
    exit 1
}

trap 'rm -rf "$work"' EXIT
trap 'exit 130' HUP INT TERM

if [ -n "${OXCART_POSTGRES:-}" ]; then
    named
else
    on_path || in_known_places || private_copy || install || advice
fi
