//! What a handler knows of the jobs that its job has waited for.

use std::future::Future;
use std::pin::Pin;

use crate::error::{Error, ErrorKind};
use crate::id::JobId;
use crate::job::Job;
use crate::job::failure::Failure;
use crate::policy::flow::StepChildren;
use crate::policy::steps::{StepKind, StoredStep};
use crate::queue::flow::Child;
use crate::queue::flow::children::Children;
use crate::queue::flow::conflict;
use crate::queue::flow::offspring::{Adder, Offspring};
use crate::store::enqueue::NewJob;
use crate::store::spawn::{Spawn, Spawned};
use crate::worker::context::Context;
use crate::worker::steps::{Call, Called, mistake, trouble};

/// What a step that waits for children may be.
const CHILDREN_OF_STEP: &[StepKind] = &[StepKind::Children];

impl Context {
    /// The children with which the job was enqueued, in a [`Flow`](crate::Flow): how each ended, and what it gave back. None if it has none. Those that
    /// it adds itself are given back by [`spawn_children`](Self::spawn_children), so that each attempt sees the same here.
    ///
    /// Read from Redis, in pages of at most 256 children or 1 MiB, each time it is called.
    ///
    /// # Errors
    ///
    /// If Redis does not answer within about 8 s; [`ErrorKind::Incompatible`](crate::ErrorKind::Incompatible) if a newer version wrote
    /// what cannot be read here.
    ///
    /// # Cancel safety
    ///
    /// Only reads.
    pub async fn children(&self) -> Result<Children, Error> {
        let own = self.inner.children;
        match own {
            0 => Ok(Children::default()),
            _ => Children::read_some(self.queue(), self.id(), 0, own).await,
        }
    }

    /// What the job before this one in a [`Chain`](crate::Chain) gave back.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::NotFound`](crate::ErrorKind::NotFound) if there is no job before it, if that is of another type, or if it ended
    /// without giving anything back (it was cancelled, say); and as [`children`](Self::children).
    ///
    /// # Cancel safety
    ///
    /// Only reads.
    pub async fn previous<J: Job>(&self) -> Result<J::Output, Error> {
        let children = self.children().await?;
        children.previous::<J>(self.id())
    }

    /// Adds children to the job while it runs, and waits until all of them have ended, without a slot or a lease: the handler may find out
    /// first what there is to do, and then give it to others. What it gives back tells how each of these children ended, and what it gave back.
    ///
    /// It is a [step](Self::step) of this name: the first attempt that comes to it enqueues the children, all of them or none, and stores the step with
    /// them. Then the job is put aside, as by [`sleep`](Self::sleep): the handler's future is dropped. When the children have ended, a worker runs the handler again from the
    /// beginning; requests that it makes for this step are not enqueued a second time. What goes before it and may change between two attempts belongs into a step.
    ///
    /// A child is whatever a [`Flow`](crate::Flow) takes: a request, a flow, a chain, or a [`Child`] that says what its death means. [`OnDeath::Hold`](crate::OnDeath::Hold): the job waits until the child is replayed and
    /// ends. [`OnDeath::GoOn`](crate::OnDeath::GoOn): it goes on without it. [`OnDeath::Fail`](crate::OnDeath::Fail): the job goes on at once, and this call returns an error that names
    /// the child; that stays so until the child was replayed and has ended.
    ///
    /// ```
    /// # use oxcart::*;
    /// # use serde::{Deserialize, Serialize};
    /// # #[derive(Serialize, Deserialize)] struct Assemble { film: u64 }
    /// # #[derive(Serialize, Deserialize)] struct Encode { part: u32 }
    /// # impl Job for Encode { const NAME: &'static str = "encode"; type Output = String; }
    /// # async fn parts_of(_: u64) -> Result<u32, Failure> { Ok(3) }
    /// async fn assemble(film: Assemble, context: Context, films: Queue) -> Result<String, Failure> {
    ///     let parts = context.step("count", async || parts_of(film.film).await).await?;
    ///     let encode = (0..parts).map(|part| films.enqueue(Encode { part }));
    ///     let encoded = context.spawn_children("encode", encode).await?;      // holds no slot meanwhile
    ///     Ok(encoded.outputs::<Encode>()?.join(", "))
    /// }
    /// ```
    ///
    /// The children are of the queue of the job: up to 256 jobs and 1 MiB in a call, with what is below them. It may be called several times, with other names, also by a job that
    /// is itself a child, or has waited for children in a flow. A job has 10,000 children at most.
    ///
    /// # Errors
    ///
    /// Those of a [sleep](Self::sleep). [`ErrorKind::Dead`](crate::ErrorKind::Dead), not retried, if a child is dead whose death is to fail the job. [`ErrorKind::Conflict`](crate::ErrorKind::Conflict), and nothing was
    /// enqueued, if a job has the id or the unique key of one of them. [`ErrorKind::Invalid`](crate::ErrorKind::Invalid), not retried: too many jobs, another queue, two with one id, or one with the [order](crate::Enqueue::ordered_by) of the job itself; and in a test
    /// of a handler alone (`Context::builder()`), where nothing runs them: use [`Worker::drain`](crate::Worker::drain).
    ///
    /// # Cancel safety
    ///
    /// A call that is dropped, because something else was faster, may have added the children; a later attempt that calls it waits for them.
    pub fn spawn_children<C: Into<Child>>(
        &self,
        name: &str,
        children: impl IntoIterator<Item = C>,
    ) -> Pin<Box<dyn Future<Output = Result<Children, Failure>> + Send>> {
        let mut called = self.called(name);
        let mut offspring = Offspring::of(children);
        Box::pin(async move {
            let number = called.number()?;
            let Called { context, name, .. } = called;
            if context.inner.alone.is_some() {
                let error = Error::invalid(format!(
                    "`{name}`: nothing runs the children of a handler that a test calls itself; use Worker::drain"
                ));
                return Err(mistake(error, &context));
            }
            context.check_alone(&name)?;
            let store = context.step_store();
            let call = context.call(&store, number, &name);
            {
                let _runs = context.runs();
                let stored = match call.stored(CHILDREN_OF_STEP).await.map_err(trouble)? {
                    Some(stored) => stored.value,
                    None => {
                        context.refuse_if_undoing(&store).await?;
                        let spawned = context.spawn(&call, &mut offspring).await;
                        spawned.map_err(trouble)?
                    }
                };
                let known = StepChildren::decode(&stored).map_err(trouble)?;
                if known.is_over() {
                    return context.spawned(&known).await;
                }
            }
            context.refuse_if_undoing(&store).await?;
            // The last await that the handler reaches in this attempt. What has ended since is seen when the attempt ends.
            Err(trouble(call.waits(None).await))
        })
    }

