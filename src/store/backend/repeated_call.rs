//! A lane: numbered calls, one after the other, each repeated under its number until it is known whether it
//! ran.
//!
//! Redis remembers the last call of each lane and its answer (`lua/lib/once.lua`). So a call that is sent
//! again after its answer was lost does nothing twice, and is given its first answer again.
//!
//! A call that never gets through, because something in it is larger than a server or a proxy takes, would
//! hold up everything. So a question under its number asks whether it ran. If it did not, the question
//! takes the number: the call never will run, and what it carried can go in other calls.

use std::time::{Duration, Instant};

use tokio::time::sleep;

use crate::id::incarnation;
use crate::policy::pace::Pace;
use crate::policy::pauses::Pauses;
use crate::redis::trouble::{Refusal, Trouble};
use crate::store::backend::Connection;

/// Redis forgets the last call of a lane that was silent for this long (`trim`).
pub(crate) const LANE_TTL: Duration = Duration::from_secs(60 * 60);
/// Before a call is repeated.
const PAUSES: Pauses = Pauses::between(Duration::from_millis(10), PAUSE_MAX);
pub(crate) const PAUSE_MAX: Duration = Duration::from_secs(1);
/// A call of fewer bytes is not what a server or a proxy refuses: if its connection is cut, the
/// network is to blame. And if it is refused, its size is not the reason.
pub(crate) const LARGE: usize = 32 * 1024;
/// After so many cuts of a large call it is asked whether it ran.
const CUTS: u32 = 3;
/// After so many cuts, also of the question, a call that fetches something is given up.
const CUTS_MAX: u32 = 16;

/// Which call it is: the numbers of a lane's calls go up by one.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Number<'a> {
    pub(crate) lane: &'a str,
    pub(crate) call: u64,
}

/// What Redis answers to a numbered call, or to the question about it.
#[derive(Debug)]
pub(crate) enum Answered<A> {
    /// It ran, now or before.
    Ran(A),
    /// It did not run, and never will: a question has taken its number.
    Asked,
    /// A later call of the lane ran already: another program uses it.
    Superseded,
}

/// A call that can be repeated under its number.
pub(crate) trait NumberedCall {
    type Answer;

    /// How many bytes it carries.
    fn carries(&self) -> usize;

    /// Whether its answer carries something that was fetched, such as jobs.
    fn fetches(&self) -> bool {
        false
    }

    /// Makes ready for the next try. Nothing was sent in a try that fails here. False if nothing is left
    /// that is to be sent.
    async fn prepare(
        &mut self,
        _connection: &mut Connection,
        _may_have_run: bool,
    ) -> Result<bool, Trouble> {
        Ok(true)
    }

    /// Sends it once. The answer may bring up to `room` bytes.
    async fn send(
        &mut self,
        connection: &mut Connection,
        number: Number<'_>,
        room: usize,
        may_have_run: bool,
    ) -> Result<Answered<Self::Answer>, Trouble>;

    /// Asks whether the call of this number ran.
    async fn ask(
        &mut self,
        connection: &mut Connection,
        number: Number<'_>,
    ) -> Result<Answered<Self::Answer>, Trouble>;

    /// How many bytes the answer brought.
    fn brought(&self, _answer: &Self::Answer) -> usize {
        0
    }

    /// Whether the lane gives up a call that has not run and is refused in this way.
    fn is_over_after(&self, _refusal: Refusal) -> bool {
        false
    }

    /// For how long a call that may have run is repeated. Default: without end.
    fn repeated_for(&self) -> Duration {
        Duration::MAX
    }

    /// A try came to nothing because its connection had been closed while it was idle. The next one follows
    /// at once.
    fn goes_again(&mut self, _may_have_run: bool) {}

    /// A try, or the question, came to nothing. The next one follows after a pause, unless the call is over.
    fn is_held_up(&mut self, trouble: &Trouble, may_have_run: bool);
}

/// What became of a numbered call.
#[derive(Debug)]
pub(crate) enum Became<A> {
    /// It ran.
    Done {
        answer: A,
        /// When the try that was answered was sent.
        sent: Instant,
        /// An earlier try may have run, and this is its answer.
        is_repeat: bool,
    },
    /// Nothing was left that was to be sent.
    Withdrawn,
    /// It did not run, and is not tried again ([`NumberedCall::is_over_after`]).
    Denied(Trouble),
    /// It did not run, and never will with these bytes.
    Refused {
        why: String,
        /// The server refused it with words; `false` if the call was only cut off each time.
        is_certain: bool,
    },
    /// It cannot be known whether it ran. The lane has to be [left behind](Lane::leave_behind).
    Unknowable { why: String },
}

/// Makes numbered calls, one at a time.
pub(crate) struct Lane {
    connection: Connection,
    id: String,
    call: u64,
    pace: Pace,
    pauses: Pauses,
}

impl Lane {
    pub(crate) fn new(connection: Connection, pace: Pace) -> Self {
        Self {
            connection,
            id: incarnation(),
            call: 0,
            pace,
            pauses: PAUSES,
        }
    }

    /// The connection through which its calls go.
    pub(crate) fn connection(&mut self) -> &mut Connection {
        &mut self.connection
    }

