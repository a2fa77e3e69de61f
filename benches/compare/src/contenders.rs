//! Who takes part, and how Redis tells what each has left to do.

use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};

use crate::session::node_home;

/// A column of the table.
pub(crate) struct Contender {
    pub(crate) name: &'static str,
    /// Where its version is printed from.
    source: Source,
    /// No queue: what Redis does at least, to compare with.
    pub(crate) floor: bool,
    /// Whether it has a call that adds many jobs.
    pub(crate) bulk: bool,
    /// Whether it can keep the last so many completed jobs.
    pub(crate) keeps: bool,
    pub(crate) left: Left,
    /// What its figures must be read with.
    pub(crate) caveat: Option<&'static str>,
}

enum Source {
    /// The version in `Cargo.lock`.
    Crate(&'static str),
    /// The version in `package-lock.json`.
    Node(&'static str),
}

/// Where to read how many jobs are not yet done.
pub(crate) enum Left {
    /// The sum of what these commands answer.
    Redis(&'static [&'static [&'static str]]),
    /// Redis does not know: how many were added, less the handlers that have returned.
    Handlers,
}

impl Contender {
    /// A queue that can do all of it.
    const fn queue(name: &'static str, source: Source, left: Left) -> Self {
        Self {
            name,
            source,
            floor: false,
            bulk: true,
            keeps: true,
            left,
            caveat: None,
        }
    }

    const fn streams(name: &'static str) -> Self {
        Self {
            floor: true,
            keeps: false,
            left: Left::Redis(&[&["XLEN", "bench"]]),
            ..Self::queue(name, Source::Crate("redis"), Left::Handlers)
        }
    }
}

/// In the order of the table.
pub(crate) const ALL: &[Contender] = &[
    Contender::queue("oxcart", Source::Crate("oxcart"), OXCART),
    Contender::queue("bullmq", Source::Node("bullmq"), BULLMQ),
    Contender::queue("bullmq-official", Source::Crate("bullmq-official"), BULLMQ),
    Contender {
        keeps: false,
        ..Contender::queue("oxana", Source::Crate("oxana"), OXANA)
    },
    Contender {
        bulk: false,
        keeps: false,
        caveat: Some(
            "does not acknowledge: a job counts when its handler has returned, and a crash loses it",
        ),
        ..Contender::queue(
            "rusty-sidekiq",
            Source::Crate("rusty-sidekiq"),
            Left::Handlers,
        )
    },
    Contender {
        keeps: false,
        caveat: Some("keeps every completed job for ever, in all rows"),
        ..Contender::queue("apalis-redis", Source::Crate("apalis-redis"), APALIS)
    },
    Contender::streams("streams"),
    Contender::streams("streams-events"),
];

const OXCART: Left = Left::Redis(&[
    &["ZCARD", "oxcart:{bench}:waiting"],
    &["ZCARD", "oxcart:{bench}:delayed"],
    // All but the sentinel, whose lease never ends.
    &["ZCOUNT", "oxcart:{bench}:active", "-inf", "(+inf"],
]);

const BULLMQ: Left = Left::Redis(&[
    &["LLEN", "bull:bench:wait"],
    &["LLEN", "bull:bench:active"],
    &["ZCARD", "bull:bench:delayed"],
]);

/// One hash of all jobs that are not done.
const OXANA: Left = Left::Redis(&[&["HLEN", "oxana:jobs"]]);

const APALIS: Left = Left::Redis(&[
    &["LLEN", "bench:active"],
    &["ZCARD", "bench:scheduled"],
    &["SCARD", "bench:inflight:bench"],
]);

/// Those that `PEERS` names, or all.
pub(crate) fn chosen() -> Result<Vec<&'static Contender>> {
    let Some(names) = crate::setting("PEERS") else {
        return Ok(ALL.iter().collect());
    };
    for name in names.split(',') {
        if !ALL.iter().any(|peer| peer.name == name) {
            let known: Vec<_> = ALL.iter().map(|peer| peer.name).collect();
            bail!("no peer is called `{name}`; there are {}", known.join(", "));
        }
    }
    let named = |peer: &&Contender| names.split(',').any(|name| name == peer.name);
    Ok(ALL.iter().filter(named).collect())
}

impl Contender {
    /// From the lock files, so that it is what really runs.
    pub(crate) fn version(&self) -> String {
        let found = match self.source {
            Source::Crate(name) => locked_crate(name),
            Source::Node(name) => locked_module(name),
        };
        found.unwrap_or_else(|| "-".to_owned())
    }

    /// Whether it runs on Node.
    pub(crate) fn node(&self) -> bool {
        matches!(self.source, Source::Node(_))
    }

    /// Fetches what the peer needs. An error is the reason for a column of dashes.
    pub(crate) fn prepare(&self) -> Result<()> {
        if self.node() { prepare_node() } else { Ok(()) }
    }
}

fn locked_crate(name: &str) -> Option<String> {
    let lock = include_str!("../Cargo.lock");
    let (_, entry) = lock.split_once(&format!("name = \"{name}\"\nversion = \""))?;
    Some(entry.split_once('"')?.0.to_owned())
}

fn locked_module(name: &str) -> Option<String> {
    let lock: serde_json::Value =
        serde_json::from_str(include_str!("../package-lock.json")).ok()?;
    let version = &lock["packages"][format!("node_modules/{name}")]["version"];
    Some(version.as_str()?.to_owned())
}

/// Puts the script and its packages into the target folder.
fn prepare_node() -> Result<()> {
    let version = node_version().context("Node is not on PATH")?;
    let major = version
        .split('.')
        .next()
        .and_then(|n| n.parse::<u32>().ok());
    if major.is_none_or(|major| major < 20) {
        bail!("Node {version} is too old, 20 is the oldest that will do");
    }
    let (home, source) = (node_home(), Path::new(env!("CARGO_MANIFEST_DIR")));
    std::fs::create_dir_all(&home)?;
    for name in ["package.json", "package-lock.json", "bullmq.cjs"] {
        std::fs::copy(source.join(name), home.join(name))?;
    }
    let (wanted, installed) = (include_str!("../package-lock.json"), home.join("installed"));
    if std::fs::read_to_string(&installed).is_ok_and(|there| there == wanted) {
        return Ok(());
    }
    eprintln!("fetching BullMQ for Node ...");
    // Not `npm ci`: BullMQ has optional parts for each system, of which a lock file made on one
    // system does not always name all.
    let fetched = Command::new("npm")
        .args(["install", "--no-audit", "--no-fund", "--loglevel=error"])
        .current_dir(&home)
        .stdout(Stdio::null())
        .status()
        .context("npm is not on PATH")?;
    if !fetched.success() {
        bail!("npm could not fetch BullMQ ({fetched})");
    }
    std::fs::write(&installed, wanted)?;
    Ok(())
}

/// `20.20.2`
pub(crate) fn node_version() -> Option<String> {
    let output = Command::new("node").arg("--version").output().ok()?;
    let version = String::from_utf8(output.stdout).ok()?;
    Some(version.trim().strip_prefix('v')?.to_owned())
}
