//! Without the feature `cron` there is no calendar: an expression is refused, and a stored schedule
//! that has one is left alone.

use std::convert::Infallible;

use crate::error::Error;

#[derive(Debug, Clone)]
pub(crate) struct ParsedCron(Infallible);

impl ParsedCron {
    pub(crate) fn parse(expression: &str, _: &str) -> Result<Self, Error> {
        Err(Error::invalid(format!(
            "the cron expression {expression:?} needs a calendar, which this build of oxcart does not have: \
             enable its feature `cron`, or use `.every(..)`"
        )))
    }

    pub(crate) fn never_matches(&self) -> bool {
        match self.0 {}
    }

    pub(crate) fn next_after(&self, _: u64) -> Option<u64> {
        match self.0 {}
    }
}

pub(crate) fn zone_name(name: String) -> String {
    name
}
