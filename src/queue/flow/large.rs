//! Flows that do not fit into one call, or lie in several queues.
//!
//! All jobs but the first are messages of the first one's queue: a draft, which goes out when the first job is added, in the same step. So the flow is
//! there as a whole, or not at all. The messages of a draft keep their order, and a parent, and which children it has, stand before
//! these. So no child can end before its parent knows of it (`lua/lib/tell_far.lua` has the rest).

use crate::error::Error;
use crate::id::JobId;
use crate::job::traits::UNIQUE;
use crate::name::QueueName;
use crate::queue::draft::{Draft, Sent};
use crate::queue::flow::nodes::Large;
use crate::store::enqueue::Met;
use crate::store::get::Get;
use crate::store::outbox::message::{CHILDREN_AT_MOST, ExpectedChild, Message};
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
    let draft = drafted(&root, jobs).await?;
    match draft.commit(&[&root.job]).await? {
        Sent::Yes => Ok(None),
        Sent::Met { id, .. } if id == root.job.id => Ok(Some(Met::Itself)),
        Sent::Met { id, .. } => Ok(Some(Met::Duplicate(id))),
    }
}

/// All but the first job, and who has which children.
pub(super) async fn drafted(
    root: &Large,
    jobs: impl IntoIterator<Item = Large>,
) -> Result<Draft<'_>, Error> {
    let mut draft = Draft::new(&root.queue.inner);
    let name = &root.queue.inner.name;
    introduce(&mut draft, name, &root.job.id, &root.children).await?;
    for Large {
        queue,
        job,
        children,
    } in jobs
    {
        let (id, name) = (job.id.clone(), &queue.inner.name);
        draft.add(name, &Message::Job(job)).await?;
        introduce(&mut draft, name, &id, &children).await?;
    }
    Ok(draft)
}

/// A parent is told of its children.
async fn introduce(
    draft: &mut Draft<'_>,
    queue: &QueueName,
    parent: &JobId,
    children: &[ExpectedChild],
) -> Result<(), Error> {
    for children in children.chunks(CHILDREN_AT_MOST) {
        let message = Message::Children {
            parent: parent.clone(),
            children: children.to_vec(),
        };
        draft.add(queue, &message).await?;
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

#[cfg(test)]
mod tests;
