//! The bank. A real shop would call its payment provider here; this one decides by the number of the card.

use std::fmt;

use crate::jobs::Payment;

/// Takes payments.
#[derive(Debug, Clone, Default)]
pub struct Bank;

/// Why a payment was not made.
#[derive(Debug, PartialEq, Eq)]
pub enum NotPaid {
    /// It makes no sense to try again.
    Declined,
    /// It may work in a moment.
    BankIsAway,
}

impl Bank {
    /// Takes the money once, however often it is asked with the same `order`.
    ///
    /// # Errors
    ///
    /// If the card is declined (numbers that begin with 0), or the bank is away (with 9).
    pub async fn charge(&self, order: &str, card: &str, cents: u64) -> Result<Payment, NotPaid> {
        match card.as_bytes().first() {
            Some(b'0') | None => Err(NotPaid::Declined),
            Some(b'9') => Err(NotPaid::BankIsAway),
            Some(_) => Ok(Payment {
                reference: format!("bank-{order}"),
                cents,
            }),
        }
    }
}

impl fmt::Display for NotPaid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Declined => "the card was declined",
            Self::BankIsAway => "the bank cannot be reached",
        })
    }
}

impl std::error::Error for NotPaid {}
