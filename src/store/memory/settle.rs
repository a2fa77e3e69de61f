//! Ends attempts: each with one outcome, and only while its claim is the attempt's receipt.

use std::collections::HashSet;

use serde_bytes::ByteBuf;

use crate::codec;
use crate::id::JobId;
use crate::job::outcome::{DeadReason, Ending, Outcome};
use crate::memory::gate::is_order;
use crate::memory::lease::Claim;
use crate::memory::leave::{Goes, Leaving};
use crate::memory::order::priority_at;
use crate::memory::state::{Later, State};
use crate::policy::retention::Retention;
use crate::store::advance::Settlement;
use crate::time::millis;

/// What is to become of the jobs of a whole batch.
#[derive(Default)]
struct Plan {
    /// Completed, and kept as is set for the queue.
    plain: Vec<(JobId, Vec<u8>)>,
    /// Completed or cancelled, with their own retention, if they have one.
    finished: Vec<(JobId, Vec<u8>, Option<Retention>)>,
    dead: Vec<(JobId, DeadReason)>,
    delayed: Vec<(JobId, u64, Later)>,
    waiting: Vec<(JobId, Later)>,
    again: Vec<JobId>,
    unhandled: Vec<(JobId, String, u64)>,
    /// Blocked until they are told something.
    untold: Vec<JobId>,
    /// Jobs with traits, for their gates.
    leaving: Vec<Leaving>,
    /// Jobs with traits that bounced.
    bounced: Vec<JobId>,
    told: Told,
}

/// Event tokens by kind.
#[derive(Default)]
struct Told {
    completed: Vec<String>,
    cancelled: Vec<String>,
    compensated: Vec<String>,
    retrying: Vec<String>,
    snoozed: Vec<String>,
    suspended: Vec<String>,
    delayed: Vec<String>,
    waiting: Vec<String>,
    /// Why jobs bounced, in the order the reasons came, and which.
    bounced: Vec<(String, Vec<String>)>,
}

impl Told {
    fn bounced(&mut self, why: String, token: String) {
        match self.bounced.iter_mut().find(|(known, _)| *known == why) {
            Some((_, tokens)) => tokens.push(token),
            None => self.bounced.push((why, vec![token])),
        }
    }
}

impl State {
    /// Returns the positions of the settlements whose receipt was stale: they change nothing, and are counted. And the
    /// positions of those that ended as cancelled although their worker said otherwise, with what is stored.
    pub(crate) fn settle(
        &mut self,
        settlements: &[Settlement],
    ) -> (Vec<usize>, Vec<(usize, Vec<u8>)>) {
        let (mut refused, mut overruled) = (Vec::new(), Vec::new());
        let mut plan = Plan::default();
        let mut seen = HashSet::new();
        for (position, settlement) in settlements.iter().enumerate() {
            let held = self.held(&settlement.id, &settlement.receipt).cloned();
            match held.filter(|_| !seen.contains(&settlement.id)) {
                None => refused.push(position),
                Some(claim) => {
                    seen.insert(settlement.id.clone());
                    let (settlement, request) = self.obeyed(settlement);
                    overruled.extend(request.map(|request| (position, request)));
                    self.plan(&mut plan, &settlement, &claim);
                }
            }
        }
        self.carry_out(plan);
        self.count("refused", refused.len());
        (refused, overruled)
    }

