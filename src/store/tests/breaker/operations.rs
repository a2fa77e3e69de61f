//! What random sequences do to a breaker.

use std::sync::Arc;

use proptest::prelude::*;
use proptest::sample::select;

use super::RULES;
use crate::policy::breaker::Rules;
use crate::store::breaker::{Breaker, Force};
use crate::store::call_ended::{CallEnded, End};
use crate::store::permit::Permit;
use crate::store::tests::random::op::{Op, Operation};
use crate::store::tests::random::world::{World, Wrong};

/// Something that is done to a breaker.
#[derive(Debug, Clone)]
enum OnBreaker {
    Permit {
        calls: u64,
    },
    Ended {
        ended: End,
        probe: u64,
    },
    /// Probes go, and all of them end well.
    Mend,
    Force(Force),
}

#[derive(Debug, Clone)]
struct ToBreaker {
    rules: Rules,
    succeeded: u64,
    what: OnBreaker,
}

pub(crate) fn operation() -> impl Strategy<Value = Op> {
    let ended = select(
        &[
            End::Failed,
            End::Failed,
            End::Failed,
            End::Well,
            End::Dropped,
        ][..],
    );
    let probe = select(&[0, 0, 1, 2, 3, 4][..]);
    let force = [Force::Nothing, Force::Open, Force::Closed, Force::Automatic];
    let what = prop_oneof![
        6 => (1..30u64).prop_map(|calls| OnBreaker::Permit { calls }),
        8 => (ended, probe).prop_map(|(ended, probe)| OnBreaker::Ended { ended, probe }),
        2 => Just(OnBreaker::Mend),
        1 => select(force.to_vec()).prop_map(OnBreaker::Force),
    ];
    let rules = (
        (select(&[1, 3][..]), select(&[0, 500][..])),
        select(&[100, 2_000, 60_000][..]),
        select(&[1, 900, 5_000][..]),
        1..3u32,
        select(&[0, 900, 60_000][..]),
    );
    (rules, select(&[0, 0, 2][..]), what).prop_map(
        |(((failures, permille), window_ms, open_ms, probes, rise_ms), succeeded, what)| {
            let rules = Rules {
                failures,
                window_ms,
                permille,
                calls: permille / 100,
                open_ms,
                probes,
                rise_ms,
                ..RULES
            };
            let operation = ToBreaker {
                rules,
                succeeded,
                what,
            };
            Op::Other(Arc::new(operation))
        },
    )
}

impl Operation for ToBreaker {
    fn run(&self, world: &mut World<'_>) -> Result<(), Wrong> {
        let Self {
            rules, succeeded, ..
        } = *self;
        let why = "down";
        let call_ended = |ended, probe| CallEnded {
            rules,
            succeeded,
            ended,
            probe,
            why,
        };
        match self.what {
            OnBreaker::Permit { calls } => {
                for _ in 0..calls {
                    permit(world, rules, succeeded)?;
                }
            }
            OnBreaker::Ended { ended, probe } => {
                // One of those that are under way, if there is one.
                let last = world.memory.call(&Breaker {
                    rules,
                    force: Force::Nothing,
                    why,
                });
                let probe = if last.probes > 0 && probe == 4 {
                    last_probe(world)
                } else {
                    probe
                };
                world.both(&call_ended(ended, probe))?;
            }
            OnBreaker::Mend => {
                for _ in 0..rules.probes {
                    permit(world, rules, succeeded)?;
                    let probe = last_probe(world);
                    world.both(&call_ended(End::Well, probe))?;
                }
            }
            OnBreaker::Force(force) => world.both(&Breaker { rules, force, why })?,
        }
        world.both(&Breaker {
            rules,
            force: Force::Nothing,
            why,
        })
    }
}

/// By another number than the last probe.
fn permit(world: &mut World<'_>, rules: Rules, succeeded: u64) -> Result<(), Wrong> {
    let probe = last_probe(world) + 5;
    world.both(&Permit {
        rules,
        succeeded,
        probe,
    })
}

/// The number of the last probe.
fn last_probe(world: &World<'_>) -> u64 {
    let probes = world.last.get("breaker", "probes");
    let probes = String::from_utf8_lossy(probes.map_or(&[][..], |text| text)).into_owned();
    let last = probes.rsplit(' ').next().unwrap_or_default();
    let number = last.split(':').next().unwrap_or_default();
    number.parse().unwrap_or(0)
}
