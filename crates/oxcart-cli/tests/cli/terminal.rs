//! The program in a terminal of its own, with 80 columns.

use std::fs::File;
use std::io::{Read, Write};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::thread::spawn;
use std::time::{Duration, Instant};

use nix::pty::{Winsize, openpty};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::rig::PATIENCE;

/// Width of the terminal.
pub(crate) const COLUMNS: u16 = 80;

pub(crate) struct Terminal {
    child: Child,
    keyboard: File,
    screen: Receiver<Vec<u8>>,
    text: Vec<u8>,
}

impl Terminal {
    /// Starts it with stdin, stdout and stderr in the terminal.
    pub(crate) fn start(command: &mut Command) -> Self {
        let size = Winsize {
            ws_row: 24,
            ws_col: COLUMNS,
            ws_xpixel: 0,
            ws_ypixel: 0,
        };
        let pty = openpty(Some(&size), None).unwrap();
        let side = || Stdio::from(pty.slave.try_clone().unwrap());
        let child = command
            .stdin(side())
            .stdout(side())
            .stderr(side())
            .spawn()
            .unwrap();
        // The terminal ends when nobody has its other side any more.
        command
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        drop(pty.slave);
        let keyboard = File::from(pty.master);
        let mut read = keyboard.try_clone().unwrap();
        let (sender, screen) = channel();
        spawn(move || {
            let mut buffer = [0; 4096];
            while let Ok(bytes @ 1..) = read.read(&mut buffer) {
                if sender.send(buffer[..bytes].to_vec()).is_err() {
                    break;
                }
            }
        });
        Self {
            child,
            keyboard,
            screen,
            text: Vec::new(),
        }
    }

    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.text).replace('\r', "")
    }

    /// Reads until the text is there.
    #[track_caller]
    pub(crate) fn wait_for(&mut self, text: &str) {
        let started = Instant::now();
        while !self.text().contains(text) {
            let left = PATIENCE.saturating_sub(started.elapsed());
            match self.screen.recv_timeout(left) {
                Ok(bytes) => self.text.extend(bytes),
                Err(_) => panic!("{text:?} did not come; there is:\n{}", self.text()),
            }
        }
    }

    pub(crate) fn type_in(&mut self, text: &str) {
        self.keyboard.write_all(text.as_bytes()).unwrap();
    }

    /// As Ctrl-C does.
    pub(crate) fn interrupt(&self) {
        let pid = i32::try_from(self.child.id()).unwrap();
        kill(Pid::from_raw(pid), Signal::SIGINT).unwrap();
    }

    /// Waits until anything is on the screen; says how long that took.
    pub(crate) fn first_sign(&mut self) -> Duration {
        let started = Instant::now();
        // An error is an end without a word.
        if let Ok(bytes) = self.screen.recv_timeout(PATIENCE) {
            self.text.extend(bytes);
        }
        started.elapsed()
    }

    pub(crate) fn terminate(&self) {
        let pid = i32::try_from(self.child.id()).unwrap();
        kill(Pid::from_raw(pid), Signal::SIGTERM).unwrap();
    }

    /// Waits for its end; gives all that was on the screen, and the exit code.
    pub(crate) fn end(self) -> (String, Option<i32>) {
        self.end_within(PATIENCE)
    }

    pub(crate) fn end_within(mut self, limit: Duration) -> (String, Option<i32>) {
        let started = Instant::now();
        let status = loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                break status;
            }
            if started.elapsed() > limit {
                let _ = self.child.kill();
                panic!("it does not end; there is:\n{}", self.text());
            }
            std::thread::sleep(Duration::from_millis(2));
        };
        while let Ok(bytes) = self.screen.recv_timeout(PATIENCE) {
            self.text.extend(bytes);
        }
        (self.text(), status.code())
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Without colours and what else a terminal does.
pub(crate) fn plain(text: &str) -> String {
    console::strip_ansi_codes(text).into_owned()
}
