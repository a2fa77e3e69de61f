//! What is known, what is chosen and what is asked: without a terminal and without Redis.

use std::collections::HashMap;
use std::ops::Range;
use std::time::{Duration, Instant};

use oxcart::Fingerprint;

use super::reading::{Group, Inside, Reading};
use super::watched::Watched;
use crate::term::look::jobs;

/// Lines of the list of queues that hold no queue: title, headings, message, help.
const AROUND: u16 = 5;
/// The names of all queues are read anew each so many seconds, and so is what changes slowly inside of a queue.
const SLOW: u64 = 5;
/// Workers write down once a minute what has ended.
const VERY_SLOW: u64 = 30;
/// A message is shown for so long.
const TOLD_FOR: Duration = Duration::from_secs(8);

/// A key that means something here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Key {
    Up,
    Down,
    PageUp,
    PageDown,
    Home,
    End,
    Enter,
    Back,
    Letter(char),
}

/// What a key leads to outside of this file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Act {
    Quit,
    /// Something else is to be shown, which has to be read.
    Read,
    Do(Deed),
}

/// What changes something in Redis; it is asked for before.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Deed {
    Pause(String),
    Resume(String),
    Replay {
        queue: String,
        fingerprint: Fingerprint,
        name: String,
        count: u64,
    },
}

impl Deed {
    pub(super) fn question(&self) -> String {
        match self {
            Self::Pause(queue) => format!("Pause `{queue}`: no worker takes a job of it"),
            Self::Resume(queue) => format!("Resume `{queue}`"),
            Self::Replay { name, count, .. } => {
                format!("Replay {} named {name} with this error", jobs(*count))
            }
        }
    }
}

/// What is to be read for what is on the screen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Wanted {
    /// The names as they are known; none if they are to be read.
    pub(super) names: Option<Vec<String>>,
    /// Of which of the names the counts are shown.
    pub(super) rows: Range<usize>,
    /// The queue that is looked into.
    pub(super) inside: Option<String>,
    /// Also what changes slowly.
    pub(super) slow: bool,
    /// Also the minutes of the last hour.
    pub(super) hour: bool,
}

pub(super) struct State {
    pub(super) namespace: String,
    pub(super) names: Vec<String>,
    pub(super) watched: HashMap<String, Watched>,
    pub(super) selected: usize,
    /// The first queue on the screen.
    pub(super) first: usize,
    pub(super) inside: Option<Looked>,
    /// Waits for y or n.
    pub(super) asked: Option<Deed>,
    told: Option<(String, Instant)>,
    /// Since when Redis does not answer, and why.
    pub(super) lost: Option<(Instant, String)>,
    pub(super) is_read: bool,
    rows: usize,
    beat: u64,
}

/// A queue that is looked into.
#[derive(Default)]
pub(super) struct Looked {
    pub(super) queue: String,
    pub(super) seen: Inside,
    /// Which of the groups of dead letters.
    pub(super) selected: usize,
}

impl Looked {
    pub(super) fn group(&self) -> Option<&Group> {
        self.seen.groups.as_ref()?.get(self.selected)
    }
}

impl State {
    pub(super) fn new(namespace: &str) -> Self {
        Self {
            namespace: namespace.to_owned(),
            names: Vec::new(),
            watched: HashMap::new(),
            selected: 0,
            first: 0,
            inside: None,
            asked: None,
            told: None,
            lost: None,
            is_read: false,
            rows: 1,
            beat: 0,
        }
    }

    pub(super) fn begin_inside(&mut self, queue: &str) {
        self.inside = Some(Looked {
            queue: queue.to_owned(),
            ..Looked::default()
        });
    }

    /// What is on the screen was not read yet.
    pub(super) fn lacks_something(&self) -> bool {
        let unread = |name: &String| !self.watched.contains_key(name);
        self.lost.is_none()
            && match &self.inside {
                Some(inside) => inside.seen.groups.is_none(),
                None => self.names[self.on_screen()].iter().any(unread),
            }
    }

