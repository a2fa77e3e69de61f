//! Stops claims in the whole queue, and lets them go on.

use crate::memory::Apply;
use crate::memory::state::State;
use crate::store::pause::Pause;
use crate::store::resume::Resume;

impl Apply for Pause {
    fn apply(&self, state: &mut State) -> bool {
        if state.is_paused() {
            return false;
        }
        state.paused = Some(state.now_ms());
        state.wake = None;
        state.emit_value("paused", b"");
        true
    }
}

impl Apply for Resume {
    fn apply(&self, state: &mut State) -> bool {
        if state.paused.take().is_none() {
            return false;
        }
        state.arm(0);
        if state.news_of_unhandled().is_some() {
            state.tell_of_unhandled();
        }
        state.emit_value("resumed", b"");
        true
    }
}
