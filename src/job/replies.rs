//! Jobs whose handlers send several replies.

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::job::Job;

/// A job whose handler sends replies while it runs, which callers get in order, as they come. How the handler ends is the end of the stream.
///
/// The handler sends them with a [`ReplySender`](crate::ReplySender), and a caller reads them from a [`ReplyStream`](crate::ReplyStream) ([`Enqueue::replies`](crate::Enqueue::replies),
/// [`JobHandle::replies`](crate::JobHandle::replies)).
///
/// ```
/// # use oxcart::{Failure, Job, Replies, ReplySender};
/// # use serde::{Deserialize, Serialize};
/// #[derive(Serialize, Deserialize)]
/// struct Export {
///     table: String,
/// }
///
/// impl Job for Export {
///     const NAME: &'static str = "export";
///     type Output = u64;
/// }
///
/// impl Replies for Export {
///     type Reply = Vec<String>;
/// }
///
/// # async fn read(_: &str, _: u64) -> Result<Vec<Vec<String>>, Failure> { Ok(Vec::new()) }
/// async fn export(job: Export, replies: ReplySender<Export>) -> Result<u64, Failure> {
///     let first = replies.resume() as u64;
///     let pages = read(&job.table, first).await?;
///     for page in &pages {
///         replies.send(page).await?;
///     }
///     Ok(first + pages.len() as u64)
/// }
/// ```
pub trait Replies: Job {
    /// One reply. It may hold what a payload may hold, and is as large as a payload at most.
    type Reply: Serialize + DeserializeOwned + Send + 'static;
}
