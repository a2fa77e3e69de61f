//! What a subscription wants of the events of a topic.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::codec;
use crate::error::Error;
use crate::name;

/// The header in which an event carries its subject.
pub(crate) const SUBJECT: &str = "subject";
/// A filter may name so many types of events, and so many headers.
const NAMED_MAX: usize = 64;
/// A prefix of subjects, or the value of a header, is no longer.
const TEXT_MAX: usize = 1024;
/// All of what a subscription wants, as it is stored.
const WANTS_MAX: usize = 4096;

/// Which events of a topic a subscription wants; see [`Subscribe::only`](crate::Subscribe::only). An event has to meet all that is asked for.
///
/// ```
/// use oxcart::EventFilter;
/// # use serde::{Deserialize, Serialize};
/// # #[derive(Serialize, Deserialize)] struct OrderPlaced {}
/// # impl oxcart::Job for OrderPlaced { const NAME: &'static str = "order-placed"; type Output = (); }
/// # #[derive(Serialize, Deserialize)] struct OrderPaid {}
/// # impl oxcart::Job for OrderPaid { const NAME: &'static str = "order-paid"; type Output = (); }
///
/// let of_europe = EventFilter::new()
///     .event::<OrderPlaced>()                 // of this type ..
///     .event::<OrderPaid>()                   // .. or of this one
///     .subject_starts_with("eu-")
///     .header("tenant", "acme");
/// # let _ = of_europe;
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct EventFilter {
    /// One of these; none: of any type.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    events: Vec<String>,
    #[serde(skip_serializing_if = "String::is_empty")]
    subject_starts_with: String,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    headers: Vec<(String, String)>,
}

impl EventFilter {
    /// Wants all events.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Events whose type has this name, as [`event`](Self::event) says it by the type.
    #[must_use]
    pub fn event_named(mut self, name: impl Into<String>) -> Self {
        let name = name.into();
        if !self.events.contains(&name) {
            self.events.push(name);
        }
        self
    }

    /// Events whose [subject](crate::Publish::subject) begins like this. Default: with any subject, or none.
    #[must_use]
    pub fn subject_starts_with(mut self, prefix: impl Into<String>) -> Self {
        self.subject_starts_with = prefix.into();
        self
    }

    /// Events that carry this header with this value. Called again: with all of these. Default: with any headers.
    #[must_use]
    pub fn header(mut self, key: impl Into<String>, value: impl Into<String>) -> Self {
        self.headers.push((key.into(), value.into()));
        self
    }

    pub(crate) fn check(&self) -> Result<(), Error> {
        let named = self.events.len().max(self.headers.len());
        if named > NAMED_MAX {
            return Err(Error::invalid(format!(
                "a filter names {named} types of events or headers; {NAMED_MAX} are allowed"
            )));
        }
        for name in &self.events {
            name::check("name of an event", name)?;
        }
        if self.subject_starts_with.len() > TEXT_MAX {
            return Err(Error::invalid(format!(
                "a filter asks for subjects that begin with {} bytes; subjects have at most {TEXT_MAX}",
                self.subject_starts_with.len()
            )));
        }
        for (at, (key, value)) in self.headers.iter().enumerate() {
            name::check("header name", key)?;
            if value.len() > TEXT_MAX {
                return Err(Error::invalid(format!(
                    "a filter asks for {} bytes in the header `{key}`; all headers of an event have at most {TEXT_MAX}",
                    value.len()
                )));
            }
            let differs = |(known, other): &(String, String)| known == key && other != value;
            if self.headers[..at].iter().any(differs) {
                return Err(Error::invalid(format!(
                    "a filter asks for two values of the header `{key}`: no event has both"
                )));
            }
            let begins = value.starts_with(&self.subject_starts_with);
            if key == SUBJECT && !begins {
                return Err(Error::invalid(format!(
                    "a filter asks for the subject `{value}`, and for subjects that begin with `{}`: no event has both",
                    self.subject_starts_with
                )));
            }
        }
        Ok(())
    }

    /// Whether it wants an event of this type that carries these headers.
    pub(crate) fn wants(&self, name: &str, headers: &[(String, String)]) -> bool {
        let value = |key: &str| {
            let mut found = headers.iter().filter(|(known, _)| known == key);
            found.next().map(|(_, value)| value.as_str())
        };
        let is_named = self.events.is_empty() || self.events.iter().any(|event| event == name);
        let subject = value(SUBJECT).unwrap_or_default();
        is_named
            && subject.starts_with(&self.subject_starts_with)
            && self
                .headers
                .iter()
                .all(|(key, wanted)| value(key) == Some(wanted))
    }
}

/// For people: `everything`, or `order-paid or order-placed, subject eu-*, tenant=acme`.
impl fmt::Display for EventFilter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut parts = Vec::new();
        if !self.events.is_empty() {
            parts.push(self.events.join(" or "));
        }
        if !self.subject_starts_with.is_empty() {
            parts.push(format!("subject {}*", self.subject_starts_with));
        }
        let headers = self.headers.iter();
        parts.extend(headers.map(|(key, value)| format!("{key}={value}")));
        if parts.is_empty() {
            parts.push("everything".to_owned());
        }
        f.write_str(&parts.join(", "))
    }
}

