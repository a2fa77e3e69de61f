//! Makes a sequence that fails as short and as plain as it can be.

use std::fmt::Debug;
use std::time::Instant;

use proptest::strategy::ValueTree;

/// A value, and simpler ones to be had in its place.
pub(crate) type Tree<T> = Box<dyn ValueTree<Value = T>>;

/// The shortest part of a failing sequence that was found to fail, made of the simplest values. It
/// does not fail any more if any single step is left out, unless the time was over first.
pub(crate) fn shrunk<T: Debug>(
    trees: Vec<Tree<T>>,
    until: Instant,
    mut fails: impl FnMut(&[T]) -> bool,
) -> Vec<T> {
    let mut shrinking = Shrinking { trees, until };
    loop {
        shrinking.leave_out(&mut fails);
        // What is simpler may need less of what stands before it.
        if !shrinking.simplify(&mut fails) || shrinking.is_over() {
            return shrinking.current();
        }
    }
}

/// Always a sequence that fails, but while something is tried.
struct Shrinking<T> {
    trees: Vec<Tree<T>>,
    until: Instant,
}

impl<T: Debug> Shrinking<T> {
    fn current(&self) -> Vec<T> {
        self.trees.iter().map(|tree| tree.current()).collect()
    }

    fn is_over(&self) -> bool {
        Instant::now() >= self.until
    }

    /// Leaves out whatever can be, from long pieces to single steps, until no single step can.
    fn leave_out(&mut self, fails: &mut impl FnMut(&[T]) -> bool) {
        let mut piece = self.trees.len().div_ceil(2);
        while piece > 0 {
            let shorter = self.leave_out_pieces(piece, fails);
            if piece > 1 {
                piece /= 2;
            } else if !shorter || self.is_over() {
                return;
            }
        }
    }

    /// The last first: what comes after the failure can always be left out.
    fn leave_out_pieces(&mut self, piece: usize, fails: &mut impl FnMut(&[T]) -> bool) -> bool {
        let before = self.trees.len();
        let mut end = before;
        while end > 0 && !self.is_over() {
            let start = end.saturating_sub(piece);
            let mut rest = self.current();
            rest.drain(start..end);
            if fails(&rest) {
                self.trees.drain(start..end);
            }
            end = start;
        }
        self.trees.len() < before
    }

    /// Makes each step as simple as it can be; whether any may have become simpler.
    fn simplify(&mut self, fails: &mut impl FnMut(&[T]) -> bool) -> bool {
        let mut simpler = false;
        for step in 0..self.trees.len() {
            while !self.is_over() && self.trees[step].simplify() {
                let mut failed = fails(&self.current());
                // Too simple: back by half of the way, until it fails again or is what it was.
                while !failed && self.trees[step].complicate() {
                    failed = fails(&self.current());
                }
                if !failed {
                    break;
                }
                simpler = true;
            }
        }
        simpler
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use proptest::prelude::*;

    use super::*;

    /// Forty numbers from 0 to 999.
    fn numbers() -> Vec<Tree<u32>> {
        let mut runner = proptest::test_runner::TestRunner::deterministic();
        let mut tree = |_| (0..1_000u32).boxed().new_tree(&mut runner).unwrap();
        (0..40).map(&mut tree).collect()
    }

    fn in_a_minute() -> Instant {
        Instant::now() + Duration::from_secs(60)
    }

    #[test]
    fn a_sequence_shrinks_to_the_one_step_that_fails() {
        let large = |steps: &[u32]| steps.iter().any(|step| *step >= 500);
        assert_eq!(shrunk(numbers(), in_a_minute(), large), [500]);
    }

    #[test]
    fn a_sequence_shrinks_until_no_step_can_be_left_out() {
        // A large step after a small one after a large one, with anything in between.
        let fails = |steps: &[u32]| {
            let wanted = [true, false, true];
            let mut found = 0;
            for step in steps {
                found += usize::from(found < wanted.len() && (*step >= 500) == wanted[found]);
            }
            found == wanted.len()
        };
        assert_eq!(shrunk(numbers(), in_a_minute(), fails), [500, 0, 500]);
    }

    #[test]
    fn two_steps_that_only_go_together_stay() {
        let even = |steps: &[u32]| !steps.is_empty() && steps.len().is_multiple_of(2);
        assert_eq!(shrunk(numbers(), in_a_minute(), even), [0, 0]);
    }

    #[test]
    fn when_the_time_is_over_what_is_left_still_fails() {
        let large = |steps: &[u32]| steps.iter().any(|step| *step >= 500);
        let mut tries = 0;
        let left = shrunk(numbers(), Instant::now(), |steps| {
            tries += 1;
            large(steps)
        });
        assert!(large(&left) && tries == 0, "{tries} tries, {left:?} left");
    }
}
