//! A child process that never outlives the test.

use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::Pid;

/// A child, killed by its pid when this value is dropped. Should the test process itself be killed
/// before that, a watchdog (a shell that reads a pipe which then closes) does it.
pub struct Process {
    child: Child,
    watchdog: Child,
    stopped: bool,
}

impl Process {
    /// Starts `command`. If the test process dies, `folder` is removed with the child.
    pub fn spawn(command: &mut Command, folder: Option<&Path>) -> Self {
        let child = command.spawn().unwrap_or_else(|error| {
            panic!("cannot start {}: {error}", command.get_program().display())
        });
        let watchdog = watch(child.id(), folder);
        Self {
            child,
            watchdog,
            stopped: false,
        }
    }

    pub fn id(&self) -> u32 {
        self.child.id()
    }

    pub fn is_running(&mut self) -> bool {
        self.child
            .try_wait()
            .expect("a child can be asked for its state")
            .is_none()
    }

    /// Freezes the process (SIGSTOP); returns once it is frozen.
    pub fn pause(&mut self) {
        if self.stopped {
            return;
        }
        self.signal(Signal::SIGSTOP);
        let state =
            waitpid(self.pid(), Some(WaitPidFlag::WUNTRACED)).expect("a child can be waited for");
        assert!(
            matches!(state, WaitStatus::Stopped(..)),
            "the process ended instead of pausing: {state:?}"
        );
        self.stopped = true;
    }

    /// Lets a paused process go on (SIGCONT).
    pub fn resume(&mut self) {
        self.signal(Signal::SIGCONT);
        self.stopped = false;
    }

    /// Asks the process to end (SIGTERM), as a deploy does.
    pub fn terminate(&mut self) {
        self.signal(Signal::SIGTERM);
    }

    /// Kills the process (SIGKILL), as the kernel does when memory runs out; returns once it is
    /// gone.
    pub fn kill(&mut self) {
        self.child.kill().expect("a child can be killed");
        self.child.wait().expect("a child can be waited for");
    }

    /// Waits for the process to end by itself. Panics after `limit`.
    pub fn wait(&mut self, limit: Duration) -> ExitStatus {
        let started = Instant::now();
        loop {
            if let Some(status) = self.child.try_wait().expect("a child can be waited for") {
                return status;
            }
            assert!(
                started.elapsed() < limit,
                "process {} did not end within {limit:?}",
                self.id()
            );
            std::thread::sleep(Duration::from_millis(2));
        }
    }

    fn signal(&mut self, signal: Signal) {
        // Once it has ended, its pid may already be somebody else's.
        assert!(
            self.is_running(),
            "process {} has ended; no {signal} for it",
            self.id()
        );
        kill(self.pid(), signal).expect("a running child can be signalled");
    }

    fn pid(&self) -> Pid {
        Pid::from_raw(i32::try_from(self.child.id()).expect("a pid is an i32"))
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // Neither may panic here, and either may have ended already. The watchdog goes first: as
        // long as the child is not waited for, its pid is not given to another process.
        let _ = self.watchdog.kill();
        let _ = self.watchdog.wait();
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn watch(pid: u32, folder: Option<&Path>) -> Child {
    Command::new("/bin/sh")
        .arg("-c")
        .arg("trap '' HUP INT TERM; read -r _; kill -KILL \"$0\"; [ -z \"$1\" ] || rm -rf \"$1\"")
        .arg(pid.to_string())
        .arg(folder.unwrap_or(Path::new("")))
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("/bin/sh can be started")
}
