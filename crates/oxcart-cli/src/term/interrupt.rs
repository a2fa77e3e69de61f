//! Ctrl-C during long work: it ends between two steps.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tokio::sync::Notify;

use crate::trouble::Exit;

/// Whether Ctrl-C was pressed since this was made. Pressed a second time it ends the program at once.
pub(crate) struct Interrupt {
    pressed: Arc<AtomicBool>,
    news: Arc<Notify>,
    listener: tokio::task::JoinHandle<()>,
}

impl Interrupt {
    pub(crate) fn listen() -> Self {
        let pressed = Arc::new(AtomicBool::new(false));
        let news = Arc::new(Notify::new());
        let (flag, tell) = (Arc::clone(&pressed), Arc::clone(&news));
        let listener = tokio::spawn(async move {
            while tokio::signal::ctrl_c().await.is_ok() {
                if flag.swap(true, Ordering::Relaxed) {
                    std::process::exit(Exit::Interrupted as i32);
                }
                tell.notify_one();
            }
        });
        Self {
            pressed,
            news,
            listener,
        }
    }

    /// The same, for work that goes on elsewhere.
    pub(crate) fn flag(&self) -> Arc<AtomicBool> {
        Arc::clone(&self.pressed)
    }

    /// Waits until Ctrl-C is pressed, for one at a time.
    pub(crate) async fn pressed(&self) {
        while !self.is_pressed() {
            self.news.notified().await;
        }
    }

    pub(crate) fn is_pressed(&self) -> bool {
        self.pressed.load(Ordering::Relaxed)
    }
}

impl Drop for Interrupt {
    fn drop(&mut self) {
        self.listener.abort();
    }
}
