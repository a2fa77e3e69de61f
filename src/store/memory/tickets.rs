//! Which payloads in a store are still those of their jobs.

use crate::memory::Apply;
use crate::memory::state::State;
use crate::store::tickets::{TicketOf, Tickets};

impl Apply for Tickets<'_> {
    fn apply(&self, state: &mut State) -> Vec<usize> {
        let has = |ticket: &TicketOf<'_>| {
            let (record, object) = (&state.jobs.get(ticket.id)?.record, ticket.object.as_bytes());
            record
                .windows(object.len())
                .any(|part| part == object)
                .then_some(())
        };
        let all = self.tickets.iter().enumerate();
        let held = all.filter_map(|(at, ticket)| has(ticket).map(|()| at));
        held.collect()
    }
}
