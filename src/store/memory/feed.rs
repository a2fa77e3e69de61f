//! Adds jobs that are made of the entries of a log, each entry once.

use crate::memory::Apply;
use crate::memory::enqueue::add;
use crate::memory::messages::FedTo;
use crate::memory::state::State;
use crate::store::enqueue::Novelty;
use crate::store::feed::{Fed, Feed};

impl Apply for Feed<'_> {
    fn apply(&self, state: &mut State) -> Fed {
        let known = state.fed.get(self.source).cloned();
        let stands = known.as_ref().map(|fed| fed.position);
        let done = |before, now, is_first| Fed::Done {
            before,
            now,
            is_first,
        };
        if let Some(fed) = known.filter(|fed| fed.token == self.token) {
            return done(fed.before, stands, false);
        }
        if self
            .after
            .is_some_and(|after| stands.is_none_or(|stands| stands < after))
        {
            return Fed::Behind;
        }
        let is_new = |position: &u64| stands.is_none_or(|stands| *position > stands);
        let old = self.positions.iter().take_while(|it| !is_new(it)).count();
        let last = self.upto.or(self.positions.last().copied());
        let moves = self.upto.is_some_and(|upto| is_new(&upto)) || old < self.jobs.len();
        let Some(position) = last.filter(|_| moves) else {
            return done(stands, stands, false);
        };
        if stands.is_none() && state.fed.len() >= self.most {
            return Fed::Full;
        }
        let is_new_queue = !state.totals.contains_key("added");
        add(&self.jobs[old..], Novelty::Unsure, state);
        let fed = FedTo {
            position,
            token: self.token.to_owned(),
            before: stands,
        };
        state.fed.insert(self.source.to_owned(), fed);
        let is_first = is_new_queue && state.totals.contains_key("added");
        done(stands, Some(position), is_first)
    }
}
