//! A server that is not there is fetched, and nothing is started.

use std::fs;

use crate::system::System;

/// apt-get and dpkg as far as the script uses them; the server comes under its Debian name.
fn play_apt(system: &System, candidate: &str) {
    system.tool(
        "apt-cache",
        &format!("case $* in *redis-tools) echo '  Candidate: {candidate}';; esac"),
    );
    system.tool(
        "apt-get",
        "case $* in *' -s install '*) echo 'Inst redis-tools (5:7.0.15-1 Debian:12 [amd64])';; \
         *' download '*) : >redis-tools.deb;; esac",
    );
    let server =
        "printf '#!/bin/sh\\necho Redis server v=7.0.15 sha=0' >\"$3/usr/bin/redis-check-rdb\"";
    system.tool(
        "dpkg",
        &format!("mkdir -p \"$3/usr/bin\"; {server}; chmod +x \"$3/usr/bin/redis-check-rdb\""),
    );
}

#[test]
fn apt_package_is_unpacked_not_installed_and_only_once() {
    let system = System::new();
    play_apt(&system, "5:7.0.15-1~deb12u1");
    system.assert_prints(&system.run(), &system.private());
    let apt_runs = || {
        system
            .ran
            .lines()
            .iter()
            .filter(|line| line.starts_with("apt-get"))
            .count()
    };
    assert_eq!(
        apt_runs(),
        2,
        "one simulation, one download: {:?}",
        system.ran.lines()
    );
    system.assert_prints(&system.run(), &system.private());
    assert_eq!(apt_runs(), 2, "the copy is used again");
    let left = fs::read_dir(system.target()).expect("it was made").count();
    assert_eq!(left, 1, "nothing is left beside the copy");
}

#[test]
fn old_apt_package_is_not_fetched() {
    let system = System::new();
    play_apt(&system, "5:6.0.16-1ubuntu1.1");
    system.assert_fails(
        &system.run(),
        "the distribution's redis-tools is 6.0.16, which is too old",
    );
    assert!(!system.ran("dpkg"));
    assert!(
        !system
            .ran
            .lines()
            .iter()
            .any(|line| line.contains("install"))
    );
}

#[test]
fn installed_redis_tools_are_a_server_already() {
    let system = System::new();
    play_apt(&system, "5:7.0.15-1~deb12u1");
    system.server("redis-check-rdb", "Redis server v=7.0.15");
    system.assert_prints(&system.run(), &system.private());
    assert!(!system.ran("apt-get"));
}

#[test]
fn dnf_apk_and_brew_are_asked_where_they_are() {
    let dnf = System::new();
    let puts = dnf.puts_server("valkey-server");
    dnf.tool(
        "dnf",
        &format!("case $* in *repoquery*) echo 8.0.3;; *) {puts};; esac"),
    );
    dnf.tool("sudo", "[ $1 = -n ] && shift && \"$@\"");
    dnf.assert_prints(&dnf.run(), &dnf.bin().join("valkey-server"));
    assert!(dnf.ran("dnf install -y valkey"));

    let apk = System::new();
    apk.tool("apk", &apk.puts_server("redis-server"));
    apk.tool("sudo", "[ $1 = -n ] && shift && \"$@\"");
    apk.assert_prints(&apk.run(), &apk.bin().join("redis-server"));
    assert!(apk.ran("apk add --no-cache redis"));

    let brew = System::new();
    let prefix = brew.folder.path().display().to_string();
    let puts = brew.puts_server("redis-server");
    brew.tool(
        "brew",
        &format!("case $1 in --prefix) echo '{prefix}';; *) {puts};; esac"),
    );
    brew.assert_prints(&brew.run(), &brew.bin().join("redis-server"));
    assert!(brew.ran("brew install redis") && !brew.ran("sudo"));
}
