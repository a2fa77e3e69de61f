//! A page of the jobs in one state.

use crate::id::JobId;
use crate::memory::Apply;
use crate::memory::state::{Collection, State};
use crate::store::get::Found;
use crate::store::list::{List, Listed, Place};

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
            list < after.list || (list == after.list && (*score, id.as_str()) <= end)
        })
    }
}

impl Apply for List<'_> {
    fn apply(&self, state: &mut State) -> Listed {
        let lies_in = match self.state {
            "cancelled" => "completed",
            state => state,
        };
        let numbered = (1..).zip(COLLECTIONS);
        let of_state = numbered.filter(|(_, collection)| collection.state() == lies_in);
        let all = of_state
            .flat_map(|(list, collection)| state.all(collection).map(move |job| (list, job)));
        let rest = all.filter(|(list, job)| !self.is_seen(*list, job));

        let (mut listed, mut bytes, mut looked_at, mut last) = (Listed::default(), 0, 0, None);
        for (list, (score, id)) in rest.take(self.limit) {
            let job = &state.jobs[id];
            if job.shown_state() == self.state {
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
        }
        listed.next = last.filter(|_| looked_at == self.limit);
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
