//! A private Redis and the services as processes, which all end with the check. The parts are those of the tests.
#![allow(
    dead_code,
    unreachable_pub,
    reason = "the tests use more of these parts"
)]
#![allow(clippy::panic, reason = "what cannot be started ends the check")]

#[path = "../../../tests/support/port.rs"]
mod port;
#[path = "../../../tests/support/process.rs"]
mod process;
#[path = "../../../crates/oxcart-cli/tests/cli/support/road.rs"]
mod road;
#[path = "../../../tests/support/server.rs"]
mod server;

use std::process::{Command, Stdio};
use std::time::Duration;

use process::Process;
pub(crate) use server::Server;
use tokio::time::sleep;

pub(crate) const SERVICES: [&str; 4] = ["shop", "old-shop", "payments", "warehouse"];

/// All services, each a process of its own.
pub(crate) struct Services {
    envs: Vec<(&'static str, String)>,
    running: Vec<Process>,
}

impl Services {
    pub(crate) fn start(envs: Vec<(&'static str, String)>) -> Self {
        let mut services = Self {
            envs,
            running: Vec::new(),
        };
        services.running = SERVICES.iter().map(|name| services.spawn(name)).collect();
        services
    }

    fn spawn(&self, service: &str) -> Process {
        let program = std::env::current_exe().expect("a process knows its own binary");
        let envs = self.envs.iter().map(|(name, value)| (name, value));
        let mut command = Command::new(program);
        command.arg(service).envs(envs).stdin(Stdio::null());
        Process::spawn(&mut command, None)
    }

    /// Kills so many services, one after the other (SIGKILL), and starts each anew.
    pub(crate) async fn trouble(&mut self, kills: usize) {
        for _ in 0..kills {
            sleep(Duration::from_millis(fastrand::u64(100..600))).await;
            let one = fastrand::usize(..SERVICES.len());
            self.running[one].kill();
            self.running[one] = self.spawn(SERVICES[one]);
        }
    }
}