    /// The terminal has so many lines.
    pub(super) fn resize(&mut self, height: u16) {
        self.rows = usize::from(height.saturating_sub(AROUND)).max(1);
        self.scroll();
    }

    pub(super) fn on_screen(&self) -> Range<usize> {
        self.first..(self.first + self.rows).min(self.names.len())
    }

    pub(super) fn wanted(&self) -> Wanted {
        let slow = self.beat.is_multiple_of(SLOW);
        let lacks = |what: fn(&Inside) -> bool| {
            self.inside
                .as_ref()
                .is_some_and(|looked| what(&looked.seen))
        };
        Wanted {
            names: (self.is_read && !slow).then(|| self.names.clone()),
            rows: self.first..self.first + self.rows,
            inside: self.inside.as_ref().map(|inside| inside.queue.clone()),
            slow: slow || lacks(|seen| seen.groups.is_none()),
            hour: self.beat.is_multiple_of(VERY_SLOW) || lacks(|seen| seen.minutes.is_none()),
        }
    }

    pub(super) fn take(&mut self, reading: Reading, now: Instant) {
        self.lost = None;
        self.is_read = true;
        self.beat += 1;
        let chosen = self.names.get(self.selected).cloned();
        if self.names != reading.names {
            self.names = reading.names;
            // What is chosen stays chosen, also if others come or go before it.
            let place = chosen.and_then(|name| self.names.iter().position(|it| *it == name));
            self.selected = place.unwrap_or(self.selected);
            self.watched.retain(|name, _| self.names.contains(name));
        }
        for (name, counts) in reading.counts {
            self.watched.entry(name).or_default().take(counts, now);
        }
        if let (Some(inside), Some((queue, seen))) = (&mut self.inside, reading.inside)
            && inside.queue == queue
        {
            let chosen = inside.group().map(|group| group.fingerprint);
            inside.seen.take(seen);
            let groups = inside.seen.groups.as_deref().unwrap_or_default();
            let place = groups
                .iter()
                .position(|it| Some(&it.fingerprint) == chosen.as_ref());
            let last = groups.len().saturating_sub(1);
            inside.selected = place.unwrap_or(inside.selected).min(last);
        }
        self.scroll();
    }

    /// Redis did not answer.
    pub(super) fn lose(&mut self, why: &str, now: Instant) {
        let since = self.lost.as_ref().map_or(now, |(since, _)| *since);
        self.lost = Some((since, why.to_owned()));
    }

    pub(super) fn tell(&mut self, text: impl Into<String>, now: Instant) {
        self.told = Some((text.into(), now));
    }

    pub(super) fn told(&self, now: Instant) -> Option<&str> {
        let (text, at) = self.told.as_ref()?;
        (now.duration_since(*at) < TOLD_FOR).then_some(text)
    }

    /// The queue that keys are about.
    pub(super) fn chosen(&self) -> Option<&str> {
        match &self.inside {
            Some(inside) => Some(&inside.queue),
            None => self.names.get(self.selected).map(String::as_str),
        }
    }

    pub(super) fn press(&mut self, key: Key) -> Option<Act> {
        if let Some(deed) = self.asked.take() {
            return match key {
                Key::Letter('y' | 'Y') => Some(Act::Do(deed)),
                _ => None,
            };
        }
        match key {
            Key::Letter('q') => Some(Act::Quit),
            Key::Back if self.inside.is_some() => {
                self.inside = None;
                self.told = None;
                Some(Act::Read)
            }
            Key::Enter if self.inside.is_none() => {
                let queue = self.chosen()?.to_owned();
                self.begin_inside(&queue);
                self.told = None;
                Some(Act::Read)
            }
            Key::Letter('p') => {
                let queue = self.chosen()?.to_owned();
                let is_paused = self.watched.get(&queue)?.counts.paused;
                self.asked = Some(match is_paused {
                    true => Deed::Resume(queue),
                    false => Deed::Pause(queue),
                });
                None
            }
            Key::Letter('r') => {
                let inside = self.inside.as_ref()?;
                let group = inside.group()?;
                self.asked = Some(Deed::Replay {
                    queue: inside.queue.clone(),
                    fingerprint: group.fingerprint,
                    name: group.name.clone(),
                    count: group.count,
                });
                None
            }
            key => self.walk(key),
        }
    }

