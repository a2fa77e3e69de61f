//! What becomes of a call whose tries end as they are told to.

use std::collections::VecDeque;

use super::*;
use crate::memory::Server;
use crate::name::{Namespace, QueueName};
use crate::store::backend::Backend;

/// What a try, or a question, ends with.
type End = Result<Answered<u32>, Trouble>;

/// A call whose tries and questions end as they are told to.
#[derive(Default)]
struct Told {
    tries: VecDeque<End>,
    questions: VecDeque<End>,
    bytes: usize,
    fetches: bool,
    repeated_for: Option<Duration>,
    is_withdrawn: bool,
    /// The numbers under which it was sent, and whether it may have run before.
    sent: Vec<(String, u64, bool)>,
    asked: usize,
    went_again: usize,
    held_up: usize,
}

impl NumberedCall for Told {
    type Answer = u32;

    fn carries(&self) -> usize {
        self.bytes
    }

    fn fetches(&self) -> bool {
        self.fetches
    }

    async fn prepare(&mut self, _: &mut Connection, _: bool) -> Result<bool, Trouble> {
        Ok(!self.is_withdrawn)
    }

    async fn send(
        &mut self,
        _: &mut Connection,
        number: Number<'_>,
        _: usize,
        may_have_run: bool,
    ) -> Result<Answered<u32>, Trouble> {
        let sent = (number.lane.to_owned(), number.call, may_have_run);
        self.sent.push(sent);
        self.tries.pop_front().unwrap_or(Ok(Answered::Ran(0)))
    }

    async fn ask(&mut self, _: &mut Connection, _: Number<'_>) -> Result<Answered<u32>, Trouble> {
        self.asked += 1;
        self.questions.pop_front().unwrap_or(Ok(Answered::Asked))
    }

    fn is_over_after(&self, refusal: Refusal) -> bool {
        refusal == Refusal::NoWrites
    }

    fn repeated_for(&self) -> Duration {
        self.repeated_for.unwrap_or(Duration::MAX)
    }

    fn goes_again(&mut self, _: bool) {
        self.went_again += 1;
    }

    fn is_held_up(&mut self, _: &Trouble, _: bool) {
        self.held_up += 1;
    }
}

fn lane() -> Lane {
    let backend = Backend::from(Server::default());
    let (namespace, queue) = (
        Namespace::new("test").unwrap(),
        QueueName::new("work").unwrap(),
    );
    let connection = backend.store(&namespace, &queue).shared_connection();
    let mut lane = Lane::new(connection, Pace::confident(1024 * 1024));
    let soon = Duration::from_millis(1);
    lane.pauses = Pauses::between(soon, soon);
    lane
}

fn ends(ends: impl IntoIterator<Item = Trouble>) -> VecDeque<End> {
    ends.into_iter().map(Err).collect()
}

fn cut(was_idle: bool) -> Trouble {
    let why = "cut off".to_owned();
    Trouble::Cut { why, was_idle }
}

fn silent() -> Trouble {
    Trouble::Unanswered("silence".to_owned())
}

fn refused(refusal: Refusal) -> Trouble {
    Trouble::Refused(refusal, "no".to_owned())
}

fn unreachable() -> Trouble {
    Trouble::Unreachable("nobody is there".to_owned())
}

#[tokio::test]
async fn a_call_is_repeated_under_its_number_until_it_is_answered() {
    let mut lane = lane();
    let troubles = [unreachable(), silent(), cut(false), unreachable()];
    let mut call = Told {
        tries: ends(troubles),
        ..Told::default()
    };
    let became = lane.call(&mut call).await;
    assert!(
        matches!(
            became,
            Became::Done {
                is_repeat: true,
                ..
            }
        ),
        "{became:?}"
    );
    let Number {
        lane: id,
        call: last,
    } = lane.number();
    assert_eq!(last, 1);
    assert!(
        call.sent
            .iter()
            .all(|(lane, number, _)| lane == id && *number == 1)
    );
    let may_have_run: Vec<_> = call.sent.iter().map(|(_, _, may)| *may).collect();
    assert_eq!(may_have_run, [false, false, true, true, true]);
    assert_eq!((call.held_up, call.asked), (4, 0));

    let mut next = Told::default();
    let became = lane.call(&mut next).await;
    assert!(
        matches!(
            became,
            Became::Done {
                is_repeat: false,
                ..
            }
        ),
        "{became:?}"
    );
    assert_eq!(next.sent[0].1, 2);
}

