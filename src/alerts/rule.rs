//! A rule: a condition, for how long, and on which queues.

use std::time::Duration;

use crate::error::Error;
use crate::name::{self, QueueName};
use crate::policy::alert::condition::{Condition, Test};
use crate::time::{check_wait, millis};

/// A rule of [`Alerts`](crate::Alerts): when an alert fires.
#[must_use = "a rule is judged once it is added to `Alerts`"]
#[derive(Debug, Clone, PartialEq)]
pub struct AlertRule {
    pub(crate) name: String,
    pub(crate) test: Test,
    pub(crate) lasting: Duration,
    /// None for all.
    pub(crate) queues: Option<Vec<String>>,
}

impl AlertRule {
    /// A rule about all queues of the namespace. The name is 1 to 128 bytes, without white space, control characters and any of
    /// `: / # ~ { }`; people are told it.
    pub fn new<T>(name: impl Into<String>, condition: Condition<T>) -> Self {
        Self {
            name: name.into(),
            test: condition.test,
            lasting: Duration::ZERO,
            queues: None,
        }
    }

    /// For how long the condition has to hold before the alert fires, as seen in each round. Default: not at all, so the alert fires at
    /// once.
    pub fn lasting(mut self, time: Duration) -> Self {
        self.lasting = time;
        self
    }

    /// Only these queues. Default: all queues of the namespace ([`Oxcart::queues`](crate::Oxcart::queues)), also those that come to be
    /// later.
    pub fn on_queues<Q: Into<String>>(mut self, queues: impl IntoIterator<Item = Q>) -> Self {
        self.queues = Some(queues.into_iter().map(Into::into).collect());
        self
    }

    pub(crate) fn check(&self) -> Result<(), Error> {
        let within = |error: Error| error.within(format_args!("the alert rule {:?}", self.name));
        name::check("name of the rule", &self.name)?;
        self.test.check().map_err(within)?;
        check_wait(
            "the time for which the condition holds",
            millis(self.lasting),
        )
        .map_err(within)?;
        for queue in self.queues.iter().flatten() {
            QueueName::new(queue).map_err(within)?;
        }
        Ok(())
    }

    pub(crate) fn is_about(&self, queue: &str) -> bool {
        let queues = self.queues.as_ref();
        queues.is_none_or(|queues| queues.iter().any(|name| name == queue))
    }
}
