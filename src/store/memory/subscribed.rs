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
            Some((_, name)) if name != self.name => return Attached::Other(name),
            Some((since, _)) if since > self.since => return Attached::Stale,
            Some((since, _)) if !is_this => {
                state.fed.remove(&source_of_topic(self.topic, since));
            }
            None if state.subscribed.len() >= self.most => return Attached::Full,
            _ => {}
        }
        let fed = FedTo {
            position,
            token: "-".to_owned(),
            before: None,
        };
        state.fed.entry(source).or_insert(fed);
        if is_this {
            return Attached::Done;
        }
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
        let mut taken = 0;
        let hold = |(topic, it): (&String, &mut SubscribedTo)| {
            let holds = |until_ms: u64| until_ms > now_ms && until_ms <= now_ms + HOLD_MAX_MS;
            let held = it.held.as_ref();
            let is_free = held.is_none_or(|(_, until_ms)| !holds(*until_ms));
            let was_ours = held.is_some_and(|(worker, _)| Some(&**worker) == self.worker);
            let ours = self.worker.filter(|_| {
                let wants = self.hold_ms > 0 && !self.without.contains(topic);
                wants && (was_ours && !is_free || is_free && taken < self.most)
            });
            match ours {
                Some(worker) => {
                    taken += usize::from(is_free);
                    it.held = Some((worker.to_owned(), now_ms + self.hold_ms));
                }
                None if was_ours => it.held = None,
                None => {}
            }
            let others = it.held.as_ref().filter(|_| ours.is_none());
            let others_ms = others.map_or(0, |(_, until_ms)| match holds(*until_ms) {
                true => until_ms - now_ms,
                false => 0,
            });
            let fed = state.fed.get(&source_of_topic(topic, it.since));
            To {
                topic: topic.clone(),
                since: it.since,
                name: it.name.clone(),
                position: fed.map(|fed| fed.position),
                is_held: ours.is_some(),
                others_ms,
            }
        };
        state.subscribed.iter_mut().map(hold).collect()
    }
}
