//! What the refusals of a server mean. One table leads from the words of the server to what the caller is told, wherever
//! the words come: while a connection is made, in a plain command, inside a script, or as the last word on a
//! connection that the server closes.

use crate::error::ErrorKind;

/// Why the server refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Refusal {
    /// Loading, busy, failing over: it passes by itself.
    NotNow,
    /// It has become a replica. After a failover its address may soon be that of the primary again.
    Replica,
    /// It has as many clients as it accepts.
    NoRoom,
    /// Out of memory, persistence failing, too few replicas: an operator has to act.
    NoWrites,
    /// Password, user or permission; or the server accepts no client from another machine.
    NotAllowed {
        /// A user of a cluster needs one permission more.
        in_cluster: bool,
    },
    /// What a provider of credentials gave, which may be of yesterday: the next may be accepted.
    Credentials,
    /// A command is not known there: it was renamed or taken away, or it is another kind of server.
    NoCommand,
    /// It has no append-only file.
    NoAof,
    /// There is no database of this number.
    NoDatabase,
    /// It is a node of a cluster, where each key has its own node.
    Cluster,
    /// A node of the cluster that we know does not have the slot, or not all of it yet.
    Moving,
    /// The script is not cached there.
    UnknownScript,
    /// Something in the request is larger than the server reads. It did not run, and will not as
    /// it is.
    Unread,
}

const NOT_ALLOWED: Refusal = Refusal::NotAllowed { in_cluster: false };

/// The first words of errors that have no code of their own.
const BEGINNINGS: &[(&str, Refusal)] = &[
    ("max number of clients", Refusal::NoRoom),
    ("Script killed by user", Refusal::NotNow),
    ("unknown command", Refusal::NoCommand),
    ("unknown subcommand", Refusal::NoCommand),
    (
        "Unknown Redis command called from script",
        Refusal::NoCommand,
    ),
    ("Unknown command called from script", Refusal::NoCommand),
    ("ACL failure in script", NOT_ALLOWED),
    ("The user executing the script can't", NOT_ALLOWED),
    ("AUTH <password> called without any password", NOT_ALLOWED),
    ("Authentication required", NOT_ALLOWED),
    // A client that has not given its password may send only small requests.
    ("Protocol error: unauthenticated", NOT_ALLOWED),
    // The server refuses a request in the middle of reading it, and closes the connection.
    ("Protocol error", Refusal::Unread),
    ("WAITAOF cannot be used when", Refusal::NoAof),
    ("WAIT cannot be used with replica", Refusal::Replica),
    ("WAITAOF cannot be used with replica", Refusal::Replica),
    ("DB index is out of range", Refusal::NoDatabase),
    ("invalid DB index", Refusal::NoDatabase),
    ("SELECT is not allowed in cluster mode", Refusal::Cluster),
];

/// Words somewhere in an error. redis-rs drops the code of an error to `SELECT`.
const PHRASES: &[(&str, Refusal)] = &[
    ("has no permissions to run", NOT_ALLOWED),
    ("is busy running a script", Refusal::NotNow),
];

impl Refusal {
    /// By the code of an error and by what follows it.
    pub(crate) fn of(code: &str, detail: &str) -> Option<Self> {
        match code {
            "LOADING" | "BUSY" | "MASTERDOWN" | "UNBLOCKED" => Some(Self::NotNow),
            "READONLY" => Some(Self::Replica),
            "OOM" | "MISCONF" | "NOREPLICAS" => Some(Self::NoWrites),
            "NOAUTH" | "WRONGPASS" | "NOPERM" | "DENIED" => Some(NOT_ALLOWED),
            "NOPROTO" => Some(Self::NoCommand),
            "MOVED" | "ASK" | "TRYAGAIN" | "CLUSTERDOWN" | "CROSSSLOT" => Some(Self::Cluster),
            "NOSCRIPT" => Some(Self::UnknownScript),
            "ERR" => Self::in_words(detail),
            _ => None,
        }
    }

    fn in_words(detail: &str) -> Option<Self> {
        let begins = BEGINNINGS.iter().find(|(text, _)| detail.starts_with(text));
        let found = begins.or_else(|| PHRASES.iter().find(|(text, _)| detail.contains(text)));
        found.map(|(_, refusal)| *refusal)
    }

