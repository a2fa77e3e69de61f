//! A claim that has emptied the line takes what groups hold back, in equal shares.

use crate::id::JobId;
use crate::memory::allowance::Allowance;
use crate::memory::state::{Collection, State};

/// How often a claim looks for more jobs of groups.
const ROUNDS: usize = 16;

/// The next jobs of a gate.
pub(crate) struct Page {
    pub(crate) ids: Vec<JobId>,
    /// How many there were, those included that are gone.
    pub(crate) found: usize,
    /// As many as were asked for.
    is_full: bool,
}

impl State {
    /// Jobs that the groups hold back, as many of each group.
    pub(crate) fn take_from_groups(
        &mut self,
        groups: &[String],
        limit: usize,
        room: &mut Allowance,
    ) -> Vec<JobId> {
        let mut taken = Vec::new();
        let mut open = match self.gates.any_blocked {
            true => groups.to_vec(),
            false => Vec::new(),
        };
        for _ in 0..ROUNDS {
            if open.is_empty() || taken.len() >= limit {
                break;
            }
            let mut left = limit - taken.len();
            let share = left.div_ceil(open.len());
            let mut pages = Vec::new();
            for gate in open {
                let wanted = share.min(self.room_in(&gate));
                if wanted > 0 {
                    let page = self.page_of(&gate, wanted.min(left));
                    left -= page.found;
                    pages.push((gate, page));
                }
            }
            open = Vec::new();
            for (gate, page) in pages {
                let fitting = self.take_page(&gate, &page.ids, room);
                if page.is_full && fitting == page.ids.len() {
                    open.push(gate);
                }
                taken.extend_from_slice(&page.ids[..fitting]);
            }
        }
        taken
    }

    /// The next jobs of a gate. Members that belong to no blocked job are dropped, jobs of paused names are moved aside.
    pub(crate) fn page_of(&mut self, gate: &str, limit: usize) -> Page {
        let first = (gate.to_owned(), i64::MIN, JobId::stored(""));
        let members = self.gates.blocked_by.range(first..);
        let members = members.take_while(|(name, ..)| name == gate).take(limit);
        let members: Vec<_> = members.cloned().collect();
        let found = members.len();
        let is_blocked = |id: &JobId| self.collection_of(id) == Some(Collection::Blocked);
        let (there, stale): (Vec<_>, Vec<_>) =
            members.into_iter().partition(|(_, _, id)| is_blocked(id));
        for member in &stale {
            self.gates.blocked_by.remove(member);
        }
        let ids = there.into_iter().map(|(_, _, id)| id).collect();
        Page {
            ids: self.move_aside(gate, ids),
            found,
            is_full: found == limit,
        }
    }

    /// Takes those of a page that fit, up to the first suspect. Returns how many.
    fn take_page(&mut self, gate: &str, ids: &[JobId], room: &mut Allowance) -> usize {
        let mut fitting = 0;
        for id in ids {
            let size = self.size_of(id);
            let stays = self.is_suspect(id) || size > room.bytes || self.is_paused_job(id);
            if stays || !room.start(self.weight(id)) {
                break;
            }
            room.bytes -= size;
            fitting += 1;
        }
        for id in &ids[..fitting] {
            self.unblock(gate, id);
            self.put(id, Collection::Active, 0);
        }
        self.change_gate(gate, |gate| gate.active += fitting as u64);
        self.pace_starts(gate, fitting as u64);
        fitting
    }
}
