//! Traits: fields of a record's head (`head.rs`) that decide when a job may run, or whether it may be there. Scripts read them, and
//! so do queues in memory.

use std::sync::Arc;

use crate::codec;
use crate::job::head::{field_in, field_of, has_traits};
use crate::job::options::JobOptions;
use crate::policy::expiry::Expiry;
use crate::policy::flow::ChildOf;
use crate::policy::key::{decode_key, encode_key};
use crate::policy::order::{OnFailure, Order};
use crate::policy::unique::{OnDuplicate, Until};
use crate::time::millis;

/// The traits: fields that decide when a job may run (`lua/lib/gate.lua`).
const GROUP: &str = "group";
pub(crate) const ORDER: &str = "order";
/// What a failing job does to those behind it, if it is not the default.
pub(crate) const ON_FAILURE: &str = "on_failure";
/// Of the jobs with the same one, one is there at a time (`lua/lib/unique.lua`). It begins with the name of the type.
pub(crate) const UNIQUE: &str = "unique";
/// How long the key is taken, and what a duplicate does, if it is not the default.
pub(crate) const UNIQUE_UNTIL: &str = "unique_until";
pub(crate) const ON_DUPLICATE: &str = "on_duplicate";
/// For how long (ms) a debounce puts a job off at most.
pub(crate) const WAIT_AT_MOST: &str = "wait_at_most";
/// When a job that has not started is over: so many ms after it was enqueued, or at a moment, ms.
const EXPIRES_IN: &str = "expires_in";
const EXPIRES_AT: &str = "expires_at";
/// The job for which this one is a child; and what the death of this one means there, if it is not the default.
pub(crate) const PARENT: &str = "parent";
pub(crate) const ON_DEATH: &str = "on_death";
/// The step of the parent that waits for it, if it was added while the parent ran.
const OF_STEP: &str = "of_step";
/// For how many children the job waits.
pub(crate) const CHILDREN: &str = "children";

/// Each field that makes a trait by itself; the same as in `lua/lib/head.lua`.
const TRAITS: [&str; 7] = [
    GROUP, ORDER, UNIQUE, EXPIRES_IN, EXPIRES_AT, PARENT, CHILDREN,
];

/// What decides when a job may run: the traits in its head.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Traits {
    pub(crate) group: Option<String>,
    pub(crate) order: Option<Order>,
    pub(crate) unique: Option<String>,
    /// For how many children the job waits before it first runs.
    pub(crate) children: u32,
}

impl Traits {
    /// Those in the fields of a record whose type has this name.
    pub(crate) fn of(fields: &[u8], name: &str) -> Self {
        Self {
            group: key_in(fields, GROUP),
            order: order_in(fields),
            unique: unique_in(fields, name),
            children: children_in(fields),
        }
    }
}

/// What a call that ends a job says of its traits. In this order a call names them.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum EndTraits {
    /// It has none.
    None,
    /// Of what its end sets free, it has a group alone. The call names it, as it is stored, so that the script need not read the
    /// record: that takes Redis as long as to end a plain job.
    Group(Arc<str>),
    /// The script reads the record.
    Others,
}

impl EndTraits {
    pub(crate) fn of(record: &[u8]) -> Self {
        if !has_traits(record) {
            return Self::None;
        }
        let others = [UNIQUE, PARENT];
        let has_others = others.iter().any(|name| field_of(record, name).is_some());
        match field_of(record, GROUP) {
            Some(group) if !has_others => Self::Group(group.into()),
            _ => Self::Others,
        }
    }

    pub(crate) fn are_there(&self) -> bool {
        *self != Self::None
    }
}

/// Whether one of them is among these fields.
pub(crate) fn are_in(fields: &[u8]) -> bool {
    let is_in = |name: &&str| field_in(fields, name).is_some();
    TRAITS.iter().any(is_in)
}

/// Whether a unique key is among these fields.
pub(crate) fn is_unique_in(fields: &[u8]) -> bool {
    field_in(fields, UNIQUE).is_some()
}

/// These fields with this order key in place of another one, or of a group.
pub(crate) fn with_order(fields: &[u8], key: &str) -> Vec<u8> {
    let is_order = |field: &&[u8]| {
        let name = field.split(|byte| *byte == b'=').next().unwrap_or_default();
        [GROUP, ORDER, ON_FAILURE]
            .iter()
            .any(|known| name == known.as_bytes())
    };
    let fields = fields.split_inclusive(|byte| *byte == b' ');
    let mut kept: Vec<u8> = fields
        .filter(|field| !is_order(field))
        .flatten()
        .copied()
        .collect();
    kept.extend(format!("{ORDER}={} ", encode_key(key)).into_bytes());
    kept
}

