//! `.ci/redis-server.sh`, which `make demo` and `make test` begin with: it finds or fetches a Redis
//! server, starts nothing, and leaves a Redis that runs alone.
//!
//! Package managers are played by small scripts here, except where the real one must be seen not to
//! touch a running server.

#[path = "../support/mod.rs"]
mod support;

mod fetching;
mod finding;
mod neighbour;
mod system;
