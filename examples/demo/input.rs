//! The input: which files are measured, and which of them get special treatment.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Result, bail};

use crate::screen::grouped;

/// As many files as one wants to wait for.
const DEFAULT_LIMIT: usize = 10_000;
/// A folder with fewer files than this is measured slowly, so that there is something to watch.
const FEW: usize = 1_000;
const DELAYS: [Duration; 3] = [
    Duration::from_secs(1),
    Duration::from_secs(2),
    Duration::from_secs(3),
];

pub(crate) struct Input {
    /// Where it is from, for the screen.
    pub(crate) described: String,
    pub(crate) tasks: Vec<Task>,
    /// How long each job waits before it begins.
    pub(crate) pause: Duration,
}

/// One path, which becomes one job.
pub(crate) struct Task {
    pub(crate) path: String,
    /// The path as it is shown.
    pub(crate) name: String,
    pub(crate) bytes: u64,
    pub(crate) role: Role,
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Role {
    Ordinary,
    /// Not to be started before this long.
    Delayed(Duration),
    /// The first attempts fail on purpose.
    Flaky {
        hiccups: u32,
    },
    /// There is nothing to read.
    Unreadable,
}

impl Input {
    pub(crate) fn of_folder(folder: &Path) -> Result<Self> {
        if !folder.is_dir() {
            bail!("there is no folder {}", folder.display());
        }
        let mut found = Found::default();
        found.walk(folder, folder);
        let count = found.tasks.len();
        if count == 0 {
            bail!("there is no file to read in {}", folder.display());
        }
        let described = format!("in {}", folder.display());
        Ok(Self::new(found, described, folder))
    }

    /// The sources of this project and of what it depends on, as far as cargo has them here.
    pub(crate) fn default_sources() -> Result<Self> {
        let project = std::env::var_os("CARGO_MANIFEST_DIR")
            .map_or_else(|| env!("CARGO_MANIFEST_DIR").into(), PathBuf::from);
        if !project.is_dir() {
            bail!(
                "the sources are not in {} any more; name another folder: demo DIR",
                project.display()
            );
        }
        let mut found = Found::default();
        for part in ["src", "lua", "tests", "examples", "benches"] {
            found.walk(&project.join(part), &project);
        }
        let own = found.tasks.len();
        for (folder, registry) in dependencies(&project) {
            found.walk(&folder, &registry);
        }
        let all = found.tasks.len();
        if all == 0 {
            bail!(
                "there are no sources in {}; name a folder: demo DIR",
                project.display()
            );
        }
        found.tasks.truncate(DEFAULT_LIMIT);
        let described = match all {
            _ if all > DEFAULT_LIMIT => {
                format!(
                    "the first of {}, those of oxcart and its dependencies",
                    grouped(all as u64)
                )
            }
            _ if all == own => "the sources of oxcart (cargo has no others here)".to_owned(),
            _ => "the sources of oxcart and its dependencies".to_owned(),
        };
        Ok(Self::new(found, described, &project))
    }

    fn new(found: Found, described: String, folder: &Path) -> Self {
        let mut tasks = found.tasks;
        let count = tasks.len();
        cast(&mut tasks);
        let folder = folder.display();
        tasks.push(unreadable(format!("{folder}/no-such-file"), "no-such-file"));
        tasks.push(unreadable(format!("{folder}"), "the folder itself"));
        // Long enough to be caught in the middle of it.
        let pause = match count {
            FEW.. => Duration::ZERO,
            few => Duration::from_millis((12_000 / few as u64).min(250)),
        };
        Self {
            described,
            tasks,
            pause,
        }
    }

    pub(crate) fn files(&self) -> impl Iterator<Item = &Task> {
        let readable = |task: &&Task| task.role != Role::Unreadable;
        self.tasks.iter().filter(readable)
    }
}

/// Gives a few of the files a part of their own: the first is flaky, some are delayed.
fn cast(tasks: &mut [Task]) {
    if let Some(task) = tasks.first_mut() {
        task.role = Role::Flaky { hiccups: 2 };
    }
    let step = (tasks.len() / (DELAYS.len() + 1)).max(1);
    for (task, delay) in tasks.iter_mut().skip(1).step_by(step).zip(DELAYS) {
        task.role = Role::Delayed(delay);
    }
}

fn unreadable(path: String, name: &str) -> Task {
    Task {
        path,
        name: name.to_owned(),
        bytes: 0,
        role: Role::Unreadable,
    }
}

/// The unpacked sources of every package in `Cargo.lock`, each with the registry they are in.
fn dependencies(project: &Path) -> Vec<(PathBuf, PathBuf)> {
    let home = std::env::var_os("CARGO_HOME").map(PathBuf::from);
    let home = home.or_else(|| Some(std::env::home_dir()?.join(".cargo")));
    let lock = std::fs::read_to_string(project.join("Cargo.lock")).unwrap_or_default();
    let registries = home.and_then(|home| home.join("registry/src").read_dir().ok());
    let registries: Vec<PathBuf> = registries
        .into_iter()
        .flatten()
        .filter_map(|entry| Some(entry.ok()?.path()))
        .collect();
    let in_quotes = |line: &str, key: &str| {
        let value = line.strip_prefix(key)?.strip_prefix(" = \"")?;
        Some(value.strip_suffix('"')?.to_owned())
    };
    let mut found = Vec::new();
    let mut name = String::new();
    for line in lock.lines() {
        if let Some(value) = in_quotes(line, "name") {
            name = value;
        } else if let Some(version) = in_quotes(line, "version") {
            let package = format!("{name}-{version}");
            let unpacked = |registry: &&PathBuf| registry.join(&package).is_dir();
            if let Some(registry) = registries.iter().find(unpacked) {
                found.push((registry.join(&package), registry.clone()));
            }
        }
    }
    found
}

#[derive(Default)]
struct Found {
    tasks: Vec<Task>,
}

impl Found {
    /// Collects the regular files below `folder`, in order; names are relative to `base`. Does not
    /// follow links, and passes over what it may not enter and what is not called in UTF-8.
    fn walk(&mut self, folder: &Path, base: &Path) {
        let Ok(entries) = folder.read_dir() else {
            return;
        };
        let mut entries: Vec<_> = entries.filter_map(Result::ok).collect();
        entries.sort_by_key(std::fs::DirEntry::file_name);
        for entry in entries {
            let path = entry.path();
            let Ok(metadata) = entry.metadata() else {
                continue;
            };
            if metadata.is_dir() {
                self.walk(&path, base);
            } else if metadata.is_file()
                && let Some(text) = path.to_str()
            {
                let name = path.strip_prefix(base).unwrap_or(&path);
                self.tasks.push(Task {
                    path: text.to_owned(),
                    name: name.display().to_string(),
                    bytes: metadata.len(),
                    role: Role::Ordinary,
                });
            }
        }
    }
}
