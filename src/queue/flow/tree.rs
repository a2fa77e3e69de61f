//! A flow as a tree: every job of it, with its state and its times.

use std::collections::HashMap;
use std::fmt;

use futures_util::stream::{self, StreamExt, TryStreamExt};

use crate::error::Error;
use crate::id::JobId;
use crate::job::state::State;
use crate::policy::flow::NODES_MAX;
use crate::queue::Queue;
use crate::queue::flow::children::{ChildInfo, Children};
use crate::queue::info::{Ended, JobInfo};
use crate::time::Timestamp;

/// Jobs that are read at a time.
const AT_A_TIME: usize = 32;

/// All jobs of a flow, each parent before its children, as they were while this was read ([`Queue::flow`]). Printed, it is a tree.
#[derive(Debug, Clone)]
pub struct FlowTree {
    nodes: Vec<FlowNode>,
    is_cut: bool,
}

/// A job of a flow.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct FlowNode {
    /// How far it is from the first job, which has 0.
    pub depth: usize,
    /// Its queue.
    pub queue: String,
    /// Its id.
    pub id: JobId,
    /// The name of its type.
    pub name: String,
    /// Its state. `None` if it was removed before it had ended, could not be added ([`ChildInfo::refused`]), or is on its way to its queue.
    pub state: Option<State>,
    /// When it was enqueued, if that is still known.
    pub enqueued_at: Option<Timestamp>,
    /// When it ended, if it did; or when it was removed.
    pub ended_at: Option<Timestamp>,
    /// How it ended, if it did.
    pub ended: Option<Ended>,
    /// All that is known of it, as long as it is kept. What its parent knows is kept longer.
    pub job: Option<JobInfo>,
    /// What its parent knows of it; not of the first job.
    pub child: Option<ChildInfo>,
}

impl FlowNode {
    fn of(
        depth: usize,
        queue: &Queue,
        job: Option<JobInfo>,
        child: Option<ChildInfo>,
    ) -> Option<Self> {
        let known = child.as_ref().map(|child| (&child.id, &child.name));
        let (id, name) = job.as_ref().map(|job| (&job.id, &job.name)).or(known)?;
        let ended_as_child = child.as_ref().and_then(|child| child.ended.clone());
        let ended = match &job {
            Some(job) => job.ended.clone(),
            None => ended_as_child,
        };
        let state = match (&job, &ended) {
            (Some(job), _) => Some(job.state),
            (None, Some(Ended::Completed)) => Some(State::Completed),
            (None, Some(Ended::Cancelled(_) | Ended::Compensated(_) | Ended::Expired)) => {
                Some(State::Cancelled)
            }
            (None, Some(Ended::Dead(_))) => Some(State::Dead),
            (None, None) => None,
        };
        let ended_at = match &job {
            Some(job) => job.ended_at,
            None => child.as_ref().and_then(|child| child.ended_at),
        };
        Some(Self {
            depth,
            queue: queue.name().to_owned(),
            id: id.clone(),
            name: name.clone(),
            state,
            enqueued_at: job.as_ref().map(|job| job.enqueued_at),
            ended_at,
            ended,
            job,
            child,
        })
    }
}

impl FlowNode {
    /// What to call a job that has no state.
    fn without_state(&self) -> &'static str {
        match &self.child {
            Some(child) if child.refused.is_some() => "refused",
            Some(child) if !child.removed => "on its way",
            _ => "removed",
        }
    }
}

impl FlowTree {
    /// The first job, which waits for all others.
    #[must_use]
    pub fn root(&self) -> &FlowNode {
        &self.nodes[0]
    }

    /// All jobs, each parent before its children, and children in the order in which they were added.
    pub fn iter(&self) -> std::slice::Iter<'_, FlowNode> {
        self.nodes.iter()
    }

    /// How many jobs there are.
    #[must_use]
    #[allow(
        clippy::len_without_is_empty,
        reason = "there is a first job in any case"
    )]
    pub fn len(&self) -> usize {
        self.nodes.len()
    }

    /// There are more than 10,000 jobs; these are the first.
    #[must_use]
    pub fn is_cut(&self) -> bool {
        self.is_cut
    }

    async fn read(queue: &Queue, id: &JobId) -> Result<Option<Self>, Error> {
        let Some(root) = FlowNode::of(0, queue, queue.job(id).await?, None) else {
            return Ok(None);
        };
        let mut tree = Self {
            nodes: Vec::new(),
            is_cut: false,
        };
        let mut queues = Queues::of(queue);
        let mut left = vec![root];
        while let Some(node) = left.pop() {
            // Of a job that is gone, its own children are not known any more.
            let has_children = node.job.as_ref().is_some_and(|job| job.children > 0);
            if has_children {
                let children = Children::read(queues.named(&node.queue)?, &node.id).await?;
                let mut places = Vec::with_capacity(children.len());
                for child in &children {
                    let name = child.queue.as_ref().unwrap_or(&node.queue);
                    places.push((queues.named(name)?.clone(), child));
                }
                let infos = places.iter().map(|(queue, child)| queue.job(&child.id));
                let infos = infos.collect::<Vec<_>>();
                let infos: Vec<Option<JobInfo>> = stream::iter(infos)
                    .buffered(AT_A_TIME)
                    .try_collect()
                    .await?;
                let depth = node.depth + 1;
                let nodes = infos.into_iter().zip(&places);
                let nodes = nodes.filter_map(|(job, (queue, child))| {
                    // Another job may have its id by now.
                    let of = child.queue.is_some().then_some(&node.queue);
                    let is_child = |job: &JobInfo| {
                        job.parent.as_ref() == Some(&node.id) && job.parent_queue.as_ref() == of
                    };
                    let job = job.filter(is_child);
                    FlowNode::of(depth, queue, job, Some((*child).clone()))
                });
                left.extend(nodes.collect::<Vec<_>>().into_iter().rev());
            }
            tree.nodes.push(node);
            if tree.nodes.len() + left.len() > NODES_MAX {
                tree.is_cut = true;
                keep_next(&mut left, NODES_MAX.saturating_sub(tree.nodes.len()));
            }
        }
        Ok(Some(tree))
    }
}

