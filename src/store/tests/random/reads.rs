//! What only reads, and is told in different words by the two implementations.

use super::world::{World, Wrong, same};
use crate::job::state::State;
use crate::queue::info::Counts as Counted;
use crate::store::counts::Counts;
use crate::store::get::{Found, Get};
use crate::store::list::{List, Listed};

/// With a score that the two write alike.
fn numbered(found: Found) -> Found {
    Found {
        score: found.score.parse::<f64>().unwrap_or(f64::NAN).to_string(),
        ..found
    }
}

impl World<'_> {
    pub(super) fn get(&mut self, id: &str) -> Result<(), Wrong> {
        let verb = Get { id };
        let redis = self.redis.call(&verb)?.map(numbered);
        same("get", &redis, &self.memory.call(&verb).map(numbered))
    }

    pub(super) fn list(
        &mut self,
        state: State,
        limit: usize,
        bytes: usize,
        goes_on: bool,
    ) -> Result<(), Wrong> {
        let after = self.pages.get(&state).filter(|_| goes_on);
        let verb = List {
            state: state.as_str(),
            limit,
            bytes,
            after,
        };
        let (redis, memory) = (self.redis.call(&verb)?, self.memory.call(&verb));
        let alike = |mut listed: Listed| {
            for (_, found) in &mut listed.jobs {
                *found = numbered(std::mem::take(found));
            }
            listed
        };
        let next = redis.next.clone();
        same("list", &alike(redis), &alike(memory))?;
        match next {
            Some(place) => self.pages.insert(state, place),
            None => self.pages.remove(&state),
        };
        Ok(())
    }

    pub(super) fn counts(&mut self) -> Result<(), Wrong> {
        let redis = Counted::from_counted(&self.redis.call(&Counts)?);
        same(
            "counts",
            &redis,
            &Counted::from_counted(&self.memory.call(&Counts)),
        )?;
        self.invariants.counted(&self.last, &redis)
    }
}
