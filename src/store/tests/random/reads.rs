//! What only reads, and is told in different words by the two implementations.

use super::world::{World, Wrong, same};
use crate::queue::info::Counts as Counted;
use crate::store::counts::Counts;
use crate::store::get::{Found, Get};

impl World<'_> {
    pub(super) fn get(&mut self, id: &str) -> Result<(), Wrong> {
        let verb = Get { id };
        let number = |found: Found| Found {
            score: found.score.parse::<f64>().unwrap_or(f64::NAN).to_string(),
            ..found
        };
        let redis = self.redis.call(&verb)?.map(number);
        same("get", &redis, &self.memory.call(&verb).map(number))
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
