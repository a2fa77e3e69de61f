//! A server that is already there is found, and the best one.

use crate::system::System;

#[test]
fn server_on_path_is_taken_and_redis_comes_first() {
    let system = System::new();
    system.server("valkey-server", "Valkey server v=7.2.5");
    system.assert_prints(&system.run(), &system.bin().join("valkey-server"));
    system.server("redis-server", "Redis server v=7.0.15");
    system.assert_prints(&system.run(), &system.bin().join("redis-server"));
    assert!(!system.target().exists(), "nothing was fetched");
}

#[test]
fn old_server_on_path_is_passed_over() {
    let system = System::new();
    system.server("redis-server", "Redis server v=6.2.7");
    system.server("valkey-server", "Valkey server v=8.0.1");
    let output = system.run();
    system.assert_prints(&output, &system.bin().join("valkey-server"));
    assert!(String::from_utf8_lossy(&output.stderr).contains("it is 6.2.7"));
}

#[test]
fn named_server_is_taken_whatever_is_on_path() {
    let system = System::new();
    system.server("redis-server", "Redis server v=7.0.15");
    system.server("my-server", "Redis server v=8.2.0");
    let named = system.bin().join("my-server");
    let output = system.command().env("OXCART_REDIS_SERVER", &named).output();
    system.assert_prints(&output.expect("the script can be started"), &named);
}

#[test]
fn named_server_that_is_old_or_missing_is_an_error() {
    let system = System::new();
    system.server("redis-server", "Redis server v=7.0.15");
    system.server("old-server", "Redis server v=6.0.16");
    for name in ["old-server", "no-server"] {
        let named = system.bin().join(name);
        let output = system.command().env("OXCART_REDIS_SERVER", named).output();
        let output = output.expect("the script can be started");
        system.assert_fails(&output, "OXCART_REDIS_SERVER names it");
    }
}

#[test]
fn without_any_road_the_message_says_what_to_do() {
    let system = System::new();
    system.server("redis-server", "Redis server v=6.0.16");
    let output = system.run();
    for saying in [
        "7.0 is the oldest",
        "Install one",
        "OXCART_REDIS_SERVER=/path",
    ] {
        system.assert_fails(&output, saying);
    }
}