/// Keeps so many of a stack: those that are popped first, from its end.
fn keep_next<T>(stack: &mut Vec<T>, room: usize) {
    stack.drain(..stack.len().saturating_sub(room));
}

/// Queues of one connection, by their names.
pub(super) struct Queues<'a> {
    first: &'a Queue,
    known: HashMap<String, Queue>,
}

impl<'a> Queues<'a> {
    pub(super) fn of(first: &'a Queue) -> Self {
        Self {
            first,
            known: HashMap::new(),
        }
    }

    pub(super) fn named(&mut self, name: &str) -> Result<&Queue, Error> {
        if name == self.first.name() {
            return Ok(self.first);
        }
        if !self.known.contains_key(name) {
            let queue = self.first.beside(name)?;
            self.known.insert(name.to_owned(), queue);
        }
        Ok(&self.known[name])
    }
}

/// A line for each job: its id, its name, its queue, if that is another one than that of the first job, its state, and why it ended so.
impl fmt::Display for FlowTree {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for node in &self.nodes {
            let indent = "  ".repeat(node.depth);
            let refused = node.child.as_ref().and_then(|child| child.refused.as_ref());
            let state = node.state.map_or(node.without_state(), State::as_str);
            write!(f, "{indent}{} {} {state}", node.name, node.id)?;
            if node.queue != self.root().queue {
                write!(f, " in {}", node.queue)?;
            }
            if let (Some(why), None) = (refused, node.state) {
                write!(f, ": {why}")?;
            }
            match &node.ended {
                Some(Ended::Cancelled(reason)) => write!(f, ": {reason}")?,
                Some(Ended::Compensated(reason)) => write!(f, ": undone: {reason}")?,
                Some(Ended::Expired) => f.write_str(": expired")?,
                Some(Ended::Dead(reason)) => write!(f, ": {reason}")?,
                Some(Ended::Completed) | None => {}
            }
            f.write_str("\n")?;
        }
        Ok(())
    }
}

impl<'a> IntoIterator for &'a FlowTree {
    type Item = &'a FlowNode;
    type IntoIter = std::slice::Iter<'a, FlowNode>;

    fn into_iter(self) -> Self::IntoIter {
        self.nodes.iter()
    }
}

impl Queue {
    /// The flow below a job: the job, its children, their children, and so on, with their states and times, also those in other queues;
    /// `None` if there is no such job (any more). A job without children is a tree of one.
    ///
    /// It is read in many calls, job by job, while the jobs go on: a child may be shown as it was a moment later than its
    /// parent.
    ///
    /// ```no_run
    /// # async fn run(queue: oxcart::Queue, id: oxcart::JobId) -> Result<(), oxcart::Error> {
    /// if let Some(flow) = queue.flow(&id).await? {
    ///     print!("{flow}");
    ///     let ended = flow.iter().filter(|job| job.ended.is_some()).count();
    ///     println!("{ended} of {} jobs have ended", flow.len());
    /// }
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// If Redis does not answer; [`ErrorKind::Incompatible`](crate::ErrorKind::Incompatible) if a newer version wrote what is stored.
    ///
    /// # Cancel safety
    ///
    /// Only reads.
    pub async fn flow(&self, id: &JobId) -> Result<Option<FlowTree>, Error> {
        FlowTree::read(self, id).await
    }
}

#[cfg(test)]
mod tests {
    use super::keep_next;

    #[test]
    fn a_tree_that_is_cut_has_the_first_jobs() {
        let mut left = vec![4, 3, 2, 1];
        keep_next(&mut left, 3);
        assert_eq!(left, [3, 2, 1]);
        keep_next(&mut left, 3);
        assert_eq!(left, [3, 2, 1]);
        keep_next(&mut left, 0);
        assert!(left.is_empty());
    }
}