/// In which order a subscription's queue runs the events; see [`Subscribe::ordered_by`](crate::Subscribe::ordered_by).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum EventOrder {
    /// They begin in the order in which they were published, and several may run at a time. Where the type of an event names an order of its own
    /// ([`JobOptions::ordered_by`](crate::JobOptions::ordered_by)), that is kept.
    #[default]
    AsPublished,
    /// Events of one subject run one after the other ([`Enqueue::ordered_by`](crate::Enqueue::ordered_by)): also while one of them is retried; when it is dead, the next one
    /// runs. Those without a subject are not held back. It takes the place of an order or a group that the type of the event names.
    OfSubject,
    /// All events of the topic run one after the other, in the same way.
    OneByOne,
}

/// What a subscription wants, as it is stored with the topic.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Wants {
    pub(crate) filter: EventFilter,
    pub(crate) order: EventOrder,
}

impl Wants {
    pub(crate) fn encode(&self) -> Result<Vec<u8>, Error> {
        let bytes = codec::encode_plain(self);
        match bytes.len() {
            ..=WANTS_MAX => Ok(bytes),
            bytes => Err(Error::invalid(format!(
                "a filter has {bytes} bytes; {WANTS_MAX} are allowed, because it is read with each page of events"
            ))),
        }
    }

    /// `None`: a newer version wrote it.
    pub(crate) fn decode(bytes: &[u8]) -> Option<Self> {
        rmp_serde::from_slice(bytes).ok()
    }

    /// The key by which the queue orders an event of this topic with these headers.
    pub(crate) fn order_key(&self, topic: &str, headers: &[(String, String)]) -> Option<String> {
        match self.order {
            EventOrder::AsPublished => None,
            EventOrder::OfSubject => {
                let mut subjects = headers.iter().filter(|(key, _)| key == SUBJECT);
                subjects.next().map(|(_, subject)| subject.clone())
            }
            EventOrder::OneByOne => Some(format!("all events of {topic}")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
        let owned = |(key, value): &(&str, &str)| ((*key).to_owned(), (*value).to_owned());
        pairs.iter().map(owned).collect()
    }

    #[test]
    fn an_event_meets_all_that_is_asked_for() {
        let of_acme = headers(&[("tenant", "acme"), (SUBJECT, "eu-17")]);
        let filter = EventFilter::new;
        let wanting = [
            filter(),
            filter().event_named("paid").event_named("placed"),
            filter().subject_starts_with("eu-"),
            filter().header("tenant", "acme").header(SUBJECT, "eu-17"),
            filter()
                .event_named("placed")
                .subject_starts_with("eu-17")
                .header("tenant", "acme"),
        ];
        for filter in wanting {
            filter.check().unwrap();
            assert!(filter.wants("placed", &of_acme), "{filter:?}");
        }
        let not_wanting = [
            filter().event_named("paid"),
            filter().subject_starts_with("us-"),
            filter().header("tenant", "acm"),
            filter().header("other", ""),
            filter().event_named("placed").header("tenant", "other"),
        ];
        for filter in not_wanting {
            filter.check().unwrap();
            assert!(!filter.wants("placed", &of_acme), "{filter:?}");
        }
        assert!(!filter().subject_starts_with("e").wants("placed", &[]));
    }

    #[test]
    fn people_read_what_it_wants() {
        assert_eq!(EventFilter::new().to_string(), "everything");
        let filter = EventFilter::new().event_named("paid").event_named("placed");
        let filter = filter.subject_starts_with("eu-").header("tenant", "acme");
        assert_eq!(
            filter.to_string(),
            "paid or placed, subject eu-*, tenant=acme"
        );
    }

    #[test]
    fn a_filter_that_cannot_match_is_refused() {
        let filter = EventFilter::new;
        for (filter, says) in [
            (filter().event_named(""), "name of an event is empty"),
            (filter().header("a b", "x"), "header name"),
            (filter().header("a", "x").header("a", "y"), "two values"),
            (filter().header("a", "x".repeat(1_025)), "1025 bytes"),
            (
                filter().subject_starts_with("x".repeat(1_025)),
                "1025 bytes",
            ),
            (
                filter().subject_starts_with("eu-").header(SUBJECT, "us-1"),
                "no event has both",
            ),
            (
                (0..65).fold(filter(), |filter, n| filter.event_named(n.to_string())),
                "65 types",
            ),
        ] {
            let error = filter.check().unwrap_err();
            assert!(error.is_invalid());
            assert!(error.to_string().contains(says), "{error}");
        }
        let same = filter().header("a", "x").header("a", "x");
        same.check().unwrap();
    }

    #[test]
    fn what_is_stored_is_read_again() {
        let filter = EventFilter::new()
            .event_named("placed")
            .subject_starts_with("ü")
            .header("a", "b");
        let order = EventOrder::OfSubject;
        for wants in [Wants { filter, order }, Wants::default()] {
            assert_eq!(Wants::decode(&wants.encode().unwrap()), Some(wants));
        }
        assert_eq!(Wants::decode(b"\xc1"), None);
        // A newer version wants something that is not known here.
        assert_eq!(Wants::decode(b"\x81\xa5newer\x01"), None);
        let large = (0..30).fold(EventFilter::new(), |filter, n| {
            filter.header(n.to_string(), "x".repeat(200))
        });
        let wants = Wants {
            filter: large,
            order: EventOrder::AsPublished,
        };
        assert!(wants.encode().unwrap_err().to_string().contains("4096"));
    }
}