    fn walk(&mut self, key: Key) -> Option<Act> {
        let page = self.rows;
        let (place, number) = match &mut self.inside {
            Some(inside) => {
                let groups = inside.seen.groups.as_ref();
                (&mut inside.selected, groups.map_or(0, Vec::len))
            }
            None => (&mut self.selected, self.names.len()),
        };
        let last = number.saturating_sub(1);
        *place = match key {
            Key::Up | Key::Letter('k') => place.saturating_sub(1),
            Key::Down | Key::Letter('j') => (*place + 1).min(last),
            Key::PageUp => place.saturating_sub(page),
            Key::PageDown => (*place + page).min(last),
            Key::Home => 0,
            Key::End => last,
            _ => return None,
        };
        let before = self.first;
        self.scroll();
        (self.first != before).then_some(Act::Read)
    }

    /// What is chosen is on the screen, and no line stays empty.
    fn scroll(&mut self) {
        self.selected = self.selected.min(self.names.len().saturating_sub(1));
        let last_first = self.names.len().saturating_sub(self.rows);
        let lowest = (self.selected + 1).saturating_sub(self.rows);
        self.first = self
            .first
            .clamp(lowest, self.selected.max(lowest))
            .min(last_first);
    }
}

#[cfg(test)]
mod tests {
    use oxcart::Counts;

    use super::*;

    fn reading(names: &[&str]) -> Reading {
        Reading {
            names: names.iter().map(|&name| name.to_owned()).collect(),
            counts: Vec::new(),
            inside: None,
        }
    }

    fn group(name: &str, count: u64) -> Group {
        Group {
            fingerprint: Fingerprint::of_error(name, "no card"),
            name: name.to_owned(),
            count,
            last_at: oxcart::Timestamp::from_millis(0),
            sample: "no card".to_owned(),
        }
    }

    fn seen(groups: Vec<Group>) -> Inside {
        Inside {
            groups: Some(groups),
            ..Inside::default()
        }
    }

    #[test]
    fn no_more_is_read_than_fits_the_screen() {
        let mut state = State::new("oxcart");
        state.resize(24);
        assert_eq!(state.wanted().names, None);
        assert_eq!(state.wanted().rows, 0..19);
        let names: Vec<String> = (100..600).map(|n| format!("q{n}")).collect();
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        state.take(reading(&names), Instant::now());
        assert_eq!(state.wanted().rows.len(), 19);
        assert!(state.wanted().names.is_some());
        // Down to the last line nothing else has to be read; then the next queue comes.
        for _ in 0..18 {
            assert_eq!(state.press(Key::Down), None);
        }
        assert_eq!(state.press(Key::Down), Some(Act::Read));
        assert_eq!(state.on_screen(), 1..20);
        assert_eq!(state.press(Key::End), Some(Act::Read));
        assert_eq!(state.on_screen(), 481..500);
        assert_eq!(state.chosen(), Some("q599"));
        // A larger terminal, and fewer queues: no line stays empty.
        state.resize(40);
        assert_eq!(state.on_screen(), 465..500);
        state.take(reading(&names[..3]), Instant::now());
        assert_eq!(state.on_screen(), 0..3);
        assert_eq!(state.chosen(), Some("q102"));
    }

