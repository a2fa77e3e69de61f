//! The limits of a queue, as they are typed.

use oxcart::Rate;

use crate::text::rates;

/// What is typed for no limit.
const UNLIMITED: &str = "unlimited";

/// A limit that is typed, or `unlimited`.
#[derive(Clone, Copy)]
pub(super) enum Typed<T> {
    Unlimited,
    At(T),
}

impl<T> Typed<T> {
    pub(super) fn limit(self) -> Option<T> {
        match self {
            Self::Unlimited => None,
            Self::At(limit) => Some(limit),
        }
    }
}

/// `100/1s`, `600/1m/smooth` or `unlimited`.
pub(super) fn rate(text: &str) -> Result<Typed<Rate>, String> {
    match text {
        UNLIMITED => Ok(Typed::Unlimited),
        text => rates::parse(text)
            .map(Typed::At)
            .map_err(|why| format!("{why}, or `{UNLIMITED}`")),
    }
}

pub(super) fn concurrency(text: &str) -> Result<Typed<u32>, String> {
    match text {
        UNLIMITED => Ok(Typed::Unlimited),
        text => text
            .parse()
            .map(Typed::At)
            .map_err(|_| "a number, or `unlimited`".to_owned()),
    }
}
