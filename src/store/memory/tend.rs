//! Looks after schedules of which something was lost. Here nothing is, unless a test takes it away.

use std::ops::Bound;

use crate::memory::Apply;
use crate::memory::state::State;
use crate::store::schedules::Schedules;
use crate::store::tend::{Tend, Tended};

impl Apply for Tend<'_> {
    fn apply(&self, state: &mut State) -> Tended {
        let names = self.names.iter().enumerate();
        let gone = names.filter(|(_, name)| !state.schedules.contains_key(**name));
        let gone = gone.map(|(position, _)| position).collect();
        let after = match self.cursor {
            Schedules::ALL => Bound::Unbounded,
            last => Bound::Excluded(last),
        };
        let page = state.schedules.range::<str, _>((after, Bound::Unbounded));
        let page: Vec<_> = page.take(self.limit).collect();
        let cursor = match page.last() {
            Some((last, _)) if page.len() == self.limit => (*last).clone(),
            _ => Schedules::ALL.to_owned(),
        };
        let lost = page.iter().filter(|(_, kept)| kept.lost);
        let lost = lost.map(|(name, _)| (*name).clone()).collect();
        let all = state.schedules.values();
        let fields: usize = all.clone().map(|kept| kept.fields()).sum();
        let short = fields > 4 * all.filter(|kept| !kept.lost).count();
        let mended = state.mend_tick();
        Tended {
            now_ms: state.now_ms(),
            mended,
            tick_ms: state.hold_tick(self.worker, self.hold),
            cursor,
            short,
            gone,
            lost,
        }
    }
}
