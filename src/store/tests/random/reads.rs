//! What only reads, and is told in different words by the two implementations.

use super::world::{World, Wrong, same};
use crate::job::state::State;
use crate::queue::info::Counts as Counted;
use crate::store::counts::Counts;
use crate::store::get::{Found, Get};
use crate::store::list::{Direction, List, Listed, Wanted};

/// With a score that the two write alike.
fn numbered(found: Found) -> Found {
    Found {
        score: found.score.parse::<f64>().unwrap_or(f64::NAN).to_string(),
        ..found
    }
}

/// A page that is asked for: the first one, or the one behind the last page of that state.
#[derive(Debug, Clone)]
pub(in crate::store::tests) struct Page {
    pub(in crate::store::tests) state: State,
    pub(in crate::store::tests) direction: Direction,
    pub(in crate::store::tests) limit: usize,
    pub(in crate::store::tests) look_at: usize,
    pub(in crate::store::tests) only: Option<Wanted>,
    pub(in crate::store::tests) bytes: usize,
    pub(in crate::store::tests) goes_on: bool,
}

impl World<'_> {
    pub(super) fn get(&mut self, id: &str) -> Result<(), Wrong> {
        let verb = Get { id };
        let redis = self.redis.call(&verb)?.map(numbered);
        same("get", &redis, &self.memory.call(&verb).map(numbered))
    }

    pub(in crate::store::tests) fn list(&mut self, page: &Page) -> Result<(), Wrong> {
        let state = page.state;
        let verb = List {
            state: state.as_str(),
            direction: page.direction,
            limit: page.limit,
            look_at: page.look_at,
            only: page.only.as_ref(),
            bytes: page.bytes,
            after: self.pages.get(&state).filter(|_| page.goes_on),
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
