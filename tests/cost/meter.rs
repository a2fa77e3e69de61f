//! Counts what Redis does for a workload, and holds it against a budget.

use std::collections::BTreeMap;

use crate::JOBS;
use crate::support::Server;

/// What a workload may take at most, per job.
pub(crate) struct Budget {
    /// Script calls.
    pub(crate) calls: f64,
    /// Commands that Redis executes, those of the scripts included.
    pub(crate) commands: f64,
    /// Bytes that Redis reads and writes, on the wire.
    pub(crate) received: f64,
    pub(crate) sent: f64,
}

/// What Redis has counted so far.
pub(crate) struct Meter<'a> {
    server: &'a Server,
    commands: BTreeMap<String, u64>,
    received: u64,
    sent: u64,
    /// For how long Redis computed.
    cpu_us: f64,
}

/// What it counted meanwhile.
pub(crate) struct Used {
    pub(crate) commands: BTreeMap<String, u64>,
    pub(crate) received: u64,
    pub(crate) sent: u64,
    pub(crate) cpu_us: f64,
}

/// What the meter itself asks.
const OWN: [&str; 3] = ["info", "client|setinfo", "hello"];

impl<'a> Meter<'a> {
    pub(crate) fn start(server: &'a Server) -> Self {
        let info: String = server.ask(&["INFO", "everything"]);
        let text = |name: &str| -> &str {
            let line = info.lines().find_map(|line| line.strip_prefix(name));
            line.unwrap_or_else(|| panic!("INFO has no {name}"))
        };
        let field = |name: &str| -> u64 { text(name).parse().unwrap() };
        let seconds = |name: &str| -> f64 { text(name).parse::<f64>().unwrap() * 1e6 };
        let commands = info
            .lines()
            .filter_map(|line| line.strip_prefix("cmdstat_")?.split_once(":calls="))
            .filter(|(name, _)| !OWN.contains(name))
            .map(|(name, rest)| {
                let calls = rest.split(',').next().unwrap();
                (name.to_owned(), calls.parse().unwrap())
            })
            .collect();
        Self {
            server,
            commands,
            received: field("total_net_input_bytes:"),
            sent: field("total_net_output_bytes:"),
            cpu_us: seconds("used_cpu_user_main_thread:") + seconds("used_cpu_sys_main_thread:"),
        }
    }

    /// What was used since, without what asking for it takes.
    pub(crate) fn stop(self) -> Used {
        let end = Self::start(self.server);
        let again = Self::start(self.server);
        let since = |name: &String| self.commands.get(name).copied().unwrap_or(0);
        let commands = end.commands.iter();
        Used {
            commands: commands
                .map(|(name, calls)| (name.clone(), calls - since(name)))
                .filter(|(_, calls)| *calls > 0)
                .collect(),
            received: (end.received - self.received).saturating_sub(again.received - end.received),
            sent: (end.sent - self.sent).saturating_sub(again.sent - end.sent),
            cpu_us: end.cpu_us - self.cpu_us,
        }
    }
}

impl Used {
    pub(crate) fn of(&self, name: &str) -> u64 {
        self.commands.get(name).copied().unwrap_or(0)
    }

    /// Prints what a job took beside what it may take, and fails if that is less.
    pub(crate) fn assert_within(&self, workload: &str, budget: &Budget) {
        let all: u64 = self.commands.values().sum();
        let lines = [
            ("script calls", self.of("evalsha"), budget.calls),
            ("commands", all, budget.commands),
            ("bytes received", self.received, budget.received),
            ("bytes sent", self.sent, budget.sent),
        ];
        let us = self.cpu_us / JOBS as f64;
        println!("{workload:<14} Redis computes {us:.2} µs a job");
        let mut over = Vec::new();
        for (what, used, budget) in lines {
            let used = used as f64 / JOBS as f64;
            println!("{workload:<14} {what:<15} {used:>10.3} of {budget:>10.3} a job");
            if used > budget {
                over.push(what);
            }
        }
        assert!(
            over.is_empty(),
            "{workload}: a job takes more {over:?} than it may; Redis counted {:?}",
            self.commands
        );
    }
}
