//! Servers and processes whose wall clock a test can step. Linux only: it needs LD_PRELOAD.

use std::io::{Seek, SeekFrom, Write};
use std::path::Path;
use std::process::Command;
use std::sync::Mutex;

use tempfile::{NamedTempFile, TempDir};

use super::{Server, ServerOptions};

/// What the preloaded library reads at most.
const TEXT: usize = 64;

/// The clock of one server or of some processes.
pub struct SteppedClock {
    shift_ms: Mutex<(i64, NamedTempFile)>,
    folder: TempDir,
}

impl SteppedClock {
    /// A clock that goes right, so far.
    pub fn new() -> Self {
        let folder = tempfile::tempdir().expect("the system's temp folder is writable");
        let source = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/support/stepped_clock.c");
        let status = Command::new("cc")
            .args(["-shared", "-fPIC", "-O1", "-o"])
            .arg(library(folder.path()))
            .arg(source)
            .status()
            .expect("a C compiler is there, as Rust needs it, too");
        assert!(status.success(), "cc: {status}");
        let file = NamedTempFile::new().expect("the system's temp folder is writable");
        let clock = Self {
            shift_ms: Mutex::new((0, file)),
            folder,
        };
        clock.step(0);
        clock
    }

    /// Options of the server that goes by this clock.
    pub fn options(&self) -> ServerOptions {
        let [file, library] = self.environment();
        let options = Server::options().env(&file.0, &file.1);
        options.env(&library.0, &library.1)
    }

    /// What a process needs in its environment to go by this clock.
    pub fn environment(&self) -> [(String, String); 2] {
        let shift = self.shift_ms.lock().expect("no test fails while stepping");
        let file = shift.1.path().display().to_string();
        let library = library(self.folder.path()).display().to_string();
        [
            ("CLOCK_FILE".to_owned(), file),
            ("LD_PRELOAD".to_owned(), library),
        ]
    }

    /// Moves it, from one moment to the next.
    pub fn step(&self, ms: i64) {
        let mut shift = self.shift_ms.lock().expect("no test fails while stepping");
        shift.0 += ms;
        let text = format!("{:<width$}", shift.0, width = TEXT - 1);
        let file = shift.1.as_file_mut();
        file.seek(SeekFrom::Start(0))
            .expect("a file can be rewound");
        file.write_all(format!("{text}\0").as_bytes())
            .expect("the system's temp folder is writable");
    }
}

fn library(folder: &Path) -> std::path::PathBuf {
    folder.join("stepped_clock.so")
}
