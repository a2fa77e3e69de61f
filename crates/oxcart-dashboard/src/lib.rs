//! What the queues of [oxcart](../oxcart/index.html) do, live, in a browser: a [`Router`](axum::Router) that an application mounts under
//! any path.

mod access;
mod chrome;
pub mod model;
mod pages;

pub use access::{Access, Role, UnknownRole};
