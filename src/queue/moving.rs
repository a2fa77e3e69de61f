//! Moves jobs to another queue: each is stored there first, and is then removed here.

use std::collections::{HashMap, HashSet};

use futures_util::stream::{self, StreamExt, TryStreamExt};

use crate::claim_check::put_at::PutAt;
use crate::codec;
use crate::error::Error;
use crate::id::JobId;
use crate::job::head::{behind_the_place, field_of};
use crate::job::history::Counters;
use crate::job::record::{EncodedRecord, stored_ticket};
use crate::job::state::State;
use crate::job::traits::{CHILDREN, PARENT, UNIQUE_UNTIL};
use crate::queue::Queue;
use crate::queue::admin::Changed;
use crate::queue::dead::archive::DeadLetter;
use crate::queue::info::JobInfo;
use crate::store::BATCH_BYTES;
use crate::store::adopt::{Adopt, AdoptJob};
use crate::store::get::{Found, Get};
use crate::store::import::{Import, ImportJob};
use crate::store::remove::Remove;

/// Jobs that are read at a time.
const AT_A_TIME: usize = 32;

/// A job as it goes to the other queue.
enum Going {
    Waits(AdoptJob),
    Dead(ImportJob),
}

impl Going {
    fn bytes(&self) -> usize {
        match self {
            Self::Waits(job) => job.bytes(),
            Self::Dead(job) => job.bytes(),
        }
    }
}

/// A job that is to be moved, as it was found here.
struct Candidate {
    id: JobId,
    state: State,
    found: Found,
}

/// Jobs that the other queue has: whether this call has put them there.
type Copies = HashMap<JobId, IsNew>;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum IsNew {
    Yes,
    /// An earlier call was cut short between its two steps.
    No,
}

impl Queue {
    /// Whether jobs can be moved from here to there: a queue with the same keys would lose them.
    pub(super) fn check_that_it_is_another(&self, other: &Self) -> Result<(), Error> {
        let (here, there) = (&self.inner, &other.inner);
        let is_same = here.name == there.name && here.setup.namespace == there.setup.namespace;
        match is_same {
            false => Ok(()),
            true => Err(Error::invalid(format!(
                "jobs of `{}` are to be moved to a queue of the same name, in the same namespace",
                here.name
            ))),
        }
    }

    /// Says in their order what became of these jobs.
    pub(super) async fn move_some(
        &self,
        ids: &[JobId],
        other: &Self,
    ) -> Result<Vec<Changed>, Error> {
        self.check_that_it_is_another(other)?;
        other.inner.store.register().await.map_err(|trouble| {
            Error::from(trouble).within(format_args!("moving jobs to `{}`", other.name()))
        })?;
        let mut changed = Vec::with_capacity(ids.len());
        for ids in ids.chunks(AT_A_TIME) {
            let get = async |id: &JobId| self.inner.call(&Get { id: id.as_str() }).await;
            let found = ids.iter().map(get).collect::<Vec<_>>();
            let found = stream::iter(found).buffered(AT_A_TIME);
            let found: Vec<Option<Found>> = found.try_collect().await?;
            let mut told: HashMap<JobId, Changed> = HashMap::new();
            let mut going = Vec::new();
            for (id, found) in ids.iter().zip(found) {
                let Some(found) = found.filter(|_| !told.contains_key(id)) else {
                    continue;
                };
                told.insert(id.clone(), Changed::in_state(&found.state)?);
                // What this version cannot read stays.
                if let Ok(job) = JobInfo::decode(id, found.clone())
                    && can_go(&job, &found)
                {
                    let (id, state) = (job.id, job.state);
                    going.push(Candidate { id, state, found });
                }
            }
            self.move_all(&going, other, &mut told).await?;
            let of = |id: &JobId| told.get(id).copied().unwrap_or(Changed::NotFound);
            changed.extend(ids.iter().map(of));
        }
        Ok(changed)
    }

