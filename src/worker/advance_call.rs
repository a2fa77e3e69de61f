//! The call that a worker makes again and again, `advance`, as a numbered call of a lane.

use crate::service::WorkerShared;
use crate::service::slots::NextCall;
use crate::service::suspect::SuspectTurn;
use crate::service::trouble::CallKind;
use crate::store::advance::{Advance, Advanced, Answer, Settlement, Suspects};
use crate::store::backend::{Answered, Connection, Number, NumberedCall, Refusal, Trouble};
use crate::time::millis;
use crate::worker::inner::WorkerInner;

/// One call of `advance`, whatever its number.
pub(crate) struct AdvanceCall<'a> {
    pub(crate) shared: &'a WorkerShared,
    /// The names for which the worker asks, if it does.
    pub(crate) names: Vec<&'a str>,
    pub(crate) next: &'a NextCall,
    /// The suspects that it may bring.
    pub(crate) suspects: Suspects,
    /// Whether the worker can keep timers, as long as it claims.
    pub(crate) keeps_timers: bool,
}

impl<'a> AdvanceCall<'a> {
    pub(crate) fn new(worker: &'a WorkerInner, next: &'a NextCall) -> Self {
        let turn = next.suspects.as_ref();
        Self {
            shared: &worker.shared,
            names: match next.by_name {
                true => worker.names.iter().map(String::as_str).collect(),
                false => Vec::new(),
            },
            next,
            suspects: turn.map_or_else(Suspects::default, SuspectTurn::suspects),
            keeps_timers: true,
        }
    }
}

impl NumberedCall for AdvanceCall<'_> {
    type Answer = Advanced;

    fn carries(&self) -> usize {
        self.next.settle.iter().map(Settlement::bytes).sum()
    }

    fn fetches(&self) -> bool {
        self.next.claim > 0
    }

    async fn send(
        &mut self,
        connection: &mut Connection,
        number: Number<'_>,
        room: usize,
        _may_have_run: bool,
    ) -> Result<Answered<Advanced>, Trouble> {
        let Self { shared, next, .. } = self;
        let verb = Advance {
            lane: number.lane,
            call: number.call,
            worker: &shared.id,
            settle: &next.settle,
            claim: next.claim,
            claim_bytes: room,
            suspects: self.suspects,
            lease_ms: millis(shared.config.lease),
            hold: self.keeps_timers && shared.slots.is_claiming(),
            handlers: next.by_name.then_some(&self.names[..]),
            heard: next.heard,
            again: next.again,
            traits: next.traits,
            ask: false,
        };
        connection.call_once(&verb).await.map(answered)
    }

    async fn ask(
        &mut self,
        connection: &mut Connection,
        number: Number<'_>,
    ) -> Result<Answered<Advanced>, Trouble> {
        let question = Advance {
            lane: number.lane,
            call: number.call,
            worker: &self.shared.id,
            settle: &[],
            claim: 0,
            claim_bytes: 0,
            suspects: Suspects::default(),
            lease_ms: millis(self.shared.config.lease),
            hold: false,
            handlers: None,
            heard: 0,
            again: false,
            traits: false,
            ask: true,
        };
        let answer = connection.call(&question).await?;
        // The question takes over no timer (`hold`), so the worker looks for work itself.
        self.shared.slots.look();
        Ok(answered(answer))
    }

    fn brought(&self, advanced: &Advanced) -> usize {
        let payload = |payload: &Option<Vec<u8>>| payload.as_ref().map_or(0, Vec::len);
        let claimed = advanced.claimed.iter();
        let bytes = claimed.map(|job| job.record.len() + payload(&job.payload));
        bytes.sum()
    }

    /// A call that is refused because of its contents is divided; that is no trouble with Redis.
    fn is_held_up(&mut self, trouble: &Trouble, _may_have_run: bool) {
        if !matches!(
            trouble,
            Trouble::Refused(Refusal::Unread, _) | Trouble::Garbled(_)
        ) {
            let shared = self.shared;
            shared
                .trouble
                .note(CallKind::Advance, trouble, &shared.hooks);
        }
    }
}

fn answered(answer: Answer) -> Answered<Advanced> {
    match answer {
        Answer::Advanced(advanced) => Answered::Ran(advanced),
        Answer::Asked => Answered::Asked,
        Answer::Superseded => Answered::Superseded,
    }
}
