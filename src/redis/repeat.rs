//! When a command may be sent twice.

use crate::redis::trouble::Trouble;

/// Whether a command is sent again at once, if its connection had been idle and was found closed.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Repeat {
    /// In any case: a verb that runs twice does the same and gives the same answer.
    Always,
    /// Only if it certainly was not sent.
    Unsent,
    /// The caller decides.
    Never,
}

impl Repeat {
    pub(crate) fn allows(self, trouble: &Trouble) -> bool {
        trouble.was_idle()
            && match self {
                Self::Always => true,
                Self::Unsent => !trouble.may_have_run(),
                Self::Never => false,
            }
    }
}
