//! Who looks, and what they may do.

use std::fmt;
use std::str::FromStr;

/// What somebody may do. Each role may also do what the roles before it may.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Role {
    /// See everything but the secret fields of payloads.
    Viewer,
    /// Also pause and resume, replay, cancel and promote jobs, and pause, resume and run schedules.
    Operator,
    /// Also what cannot be undone: remove jobs and schedules, and change payloads.
    Admin,
}

impl Role {
    /// Its name: `viewer`, `operator` or `admin`. It can be parsed back.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Viewer => "viewer",
            Self::Operator => "operator",
            Self::Admin => "admin",
        }
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A text that names no role.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnknownRole(String);

impl fmt::Display for UnknownRole {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(text) = self;
        write!(
            f,
            "`{text}` is no role; the roles are viewer, operator and admin"
        )
    }
}

impl std::error::Error for UnknownRole {}

impl FromStr for Role {
    type Err = UnknownRole;

    fn from_str(text: &str) -> Result<Self, UnknownRole> {
        let mut all = [Self::Viewer, Self::Operator, Self::Admin].into_iter();
        all.find(|role| role.as_str() == text)
            .ok_or_else(|| UnknownRole(text.to_owned()))
    }
}

/// Who somebody is, and which role they have in which queue.
///
/// ```
/// use oxcart_dashboard::{Access, Role};
///
/// // Ada sees every queue, and may do everything to one of them.
/// let ada = Access::new("ada", Role::Viewer).in_queue("mail", Role::Admin);
/// // Bob sees one queue and does not learn that there are others.
/// let bob = Access::nowhere("bob").in_queue("mail", Role::Operator);
///
/// assert_eq!(ada.role_in("billing"), Some(Role::Viewer));
/// assert_eq!(ada.role_in("mail"), Some(Role::Admin));
/// assert_eq!(bob.role_in("billing"), None);
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Access {
    name: String,
    everywhere: Option<Role>,
    queues: Vec<(String, Role)>,
}

impl Access {
    /// Somebody with this role in all queues. The name is noted in the audits of queues with what they do.
    #[must_use]
    pub fn new(name: impl Into<String>, role: Role) -> Self {
        Self {
            everywhere: Some(role),
            ..Self::nowhere(name)
        }
    }

    /// Somebody who sees only the queues that are named by [`in_queue`](Self::in_queue).
    #[must_use]
    pub fn nowhere(name: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            everywhere: None,
            queues: Vec::new(),
        }
    }

    /// The role in one queue, in place of the role in all queues.
    #[must_use]
    pub fn in_queue(mut self, queue: impl Into<String>, role: Role) -> Self {
        let queue = queue.into();
        self.queues.retain(|(other, _)| *other != queue);
        self.queues.push((queue, role));
        self
    }

    /// Who it is.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The role in this queue; `None` if the queue is not to be seen.
    #[must_use]
    pub fn role_in(&self, queue: &str) -> Option<Role> {
        let own = self.queues.iter().find(|(other, _)| other == queue);
        own.map(|(_, role)| *role).or(self.everywhere)
    }

    /// Whether the role in this queue is at least `role`.
    #[must_use]
    pub fn may(&self, role: Role, queue: &str) -> bool {
        self.role_in(queue) >= Some(role)
    }

    /// Whether every queue is to be seen.
    #[must_use]
    pub fn sees_all(&self) -> bool {
        self.everywhere.is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_role_in_one_queue_takes_the_place_of_the_role_in_all() {
        let access = Access::new("ada", Role::Admin)
            .in_queue("mail", Role::Operator)
            .in_queue("mail", Role::Viewer);
        assert!(access.may(Role::Admin, "billing"));
        assert!(access.may(Role::Viewer, "mail"));
        assert!(!access.may(Role::Operator, "mail"));
        assert!(!Access::nowhere("bob").may(Role::Viewer, "mail"));
    }

    #[test]
    fn roles_are_parsed_back() {
        for role in [Role::Viewer, Role::Operator, Role::Admin] {
            assert_eq!(role.as_str().parse(), Ok(role));
        }
        assert!("root".parse::<Role>().is_err());
    }
}