    #[test]
    fn what_is_chosen_stays_chosen_when_others_come_and_go() {
        let mut state = State::new("oxcart");
        state.resize(24);
        state.take(reading(&["billing", "mail"]), Instant::now());
        state.press(Key::Down);
        state.take(reading(&["accounts", "billing", "mail"]), Instant::now());
        assert_eq!(state.chosen(), Some("mail"));
        state.take(reading(&["mail"]), Instant::now());
        assert_eq!(state.chosen(), Some("mail"));
        state.take(reading(&[]), Instant::now());
        assert_eq!(state.chosen(), None);
        assert_eq!(
            (state.press(Key::Enter), state.press(Key::Letter('p'))),
            (None, None)
        );
    }

    #[test]
    fn nothing_is_changed_without_a_yes() {
        let mut state = State::new("oxcart");
        state.resize(24);
        let mut with_counts = reading(&["billing"]);
        with_counts.counts = vec![("billing".to_owned(), Counts::default())];
        state.take(with_counts, Instant::now());
        for no in [Key::Letter('n'), Key::Back, Key::Enter, Key::Letter('q')] {
            assert_eq!(state.press(Key::Letter('p')), None);
            assert!(state.asked.is_some());
            assert_eq!(state.press(no), None);
            assert!(state.asked.is_none());
        }
        state.press(Key::Letter('p'));
        let pause = Deed::Pause("billing".to_owned());
        assert_eq!(state.press(Key::Letter('y')), Some(Act::Do(pause)));
        let mut counts = Counts::default();
        counts.paused = true;
        let mut paused = reading(&["billing"]);
        paused.counts = vec![("billing".to_owned(), counts)];
        state.take(paused, Instant::now());
        state.press(Key::Letter('p'));
        let resume = Deed::Resume("billing".to_owned());
        assert_eq!(state.press(Key::Letter('y')), Some(Act::Do(resume)));
        assert_eq!(state.press(Key::Letter('q')), Some(Act::Quit));
    }

    #[test]
    fn a_group_of_dead_letters_is_chosen_and_replayed() {
        let mut state = State::new("oxcart");
        state.resize(24);
        state.take(reading(&["billing"]), Instant::now());
        assert_eq!(state.press(Key::Letter('r')), None);
        assert!(state.asked.is_none());
        assert_eq!(state.press(Key::Enter), Some(Act::Read));
        assert!(state.wanted().slow);
        let mut inside = reading(&["billing"]);
        let groups = vec![group("charge", 7), group("mail", 2)];
        inside.inside = Some(("billing".to_owned(), seen(groups)));
        state.take(inside, Instant::now());
        state.press(Key::Down);
        // The other one has grown, and is the first now.
        let mut again = reading(&["billing"]);
        let groups = vec![group("mail", 9), group("charge", 7)];
        again.inside = Some(("billing".to_owned(), seen(groups)));
        state.take(again, Instant::now());
        state.press(Key::Letter('r'));
        let asked = state.asked.clone();
        let Some(Deed::Replay { name, count, .. }) = &asked else {
            panic!("{asked:?}");
        };
        assert_eq!((name.as_str(), *count), ("mail", 9));
        assert_eq!(state.press(Key::Letter('y')), asked.map(Act::Do));
        assert_eq!(state.press(Key::Back), Some(Act::Read));
        assert!(state.inside.is_none());
    }

    #[test]
    fn a_lost_connection_is_told_until_it_is_back() {
        let mut state = State::new("oxcart");
        let began = Instant::now();
        state.lose("no answer", began);
        state.lose("refused", began + Duration::from_secs(3));
        assert_eq!(state.lost, Some((began, "refused".to_owned())));
        state.take(reading(&[]), began + Duration::from_secs(4));
        assert!(state.lost.is_none());
        state.tell("done", began);
        assert_eq!(state.told(began + Duration::from_secs(1)), Some("done"));
        assert_eq!(state.told(began + Duration::from_secs(9)), None);
    }
}
