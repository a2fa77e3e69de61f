//! What is recorded of a dead job beside its record, and goes with it: its durable steps, and what it knows of its children.

use std::collections::BTreeMap;

use crate::codec;
use crate::error::Error;
use crate::job::history::Counters;
use crate::job::outcome::Ending;
use crate::policy::flow::KnownChild;
use crate::policy::steps::{STEPS_MAX, StepKind, StoredStep, encode_name};
use crate::queue::Queue;
use crate::store::BATCH_BYTES;
use crate::store::children::Children;
use crate::store::import::Beside;
use crate::store::steps::Steps;

/// All of it together is no larger, in bytes.
pub(super) const BYTES_MAX: usize = 16 << 20;
/// No job has more children.
const CHILDREN_MAX: u64 = 10_000;
/// What the field of a saga holds while it goes forward.
const OWED: &[u8] = b"owed";

/// By the names under which it is stored.
pub(super) type Fields = BTreeMap<String, Vec<u8>>;

fn too_large() -> Error {
    let mib = BYTES_MAX >> 20;
    Error::invalid(format!(
        "what its steps and its children gave takes more than {mib} MiB, so it is not exported; replay it where it is"
    ))
}

/// What is recorded of a job with these counters; nothing, for most.
pub(super) async fn read(
    queue: &Queue,
    id: &str,
    counters: Option<&[u8]>,
) -> Result<Fields, Error> {
    let mut fields = Fields::new();
    let mut bytes = 0;
    let mut add = |name: String, value: Vec<u8>| {
        bytes += value.len();
        fields.insert(name, value);
        match bytes > BYTES_MAX {
            true => Err(too_large()),
            false => Ok(()),
        }
    };
    let Some(counters) = counters else {
        return Ok(fields);
    };
    let mut next = Some(1).filter(|_| Counters::decode(counters).is_ok_and(|it| it.has_steps));
    while let Some(from) = next {
        let bytes = BATCH_BYTES;
        let page = queue
            .inner
            .call(&Steps {
                id,
                from,
                bytes,
                cut: None,
            })
            .await?;
        for (name, value) in [("cursor", page.cursor), ("undo", page.undo)] {
            value.map_or(Ok(()), |value| add(name.to_owned(), value))?;
        }
        for (number, step, _) in page.steps {
            add(format!("step{number}"), step)?;
        }
        next = page.next;
    }
    let (mut from, mut total) = (0, Counters::children(counters));
    while u64::from(from) < total {
        let max_bytes = BATCH_BYTES;
        let verb = Children {
            id,
            from,
            max_bytes,
        };
        let page = queue.inner.call(&verb).await?;
        if from == 0 && page.total > 0 {
            add(
                "children".to_owned(),
                format!("{} {}", page.total, page.open).into_bytes(),
            )?;
        }
        for (number, child) in page.children {
            add(format!("child{number}"), child)?;
        }
        let next = u32::try_from(page.next).unwrap_or(u32::MAX);
        (from, total) = (next.max(from + 1), page.total);
    }
    Ok(fields)
}

/// Checks what was exported, and says what is to be stored.
pub(super) fn check(fields: Fields) -> Result<Beside, String> {
    let bytes: usize = fields.values().map(Vec::len).sum();
    if bytes > BYTES_MAX {
        return Err(format!(
            "its steps and children take more than {} MiB",
            BYTES_MAX >> 20
        ));
    }
    let mut beside = Beside::default();
    let mut waits = BTreeMap::new();
    let total = fields.get("children").map(|counted| children_in(counted));
    let total = match total {
        Some(None) => return Err("the number of its children cannot be read".to_owned()),
        Some(Some(total)) => total,
        None => 0,
    };
    for (name, value) in &fields {
        let number = |kind: &str| {
            let digits = name.strip_prefix(kind)?;
            let number: u64 = digits.parse().ok()?;
            (number.to_string() == digits).then_some(number)
        };
        let is_read = if matches!(name.as_str(), "cursor" | "children") {
            true
        } else if name == "undo" {
            value == OWED || codec::decode_plain::<Ending>("a saga", value).is_ok()
        } else if let Some(number) = number("step") {
            let step = StoredStep::decode(value).ok();
            let step = step.filter(|_| (1..=u64::from(STEPS_MAX)).contains(&number));
            if let Some(step) = &step {
                waits.extend(waits_for(step).map(|mark| (number, format!(" {number}{mark}"))));
            }
            beside.last = beside.last.max(Some(number));
            step.is_some()
        } else if let Some(number) = number("child") {
            number < total && KnownChild::decode(value).is_ok()
        } else {
            return Err(format!(
                "it holds `{name}`, which this version does not know"
            ));
        };
        if !is_read {
            return Err(format!("its `{name}` cannot be read"));
        }
    }
    let has_others = fields.contains_key("cursor") || fields.contains_key("undo");
    beside.last = beside.last.or(has_others.then_some(0));
    beside.children = total;
    beside.fields = fields.into_iter().collect();
    if !waits.is_empty() {
        // It is not put aside.
        let text: String = std::iter::once("-".to_owned())
            .chain(waits.into_values())
            .collect();
        beside.fields.push(("waits".to_owned(), text.into_bytes()));
    }
    Ok(beside)
}

fn children_in(counted: &[u8]) -> Option<u64> {
    let (total, open) = std::str::from_utf8(counted).ok()?.split_once(' ')?;
    let (total, open): (u64, u64) = (total.parse().ok()?, open.parse().ok()?);
    (open <= total && (1..=CHILDREN_MAX).contains(&total)).then_some(total)
}

/// The mark of a step that waits or has waited for a signal, and its name.
fn waits_for(step: &StoredStep) -> Option<String> {
    let mark = match step.kind {
        StepKind::Wait => ':',
        StepKind::Signal => '=',
        StepKind::Over => '!',
        _ => return None,
    };
    Some(format!("{mark}{}", encode_name(&step.name)))
}
