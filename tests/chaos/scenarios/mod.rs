//! The scenarios, in the order in which they run.

mod backlog;
mod block_threads;
pub(crate) mod clock;
mod freeze_workers;
mod kill_redis;
mod kill_workers;
mod leak;
mod leases;
mod network;
mod outages;
mod poison;
mod refusals;
mod rolling_restart;
mod slow_line;

use crate::battery::Scenario;

macro_rules! scenario {
    ($name:literal, $guarantees:literal, $run:path) => {
        Scenario {
            name: $name,
            guarantees: $guarantees,
            run: |stage| Box::pin($run(stage)),
        }
    };
}

pub(crate) const ALL: &[Scenario] = &[
    scenario!("kill-workers", "G1 G2", kill_workers::run),
    scenario!("freeze-workers", "G2", freeze_workers::run),
    scenario!("rolling-restart", "G1", rolling_restart::run),
    scenario!("blocked-threads", "G1 G5", block_threads::run),
    scenario!("poison", "G6", poison::run),
    scenario!("network", "G1 G3 G9", network::run),
    scenario!("slow-line", "G1 G3 G9", slow_line::slow),
    scenario!("far-redis", "G1 G3 G9", slow_line::far),
    scenario!("redis-killed", "G1 G9", kill_redis::run),
    scenario!("redis-emptied", "G2 G9", outages::emptied),
    scenario!("redis-stopped", "G2 G9", outages::stopped),
    scenario!("redis-asleep", "G9", outages::asleep),
    scenario!("redis-replaced", "G2 G9", outages::replaced),
    scenario!("scripts-and-clients", "G9", refusals::scripts_and_clients),
    scenario!("redis-full", "G9", refusals::full),
    scenario!("redis-refusing", "G6 G9", leases::refusing),
    scenario!("redis-stepped", "G6 G9", leases::stepped),
    scenario!("far-leases", "G2 G9", leases::far),
    scenario!("clock", "G5", clock::run),
    scenario!("backlog", "G7", backlog::run),
    scenario!("leak", "G8", leak::run),
];