    async fn move_all(
        &self,
        going: &[Candidate],
        other: &Self,
        told: &mut HashMap<JobId, Changed>,
    ) -> Result<(), Error> {
        let mut put = Vec::new();
        let (copies, lost) = other.take_in(going, self, &mut put).await?;
        let is_not_there = |job: &&Candidate| !copies.contains_key(&job.id);
        // What has lost its payload stays here, as what cannot be read.
        for job in going
            .iter()
            .filter(is_not_there)
            .filter(|job| !lost.contains(&job.id))
        {
            told.insert(job.id.clone(), Changed::Duplicate);
        }
        let states: HashSet<State> = going.iter().map(|job| job.state).collect();
        for state in states {
            let ids = going
                .iter()
                .filter(|job| job.state == state && copies.contains_key(&job.id));
            let counters = |job: &Candidate| job.found.counters.clone().unwrap_or_default();
            let (ids, seen): (Vec<JobId>, Vec<Vec<u8>>) =
                ids.map(|job| (job.id.clone(), counters(job))).unzip();
            let verb = Remove {
                ids: &ids,
                only_in: Some(state.as_str()),
                seen: Some(&seen),
            };
            let answer = self.inner.call(&verb).await?;
            // Here it runs, has run since it was read, or has moved on: then it stays here, and not there.
            let stays = |id: &&JobId| !answer.removed.iter().any(|gone| gone == id.as_str());
            let back = ids.iter().filter(stays);
            let back = back.filter(|id| copies.get(id) == Some(&IsNew::Yes));
            let back: Vec<JobId> = back.cloned().collect();
            if !back.is_empty() {
                other.inner.call(&Remove::of(&back)).await?;
            }
            for id in &answer.removed {
                told.insert(JobId::stored(id), Changed::Done);
            }
            for id in &answer.active {
                told.insert(JobId::stored(id), Changed::InState(State::Active));
            }
            for (id, name) in &answer.others {
                told.insert(JobId::stored(id), Changed::in_state(name)?);
            }
        }
        let objects = going.iter().filter_map(|job| {
            let ticket = stored_ticket(&job.found.record)?;
            Some((job.id.clone(), ticket.object))
        });
        self.inner.discard_unused(objects.collect()).await;
        other.inner.discard_unused(put).await;
        Ok(())
    }

    /// Stores these jobs of the queue `from` here. Those that are missing in the answer cannot be here: another job has their id or their unique key.
    /// `put` gets the objects that were made for them. Beside them, the jobs whose payloads are lost.
    async fn take_in(
        &self,
        jobs: &[Candidate],
        from: &Self,
        put: &mut Vec<(JobId, String)>,
    ) -> Result<(Copies, HashSet<JobId>), Error> {
        let (mut copies, mut lost, mut put_at) = (Copies::new(), HashSet::new(), None);
        let mut there = Vec::new();
        let (mut waiting, mut dead, mut bytes) = (Vec::new(), Vec::new(), 0);
        let mut rest = Vec::with_capacity(jobs.len());
        for job in jobs {
            let mut going = going(job)?;
            let (id, record) = match &mut going {
                Going::Waits(job) => (&job.id, &mut job.record),
                Going::Dead(job) => (&job.id, &mut job.record),
            };
            if record.ticket().is_some() {
                put_at.get_or_insert_with(PutAt::now);
                match self.carried(from, id, record.clone()).await {
                    Ok(carried) => *record = carried,
                    Err(error) if error.is_payload_lost() => {
                        lost.insert(id.clone());
                        continue;
                    }
                    Err(error) => return Err(error),
                }
                put.extend(record.ticket().map(|ticket| (id.clone(), ticket.object)));
            }
            rest.push(going);
        }
        rest.reverse();
        while let Some(job) = rest.pop() {
            bytes += job.bytes();
            match job {
                Going::Waits(job) => waiting.push(job),
                Going::Dead(job) => dead.push(job),
            }
            // One that is larger goes alone.
            let is_full = rest
                .last()
                .is_none_or(|next| bytes + next.bytes() > BATCH_BYTES);
            if !is_full {
                continue;
            }
            put_at.map_or(Ok(()), PutAt::check)?;
            let (mut new, mut known) = (Vec::new(), Vec::new());
            if !waiting.is_empty() {
                let answer = self.inner.call(&Adopt { jobs: &waiting }).await?;
                new.extend(answer.adopted);
                known.extend(answer.there);
            }
            if !dead.is_empty() {
                let answer = self.inner.call(&Import { jobs: &dead }).await?;
                new.extend(answer.imported);
                known.extend(answer.there);
            }
            copies.extend(new.iter().map(|id| (JobId::stored(id), IsNew::Yes)));
            there.extend(known);
            (waiting, dead, bytes) = (Vec::new(), Vec::new(), 0);
        }
        for id in there {
            let Some(mine) = jobs.iter().find(|job| job.id.as_str() == id) else {
                continue;
            };
            let theirs = self.inner.call(&Get { id: &id }).await?;
            if theirs.is_some_and(|theirs| is_same_job(&mine.found, &theirs)) {
                copies.insert(mine.id.clone(), IsNew::No);
            }
        }
        Ok((copies, lost))
    }
}

