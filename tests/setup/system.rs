//! A played system for the script to look around in.
#![allow(unreachable_pub, reason = "shared by the modules of this test binary")]

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use tempfile::TempDir;

use crate::support::Ledger;

const SCRIPT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/.ci/redis-server.sh");
/// What the script may use of a system: POSIX, and no package manager.
const TOOLS: [&str; 15] = [
    "basename", "cat", "chmod", "dirname", "env", "find", "head", "id", "ln", "mkdir", "mv", "rm",
    "sed", "sort", "tr",
];

/// A system of its own: a PATH, an empty target folder, and a ledger of what was run.
pub struct System {
    pub folder: TempDir,
    pub ran: Ledger,
}

impl System {
    pub fn new() -> Self {
        let folder = tempfile::tempdir().expect("the system's temp folder is writable");
        let system = Self {
            folder,
            ran: Ledger::create(),
        };
        fs::create_dir(system.bin()).expect("an empty folder");
        for tool in TOOLS.into_iter().chain(["sh"]) {
            system.link(tool);
        }
        // Whatever could start a service is seen doing so.
        for starter in ["systemctl", "service", "rc-service", "invoke-rc.d"] {
            system.tool(starter, "exit 1");
        }
        system
    }

    pub fn bin(&self) -> PathBuf {
        self.folder.path().join("bin")
    }

    pub fn target(&self) -> PathBuf {
        self.folder.path().join("target")
    }

    pub fn private(&self) -> PathBuf {
        self.target().join("redis/redis-server")
    }

    /// The real tool of that name, if there is one.
    pub fn link(&self, tool: &str) {
        if let Some(real) = on_path(tool) {
            symlink(real, self.bin().join(tool)).expect("a name used once");
        }
    }

    /// A played tool: it records its name and arguments, then does what `body` says.
    pub fn tool(&self, name: &str, body: &str) {
        let ledger = self.ran.path().display();
        let script = format!("#!/bin/sh\necho \"{name} $*\" >>'{ledger}'\n{body}\n");
        executable(&self.bin().join(name), &script);
    }

    /// A played server, on PATH.
    pub fn server(&self, name: &str, version: &str) {
        self.tool(
            name,
            &format!("echo '{version} sha=00000000:0 malloc=libc bits=64'"),
        );
    }

    /// What a played package manager does to put a server on PATH.
    pub fn puts_server(&self, name: &str) -> String {
        let file = self.bin().join(name);
        let file = file.display();
        format!(
            "printf '#!/bin/sh\\necho Valkey server v=8.1.0 sha=0' >'{file}'; chmod +x '{file}'"
        )
    }

    pub fn command(&self) -> Command {
        let mut command = Command::new(SCRIPT);
        command
            .env_clear()
            .env("PATH", self.bin())
            .env("CARGO_TARGET_DIR", self.target())
            .stdin(Stdio::null());
        command
    }

    pub fn run(&self) -> Output {
        self.command().output().expect("the script can be started")
    }

    pub fn ran(&self, beginning: &str) -> bool {
        self.ran
            .lines()
            .iter()
            .any(|line| line.starts_with(beginning))
    }

    /// The script succeeded, printed only this path, and ran no server but for its version.
    #[track_caller]
    pub fn assert_prints(&self, output: &Output, path: &Path) {
        let complaints = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{complaints}");
        let printed = String::from_utf8_lossy(&output.stdout);
        assert_eq!(printed, format!("{}\n", path.display()), "{complaints}");
        self.assert_started_nothing();
    }

    /// The script failed, printed nothing, and said this.
    #[track_caller]
    pub fn assert_fails(&self, output: &Output, saying: &str) {
        assert_eq!(output.status.code(), Some(1));
        assert_eq!(String::from_utf8_lossy(&output.stdout), "");
        let complaints = String::from_utf8_lossy(&output.stderr);
        assert!(
            complaints.contains(saying),
            "not said: {saying}\n{complaints}"
        );
        self.assert_started_nothing();
    }

    #[track_caller]
    fn assert_started_nothing(&self) {
        for line in self.ran.lines() {
            let (tool, args) = line.split_once(' ').expect("a name and a space");
            let service = ["systemctl", "service", "rc-service", "invoke-rc.d"].contains(&tool);
            let server = tool.ends_with("-server") && args != "--version";
            assert!(!service && !server, "the script ran: {line}");
        }
    }
}

/// Written by a process of its own: were the file open for writing in this one, another thread's
/// child could inherit that for a moment, and the system does not run a file that is being written.
fn executable(file: &Path, text: &str) {
    let status = Command::new("/bin/sh")
        .args(["-c", "printf %s \"$1\" >\"$0\" && chmod +x \"$0\""])
        .arg(file)
        .arg(text)
        .status();
    assert!(status.expect("/bin/sh can be started").success());
}

pub fn on_path(tool: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path)
        .map(|folder| folder.join(tool))
        .find(|file| file.is_file())
}
