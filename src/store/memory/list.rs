//! A page of the jobs in one state.

use crate::id::JobId;
use crate::memory::Apply;
use crate::memory::state::{Collection, State};
use crate::store::get::Found;
use crate::store::list::{Direction, List, Listed, Place};

/// All of them; those that are one state in several collections in the order of a page.
pub(crate) const COLLECTIONS: [Collection; 9] = [
    Collection::Waiting,
    Collection::Suspects,
    Collection::Unhandled,
    Collection::Blocked,
    Collection::Delayed,
    Collection::Active,
    Collection::Completed,
    Collection::Kept,
    Collection::Dead,
];

impl List<'_> {
    /// Whether a job stands where a page before has been.
    fn is_seen(&self, list: usize, (score, id): &(i64, JobId)) -> bool {
        self.after.is_some_and(|after| {
            let end = (COLLECTIONS[list - 1].read(&after.score), after.id.as_str());
            let place = (*score, id.as_str());
            match self.direction {
                Direction::Forward => list < after.list || (list == after.list && place <= end),
                Direction::Backward => list > after.list || (list == after.list && place >= end),
            }
        })
    }

    /// All places of jobs in the state, and of those that lie in the same lists.
    fn places<'s>(&self, state: &'s State) -> Vec<(usize, &'s (i64, JobId))> {
        let lies_in = match self.state {
            "cancelled" => "completed",
            state => state,
        };
        let of_state = (1..)
            .zip(COLLECTIONS)
            .filter(|(_, collection)| collection.state() == lies_in);
        let all = of_state
            .flat_map(|(list, collection)| state.all(collection).map(move |job| (list, job)));
        let mut places: Vec<_> = all
            .filter(|(list, job)| !self.is_seen(*list, job))
            .collect();
        if self.direction == Direction::Backward {
            places.reverse();
        }
        places
    }
}

impl Apply for List<'_> {
    fn apply(&self, state: &mut State) -> Listed {
        let mut listed = Listed::default();
        let (mut bytes, mut read, mut looked_at, mut last) = (0, 0, 0, None);
        for (list, (score, id)) in self.places(state).into_iter().take(self.look_at) {
            let job = &state.jobs[id];
            let mut wanted = job.shown_state() == self.state;
            if let Some(only) = self.only.filter(|_| wanted) {
                let more;
                (wanted, more) = only.holds(id, job, state.now_ms());
                read += more;
            }
            if wanted {
                let found = job.described();
                bytes += size(&found);
                if !listed.jobs.is_empty() && bytes > self.bytes {
                    listed.next = last;
                    return listed;
                }
                listed.jobs.push((id.to_string(), found));
            }
            looked_at += 1;
            last = Some(Place {
                list,
                score: COLLECTIONS[list - 1].written(*score),
                id: id.to_string(),
            });
            if listed.jobs.len() == self.limit || read > self.bytes {
                listed.next = last;
                return listed;
            }
        }
        listed.next = last.filter(|_| looked_at == self.look_at);
        listed
    }
}

/// The bytes of what is stored of a job.
fn size(found: &Found) -> usize {
    let parts = [
        &found.payload,
        &found.claim,
        &found.stalls,
        &found.counters,
        &found.outcome,
        &found.progress,
    ];
    let parts = parts.into_iter().flatten().chain(&found.history);
    found.record.len() + parts.map(Vec::len).sum::<usize>()
}
