//! The topics to which a queue is subscribed.

use crate::memory::Apply;
use crate::memory::messages::FedTo;
use crate::memory::state::State;
use crate::store::attach::{Attach, Attached, source_of_topic};
use crate::store::subscribed::{HOLD_MAX_MS, Subscribed, To};

/// A topic to which the queue is subscribed.
#[derive(Debug)]
pub(crate) struct SubscribedTo {
    pub(crate) since: u64,
    /// Of the subscription.
    pub(crate) name: String,
    /// The worker that feeds the queue, until then (ms).
    pub(crate) held: Option<(String, u64)>,
}

impl Apply for Attach<'_> {
    fn apply(&self, state: &mut State) -> Attached {
        let known = state.subscribed.get(self.topic);
        let known = known.map(|it| (it.since, it.name.clone()));
        let is_this = known
            .as_ref()
            .is_some_and(|(since, _)| *since == self.since);
        let source = source_of_topic(self.topic, self.since);
        let Some(position) = self.start else {
            if is_this {
                state.subscribed.remove(self.topic);
                state.fed.remove(&source);
            }
            return Attached::Done;
        };
        match known {
            _ if is_this => return Attached::Done,
            Some((_, name)) if name != self.name => return Attached::Other(name),
            Some((since, _)) => {
                state.fed.remove(&source_of_topic(self.topic, since));
            }
            None if state.subscribed.len() >= self.most => return Attached::Full,
            None => {}
        }
        let fed = FedTo {
            position,
            token: "-".to_owned(),
            before: None,
        };
        state.fed.insert(source, fed);
        let to = SubscribedTo {
            since: self.since,
            name: self.name.to_owned(),
            held: None,
        };
        state.subscribed.insert(self.topic.to_owned(), to);
        Attached::Done
    }
}

impl Apply for Subscribed<'_> {
    fn apply(&self, state: &mut State) -> Vec<To> {
        let now_ms = state.now_ms();
        let hold = |(topic, it): (&String, &mut SubscribedTo)| {
            let is_free = it.held.as_ref().is_none_or(|(worker, until_ms)| {
                let is_over = *until_ms <= now_ms || *until_ms > now_ms + HOLD_MAX_MS;
                is_over || self.worker == Some(worker)
            });
            let ours = self.worker.filter(|_| is_free);
            if let Some(worker) = ours {
                let until_ms = now_ms + self.hold_ms;
                it.held = (self.hold_ms > 0).then(|| (worker.to_owned(), until_ms));
            }
            let fed = state.fed.get(&source_of_topic(topic, it.since));
            To {
                topic: topic.clone(),
                since: it.since,
                name: it.name.clone(),
                position: fed.map(|fed| fed.position),
                is_held: ours.is_some() && self.hold_ms > 0,
            }
        };
        state.subscribed.iter_mut().map(hold).collect()
    }
}
