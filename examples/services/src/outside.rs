//! The world outside of the services: a bank, lorries, a printer. It is a folder, and what was done there stays done, whichever process
//! dies. Each of them knows an order by its number, and does nothing twice.

use std::collections::BTreeSet;
use std::fs;
use std::io::{self, ErrorKind, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use tokio::time::sleep;

/// How long the bank and the lorries take.
const WORK: Duration = Duration::from_millis(50);

/// What can be done for an order.
const DONE: [&str; 3] = ["charged", "shipped", "printed"];

/// The bank gives no answer.
#[derive(Debug)]
pub(crate) struct BankIsClosed;

impl std::fmt::Display for BankIsClosed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("the bank is closed")
    }
}

impl std::error::Error for BankIsClosed {}

/// What the bank answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Charged {
    Paid,
    Declined,
}

#[derive(Debug, Clone)]
pub(crate) struct Outside {
    folder: PathBuf,
}

impl Outside {
    pub(crate) fn in_folder(folder: &Path) -> Self {
        Self {
            folder: folder.to_owned(),
        }
    }

    /// Takes the money for an order, once.
    pub(crate) async fn charge(&self, order: u64, cents: u64) -> Result<Charged, BankIsClosed> {
        sleep(WORK).await;
        if self.folder.join("the bank is closed").exists() {
            self.note("asked in vain");
            return Err(BankIsClosed);
        }
        if is_declined(order) {
            return Ok(Charged::Declined);
        }
        self.once("charged", order, &cents.to_string())
            .map_err(|_| BankIsClosed)?;
        Ok(Charged::Paid)
    }

    /// Sends a lorry, once.
    pub(crate) async fn ship(&self, order: u64) -> io::Result<()> {
        sleep(WORK).await;
        self.once("shipped", order, "")
    }

    /// Prints an invoice, once.
    pub(crate) fn print(&self, order: u64, invoice: &str) -> io::Result<()> {
        self.once("printed", order, invoice)
    }

    pub(crate) fn close_bank(&self) -> io::Result<()> {
        fs::write(self.folder.join("the bank is closed"), "")
    }

    pub(crate) fn open_bank(&self) -> io::Result<()> {
        fs::remove_file(self.folder.join("the bank is closed"))
    }

    /// How often the bank was asked while it was closed.
    pub(crate) fn asked_in_vain(&self) -> io::Result<usize> {
        match fs::read_to_string(self.folder.join("asked in vain")) {
            Ok(lines) => Ok(lines.lines().count()),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(0),
            Err(error) => Err(error),
        }
    }

    /// What was `charged`, `shipped` or `printed` for an order, if it was.
    pub(crate) fn done(&self, what: &str, order: u64) -> io::Result<Option<String>> {
        match fs::read_to_string(self.file(what, order)) {
            Ok(text) => Ok(Some(text)),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// All that was done, for whatever order: `charged 17`, `shipped 17`, ..
    pub(crate) fn all(&self) -> io::Result<BTreeSet<String>> {
        let names = fs::read_dir(&self.folder)?.map(|entry| Ok(entry?.file_name()));
        let names = names.map(|name: io::Result<_>| Ok(name?.to_string_lossy().into_owned()));
        let names: BTreeSet<String> = names.collect::<io::Result<_>>()?;
        let is_done = |name: &String| DONE.iter().any(|what| name.starts_with(what));
        Ok(names.into_iter().filter(is_done).collect())
    }

    fn file(&self, what: &str, order: u64) -> PathBuf {
        self.folder.join(format!("{what} {order}"))
    }

    /// A file that is there as a whole, or not at all.
    fn once(&self, what: &str, order: u64, text: &str) -> io::Result<()> {
        let mut draft = tempfile::NamedTempFile::new_in(&self.folder)?;
        draft.write_all(text.as_bytes())?;
        match draft.persist_noclobber(self.file(what, order)) {
            Ok(_) => Ok(()),
            Err(taken) if taken.error.kind() == ErrorKind::AlreadyExists => Ok(()),
            Err(failed) => Err(failed.error),
        }
    }

    fn note(&self, what: &str) {
        let mut options = fs::OpenOptions::new();
        let file = options
            .create(true)
            .append(true)
            .open(self.folder.join(what));
        // It is a count for the check alone.
        let _ = file.and_then(|mut file| file.write_all(b".\n"));
    }
}

/// Some cards are.
pub(crate) fn is_declined(order: u64) -> bool {
    order % 10 == 7
}
