# shellcheck shell=sh
# Unpacks packages of Debian into a private folder: nothing is installed, no service starts, and root is not needed. Not to be
# run, but read by the scripts that look for a tool. They set $work, a new folder for what is under way, and have `say`.

# Everything that apt writes goes below $work, so none of this needs root; as root, apt would hand the
# download to a user who may not be able to enter that folder.
apt_tool() {
    tool=$1
    shift
    "$tool" -q -o "Dir::State::Lists=$apt_lists" -o "Dir::Cache=$work/cache" -o APT::Sandbox::User=root \
        -o APT::Install-Recommends=0 "$@"
}

# 5:7.0.15-1~deb12u1 -> 7.0.15 and v=7.2.4 -> 7.2.4
plain_version() { sed -n 's/^[^0-9]*\([0-9]*:\)\{0,1\}\([0-9][0-9]*\.[0-9][0-9.]*\).*/\2/p' | head -n 1; }

apt_candidate() { apt_tool apt-cache policy "$1" 2>/dev/null | sed -n 's/^ *Candidate: //p' | plain_version; }

# The package, and what it needs that this system lacks.
apt_missing() { apt_tool apt-get -s install "$1" | sed -n 's/^Inst \([^ ]*\) .*/\1/p' | tr '\n' ' '; }

# Downloads the packages named, and unpacks them into $work/files.
apt_unpack() {
    [ $# -gt 0 ] || return 1
    say "unpacking into $home: $*"
    rm -rf "$work/debs" "$work/files"
    mkdir -p "$work/debs" "$work/files"
    (cd "$work/debs" && apt_tool apt-get download "$@" >&2) || return 1
    for deb in "$work"/debs/*.deb; do
        dpkg -x "$deb" "$work/files" >&2 || return 1
    done
    rm -rf "$work/debs"
}

# Runs a command that uses the above with the package lists that are here, and if it fails, with fresh ones.
apt_fetch() {
    mkdir -p "$work/cache/archives/partial" || return 1
    apt_lists=/var/lib/apt/lists
    "$1" && return
    apt_lists=$work/lists
    mkdir -p "$apt_lists/partial"
    say "not with the package lists that are here; fetching fresh ones, for this alone"
    # One broken source must not stop the others; what counts is whether the package is there afterwards.
    apt_tool apt-get update >&2 || say "some package lists could not be fetched"
    "$1"
}

# The folders below $work/files that hold libraries, as LD_LIBRARY_PATH wants them, for a script in $work that has set $here.
apt_libraries() {
    (cd "$work" && find files -name '*.so*' -exec dirname {} \; | sort -u | sed "s,.*,:\$here/&," | tr -d '\n' | sed 's/^://')
}

# Makes the script $work/$1, which names the libraries below $work/files, and becomes the program $2 there, keeping the pid.
apt_wrapper() {
    libraries=$(apt_libraries)
    cat >"$work/$1" <<EOF
#!/bin/sh
here=\${0%/*}
libraries="$libraries\${LD_LIBRARY_PATH:+${libraries:+:}\$LD_LIBRARY_PATH}"
[ -z "\$libraries" ] || export LD_LIBRARY_PATH="\$libraries"
exec "\$here/$2" "\$@"
EOF
    chmod +x "$work/$1"
}

# A server as a private copy in $home. The script that reads this has `apt_package`, the package to take; `wrap`, which makes the programs in
# $work; and `private_copy`, whether the copy in $home works.
apt_server() {
    package=$(apt_package) || return 1
    # shellcheck disable=SC2046 # a list of names
    apt_unpack $(apt_missing "$package") && (wrap) && keep
}

# Another run may have put its own copy there meanwhile; then that one stays.
keep() {
    rm -rf "$work/cache" "$work/lists"
    private_copy 2>/dev/null && return
    rm -rf "$home"
    mv "$work" "$home"
    private_copy
}

# --- For those that install something after all ------------------------------------------------------------------

as_root() {
    if [ "$(id -u)" -eq 0 ]; then
        "$@" >&2
    elif have sudo && sudo -n true 2>/dev/null; then
        sudo -n "$@" >&2
    else
        say "this needs root, and sudo without a password is not at hand; run it yourself, then try again: $*"
        return 1
    fi
}
