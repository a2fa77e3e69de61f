//! What every page has around it: who looks, where the links lead, how old the values are.

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

use crate::access::{Access, Role};
use crate::model::Moment;

/// What stays as it is in a part of a path or in a query.
const PLAIN: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'_')
    .remove(b'.')
    .remove(b'~')
    .remove(b'@');

/// One part of a path, or a value in a query, as it stands in a link.
pub(crate) fn encoded(part: &str) -> String {
    utf8_percent_encode(part, PLAIN).to_string()
}

/// The name of something as one part of a path. Browsers and proxies take `.` and `..` for folders, however they are written, so these
/// have a `~` before them, which no name has.
pub(crate) fn path_part(name: &str) -> String {
    match name {
        "." | ".." => format!("~{name}"),
        _ => encoded(name),
    }
}

/// The name that a part of a path stands for, when it is decoded.
pub(crate) fn name_in_path(part: &str) -> &str {
    match part {
        "~." | "~.." => &part[1..],
        _ => part,
    }
}

/// A path below the mount path. The root is the mount path itself: a router finds no page at `/admin/queues/`.
pub(crate) fn under(base: &str, path: &str) -> String {
    match path.strip_prefix('/') {
        Some(rest) if !base.is_empty() && (rest.is_empty() || rest.starts_with('?')) => {
            format!("{base}{rest}")
        }
        _ => format!("{base}{path}"),
    }
}

/// What every page has around it.
#[derive(Debug, Clone)]
pub(crate) struct Chrome {
    /// Where the dashboard is mounted: empty, or like `/admin/queues`.
    pub(crate) base: String,
    /// The path and query of this page below that, such as `/queues/mail/jobs?state=dead`: links to it are current.
    pub(crate) here: String,
    /// Who looks.
    pub(crate) access: Access,
    /// Whether they signed in with a token on the login page, and can sign out.
    pub(crate) can_sign_out: bool,
    /// Proves that a form comes from one of our pages; a hidden field `csrf` in every form.
    pub(crate) csrf: String,
    /// Now, by the clock of the server.
    pub(crate) now: Moment,
    /// When the values of this page were read.
    pub(crate) read_at: Option<Moment>,
    /// Why they are old, if Redis does not answer.
    pub(crate) lost: Option<String>,
    /// What became of the action that led to this page, in a sentence.
    pub(crate) notice: Option<String>,
}

impl Chrome {
    /// A link to a page: `path` begins with `/`; its parts are [`path_part`]s.
    pub(crate) fn href(&self, path: &str) -> String {
        under(&self.base, path)
    }

    /// A link to a page of a queue: `rest` is empty or begins with `/`.
    pub(crate) fn queue_href(&self, queue: &str, rest: &str) -> String {
        format!("{}/queues/{}{rest}", self.base, path_part(queue))
    }

    /// A link to a job, or, with `/replay` and its like, where the form of an action is sent.
    pub(crate) fn job_href(&self, queue: &str, id: &str, rest: &str) -> String {
        self.queue_href(queue, &format!("/jobs/{}{rest}", path_part(id)))
    }

    /// The stream that tells when this page has changed.
    pub(crate) fn live_href(&self) -> String {
        // The overview is also the page at the mount path itself.
        let here = match self.here.strip_prefix('/') {
            Some(query) if query.is_empty() || query.starts_with('?') => {
                format!("/overview{query}")
            }
            _ => self.here.clone(),
        };
        format!("{}/live{here}", self.base)
    }

    /// Whether the viewer has this role in the queue.
    pub(crate) fn may(&self, role: Role, queue: &str) -> bool {
        self.access.may(role, queue)
    }
}

#[cfg(test)]
mod tests {
    use super::{name_in_path, path_part, under};

    #[test]
    fn a_name_in_a_path_is_no_folder() {
        for (name, part) in [(".", "~."), ("..", "~.."), ("...", "..."), ("a/b", "a%2Fb")] {
            assert_eq!(path_part(name), part);
        }
        for name in [".", "..", "...", "~"] {
            assert_eq!(name_in_path(&path_part(name)), name);
        }
    }

    #[test]
    fn the_root_is_the_mount_path_itself() {
        assert_eq!(under("/ops", "/"), "/ops");
        assert_eq!(under("/ops", "/?q=a"), "/ops?q=a");
        assert_eq!(under("/ops", "/running"), "/ops/running");
        assert_eq!(under("", "/"), "/");
    }
}
