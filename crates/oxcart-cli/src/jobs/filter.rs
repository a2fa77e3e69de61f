//! Which of the jobs are meant.

use std::time::Duration;

use clap::Args;
use oxcart::{DeadLetters, Fingerprint, JobInfo, Queue, Timestamp};

use crate::text::{duration, when};

/// All that is given must hold. It is looked at here, job by job: Redis hands out whole pages.
#[derive(Args, Debug, Default, Clone)]
#[command(next_help_heading = "Which jobs")]
pub(crate) struct Filter {
    /// Jobs of this name
    #[arg(long, value_name = "NAME")]
    name: Option<String>,
    /// Ids that begin so
    #[arg(long, value_name = "START")]
    id_prefix: Option<String>,
    /// This text in the error of the last attempt, in any case
    #[arg(long, value_name = "TEXT")]
    error: Option<String>,
    /// A fingerprint, as `oxcart dead groups` shows it
    #[arg(long, value_name = "HEX")]
    fingerprint: Option<Fingerprint>,
    /// This header
    #[arg(long, value_name = "KEY=VALUE", value_parser = header)]
    header: Option<(String, String)>,
    /// Jobs of this group
    #[arg(long, value_name = "KEY")]
    group: Option<String>,
    /// Jobs that are ordered by this key
    #[arg(long, value_name = "KEY")]
    order: Option<String>,
    /// Died, ended or were enqueued longer ago than this: 7d
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
            older_than,
            newer_than,
        } = self;
        let texts = [name, id_prefix, error, group, order];
        texts.iter().all(|text| text.is_none())
            && fingerprint.is_none()
            && header.is_none()
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
        letters
    }

    pub(crate) fn passes(&self, job: &JobInfo) -> bool {
        self.passes_at(job, when::now())
    }

    fn passes_at(&self, job: &JobInfo, now: Timestamp) -> bool {
        let is = |wanted: &Option<String>, found: Option<&str>| {
            wanted.as_ref().is_none_or(|wanted| found == Some(wanted))
        };
        let holds = |text: &Option<String>, test: &dyn Fn(&str) -> bool| {
            text.as_ref().is_none_or(|text| test(text))
        };
        let age = now.duration_since(job.ended_at.unwrap_or(job.enqueued_at));
        let has = |text: &str| {
            let error = job.last_error().to_lowercase();
            error.contains(&text.to_lowercase())
        };
        is(&self.name, Some(&job.name))
            && is(&self.group, job.group.as_deref())
            && is(&self.order, job.order.as_deref())
            && holds(&self.id_prefix, &|start| job.id.as_str().starts_with(start))
            && self
                .header
                .as_ref()
                .is_none_or(|header| job.headers.contains(header))
            && self.older_than.is_none_or(|least| age > least)
            && self.newer_than.is_none_or(|most| age < most)
            && holds(&self.error, &has)
            && self
                .fingerprint
                .is_none_or(|wanted| job.fingerprint() == wanted)
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
    fn without_a_filter_it_is_empty() {
        assert!(Filter::default().is_empty());
        assert!(!Filter::older_than(Duration::ZERO, None).is_empty());
    }
}
