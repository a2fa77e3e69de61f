#!/bin/sh
# Prints the absolute path of a Chromium, or of a Chrome, that works here: the tests of the dashboard look at its pages with it.
#
# Looked at in this order; the first that works is printed, and everything else goes to stderr:
#   1. $OXCART_CHROMIUM, if set: that one or nothing
#   2. chromium, chromium-browser, google-chrome or google-chrome-stable on PATH
#   3. the private copy of an earlier run, in target/chromium
#   4. Debian's package `chromium`, unpacked there with what it needs: nothing is installed
set -eu
LC_ALL=C
export LC_ALL

root=$(cd "$(dirname "$0")/.." && pwd)
home=${CARGO_TARGET_DIR:-$root/target}/chromium
case $home in /*) ;; *) home=$PWD/$home ;; esac
private=$home/chromium
work=$home.new.$$
. "$root/.ci/apt.sh"

say() { printf 'oxcart: %s\n' "$*" >&2; }

# Ubuntu's chromium-browser is a script that asks for a snap; it has no version.
usable() {
    path=$(command -v "$1") || return 1
    case $("$path" --version 2>/dev/null </dev/null) in Chromium* | *Chrome*) ;; *) return 1 ;; esac
    printf '%s/%s\n' "$(cd "$(dirname "$path")" && pwd)" "$(basename "$path")"
}

on_path() {
    for name in chromium chromium-browser google-chrome google-chrome-stable; do
        usable "$name" && return
    done
    return 1
}

# The browser beside its own libraries and letters: a script that names them and becomes the browser, keeping the pid.
wrap() {
    libraries=$(apt_libraries)
    cat >"$work/fonts.conf" <<EOF
<fontconfig><dir>$home/files/usr/share/fonts</dir><cachedir>$home/fonts</cachedir></fontconfig>
EOF
    cat >"$work/chromium" <<EOF
#!/bin/sh
here=\${0%/*}
export LD_LIBRARY_PATH="$libraries\${LD_LIBRARY_PATH:+${libraries:+:}\$LD_LIBRARY_PATH}"
[ -e /etc/fonts/fonts.conf ] || export FONTCONFIG_FILE="\$here/fonts.conf"
exec "\$here/files/usr/lib/chromium/chromium" "\$@"
EOF
    chmod +x "$work/chromium"
    usable "$work/chromium" >/dev/null
}

# Another run may have put its own copy there meanwhile; then that one stays.
apt_chromium() {
    # shellcheck disable=SC2046 # a list of names
    apt_unpack $(apt_missing chromium) && wrap || return 1
    usable "$private" >/dev/null && return
    rm -rf "$home" "$work/cache" "$work/lists"
    mv "$work" "$home"
}

trap 'rm -rf "$work"' EXIT
trap 'exit 130' HUP INT TERM

if [ -n "${OXCART_CHROMIUM:-}" ]; then
    usable "$OXCART_CHROMIUM" && exit
    say "OXCART_CHROMIUM names no Chromium that runs here: $OXCART_CHROMIUM"
    exit 1
fi
on_path && exit
usable "$private" && exit
if command -v apt-get >/dev/null; then
    apt_fetch apt_chromium && usable "$private" && exit
fi
say "no Chromium was found, and none could be fetched here. Install it (Debian, Fedora, Alpine: the package chromium; Ubuntu, macOS:"
say "Chrome), or name it: OXCART_CHROMIUM=/path/to/chromium make test-browser. Without it: BROWSER=none make test-browser"
exit 1
