//! Flows: jobs that are added together with their children, all of them or none. In a call a parent comes before its children.

use std::collections::{BTreeMap, HashMap, HashSet};

use crate::id::JobId;
use crate::job::head::split_fields;
use crate::job::traits::{UNIQUE, child_of, children_in};
use crate::memory::state::State;
use crate::store::enqueue::{Met, NewJob, Novelty, There};

/// By the position of the first job of each flow, the positions of all its jobs. `apart`: each job is a flow of its own.
pub(crate) fn flows_among(jobs: &[&NewJob], apart: bool) -> BTreeMap<usize, Vec<usize>> {
    let mut last: HashMap<&JobId, usize> = HashMap::new();
    let mut root_of: HashMap<usize, usize> = HashMap::new();
    let mut flows: BTreeMap<usize, Vec<usize>> = BTreeMap::new();
    for (position, job) in jobs.iter().enumerate() {
        let (fields, _) = split_fields(&job.record.record);
        let child = child_of(fields).filter(|child| child.queue.is_none() && !apart);
        let parent = child.and_then(|child| last.get(&child.parent).copied());
        let root = parent.and_then(|parent| root_of.get(&parent).copied());
        if let Some(root) = root.or_else(|| (children_in(fields) > 0).then_some(position)) {
            root_of.insert(position, root);
            flows.entry(root).or_default().push(position);
        }
        last.insert(&job.id, position);
    }
    flows
}

/// Whether a job is of a flow: then no other one replaces it.
pub(crate) fn is_of_flow(fields: &[u8]) -> bool {
    child_of(fields).is_some() || children_in(fields) > 0
}

impl State {
    /// What is told of each job of a flow, if one of them cannot be added. `seen`: ids that are there, or are added by this call;
    /// `first`: the jobs of this call that have these keys.
    pub(crate) fn meet_flow(
        &mut self,
        flow: &[usize],
        jobs: &[&NewJob],
        novelty: Novelty,
        seen: &HashSet<JobId>,
        first: &BTreeMap<String, usize>,
    ) -> Vec<There> {
        let (mut ids, mut keys) = (HashSet::new(), HashMap::new());
        let mut refused = None;
        for position in flow {
            let job = jobs[*position];
            let is_there =
                self.jobs.contains_key(&job.id) || seen.contains(&job.id) || ids.contains(&job.id);
            if novelty == Novelty::Unsure && is_there {
                refused = Some((*position, Met::Itself));
                break;
            }
            if let Some(name) = job.record.field(UNIQUE) {
                let other = keys.get(name).map(|id: &&JobId| (*id).clone());
                let other =
                    other.or_else(|| first.get(name).map(|position| jobs[*position].id.clone()));
                let other = other.or_else(|| self.owner_of_key(name).map(|owner| owner.id));
                if let Some(other) = other {
                    self.count("duplicates", 1);
                    refused = Some((*position, Met::Duplicate(other)));
                    break;
                }
                keys.insert(name.to_owned(), &job.id);
            }
            ids.insert(job.id.clone());
        }
        let Some((which, met)) = refused else {
            return Vec::new();
        };
        let told = |position: &usize| There {
            position: *position,
            met: match *position == which {
                true => met.clone(),
                false => Met::NotWithout(jobs[which].id.clone()),
            },
        };
        flow.iter().map(told).collect()
    }
}
