//! A record of what really happened, kept outside Redis and outside the processes that may be
//! killed.

use std::fs::{File, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};

use tempfile::TempDir;

/// A file of lines that any number of processes append to; open it there by [`path`](Ledger::path).
pub struct Ledger {
    file: File,
    path: PathBuf,
    /// Only the ledger that made the file removes it.
    _folder: Option<TempDir>,
}

impl Ledger {
    /// An empty ledger; its file goes when this value goes.
    pub fn create() -> Self {
        let folder = tempfile::Builder::new()
            .prefix("oxcart-ledger-")
            .tempdir()
            .expect("the system's temp folder is writable");
        let mut ledger = Self::open(folder.path().join("ledger"));
        ledger._folder = Some(folder);
        ledger
    }

    /// The ledger that another process created.
    pub fn open(path: impl Into<PathBuf>) -> Self {
        let path = path.into();
        let file = OpenOptions::new()
            .create(true)
            .append(true)
            .open(&path)
            .unwrap_or_else(|error| panic!("cannot open the ledger {}: {error}", path.display()));
        Self {
            file,
            path,
            _folder: None,
        }
    }

    /// Where the file is: what to hand to a child process.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Adds one line, in one `write(2)` to a file opened with `O_APPEND`: lines of several
    /// processes never mix, and a process killed at any moment leaves the whole line or none of it.
    pub fn record(&self, line: &str) {
        assert!(!line.contains('\n'), "one record is one line: {line:?}");
        let entry = format!("{line}\n");
        let written = (&self.file)
            .write(entry.as_bytes())
            .expect("the ledger can be written");
        assert_eq!(
            written,
            entry.len(),
            "the system took only a part of the line"
        );
    }

    /// Every line recorded so far, by anybody, in order.
    pub fn lines(&self) -> Vec<String> {
        let text = std::fs::read_to_string(&self.path).expect("the ledger can be read");
        text.lines().map(str::to_owned).collect()
    }
}
