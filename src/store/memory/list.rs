//! A page of the ids in one state.

use crate::memory::Apply;
use crate::memory::state::{Collection, State};
use crate::store::list::List;

/// All of them; those that are one state in two collections in the order of a listing.
pub(crate) const COLLECTIONS: [Collection; 8] = [
    Collection::Waiting,
    Collection::Suspects,
    Collection::Unhandled,
    Collection::Delayed,
    Collection::Active,
    Collection::Completed,
    Collection::Kept,
    Collection::Dead,
];

impl Apply for List {
    fn apply(&self, state: &mut State) -> Vec<String> {
        let of_state = COLLECTIONS.into_iter().filter(|c| c.state() == self.state);
        let ids = of_state.flat_map(|collection| state.all(collection));
        let offset = usize::try_from(self.offset).unwrap_or(usize::MAX);
        ids.skip(offset)
            .take(self.limit)
            .map(|(_, id)| id.to_string())
            .collect()
    }
}
