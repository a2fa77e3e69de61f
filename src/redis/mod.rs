//! Redis itself: connections, keys, scripts and replies. Nothing here knows what a job is.

pub(crate) mod address;
pub(crate) mod cell;
pub(crate) mod cluster;
pub(crate) mod connection;
pub(crate) mod durability;
pub(crate) mod health;
pub(crate) mod keys;
pub(crate) mod last_word;
pub(crate) mod linker;
pub(crate) mod node;
pub(crate) mod of_process;
pub(crate) mod place;
pub(crate) mod pool;
pub(crate) mod reconnecting;
pub(crate) mod refusal;
pub(crate) mod registry;
pub(crate) mod repeat;
pub(crate) mod reply;
pub(crate) mod script;
pub(crate) mod server;
pub(crate) mod slots;
pub(crate) mod stream;
pub(crate) mod tls;
pub(crate) mod token_pop;
pub(crate) mod trouble;
pub(crate) mod watched;
