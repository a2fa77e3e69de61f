//! Flows that do not fit into one call, or lie in several queues.
//!
//! All jobs but the first are messages of the first one's queue: a draft, which goes out when the first job is added, in the same step. So the flow is
//! there as a whole, or not at all. The messages of a draft keep their order, and a parent, and which children it has, stand before
//! these. So no child can end before its parent knows of it (`lua/lib/tell_far.lua` has the rest).

use crate::error::Error;
use crate::job::traits::UNIQUE;
use crate::queue::draft::{Draft, Sent};
use crate::queue::flow::nodes::Large;
use crate::store::enqueue::Met;
use crate::store::get::Get;
use crate::store::outbox::message::{CHILDREN_AT_MOST, Message};
use crate::store::owner::Owner;

/// Sends the flow; which job is there instead of its first one, if one is: then nothing was sent.
pub(super) async fn send(jobs: Vec<Large>) -> Result<Option<Met>, Error> {
    let mut jobs = jobs.into_iter();
    let Some(root) = jobs.next() else {
        return Ok(None);
    };
    if let Some(met) = met_already(&root).await? {
        return Ok(Some(met));
    }
    let sender = root.queue.inner.clone();
    let mut draft = Draft::new(&sender);
    introduce(&mut draft, &root).await?;
    for job in jobs {
        let message = Message::Job(job.job.clone());
        draft.add(&job.queue.inner.name, &message).await?;
        introduce(&mut draft, &job).await?;
    }
    match draft.commit(&[&root.job]).await? {
        Sent::Yes => Ok(None),
        Sent::Met { id, .. } if id == root.job.id => Ok(Some(Met::Itself)),
        Sent::Met { id, .. } => Ok(Some(Met::Duplicate(id))),
    }
}

/// A parent is told of its children.
async fn introduce(draft: &mut Draft<'_>, job: &Large) -> Result<(), Error> {
    for children in job.children.chunks(CHILDREN_AT_MOST) {
        let message = Message::Children {
            parent: job.job.id.clone(),
            children: children.to_vec(),
        };
        draft.add(&job.queue.inner.name, &message).await?;
    }
    Ok(())
}

/// The commit says the same; but by then thousands of jobs lie in a draft that nobody wants.
async fn met_already(root: &Large) -> Result<Option<Met>, Error> {
    let queue = &root.queue.inner;
    let id = root.job.id.as_str();
    if queue.call(&Get { id }).await?.is_some() {
        return Ok(Some(Met::Itself));
    }
    let Some(name) = root.job.record.field(UNIQUE) else {
        return Ok(None);
    };
    let owner = queue.call(&Owner { name }).await?;
    Ok(owner.map(Met::Duplicate))
}
