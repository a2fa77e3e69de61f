//! What is stored of topics: of the topic itself, and of a queue that is subscribed to some.

use super::Dump;
use crate::memory::State;
use crate::redis::stream::Entry;

impl Dump {
    pub(super) fn topic(&mut self, state: &State) {
        let topic = &state.topic;
        if topic.is_there {
            let numbers = [
                topic.position,
                topic.number,
                topic.dropped,
                topic.bytes(),
                topic.since,
            ];
            self.set("meta", "topic", numbers.map(|n| n.to_string()).join(" "));
        }
        let entries: Vec<Entry> = topic
            .events
            .iter()
            .map(|(position, entry)| Entry {
                id: (*position, entry.number),
                fields: vec![
                    ("id".to_owned(), entry.id.clone().into_bytes()),
                    ("event".to_owned(), entry.bytes.clone()),
                ],
            })
            .collect();
        self.stream("published", entries.iter());
        for (position, entry) in &topic.events {
            self.set("published_ids", entry.id.as_str(), position.to_string());
        }
        for (name, it) in &topic.subscriptions {
            let numbers = [it.since, it.position, it.number, it.missed];
            let numbers = numbers.map(|n| n.to_string()).join(" ");
            let text = [format!("{numbers} {} ", it.queue).as_bytes(), &it.wants].concat();
            self.set("subscriptions", name.as_str(), text);
        }
        for (topic, it) in &state.subscribed {
            let (worker, until_ms) = it
                .held
                .as_ref()
                .map_or(("-", 0), |(worker, until_ms)| (worker, *until_ms));
            let text = format!("{} {} {worker} {until_ms}", it.since, it.name);
            self.set("subscribed", topic.as_str(), text);
        }
    }
}
