//! All that a queue holds, in one form for both implementations, so that they can be compared.

mod of_breaker;
mod of_queue;
mod of_topic;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;

use crate::job::traits::gate_of;
use crate::memory::{COLLECTIONS, Collection, Name, ROOMS, Room, State};
use crate::redis::keys::PARTS;
use crate::redis::stream::Entry;

/// What a stream's part holds of its entries.
const LAST_ENTRIES: usize = 6;
/// The sentinels of `active` and `claims` and the rooms in `delayed` begin like this, which no id
/// does.
const SENTINEL: u8 = b'~';

/// The number by which `running` knows a gate (`lua/lib/running.lua`).
pub(super) fn number_of(gate: &str) -> f64 {
    let hash = redis::Script::new(gate);
    let number = u64::from_str_radix(&hash.get_hash()[..13], 16);
    number.unwrap() as f64
}

pub(super) type Fields = BTreeMap<Vec<u8>, Vec<u8>>;

/// The parts of a queue that hold anything: fields and values, members and scores, positions
/// and entries.
#[derive(Debug, Default, Clone, PartialEq)]
pub(super) struct Dump {
    parts: BTreeMap<&'static str, Fields>,
}

impl Dump {
    pub(super) fn part(&self, part: &str) -> impl Iterator<Item = (&Vec<u8>, &Vec<u8>)> {
        self.parts.get(part).into_iter().flatten()
    }

    pub(super) fn get(&self, part: &str, field: &str) -> Option<&Vec<u8>> {
        self.parts.get(part)?.get(field.as_bytes())
    }

    pub(super) fn names(&self, part: &str) -> BTreeSet<String> {
        let text = |field: &Vec<u8>| String::from_utf8_lossy(field).into_owned();
        self.part(part).map(|(field, _)| text(field)).collect()
    }

    /// Of the outbox: target, position and message.
    pub(super) fn outbox(&self) -> impl Iterator<Item = (&str, u64, &[u8])> {
        self.part("outbox").map(|(member, _)| {
            let mut parts = member.splitn(3, |byte| *byte == 0);
            let mut part = || parts.next().expect("target, position, message");
            let text = |part| std::str::from_utf8(part).expect("text");
            let (target, position) = (text(part()), text(part()));
            (target, position.parse().expect("a position"), part())
        })
    }

    /// The queues for which there is something in the outbox.
    pub(super) fn targets(&self) -> BTreeSet<String> {
        self.outbox()
            .map(|(target, ..)| target.to_owned())
            .collect()
    }

    pub(super) fn len(&self, part: &str) -> usize {
        self.parts.get(part).map_or(0, BTreeMap::len)
    }

    fn set(&mut self, part: &'static str, field: impl Into<Vec<u8>>, value: impl Into<Vec<u8>>) {
        let fields = self.parts.entry(part).or_default();
        fields.insert(field.into(), value.into());
    }

    fn score(&mut self, part: &'static str, member: impl AsRef<[u8]>, score: f64) {
        self.set(part, member.as_ref(), score.to_string());
    }