    fn plan(&mut self, plan: &mut Plan, ended: &Settlement, claim: &Claim) {
        let id = ended.id.clone();
        let token = id.to_string();
        let now_ms = self.now_ms();
        let later = Later::back(priority_at(self.place_of(&id)));
        let told_at = match &ended.outcome {
            Outcome::Suspended { steps, .. } => self.suspend(&id, steps),
            _ => None,
        };
        if ended.traits.are_there() {
            let goes = match &ended.outcome {
                Outcome::Completed(_) | Outcome::Cancelled(_) | Outcome::Compensated(_) => {
                    Goes::Ended
                }
                Outcome::Dead { .. } => Goes::Dead,
                Outcome::Retry { after, .. } | Outcome::Snoozed { after } if millis(*after) > 0 => {
                    self.expect_group(now_ms + millis(*after));
                    Goes::Delayed
                }
                Outcome::Suspended { .. } => match told_at {
                    Some(due_ms) if due_ms > now_ms => {
                        self.expect_group(due_ms);
                        Goes::Delayed
                    }
                    Some(_) => Goes::Waiting,
                    None => Goes::Delayed,
                },
                Outcome::Bounced {
                    after, name: None, ..
                } => {
                    self.expect_group(now_ms + millis(*after));
                    Goes::Waiting
                }
                _ => Goes::Waiting,
            };
            let ending = match &ended.outcome {
                Outcome::Completed(output) => Some(Ending::Ok(ByteBuf::from(output.as_slice()))),
                Outcome::Cancelled(reason) => Some(Ending::Cancelled(reason.clone())),
                Outcome::Compensated(reason) => Some(Ending::Compensated(reason.clone())),
                Outcome::Dead { reason, .. } => Some(Ending::Dead(*reason)),
                _ => None,
            };
            let ending = ending.map_or_else(Vec::new, |ending| codec::encode_plain(&ending));
            let job = self.leaving(&id, goes);
            plan.leaving.extend(job.map(|job| job.ended(&ending)));
        }
        match &ended.outcome {
            Outcome::Completed(output) => {
                let ending = Ending::Ok(ByteBuf::from(output.as_slice()));
                let ending = codec::encode_plain(&ending);
                if ended.is_plain() {
                    plan.plain.push((id, ending));
                } else {
                    plan.finished.push((id, ending, ended.keep));
                }
                plan.told.completed.push(token);
            }
            Outcome::Cancelled(reason) => {
                let ending = codec::encode_plain(&Ending::Cancelled(reason.clone()));
                plan.finished.push((id, ending, ended.keep));
                plan.told.cancelled.push(token);
            }
            Outcome::Compensated(reason) => {
                let ending = codec::encode_plain(&Ending::Compensated(reason.clone()));
                plan.finished.push((id, ending, ended.keep));
                plan.told.compensated.push(token);
            }
            Outcome::Retry { after, entry } => {
                let entry = codec::encode_plain(entry);
                self.record_attempt(&id, claim.since_ms, &entry, true);
                let due_ms = now_ms + millis(*after);
                plan.told.retrying.push(format!("{token}:{due_ms}"));
                if due_ms > now_ms {
                    plan.delayed.push((id, due_ms, later));
                } else {
                    plan.waiting.push((id, later));
                }
            }
            Outcome::Snoozed { after } => {
                let times = self.record_snooze(&id);
                let due_ms = now_ms + millis(*after);
                plan.told.snoozed.push(format!("{token}:{due_ms}:{times}"));
                plan.delayed.push((id, due_ms, later));
            }
            Outcome::Suspended { .. } => {
                let shown_ms = told_at.map_or(0, |due_ms| due_ms.max(now_ms));
                plan.told.suspended.push(format!("{token}:{shown_ms}"));
                match told_at {
                    None => plan.untold.push(id),
                    Some(due_ms) if due_ms > now_ms => plan.delayed.push((id, due_ms, later)),
                    Some(_) => plan.waiting.push((id, later)),
                }
            }
            Outcome::Dead { reason, entry } => {
                let entry = codec::encode_plain(entry);
                self.record_attempt(&id, claim.since_ms, &entry, true);
                plan.dead.push((id, *reason));
            }
            Outcome::Bounced { after, entry, name } => {
                self.record_bounce(&id);
                plan.bounced
                    .extend(ended.traits.are_there().then(|| id.clone()));
                plan.told.bounced(entry.shown(), token.clone());
                if let Some(name) = name {
                    plan.unhandled.push((id, name.clone(), millis(*after)));
                } else {
                    let due_ms = now_ms + millis(*after);
                    plan.told.delayed.push(format!("{token}:{due_ms}"));
                    plan.delayed.push((id, due_ms, later));
                }
            }
            Outcome::RateLimited { after } => {
                let until_ms = now_ms + millis(*after);
                match self.gate_of(&id).filter(|gate| !is_order(gate)) {
                    Some(group) => self.hold_group(&group, until_ms),
                    None => self.hold_until(until_ms),
                }
                plan.again.push(id);
                plan.told.waiting.push(token);
            }
            Outcome::Released | Outcome::LeaseLost => {
                plan.again.push(id);
                plan.told.waiting.push(token);
            }
        }
    }

    fn carry_out(&mut self, plan: Plan) {
        self.finish(&plan.plain, None);
        for (id, outcome, own) in plan.finished {
            self.finish(&[(id, outcome)], own);
        }
        self.bury(&plan.dead);
        self.enter_delayed(&plan.delayed);
        for (id, later) in plan.waiting {
            self.enter_anew(&id, later);
        }
        for id in plan.again {
            self.enter_line(&id, self.place_of(&id));
        }
        for (id, name, after_ms) in &plan.unhandled {
            self.enter_unhandled(id, name, *after_ms);
        }
        if !plan.unhandled.is_empty() {
            self.tell_of_unhandled();
        }
        self.block_until_told(&plan.untold);
        self.leave(&plan.leaving);
        for id in &plan.bounced {
            self.expect_first_start(id);
        }
        let told = plan.told;
        for (why, tokens) in &told.bounced {
            self.emit("bounced", tokens);
            self.emit_value("why", why.as_bytes());
        }
        self.emit("cancelled", &told.cancelled);
        self.emit("compensated", &told.compensated);
        self.emit("retrying", &told.retrying);
        self.emit("snoozed", &told.snoozed);
        self.emit("suspended", &told.suspended);
        self.emit("delayed", &told.delayed);
        self.emit("waiting", &told.waiting);
        self.emit("completed", &told.completed);
        self.count("completed", told.completed.len());
        self.count("cancelled", told.cancelled.len() + told.compensated.len());
        self.count("retried", told.retrying.len());
        self.count("snoozed", told.snoozed.len());
    }
}