    /// The number of the last call.
    pub(crate) fn number(&self) -> Number<'_> {
        Number {
            lane: &self.id,
            call: self.call,
        }
    }

    /// How many bytes the next call may carry.
    pub(crate) fn bytes(&self) -> usize {
        self.pace.bytes()
    }

    /// Takes another lane. Nothing uses the old one again, so a late call of it can do no harm.
    pub(crate) fn leave_behind(&mut self) {
        self.id = incarnation();
        self.call = 0;
    }

    /// Makes the next call, and repeats it until it is known whether it ran.
    pub(crate) async fn call<C: NumberedCall>(&mut self, call: &mut C) -> Became<C::Answer> {
        self.call += 1;
        let (mut pauses, mut cuts, mut why) = (self.pauses.clone(), 0, String::new());
        let (mut may_have_run_since, mut was_idle) = (None::<Instant>, false);
        loop {
            let may_have_run = may_have_run_since.is_some();
            let carried = call.carries();
            let room = self.room_for(call, carried);
            let trouble = match self.send(call, room, may_have_run).await {
                Ok(None) => return Became::Withdrawn,
                Ok(Some((answered, sent))) => {
                    return became(answered, sent, may_have_run, why);
                }
                Err(trouble) => trouble,
            };
            match &trouble {
                // What a script wrote before it was stopped stays, and it cannot be known what it wrote.
                Trouble::Garbled(_) | Trouble::Stopped(..) => {
                    call.is_held_up(&trouble, true);
                    let why = trouble.to_string();
                    return Became::Unknowable { why };
                }
                Trouble::Refused(refusal, _) if !may_have_run && call.is_over_after(*refusal) => {
                    return Became::Denied(trouble);
                }
                _ if trouble.may_have_run() => {
                    may_have_run_since.get_or_insert_with(Instant::now);
                }
                _ => {}
            }
            let may_have_run = may_have_run_since.is_some();
            if trouble.was_idle() && !was_idle {
                was_idle = true;
                call.goes_again(may_have_run);
                continue;
            }
            if trouble.is_cut() && carried + room >= LARGE {
                cuts += 1;
            }
            if trouble.may_have_run() && (cuts > 1 || !trouble.is_cut()) {
                self.pace.unanswered(carried + room);
            }
            call.is_held_up(&trouble, may_have_run);
            why = trouble.to_string();
            let is_certain = matches!(trouble, Trouble::Refused(Refusal::Unread, _));
            if is_certain && !may_have_run {
                return Became::Refused { why, is_certain };
            }
            if is_certain || (cuts >= CUTS && trouble.is_cut()) {
                let sent = Instant::now();
                let number = Number {
                    lane: &self.id,
                    call: self.call,
                };
                match call.ask(&mut self.connection, number).await {
                    Ok(Answered::Asked) => return Became::Refused { why, is_certain },
                    Ok(answered) => return became(answered, sent, true, why),
                    // The question is asked again: it has left a mark if it got through.
                    Err(trouble) => {
                        cuts += u32::from(trouble.is_cut());
                        call.is_held_up(&trouble, true);
                    }
                }
            }
            if cuts >= CUTS_MAX && call.fetches() {
                let why = format!("its answer does not come through: {why}");
                return Became::Unknowable { why };
            }
            let limit = call.repeated_for();
            let in_doubt_for = may_have_run_since.map(|since| since.elapsed());
            if let Some(time) = in_doubt_for.filter(|time| *time > limit) {
                let why = format!("no answer for {time:.0?}");
                return Became::Unknowable { why };
            }
            sleep(pauses.next(fastrand::f64())).await;
        }
    }

    /// How many bytes the answer may bring. A call that did run gives its first answer again, however many it
    /// asks for now.
    fn room_for(&self, call: &impl NumberedCall, carried: usize) -> usize {
        match call.fetches() {
            true => self.pace.bytes().saturating_sub(carried),
            false => 0,
        }
    }

    /// One try: the answer, and when it was sent; `None` if nothing is left that is to be sent.
    async fn send<C: NumberedCall>(
        &mut self,
        call: &mut C,
        room: usize,
        may_have_run: bool,
    ) -> Result<Option<(Answered<C::Answer>, Instant)>, Trouble> {
        let connection = &mut self.connection;
        if !call.prepare(connection, may_have_run).await? {
            return Ok(None);
        }
        let number = Number {
            lane: &self.id,
            call: self.call,
        };
        let sent = Instant::now();
        let answered = call.send(connection, number, room, may_have_run).await?;
        if let Answered::Ran(answer) = &answered {
            let bytes = call.carries() + call.brought(answer);
            self.pace.answered(bytes, sent.elapsed());
        }
        Ok(Some((answered, sent)))
    }
}

/// What the answer means; `why` says what became of the last try without one.
fn became<A>(answered: Answered<A>, sent: Instant, is_repeat: bool, why: String) -> Became<A> {
    match answered {
        Answered::Ran(answer) => Became::Done {
            answer,
            sent,
            is_repeat,
        },
        // The answer to an earlier question was lost.
        Answered::Asked => Became::Refused {
            why,
            is_certain: false,
        },
        Answered::Superseded => Became::Unknowable {
            why: "another call has used its lane".to_owned(),
        },
    }
}

#[cfg(test)]
mod tests;
