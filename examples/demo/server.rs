//! A private Redis: its own folder, its own socket, gone when the program is.

use std::fs::File;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use oxcart::Oxcart;
use tempfile::TempDir;
use tokio::time::sleep;

/// Where Redis keeps what it holds.
const DATA: &str = "appendonlydir";
const START_LIMIT: Duration = Duration::from_secs(10);

pub(crate) struct Server {
    process: Child,
    watchdog: Child,
    folder: TempDir,
    /// Name and version, for the screen.
    pub(crate) version: String,
}

impl Server {
    /// With what another one has left, or empty.
    pub(crate) fn start(left: Option<&Path>) -> Result<Self> {
        let binary = find_binary()?;
        let version = version_of(&binary)?;
        let folder = tempfile::Builder::new().prefix("oxcart-demo-").tempdir()?;
        if let Some(left) = left {
            copy(left, &folder.path().join(DATA))
                .with_context(|| format!("nothing was left in {}", left.display()))?;
        }
        let log = File::create(folder.path().join("log"))?;
        let process = Command::new(&binary)
            .args(["--port", "0", "--unixsocket", "redis.sock", "--dir"])
            .arg(folder.path())
            .args(["--appendonly", "yes", "--save", "", "--daemonize", "no"])
            .current_dir(folder.path())
            .stdin(Stdio::null())
            .stderr(log.try_clone()?)
            .stdout(log)
            // Ctrl-C reaches every process in the terminal; Redis is to outlive the workers.
            .process_group(0)
            .spawn()
            .with_context(|| format!("{} cannot be started", binary.display()))?;
        let watchdog = watch(&process, folder.path())?;
        Ok(Self {
            process,
            watchdog,
            folder,
            version,
        })
    }

    pub(crate) fn pid(&self) -> u32 {
        self.process.id()
    }

    /// Ends the server, and puts what it held into this folder, from which another one can be started.
    pub(crate) fn leave(mut self, folder: &Path) -> Result<()> {
        // All is in the file: nothing was sent for a while, and the file is written with each command.
        self.process.kill()?;
        self.process.wait()?;
        if folder.exists() {
            std::fs::remove_dir_all(folder)?;
        }
        copy(&self.folder.path().join(DATA), folder)
    }

    pub(crate) fn url(&self) -> String {
        let socket = self.folder.path().join("redis.sock");
        format!("redis+unix://{}", socket.display())
    }

    /// Connects as soon as the server answers.
    pub(crate) async fn connect(&mut self) -> Result<Oxcart> {
        let started = Instant::now();
        loop {
            match Oxcart::connect(&self.url()).await {
                Ok(oxcart) => return Ok(oxcart),
                Err(error) if !error.is_retryable() => return Err(error.into()),
                Err(error) if started.elapsed() > START_LIMIT => return Err(error.into()),
                Err(_) => {}
            }
            if let Some(status) = self.process.try_wait()? {
                let log = std::fs::read_to_string(self.folder.path().join("log"))?;
                bail!("the Redis server ended at once ({status}):\n{log}");
            }
            sleep(Duration::from_millis(10)).await;
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.watchdog.kill();
        let _ = self.watchdog.wait();
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// The files of a folder, without folders in it.
fn copy(from: &Path, to: &Path) -> Result<()> {
    std::fs::create_dir_all(to)?;
    for file in std::fs::read_dir(from)? {
        let file = file?;
        std::fs::copy(file.path(), to.join(file.file_name()))?;
    }
    Ok(())
}

/// A shell that ends the server if the demo is killed before it can: its input closes then.
fn watch(process: &Child, folder: &Path) -> Result<Child> {
    Command::new("/bin/sh")
        .arg("-c")
        .arg("trap '' HUP INT TERM; read -r _; kill -KILL \"$0\"; rm -rf \"$1\"")
        .arg(process.id().to_string())
        .arg(folder)
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .context("/bin/sh cannot be started")
}

fn find_binary() -> Result<PathBuf> {
    if let Some(named) = std::env::var_os("OXCART_REDIS_SERVER").filter(|name| !name.is_empty()) {
        return Ok(named.into());
    }
    let path = std::env::var_os("PATH").unwrap_or_default();
    ["redis-server", "valkey-server"]
        .into_iter()
        .flat_map(|name| std::env::split_paths(&path).map(move |folder| folder.join(name)))
        .find(|binary| binary.is_file())
        .context(
            "there is no redis-server or valkey-server on PATH. `make demo` finds or fetches \
             one; or name one: OXCART_REDIS_SERVER=/path/to/redis-server",
        )
}

/// From `Redis server v=7.0.15 sha=...` to `Redis 7.0.15`.
fn version_of(binary: &Path) -> Result<String> {
    let output = Command::new(binary).arg("--version").output();
    let output = output.with_context(|| format!("{} cannot be started", binary.display()))?;
    let text = String::from_utf8_lossy(&output.stdout);
    let version = text
        .split_whitespace()
        .find_map(|word| word.strip_prefix("v="));
    match (text.split_whitespace().next(), version) {
        (Some(name), Some(version)) => Ok(format!("{name} {version}")),
        _ => bail!("{} is no Redis server", binary.display()),
    }
}
