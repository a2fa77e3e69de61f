//! Jobs with traits leave what they were: what waits for them may go on.

use crate::id::JobId;
use crate::job::head::{field_of, has_traits};
use crate::job::traits::gate_of;
use crate::memory::children::Told;
use crate::memory::gate::is_order;
use crate::memory::state::{Collection, State};

/// A job that leaves what it was.
pub(crate) struct Leaving {
    pub(crate) id: JobId,
    pub(crate) record: Vec<u8>,
    pub(crate) from: Collection,
    pub(crate) to: Goes,
    /// How it ended, if it did.
    pub(crate) ending: Vec<u8>,
}

impl Leaving {
    pub(crate) fn ended(self, ending: &[u8]) -> Self {
        let ending = ending.to_vec();
        Self { ending, ..self }
    }
}

/// Where a job goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Goes {
    Waiting,
    Delayed,
    Dead,
    Removed,
    /// It comes to its gate anew.
    Moved,
    Ended,
}

impl State {
    /// What was known of a job before it leaves: none if it has no gate.
    pub(crate) fn leaving(&self, id: &JobId, to: Goes) -> Option<Leaving> {
        let job = self.jobs.get(id)?;
        has_traits(&job.record).then(|| Leaving {
            id: id.clone(),
            record: job.record.clone(),
            from: job.collection,
            to,
            ending: Vec::new(),
        })
    }

    /// Jobs with traits leave what they were: what waits for them may go on, and their keys may be free.
    pub(crate) fn leave(&mut self, jobs: &[Leaving]) {
        self.free_keys(jobs);
        let Told { died, woken } = self.tell_parents(jobs);
        self.leave_gates(jobs.iter().chain(&died));
        self.wake_parents(&woken);
    }

    /// The same as far as gates are concerned.
    pub(crate) fn leave_gates<'a>(&mut self, jobs: impl IntoIterator<Item = &'a Leaving>) {
        let (mut touched, mut halted) = (Vec::new(), Vec::new());
        for job in jobs {
            let Some(name) = gate_of(&job.record) else {
                continue;
            };
            let has_turn = self.gate(&name).turn.as_ref() == Some(&job.id);
            if !is_order(&name) {
                self.change_gate(&name, |gate| {
                    if job.from == Collection::Active {
                        gate.active = gate.active.saturating_sub(1);
                    }
                    if has_turn {
                        gate.turn = None;
                    }
                });
            } else if has_turn {
                let on_failure = field_of(&job.record, "on_failure");
                let keeps = match job.to {
                    Goes::Waiting => true,
                    Goes::Delayed => on_failure != Some("pass"),
                    Goes::Dead => on_failure == Some("halt"),
                    Goes::Ended | Goes::Removed | Goes::Moved => false,
                };
                let is_halted = job.to == Goes::Dead && keeps;
                if is_halted {
                    halted.push(job.id.clone());
                }
                self.change_gate(&name, |gate| {
                    gate.halted = is_halted;
                    if !keeps {
                        gate.turn = None;
                    }
                });
            }
            if !touched.contains(&name) {
                touched.push(name);
            }
        }
        self.emit_ids("halted", &halted);
        // A group that has a turn has a job in line already.
        touched.retain(|name: &String| is_order(name) || self.gate(name).turn.is_none());
        if !touched.is_empty() {
            self.admit(&touched);
        }
    }
}
