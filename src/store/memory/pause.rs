//! Stops claims in the whole queue, and lets them go on.

use crate::memory::Apply;
use crate::memory::state::{Pause as Paused, State};
use crate::store::pause::Pause;
use crate::store::resume::Resume;

impl Apply for Pause {
    fn apply(&self, state: &mut State) -> bool {
        if let Some(Paused::Since(_)) = state.pause() {
            return false;
        }
        state.paused = Some(Paused::Since(state.now_ms()));
        state.wake = None;
        state.emit_value("paused", b"");
        true
    }
}

impl Apply for Resume {
    fn apply(&self, state: &mut State) -> bool {
        if !state.is_paused() {
            return false;
        }
        state.end_pause();
        state.arm(0);
        state.emit_value("resumed", b"");
        true
    }
}