/// Whether all that decides about the job can go with it. A suspect would be among others where its stalls are not known, and a key
/// that is taken for a time counts from the moment at which the job is added. Jobs of a flow know each other by their queues.
fn can_go(job: &JobInfo, found: &Found) -> bool {
    let waits = matches!(job.state, State::Waiting | State::Blocked | State::Delayed);
    let is_remembered = field_of(&found.record, UNIQUE_UNTIL)
        .is_some_and(|until| until.bytes().all(|digit| digit.is_ascii_digit()));
    let is_suspect = job.stalls > 0;
    // Its steps would be done once more.
    let counters = found.counters.as_deref().map(Counters::decode);
    let has_steps =
        counters.is_some_and(|counters| counters.is_ok_and(|counters| counters.has_steps));
    let is_of_flow = [PARENT, CHILDREN]
        .iter()
        .any(|name| field_of(&found.record, name).is_some());
    let stays = has_steps || is_of_flow;
    !stays && (job.state == State::Dead || waits && !is_suspect && !is_remembered)
}

fn going(job: &Candidate) -> Result<Going, Error> {
    let Candidate { id, state, found } = job;
    let info = JobInfo::decode(id, found.clone())?;
    if *state == State::Dead {
        let letter = DeadLetter::of(&info.reveal(), found)?;
        // The other queue may allow less, but it is stored already.
        return letter.into_job(usize::MAX).map(Going::Dead);
    }
    let rest = behind_the_place(&found.record).unwrap_or_default().to_vec();
    let counters = found.counters.clone().map(Counters::without_log);
    let counted = counters.as_deref().map(Counters::decode).transpose()?;
    Ok(Going::Waits(AdoptJob {
        id: id.clone(),
        record: EncodedRecord::kept(rest, found.payload.clone()),
        priority: info.priority,
        enqueued_ms: info.enqueued_at.as_millis(),
        at_ms: info.due_at.map(|at| at.as_millis()),
        counters,
        recorded: counted.unwrap_or_default().recorded,
        history: found.history.clone(),
    }))
}

/// Whether both were enqueued at the same moment with the same payload and options.
fn is_same_job(mine: &Found, theirs: &Found) -> bool {
    let parts = |found: &Found| {
        let stamp = found.record.get(1..).and_then(codec::split_stamp);
        let rest = behind_the_place(&found.record).map(<[u8]>::to_vec);
        let record = rest.map(|rest| EncodedRecord::kept(rest, found.payload.clone()));
        (stamp.map(|(at, _)| at), record)
    };
    let ((at, mine), (other_at, theirs)) = (parts(mine), parts(theirs));
    let is_same = |mine: EncodedRecord, theirs: EncodedRecord| {
        let in_store = [&mine, &theirs].into_iter().any(|it| it.ticket().is_some());
        mine == theirs || in_store && mine.summed() == theirs.summed()
    };
    at == other_at
        && mine
            .zip(theirs)
            .is_some_and(|(mine, theirs)| is_same(mine, theirs))
}