    /// Adds the children, and stores the step. Returns its value, or that of the one that is stored by now.
    async fn spawn(&self, call: &Call<'_>, offspring: &mut Offspring) -> Result<Vec<u8>, Error> {
        let (queue, store) = (self.queue(), call.store);
        queue.inner.check_weight(offspring.heaviest()).await?;
        let mut first = Children::count(queue, self.id()).await?;
        loop {
            let adder = Adder {
                queue,
                id: self.id(),
                order: self.inner.order.as_deref(),
            };
            let jobs = offspring.prepare(&adder, call.number, first)?;
            let jobs: Vec<&NewJob> = jobs.iter().collect();
            let verb = Spawn {
                id: self.id(),
                receipt: &store.lease.receipt,
                number: call.number,
                name: call.name,
                first,
                count: offspring.count(),
                jobs: &jobs,
            };
            match store.lasting(&verb).await? {
                Spawned::Stored => {
                    let stored = StepChildren::new(first, offspring.count());
                    return Ok(stored.encode().into_bytes());
                }
                Spawned::There { stored } => {
                    let stored = StoredStep::decode(&stored)?;
                    return Ok(call.check(stored, CHILDREN_OF_STEP)?.value);
                }
                // Another step of this attempt has added some meanwhile.
                Spawned::Moved { first: now } => first = now,
                Spawned::Met(met) => return Err(conflict(&jobs, &met)),
                Spawned::LeaseLost => return Err(store.refused()),
            }
        }
    }

    /// What the job knows of the children of a step that waits no more.
    async fn spawned(&self, known: &StepChildren) -> Result<Children, Failure> {
        let (first, count) = (known.first, known.count);
        let children = Children::read_some(self.queue(), self.id(), first, count);
        let children = children.await.map_err(trouble)?;
        let Some(number) = known.failed.first() else {
            return Ok(children);
        };
        let child = children.iter().find(|child| child.number == *number);
        let (name, id) = child.map_or(("?", None), |child| (&child.name, Some(&child.id)));
        let shown = id.map_or("?", JobId::as_str);
        let error = Error::new(
            ErrorKind::Dead,
            format!("its child {shown}, a `{name}`, is dead"),
        );
        Err(Failure::dead(match id {
            Some(id) => error.with_job(id),
            None => error,
        }))
    }
}
