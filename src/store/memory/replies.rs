//! The replies of a job: what its handler has sent to callers while it ran.

use crate::id::JobId;
use crate::memory::Apply;
use crate::memory::state::{Collection, State};
use crate::store::replies::{Replies, RepliesPage};
use crate::store::send_replies::{REPLIES_MAX, SendReplies, Sent};
use crate::store::watch::{Watch, Watched};

impl Apply for SendReplies<'_> {
    fn apply(&self, state: &mut State) -> Sent {
        if state.held(self.id, self.receipt).is_none() {
            state.count("refused", 1);
            return Sent::LeaseLost;
        }
        let Some(job) = state.jobs.get_mut(self.id) else {
            return Sent::LeaseLost;
        };
        let replies = job.history.as_ref().map(|history| history.replies.len());
        let before = replies.unwrap_or(0) as u64;
        if self.first > before + 1 {
            return Sent::Gap(before);
        }
        if self.first - 1 + self.replies.len() as u64 > REPLIES_MAX {
            return Sent::Full;
        }
        let numbered = (self.first..).zip(self.replies);
        let new = numbered.filter(|(number, _)| *number > before);
        let new: Vec<Vec<u8>> = new.map(|(_, reply)| reply.clone()).collect();
        if !new.is_empty() {
            let history = job.history.get_or_insert_default();
            history.replies.extend(new);
            // As it is stored, the counters before that of the replies are there.
            history.kept.last.get_or_insert(0);
            state.tell_callers(self.id);
        }
        Sent::Yes
    }
}

impl Apply for Replies<'_> {
    fn apply(&self, state: &mut State) -> RepliesPage {
        let id = JobId::stored(self.id);
        let verb = Watch {
            id: self.id,
            await_ms: self.await_ms,
        };
        let watched = verb.apply(state);
        let history = state
            .jobs
            .get(&id)
            .and_then(|job| Some((job.collection, job.history.as_ref()?)));
        let all = history.map_or(&[][..], |(_, history)| &history.replies);
        let total = all.len() as u64;
        let before = usize::try_from(self.from - 1).unwrap_or(usize::MAX);
        let mut bytes = 0;
        let page = all.iter().skip(before).take(self.most).take_while(|reply| {
            let has_room = bytes < self.bytes;
            bytes += reply.len();
            has_room
        });
        let replies: Vec<Vec<u8>> = page.cloned().collect();
        let is_all = self.from + replies.len() as u64 > total;
        let is_left = matches!(watched, Watched::Finished { .. }) && !is_all;
        let is_kept = history.is_some_and(|(collection, _)| collection == Collection::Kept);
        if is_left && is_kept {
            state.keep_for_caller(&id);
        }
        RepliesPage {
            total,
            watched: (!is_left).then_some(watched),
            replies,
        }
    }
}
