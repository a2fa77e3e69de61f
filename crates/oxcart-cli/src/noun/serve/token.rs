//! A token as it is typed, and what it allows.

use std::convert::Infallible;
use std::str::FromStr;

use oxcart_dashboard::{Access, Role};

const FORM: &str = "as in `viewer:TOKEN`, `ada=operator:TOKEN` or `bob=viewer+admin@mail:TOKEN`";

/// `[NAME=]ROLE[@QUEUE][+ROLE@QUEUE..]:TOKEN`.
#[derive(Clone)]
pub(super) struct Token {
    pub(super) access: Access,
    pub(super) text: String,
}

/// What was typed. It is read only after the arguments are, because an error about an argument repeats what was typed.
#[derive(Clone)]
pub(super) struct Typed(String);

impl FromStr for Typed {
    type Err = Infallible;

    fn from_str(typed: &str) -> Result<Self, Infallible> {
        Ok(Self(typed.to_owned()))
    }
}

impl Typed {
    pub(super) fn read(&self) -> Result<Token, String> {
        if self.0.is_empty() {
            return Err("a token is empty: put one space between two tokens, and unset OXCART_DASHBOARD_TOKENS if there is to be none".to_owned());
        }
        self.0.parse()
    }
}

/// The token itself is in no error: errors are logged.
impl FromStr for Token {
    type Err = String;

    fn from_str(typed: &str) -> Result<Self, String> {
        let (who, text) = typed
            .split_once(':')
            .ok_or_else(|| format!("there is no `:` in front of the token; {FORM}"))?;
        let (name, roles) = match who.split_once('=') {
            Some((name, roles)) => (name, roles),
            None => ("", who),
        };
        let mut everywhere = None;
        let mut queues = Vec::new();
        for part in roles.split('+') {
            let (role, queue) = match part.split_once('@') {
                Some((role, queue)) => (role, Some(queue)),
                None => (part, None),
            };
            let role: Role = role.parse().map_err(|error| format!("{error}; {FORM}"))?;
            match queue {
                Some(queue) => queues.push((queue, role)),
                None => everywhere = Some(role),
            }
        }
        let name = match (name, everywhere) {
            ("", Some(role)) => format!("{role} (token)"),
            ("", None) => "token".to_owned(),
            (name, _) => name.to_owned(),
        };
        let access = match everywhere {
            Some(role) => Access::new(name, role),
            None => Access::nowhere(name),
        };
        let access = queues
            .into_iter()
            .fold(access, |access, (queue, role)| access.in_queue(queue, role));
        Ok(Self {
            access,
            text: text.to_owned(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_says_who_may_do_what_where() {
        let token: Token = "viewer:abc:def".parse().unwrap();
        assert_eq!(token.text, "abc:def");
        assert_eq!(token.access, Access::new("viewer (token)", Role::Viewer));
        let token: Token = "bob=viewer+admin@mail:x".parse().unwrap();
        let bob = Access::new("bob", Role::Viewer).in_queue("mail", Role::Admin);
        assert_eq!(token.access, bob);
        let token: Token = "operator@mail:x".parse().unwrap();
        assert_eq!(token.access.role_in("billing"), None);
    }

    #[test]
    fn an_error_does_not_repeat_the_token() {
        for typed in ["s3cret", "root:s3cret", "=:s3cret"] {
            let error = typed.parse::<Token>().err().unwrap();
            assert!(!error.contains("s3cret"), "{error}");
        }
    }
}