    /// The parts that are not there as they are here.
    pub(super) fn parts_unlike(&self, other: &Self) -> Vec<&'static str> {
        let mut parts = PARTS.to_vec();
        parts.retain(|part| self.parts.get(part) != other.parts.get(part));
        parts
    }

    /// What is here and not there, or otherwise there.
    pub(super) fn difference(&self, other: &Self) -> Option<String> {
        if self == other {
            return None;
        }
        let mut text = String::new();
        for part in PARTS {
            let empty = Fields::new();
            let of = |dump: &Self| dump.parts.get(part).unwrap_or(&empty).clone();
            let (mine, theirs) = (of(self), of(other));
            let fields: BTreeSet<_> = mine.keys().chain(theirs.keys()).collect();
            for field in fields {
                let (left, right) = (mine.get(field), theirs.get(field));
                if left != right {
                    let show = |value: Option<&Vec<u8>>| {
                        value.map_or("nothing".into(), |v| v.escape_ascii().to_string())
                    };
                    let name = field.escape_ascii();
                    let (left, right) = (show(left), show(right));
                    let _ = writeln!(text, "{part} {name}: {left} in Redis, {right} in memory");
                }
            }
        }
        Some(text)
    }

    /// From what `dump.lua` answered.
    pub(super) fn of_redis(mut answer: &[u8]) -> Self {
        let mut dump = Self::default();
        for part in PARTS {
            let kind = take(&mut answer, 1);
            let mut texts = Vec::new();
            for _ in 0..number(&mut answer) {
                let length = number(&mut answer);
                texts.push(take(&mut answer, length));
            }
            match kind {
                b"s" => dump.read_stream(part, &texts),
                kind => dump.read_pairs(part, kind == b"z", &texts),
            }
        }
        dump
    }

    fn read_pairs(&mut self, part: &'static str, scores: bool, texts: &[&[u8]]) {
        for pair in texts.chunks(2) {
            let (name, value) = (pair[0], pair[1]);
            if name.first() == Some(&SENTINEL) {
                if part == "delayed" {
                    let until = std::str::from_utf8(value).unwrap().parse().unwrap();
                    self.room(name, until);
                }
                continue;
            }
            match part {
                _ if scores => {
                    let score = std::str::from_utf8(value).unwrap().parse().unwrap();
                    self.score(part, name, score);
                }
                // What was answered shows when the call is repeated.
                "calls" => {
                    let text = std::str::from_utf8(value).unwrap();
                    let words: Vec<&str> = text.splitn(3, ' ').collect();
                    self.set(part, name, format!("{} at {}", words[0], words[1]));
                }
                _ => self.set(part, name, value),
            }
        }
    }

    /// Room in line, which is no delayed job.
    fn room(&mut self, name: &[u8], until: f64) {
        self.set("meta", [b"room ", name].concat(), until.to_string());
    }

    fn read_stream(&mut self, part: &'static str, texts: &[&[u8]]) {
        let Some((length, entries)) = texts.split_first() else {
            return;
        };
        let length: usize = std::str::from_utf8(length).unwrap().parse().unwrap();
        for (position, entry) in (0..length).rev().zip(entries) {
            self.set(part, format!("{position:06}"), *entry);
        }
    }

    pub(super) fn of_memory(state: &State) -> Self {
        let mut dump = Self::default();
        for collection in COLLECTIONS {
            for (score, id) in state.all(collection) {
                let (part, score) = place(collection, *score);
                dump.score(part, id.as_str(), score);
            }
        }
        for (id, job) in &state.jobs {
            dump.job(id.as_str(), job);
        }
        for (id, until_ms) in &state.awaited {
            dump.score("awaited", id.as_str(), *until_ms as f64);
        }
        for (lane, call) in &state.calls {
            let value = format!("{} at {}", call.number, call.at_ms);
            dump.set("calls", lane.as_str(), value);
        }
        for (name, asked_ms) in &state.asked {
            dump.score("asked", name, *asked_ms as f64);
        }
        if let Some(at_ms) = state.wake {
            dump.score("wake", "work", at_ms as f64);
        }
        dump.schedules(state);
        dump.alerts(state);
        dump.gates(state);
        dump.unique(state);
        dump.workers(state);
        dump.counted(state);
        dump.messages(state);
        dump.meta(state);
        dump.stream("events", state.events.entries.iter());
        dump.stream("finished", state.finished.entries.iter());
        dump.stream("cancels", state.cancels.entries.iter());
        dump.stream("audit", state.audit.entries.iter());
        dump.topic(state);
        dump.breaker(state);
        dump
    }

    fn job(&mut self, id: &str, job: &crate::memory::Job) {
        self.set("jobs", id, job.record.clone());
        let mut field = |part, value: Option<Vec<u8>>| {
            if let Some(value) = value {
                self.set(part, id, value);
            }
        };
        field("payloads", job.payload.clone());
        field("results", job.outcome.clone());
        field("progress", job.progress.clone());
        field(
            "claims",
            job.claim
                .as_ref()
                .map(|claim| claim.receipt.as_str().into()),
        );
        let stalls = (job.stalls > 0).then(|| job.stalls.to_string().into());
        field("stalls", stalls);
        let moved = job.moved.map(|place| place.to_string().into());
        field("places", moved);
        if let Some(history) = &job.history {
            field("attempts", Some(history.encode_counters()));
            let recorded = history.counters.recorded;
            let first = recorded - history.attempts.len() as u64 + 1;
            for (n, attempt) in (first..).zip(&history.attempts) {
                self.set("attempts", format!("{id}#{n}"), attempt.clone());
            }
            let lines = (history.said.first()..).zip(&history.said.lines);
            for (number, line) in lines {
                self.set("attempts", format!("{id}#log{number}"), line.clone());
            }
            let children = &history.children;
            if children.total > 0 {
                self.set("attempts", format!("{id}#children"), children.counts());
            }
            if let Some((callbacks, _)) = &children.callbacks {
                let on_failure = ("on_failure", &callbacks.on_failure);
                for (name, callback) in [on_failure, ("on_complete", &callbacks.on_complete)] {
                    if let Some(callback) = callback {
                        self.set("attempts", format!("{id}#{name}"), callback.0.clone());
                    }
                }
            }
            for (number, known) in &children.known {
                self.set("attempts", format!("{id}#child{number}"), known.encode());
            }
            for (number, step) in &history.kept.steps {
                self.set("attempts", format!("{id}#step{number}"), step.clone());
            }
            for (number, reply) in (1..).zip(&history.replies) {
                self.set("attempts", format!("{id}#reply{number}"), reply.clone());
            }
            if let Some(cursor) = &history.kept.cursor {
                self.set("attempts", format!("{id}#cursor"), cursor.clone());
            }
            if let Some(saga) = &history.saga {
                self.set("attempts", format!("{id}#undo"), saga.encode());
            }
            if let Some(waits) = &history.kept.waits {
                self.set("attempts", format!("{id}#waits"), waits.text());
            }
        }
        if let Some(request) = &job.request {
            self.set("attempts", format!("{id}#cancel"), request.clone());
        }
        if let Some(name) = &job.name {
            let Name { name, after_ms } = name;
            self.set(
                "attempts",
                format!("{id}#name"),
                format!("{after_ms} {name}"),
            );
            let place = match job.moved {
                Some(place) => place,
                _ => job.given,
            };
            let digits = place + 500 * (1 << 43) + (1 << 42);
            self.score("names", format!("{name}\0{digits:016}{id}"), 0.0);
        }
    }

    fn gates(&mut self, state: &State) {
        for (name, gate) in &state.gates.in_use {
            let Some(turn) = &gate.turn else {
                continue;
            };
            let halted = if gate.halted { " halted" } else { "" };
            let text = format!("{turn} {}{halted}", gate.place);
            self.set("gates", name.as_str(), text);
        }
        for (_, id) in state.all(Collection::Active) {
            if let Some(gate) = state.jobs.get(id).and_then(|job| gate_of(&job.record)) {
                self.score("running", id.as_str(), number_of(&gate));
            }
        }
        for (name, pace) in &state.gates.paces {
            let text = format!("{} {}", pace.held_until_ms, pace.log);
            self.set("gates", format!("{name} pace"), text);
            self.score("paced", name, pace.look_at_ms as f64);
        }
        for (name, since_ms) in &state.gates.resumed {
            self.score("paced", name, *since_ms as f64);
        }
        for (name, set) in &state.gates.set {
            self.set("gates", format!("{name} set"), set.as_str());
        }
        for (gate, rank, id) in &state.gates.blocked_by {
            let digits = rank + 500 * (1 << 43) + (1 << 42);
            self.score("blocked_by", format!("{gate}\0{digits:016}{id}"), 0.0);
        }
    }

    fn unique(&mut self, state: &State) {
        for (id, at_ms) in &state.expires {
            self.score("expires", id.as_str(), *at_ms as f64);
        }
        for (key, id) in &state.successors {
            self.set("unique", format!("{key} next"), id.as_str());
        }
        for (key, owner) in &state.unique {
            self.set("unique", key.as_str(), owner.id.as_str());
            if let Some(until_ms) = owner.until_ms {
                self.score("remembered", key, until_ms as f64);
            }
        }
    }

    fn messages(&mut self, state: &State) {
        for ((target, position), message) in &state.outbox {
            let place = format!("{target}\0{position:016}\0");
            self.score("outbox", [place.as_bytes(), message].concat(), 0.0);
        }
        for (source, position) in &state.sources {
            self.set("sources", source.as_str(), position.to_string());
        }
        for (source, fed) in &state.fed {
            let before = fed
                .before
                .map_or("-".to_owned(), |before| before.to_string());
            let text = format!("{} {} {before}", fed.position, fed.token);
            self.set("fed", source.as_str(), text);
        }
        for (id, until_ms) in &state.drafts.until_ms {
            self.score("drafts", id.as_str(), *until_ms as f64);
        }
        for (id, draft) in &state.drafts.staged {
            let sent = if draft.is_sent { " sent" } else { "" };
            let text = format!("{} {}{sent}", draft.next(), draft.total);
            self.set("staged", id.as_str(), text);
            for (number, (target, message)) in &draft.messages {
                let value = [target.as_bytes(), b"\0", message].concat();
                self.set("staged", format!("{id} {number}"), value);
            }
        }
    }

    fn meta(&mut self, state: &State) {
        let timer = state.timer.as_ref();
        let text = |text: &String| Some(text.clone()).filter(|text| !text.is_empty());
        for (field, value) in [
            ("paused", state.paused.map(|pause| pause.text())),
            ("paused_names", text(&state.paused_names)),
            ("sequence", state.sequence.map(|n| n.to_string())),
            ("front", state.front.map(|n| n.to_string())),
            ("due", state.due.map(|ms| ms.to_string())),
            ("fence", state.fence.map(|n| n.to_string())),
            ("event_size", state.event_size.map(|n| format!("{n:.3}"))),
            (
                "event",
                (state.events.last.1 > 0).then(|| state.events.last.1.to_string()),
            ),
            (
                "revision",
                (state.revision > 0).then(|| state.revision.to_string()),
            ),
            ("settings", text(&state.settings)),
            ("declared", text(&state.declared)),
            ("started", text(&state.started)),
            ("sent", (state.sent > 0).then(|| state.sent.to_string())),
            ("unhandled", state.unhandled.map(|news| news.to_string())),
            (
                "dead_from",
                (state.dead_from > 0).then(|| state.dead_from.to_string()),
            ),
            ("offers_held", state.offers_held.then(|| "1".to_owned())),
            ("blocked", state.gates.any_blocked.then(|| "1".to_owned())),
            ("paced", state.paced().map(|ms| ms.to_string())),
            ("far", state.far.then(|| "1".to_owned())),
            ("expiring", state.expiring().map(|ms| ms.to_string())),
            ("tended", state.gates.tended.clone()),
            ("gated", state.gates.expected_ms.map(|ms| ms.to_string())),
            (
                "tick",
                state.tick.as_ref().map(|(ms, who)| match who {
                    Some(who) => format!("{ms} {who}"),
                    None => ms.to_string(),
                }),
            ),
            (
                "recovery",
                state.recovery.map(|watch| {
                    let numbers = [
                        watch.looked_ms,
                        watch.from_ms,
                        watch.longest_ms,
                        watch.until_ms,
                        watch.judged_ms,
                    ];
                    numbers.map(|number| number.to_string()).join(" ")
                }),
            ),
            (
                "timer",
                timer.map(|(due_ms, who)| format!("{due_ms} {who}")),
            ),
        ] {
            if let Some(value) = value {
                self.set("meta", field, value);
            }
        }
        for (until_ms, Room { first, last }) in &state.rooms {
            let name = format!("~{first} {last}");
            self.room(name.as_bytes(), (ROOMS + *until_ms as i64) as f64);
        }
        for (name, total) in &state.totals {
            self.set("meta", *name, total.to_string());
        }
    }

    fn stream<'a>(
        &mut self,
        part: &'static str,
        entries: impl DoubleEndedIterator<Item = &'a Entry> + ExactSizeIterator,
    ) {
        let length = entries.len();
        for (position, entry) in (0..length).rev().zip(entries.rev()).take(LAST_ENTRIES) {
            let mut text = Vec::new();
            for (name, value) in &entry.fields {
                text.extend_from_slice(name.as_bytes());
                text.push(b'=');
                text.extend_from_slice(value);
                text.push(b' ');
            }
            self.set(part, format!("{position:06}"), text);
        }
    }
}

fn place(collection: Collection, score: i64) -> (&'static str, f64) {
    match collection {
        Collection::Waiting => ("waiting", score as f64),
        Collection::Suspects => ("suspects", score as f64),
        Collection::Unhandled => ("unhandled", score as f64),
        Collection::Blocked => ("blocked", score as f64),
        Collection::Delayed => ("delayed", score as f64),
        Collection::Active => ("active", score as f64),
        Collection::Completed => ("completed", score as f64),
        Collection::Kept => ("kept", score as f64 / 2.0),
        Collection::Dead => ("dead", score as f64),
        Collection::Lost => unreachable!("no list holds it"),
    }
}

fn take<'a>(bytes: &mut &'a [u8], n: usize) -> &'a [u8] {
    let (taken, rest) = bytes.split_at(n);
    *bytes = rest;
    taken
}

fn number(bytes: &mut &[u8]) -> usize {
    u32::from_be_bytes(take(bytes, 4).try_into().unwrap()) as usize
}