/// Adds those that the options ask for, of a job whose type has this name. Says whether there are any.
pub(crate) fn write(record: &mut Vec<u8>, name: &str, options: &JobOptions) -> bool {
    let without = record.len();
    let mut field = |name, value: &str| record.extend(format!("{name}={value} ").into_bytes());
    if let Some(group) = &options.group {
        field(GROUP, &encode_key(group));
    }
    if let Some(order) = &options.order {
        field(ORDER, &encode_key(&order.key));
        match order.on_failure {
            OnFailure::UntilDead => {}
            OnFailure::Halt => field(ON_FAILURE, "halt"),
            OnFailure::Pass => field(ON_FAILURE, "pass"),
        }
    }
    if let Some(unique) = &options.unique {
        field(UNIQUE, &encode_key(&unique_key(name, &unique.key)));
        match unique.until {
            Until::Ended => {}
            Until::Started => field(UNIQUE_UNTIL, "started"),
            Until::After(period) => field(UNIQUE_UNTIL, &millis(period).to_string()),
        }
        if let Some(most) = unique.wait_at_most {
            field(WAIT_AT_MOST, &millis(most).to_string());
        }
        match unique.on_duplicate {
            OnDuplicate::Reject => {}
            OnDuplicate::Replace => field(ON_DUPLICATE, "replace"),
            OnDuplicate::Debounce => field(ON_DUPLICATE, "debounce"),
            OnDuplicate::KeepLatest => field(ON_DUPLICATE, "latest"),
        }
    }
    match options.expiry {
        None => {}
        Some(Expiry::After { ms }) => field(EXPIRES_IN, &ms.to_string()),
        Some(Expiry::At { ms }) => field(EXPIRES_AT, &ms.to_string()),
    }
    if let Some(child_of) = &options.child_of {
        field(PARENT, &child_of.encode());
        if let Some(word) = child_of.on_death.word() {
            field(ON_DEATH, word);
        }
        if let Some(step) = child_of.of_step {
            field(OF_STEP, &step.to_string());
        }
    }
    if options.children > 0 {
        field(CHILDREN, &options.children.to_string());
    }
    record.len() > without
}

fn key_in(fields: &[u8], name: &str) -> Option<String> {
    Some(decode_key(field_in(fields, name)?).into_owned())
}

pub(crate) fn order_key_in(fields: &[u8]) -> Option<String> {
    key_in(fields, ORDER)
}

fn order_in(fields: &[u8]) -> Option<Order> {
    let on_failure = match field_in(fields, ON_FAILURE) {
        Some("halt") => OnFailure::Halt,
        Some("pass") => OnFailure::Pass,
        _ => OnFailure::UntilDead,
    };
    Some(Order::by(key_in(fields, ORDER)?).on_failure(on_failure))
}

/// Keys of two types never meet: no name has a colon in it.
pub(crate) fn unique_key(name: &str, key: &str) -> String {
    format!("{name}:{key}")
}

/// The unique key as the application gave it.
fn unique_in(fields: &[u8], name: &str) -> Option<String> {
    let key = key_in(fields, UNIQUE)?;
    Some(key.strip_prefix(name)?.strip_prefix(':')?.to_owned())
}

/// A trait that makes a gate (`lua/lib/gate.lua`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Trait {
    Group,
    Order,
}

impl Trait {
    /// What the names of its gates begin with.
    pub(crate) fn letter(self) -> char {
        match self {
            Self::Group => 'g',
            Self::Order => 'o',
        }
    }
}

/// The name of a job's gate, if it has one.
#[allow(
    dead_code,
    reason = "only queues in memory ask for it, and these are a feature"
)]
pub(crate) fn gate_of(record: &[u8]) -> Option<String> {
    if !has_traits(record) {
        return None;
    }
    let gate = |name, of: Trait| Some(format!("{}{}", of.letter(), field_of(record, name)?));
    gate(GROUP, Trait::Group).or_else(|| gate(ORDER, Trait::Order))
}

/// What the fields of a record say of the job's parent, if it has one.
pub(crate) fn child_of(fields: &[u8]) -> Option<ChildOf> {
    let (on_death, of_step) = (field_in(fields, ON_DEATH), field_in(fields, OF_STEP));
    ChildOf::decode(field_in(fields, PARENT)?, on_death, of_step)
}

/// For how many children the job of these fields waits.
pub(crate) fn children_in(fields: &[u8]) -> u32 {
    let children = field_in(fields, CHILDREN).and_then(|children| children.parse().ok());
    children.unwrap_or(0)
}

/// When (ms) the job of a stored record is over, if it has not started by then. A moment that is no exact number to the scripts
/// never comes.
pub(crate) fn expiry_of(record: &[u8]) -> Option<u64> {
    const NEVER: u64 = 1 << 53;
    let at_ms = match field_of(record, EXPIRES_IN) {
        Some(after_ms) => {
            let (enqueued_ms, _) = codec::split_stamp(record.get(1..)?)?;
            enqueued_ms.saturating_add(after_ms.parse().ok()?)
        }
        None => field_of(record, EXPIRES_AT)?.parse().ok()?,
    };
    (at_ms < NEVER).then_some(at_ms)
}