    /// What the caller is told.
    pub(crate) fn kind(self) -> ErrorKind {
        match self {
            Self::NotNow
            | Self::Replica
            | Self::NoRoom
            | Self::NoWrites
            | Self::Credentials
            | Self::Moving
            | Self::UnknownScript => ErrorKind::Refused,
            Self::NotAllowed { .. }
            | Self::NoCommand
            | Self::NoAof
            | Self::NoDatabase
            | Self::Cluster => ErrorKind::Unsuitable,
            Self::Unread => ErrorKind::NotSent,
        }
    }

    /// What to do.
    pub(crate) fn hint(self) -> &'static str {
        match self {
            Self::NotNow | Self::UnknownScript => "it may pass by itself",
            Self::Replica => "it is a replica now; if that lasts, connect to its primary",
            Self::NoRoom => "it passes when others close connections; else raise `maxclients`",
            Self::NoWrites => "the server needs to be looked after; then it is safe to try again",
            Self::NotAllowed { in_cluster: false } => {
                "check user, password and permissions: oxcart needs `~<namespace>:* +@read +@write \
                 +@scripting +@connection +@transaction +info +time`"
            }
            Self::NotAllowed { in_cluster: true } => {
                "check user, password and permissions at every node: in a cluster oxcart needs \
                 `~<namespace>:* +@read +@write +@scripting +@connection +@transaction +info +time \
                 +cluster|slots`"
            }
            Self::Credentials => {
                "the provider of credentials is asked again with the next connection; check what it gives if that lasts"
            }
            Self::NoCommand => {
                "the commands that oxcart needs must not be renamed or taken away, and it must be a Redis"
            }
            Self::NoAof => "set `appendonly yes` on the server, or ask for another `Durability`",
            Self::NoDatabase => "check the database number in the URL (`redis://host:6379/0`)",
            Self::Cluster => "connect by `redis+cluster://..`, or to a Redis without cluster mode",
            Self::Moving => {
                "it passes when the cluster has moved the slot or replaced the node, or the node has read its data; see \
                 `CLUSTER INFO` if it lasts"
            }
            Self::Unread => "send less at once, or raise the limit of the server",
        }
    }

    /// The same, from a node of a cluster that was asked as such.
    pub(crate) fn in_cluster(self) -> Self {
        match self {
            Self::NotAllowed { .. } => Self::NotAllowed { in_cluster: true },
            refusal => refusal,
        }
    }

    /// Whether the server as a whole may soon be well, so that trying again helps before anybody is told.
    pub(crate) fn passes(self) -> bool {
        matches!(
            self,
            Self::NotNow | Self::Replica | Self::NoRoom | Self::Credentials | Self::Moving
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(line: &str) -> Option<Refusal> {
        let (code, detail) = line.split_once(' ').unwrap_or((line, ""));
        Refusal::of(code, detail)
    }

    /// As Redis 7.0, Redis 8 and Valkey 9 say it.
    #[test]
    fn every_wording_of_a_cause_means_the_same() {
        let causes: [(Refusal, &[&str]); 10] = [
            (
                Refusal::NotNow,
                &[
                    "LOADING Redis is loading the dataset in memory",
                    "BUSY Redis is busy running a script. You can only call SCRIPT KILL or SHUTDOWN NOSAVE.",
                    "ERR Valkey is busy running a script. You can only call SCRIPT KILL or SHUTDOWN NOSAVE.",
                    "MASTERDOWN Link with MASTER is down and replica-serve-stale-data is set to 'no'.",
                    "ERR Script killed by user with SCRIPT KILL... script: ab, on @user_script:3.",
                ],
            ),
            (
                Refusal::Replica,
                &[
                    "READONLY You can't write against a read only replica.",
                    "ERR WAIT cannot be used with replica instances. Please also note that writes to replicas are just local",
                    "ERR WAITAOF cannot be used with replica instances. Please also note that writes to replicas are just local",
                ],
            ),
            (
                Refusal::NoRoom,
                &[
                    "ERR max number of clients reached",
                    "ERR max number of clients + cluster connections reached",
                ],
            ),
            (
                Refusal::NoWrites,
                &[
                    "OOM command not allowed when used memory > 'maxmemory'.",
                    "MISCONF Redis is configured to save RDB snapshots, but it's currently unable to persist",
                    "NOREPLICAS Not enough good replicas to write.",
                ],
            ),
            (
                NOT_ALLOWED,
                &[
                    "NOAUTH Authentication required.",
                    "ERR Authentication required.",
                    "WRONGPASS invalid username-password pair or user is disabled.",
                    "NOPERM this user has no permissions to run the 'evalsha' command",
                    "NOPERM User app has no permissions to run the 'evalsha' command",
                    "ERR this user has no permissions to run the 'select' command",
                    "ERR The user executing the script can't run this command or subcommand script: ab, on @user_script:2.",
                    "ERR ACL failure in script: User app has no permissions to run the 'time' command script: on @user_script:2.",
                    "ERR ACL failure in script: No permissions to access a key script: ab, on @user_script:2.",
                    "ERR AUTH <password> called without any password configured for the default user.",
                    "ERR Protocol error: unauthenticated multibulk length",
                    "DENIED Redis is running in protected mode because protected mode is enabled",
                ],
            ),
            (
                Refusal::NoCommand,
                &[
                    "ERR unknown command 'INFO', with args beginning with: 'max number of clients' ",
                    "ERR unknown subcommand 'UNBLOCK'. Try CLIENT HELP.",
                    "ERR Unknown Redis command called from script script: ab, on @user_script:2.",
                    "ERR Unknown command called from script script: on @user_script:2.",
                ],
            ),
            (
                Refusal::NoDatabase,
                &["ERR DB index is out of range", "ERR invalid DB index"],
            ),
            (
                Refusal::Cluster,
                &[
                    "MOVED 3999 127.0.0.1:6381",
                    "CLUSTERDOWN Hash slot not served",
                    "CROSSSLOT Keys in request don't hash to the same slot",
                    "ERR SELECT is not allowed in cluster mode",
                ],
            ),
            (
                Refusal::UnknownScript,
                &["NOSCRIPT No matching script. Please use EVAL."],
            ),
            (
                Refusal::Unread,
                &[
                    "ERR Protocol error: invalid bulk length",
                    "ERR Protocol error: too big mbulk count string",
                ],
            ),
        ];
        for (refusal, lines) in causes {
            for line in lines {
                assert_eq!(of(line), Some(refusal), "{line}");
            }
        }
    }

    #[test]
    fn the_page_on_errors_says_the_same() {
        let page = include_str!("../../docs/errors.md");
        for (words, refusal) in [
            ("`LOADING`", Refusal::NotNow),
            ("`READONLY`", Refusal::Replica),
            ("`max number of clients reached`", Refusal::NoRoom),
            ("`OOM`", Refusal::NoWrites),
            ("`NOPERM`", NOT_ALLOWED),
            ("`DENIED`", NOT_ALLOWED),
            ("`unknown command`", Refusal::NoCommand),
            ("`DB index is out of range`", Refusal::NoDatabase),
            ("`MOVED`", Refusal::Cluster),
            ("`Protocol error: invalid bulk length`", Refusal::Unread),
        ] {
            let row = page
                .lines()
                .find(|line| line.starts_with('|') && line.contains(words));
            let row = row.unwrap_or_default();
            assert!(
                row.contains(&format!("| `{:?}` |", refusal.kind())),
                "{words}: {row}"
            );
            let is_retryable = crate::error::Error::new(refusal.kind(), "").is_retryable();
            let retryable = if is_retryable { "| yes |" } else { "| no |" };
            assert!(row.contains(retryable), "{words}: {row}");
        }
    }

    #[test]
    fn a_user_of_a_cluster_is_told_of_one_permission_more() {
        let (alone, of_node) = (NOT_ALLOWED.hint(), NOT_ALLOWED.in_cluster().hint());
        let rule = |hint: &'static str| hint.split('`').nth(1).unwrap();
        assert_eq!(rule(of_node), format!("{} +cluster|slots", rule(alone)));
        let page = include_str!("../../docs/security.md").replace("oxcart:", "<namespace>:");
        assert!(page.contains(rule(alone)) && page.contains("needs `+cluster|slots` as well"));
        assert_eq!(Refusal::NotNow.in_cluster(), Refusal::NotNow);
    }

    /// These may come from the middle of a script, or from a bug: it is not known what was written before.
    #[test]
    fn what_is_no_refusal_is_not_taken_for_one() {
        for line in [
            "WRONGTYPE Operation against a key holding the wrong kind of value",
            "ERR user_script:14: attempt to index a nil value script: ab, on @user_script:14.",
            "ERR value is not an integer or out of range",
            "BUSYKEY Target key name already exists.",
        ] {
            assert_eq!(of(line), None, "{line}");
        }
    }
}
