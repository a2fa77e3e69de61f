//! Which of the jobs are meant.

use std::fmt;
use std::time::Duration;

use clap::Args;
use oxcart::{DeadLetters, Fingerprint, JobInfo, Jobs, Queue};

use crate::text::duration;

/// All that is given must hold. Most of it is decided by Redis ([`Filter::ask`]); headers, order and fingerprints are looked at here
/// ([`Filter::passes`]), in the jobs that Redis has answered.
#[derive(Args, Debug, Default, Clone)]
#[command(next_help_heading = "Which jobs")]
pub(crate) struct Filter {
    /// Jobs of this name
    #[arg(long, value_name = "NAME")]
    name: Option<String>,
    /// Ids that begin so
    #[arg(long, value_name = "START")]
    id_prefix: Option<String>,
    /// This text in the error of the last attempt; upper and lower case of a to z are the same
    #[arg(long, value_name = "TEXT")]
    error: Option<String>,
    /// A fingerprint, as `oxcart dead groups` shows it
    #[arg(long, value_name = "HEX")]
    fingerprint: Option<Fingerprint>,
    /// This header
    #[arg(long, value_name = "KEY=VALUE", value_parser = header)]
    header: Option<(String, String)>,
    /// So many attempts that failed, or more
    #[arg(long, value_name = "ATTEMPTS")]
    failed: Option<u32>,
    /// Jobs of this group
    #[arg(long, value_name = "KEY")]
    group: Option<String>,
    /// Jobs that are ordered by this key
    #[arg(long, value_name = "KEY")]
    order: Option<String>,
    /// Died, ended or were enqueued at least so long ago: 7d
    #[arg(long, value_name = "AGE", value_parser = duration::parse)]
    older_than: Option<Duration>,
    /// Died, ended or were enqueued within this time: 2h
    #[arg(long, value_name = "AGE", value_parser = duration::parse)]
    newer_than: Option<Duration>,
}

/// For clap: `key=value`.
pub(crate) fn header(text: &str) -> Result<(String, String), String> {
    let (key, value) = text.split_once('=').ok_or_else(|| {
        crate::text::place::pointed(text, text.len(), "`=` and a value are missing here")
    })?;
    Ok((key.to_owned(), value.to_owned()))
}

impl Filter {
    /// Jobs that are older than this.
    pub(crate) fn older_than(age: Duration, name: Option<String>) -> Self {
        Self {
            older_than: Some(age),
            name,
            ..Self::default()
        }
    }

    /// Every job passes.
    pub(crate) fn is_empty(&self) -> bool {
        let Self {
            name,
            id_prefix,
            error,
            fingerprint,
            header,
            group,
            order,
            failed,
            older_than,
            newer_than,
        } = self;
        let texts = [name, id_prefix, error, group, order];
        texts.iter().all(|text| text.is_none())
            && fingerprint.is_none()
            && header.is_none()
            && failed.is_none()
            && older_than.is_none()
            && newer_than.is_none()
    }

    /// The dead letters of a queue that pass.
    pub(crate) fn dead_letters(&self, queue: &Queue) -> DeadLetters {
        let filter = self.clone();
        let mut letters = queue.dead_letters();
        if let Some(name) = filter.name {
            letters = letters.named(name);
        }
        if let Some(start) = filter.id_prefix {
            letters = letters.id_prefix(start);
        }
        if let Some(text) = filter.error {
            letters = letters.error_contains(text);
        }
        if let Some(fingerprint) = filter.fingerprint {
            letters = letters.fingerprint(fingerprint);
        }
        if let Some((key, value)) = filter.header {
            letters = letters.header(key, value);
        }
        if let Some(group) = filter.group {
            letters = letters.group(group);
        }
        if let Some(order) = filter.order {
            letters = letters.ordered_by(order);
        }
        if let Some(age) = filter.older_than {
            letters = letters.older_than(age);
        }
        if let Some(age) = filter.newer_than {
            letters = letters.newer_than(age);
        }
        match filter.failed {
            Some(least) => letters.matching(move |job| job.failed >= least),
            None => letters,
        }
    }

    /// Asks Redis for jobs that pass, as far as Redis can tell.
    pub(crate) fn ask(&self, mut jobs: Jobs) -> Jobs {
        if let Some(name) = &self.name {
            jobs = jobs.named(name);
        }
        if let Some(start) = &self.id_prefix {
            jobs = jobs.id_prefix(start);
        }
        if let Some(text) = &self.error {
            jobs = jobs.error_contains(text);
        }
        if let Some(attempts) = self.failed {
            jobs = jobs.failed_at_least(attempts);
        }
        if let Some(group) = &self.group {
            jobs = jobs.in_group(group);
        }
        if let Some(age) = self.older_than {
            jobs = jobs.older_than(age);
        }
        if let Some(age) = self.newer_than {
            jobs = jobs.newer_than(age);
        }
        jobs
    }

    /// Whether a job passes that Redis has answered.
    pub(crate) fn passes(&self, job: &JobInfo) -> bool {
        let header = self.header.as_ref();
        let order = self.order.as_ref();
        header.is_none_or(|header| job.headers.contains(header))
            && order.is_none_or(|order| job.order.as_ref() == Some(order))
            && self
                .fingerprint
                .is_none_or(|wanted| job.fingerprint() == wanted)
    }
}

/// As it is typed, but for quotes: `name=charge older-than=7days`.
impl fmt::Display for Filter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let age = |age: Duration| humantime::format_duration(age).to_string();
        let header = self.header.as_ref();
        let parts = [
            ("name", self.name.clone()),
            ("id-prefix", self.id_prefix.clone()),
            ("error", self.error.clone()),
            ("fingerprint", self.fingerprint.map(|it| it.to_string())),
            (
                "header",
                header.map(|(key, value)| format!("{key}:{value}")),
            ),
            ("failed", self.failed.map(|it| it.to_string())),
            ("group", self.group.clone()),
            ("order", self.order.clone()),
            ("older-than", self.older_than.map(age)),
            ("newer-than", self.newer_than.map(age)),
        ];
        let parts = parts.into_iter();
        let given: Vec<_> = parts
            .filter_map(|(name, value)| Some(format!("{name}={}", value?)))
            .collect();
        match given.is_empty() {
            true => f.write_str("all"),
            false => f.write_str(&given.join(" ")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_header_has_two_parts() {
        assert_eq!(header("tenant=a=b"), Ok(("tenant".into(), "a=b".into())));
        assert!(header("tenant").unwrap_err().contains("        ^ `=`"));
    }

    #[test]
    fn it_is_told_as_it_was_typed() {
        assert_eq!(Filter::default().to_string(), "all");
        let week = Duration::from_secs(7 * 24 * 60 * 60);
        let filter = Filter::older_than(week, Some("charge".to_owned()));
        assert_eq!(filter.to_string(), "name=charge older-than=7days");
    }

    #[test]
    fn without_a_filter_it_is_empty() {
        assert!(Filter::default().is_empty());
        assert!(!Filter::older_than(Duration::ZERO, None).is_empty());
    }
}