#[tokio::test]
async fn a_connection_that_was_closed_while_it_was_idle_is_no_trouble_once() {
    let mut call = Told {
        tries: ends([Trouble::Closed, cut(true)]),
        ..Told::default()
    };
    let became = lane().call(&mut call).await;
    assert!(matches!(became, Became::Done { .. }), "{became:?}");
    assert_eq!((call.went_again, call.held_up), (1, 1));
}

#[tokio::test]
async fn what_the_server_does_not_read_is_refused_and_it_is_asked_first_if_it_may_have_run() {
    let unread = || refused(Refusal::Unread);
    for (before, asked) in [(None, 0), (Some(silent()), 1)] {
        let mut call = Told {
            tries: ends(before.into_iter().chain([unread()])),
            ..Told::default()
        };
        let became = lane().call(&mut call).await;
        let is_certain = matches!(
            became,
            Became::Refused {
                is_certain: true,
                ..
            }
        );
        assert!(is_certain && call.asked == asked, "{became:?}");
    }
    let mut ran = Told {
        tries: ends([silent(), unread()]),
        questions: [Ok(Answered::Ran(7))].into(),
        ..Told::default()
    };
    let became = lane().call(&mut ran).await;
    let is_found = matches!(
        became,
        Became::Done {
            answer: 7,
            is_repeat: true,
            ..
        }
    );
    assert!(is_found, "{became:?}");
}

#[tokio::test]
async fn a_large_call_that_is_cut_off_each_time_is_asked_for_and_a_small_one_is_not() {
    let cuts = || (0..CUTS).map(|_| cut(false));
    for (bytes, asked) in [(LARGE - 1, 0), (LARGE, 1)] {
        let mut call = Told {
            bytes,
            tries: ends(cuts()),
            ..Told::default()
        };
        let became = lane().call(&mut call).await;
        let is_refused = matches!(
            became,
            Became::Refused {
                is_certain: false,
                ..
            }
        );
        assert_eq!((is_refused, call.asked), (asked == 1, asked), "{became:?}");
    }
    // The question is cut off as well, and its answer is lost: the next try finds the mark it left.
    let mut tries = ends(cuts());
    tries.push_back(Ok(Answered::Asked));
    let mut call = Told {
        bytes: LARGE,
        tries,
        questions: ends([cut(false)]),
        ..Told::default()
    };
    let became = lane().call(&mut call).await;
    assert!(
        matches!(
            became,
            Became::Refused {
                is_certain: false,
                ..
            }
        ),
        "{became:?}"
    );
}

#[tokio::test]
async fn what_nobody_can_know_ends_the_call_and_the_lane_is_left_behind() {
    let garbled = || Trouble::Garbled("nonsense".to_owned());
    let stopped = || Trouble::Stopped(Refusal::NoWrites, "in its middle".to_owned());
    let mut lane = lane();
    for end in [Err(garbled()), Err(stopped()), Ok(Answered::Superseded)] {
        let mut call = Told {
            tries: [end].into(),
            ..Told::default()
        };
        let became = lane.call(&mut call).await;
        assert!(matches!(became, Became::Unknowable { .. }), "{became:?}");
        let old = lane.number().lane.to_owned();
        lane.leave_behind();
        assert!(lane.number().lane != old && lane.number().call == 0);
    }
    // Not for ever: as long as its maker says, or if what it fetches does not come through.
    for (fetches, repeated_for) in [(false, Some(Duration::ZERO)), (true, None)] {
        let mut call = Told {
            bytes: LARGE,
            fetches,
            repeated_for,
            tries: ends((0..100).map(|_| cut(false))),
            questions: ends((0..100).map(|_| cut(false))),
            ..Told::default()
        };
        let became = lane.call(&mut call).await;
        assert!(matches!(became, Became::Unknowable { .. }), "{became:?}");
        assert!(call.sent.len() <= CUTS_MAX as usize);
    }
}

#[tokio::test]
async fn a_call_that_is_over_or_withdrawn_is_not_sent_again() {
    let over = || refused(Refusal::NoWrites);
    let mut denied = Told {
        tries: ends([over()]),
        ..Told::default()
    };
    let became = lane().call(&mut denied).await;
    assert!(matches!(became, Became::Denied(_)), "{became:?}");
    // One that may have run has to be known first.
    let mut may_have_run = Told {
        tries: ends([silent(), over()]),
        ..Told::default()
    };
    let became = lane().call(&mut may_have_run).await;
    assert!(
        matches!(
            became,
            Became::Done {
                is_repeat: true,
                ..
            }
        ),
        "{became:?}"
    );
    let mut withdrawn = Told {
        is_withdrawn: true,
        ..Told::default()
    };
    let became = lane().call(&mut withdrawn).await;
    assert!(matches!(became, Became::Withdrawn) && withdrawn.sent.is_empty());
}
