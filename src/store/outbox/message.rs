//! What queues send to one another: the kind, a space, and texts, each behind its length (`lua/lib/message.lua`).

use crate::codec;
use crate::id::JobId;
use crate::job::record::EncodedRecord;
use crate::policy::flow::{OnDeath, Standing};
use crate::store::enqueue::{NewJob, Options};

/// The queue of the parent itself, among the queues of its children.
const HERE: &str = "~";

/// A message that this version knows.
#[derive(Debug, Clone)]
pub(crate) enum Message {
    /// A job for the target.
    Job(NewJob),
    /// Jobs of the target are to end; with what is stored as their outcome.
    Cancel { outcome: Vec<u8>, ids: Vec<JobId> },
    /// News of a child for its parent, which is in the target.
    Child {
        parent: JobId,
        /// The number of the child.
        number: u32,
        id: JobId,
        standing: Standing,
        on_death: OnDeath,
        ended_ms: u64,
        /// How it ended, as outcomes are stored; or why it could not be added.
        ending: Vec<u8>,
    },
    /// A job of the target has these children, whether they are there or not.
    Children {
        parent: JobId,
        children: Vec<ExpectedChild>,
    },
    /// The target is to send this message to a further queue.
    Forward { target: String, message: Vec<u8> },
    /// From a queue to itself: a draft was committed.
    Expand { draft: String },
}

/// A child of which its parent is told before it can end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ExpectedChild {
    pub(crate) number: u32,
    /// None if it is that of the parent.
    pub(crate) queue: Option<String>,
    pub(crate) id: JobId,
    /// The name of the job.
    pub(crate) name: String,
}

/// So many children go in one message.
pub(crate) const CHILDREN_AT_MOST: usize = 256;

impl Message {
    /// As it is sent.
    pub(crate) fn encode(&self) -> Vec<u8> {
        match self {
            Self::Job(job) => {
                let options = codec::encode_plain(&Options::of(job).unwrap_or_default());
                let mut texts = vec![&options[..], job.id.as_str().as_bytes(), &job.record.record];
                texts.extend(job.record.external_payload.as_deref());
                encoded("job", texts)
            }
            Self::Cancel { outcome, ids } => {
                let ids = ids.iter().map(|id| id.as_str().as_bytes());
                encoded("cancel", std::iter::once(&outcome[..]).chain(ids))
            }
            Self::Child {
                parent,
                number,
                id,
                standing,
                on_death,
                ended_ms,
                ending,
            } => {
                let (number, ended_ms) = (number.to_string(), ended_ms.to_string());
                let texts = [
                    parent.as_str(),
                    &number,
                    id.as_str(),
                    standing.word(),
                    on_death.word().unwrap_or_default(),
                    &ended_ms,
                ];
                let texts = texts.into_iter().map(str::as_bytes);
                encoded("child", texts.chain([&ending[..]]))
            }
            Self::Children { parent, children } => {
                let mut texts = vec![parent.as_str().to_owned()];
                for child in children {
                    texts.push(child.number.to_string());
                    texts.push(child.queue.clone().unwrap_or_else(|| HERE.to_owned()));
                    texts.push(child.id.as_str().to_owned());
                    texts.push(child.name.clone());
                }
                encoded("children", texts.iter().map(String::as_bytes))
            }
            Self::Forward { target, message } => encoded("forward", [target.as_bytes(), message]),
            Self::Expand { draft } => encoded("expand", [draft.as_bytes()]),
        }
    }

    /// Read again; `None` if this version cannot read it.
    pub(crate) fn decode(message: &[u8]) -> Option<Self> {
        const IDS_AT_MOST: usize = 256;
        let texts = texts_of(message)?;
        let text = |at: usize| Some(std::str::from_utf8(texts.get(at)?).ok()?.to_owned());
        match kind_of(message) {
            "job" => {
                let options: Options = codec::decode_plain("a message", texts.first()?).ok()?;
                let record = texts.get(2)?.to_vec();
                let payload = texts.get(3).map(|payload| payload.to_vec());
                let record = EncodedRecord::kept(record, payload);
                Some(Self::Job(options.job(JobId::stored(&text(1)?), record)))
            }
            "cancel" if (2..=IDS_AT_MOST + 1).contains(&texts.len()) => Some(Self::Cancel {
                outcome: texts[0].to_vec(),
                ids: (1..texts.len())
                    .map(|at| Some(JobId::stored(&text(at)?)))
                    .collect::<Option<_>>()?,
            }),
            "child" if texts.len() == 7 => Some(Self::Child {
                parent: JobId::stored(&text(0)?),
                number: whole(&text(1)?)?,
                id: JobId::stored(&text(2)?),
                standing: Standing::of_word(&text(3)?).filter(|it| *it != Standing::Open)?,
                on_death: OnDeath::of_word(&text(4)?)?,
                ended_ms: whole(&text(5)?)?,
                ending: texts[6].to_vec(),
            }),
            "children" if texts.len() % 4 == 1 && texts.len() / 4 <= CHILDREN_AT_MOST => {
                let child = |at: usize| {
                    let (queue, id, name) = (text(at + 1)?, text(at + 2)?, text(at + 3)?);
                    let has_space = |word: &String| word.contains([' ', '\t', '\n']);
                    let is_garbled = [&queue, &id, &name].into_iter().any(has_space);
                    (!is_garbled).then_some(ExpectedChild {
                        number: whole(&text(at)?)?,
                        queue: Some(queue).filter(|queue| queue != HERE),
                        id: JobId::stored(&id),
                        name,
                    })
                };
                Some(Self::Children {
                    parent: JobId::stored(&text(0)?),
                    children: (1..texts.len())
                        .step_by(4)
                        .map(child)
                        .collect::<Option<_>>()?,
                })
            }
            "forward" if texts.len() == 2 => Some(Self::Forward {
                target: text(0)?,
                message: texts[1].to_vec(),
            }),
            "expand" if texts.len() == 1 => Some(Self::Expand { draft: text(0)? }),
            _ => None,
        }
    }
}

/// A number of digits alone.
fn whole<T: std::str::FromStr>(text: &str) -> Option<T> {
    let is_digit = |byte| u8::is_ascii_digit(&byte);
    text.bytes().all(is_digit).then(|| text.parse().ok())?
}

fn encoded<'a>(kind: &str, texts: impl IntoIterator<Item = &'a [u8]>) -> Vec<u8> {
    let mut message = format!("{kind} ").into_bytes();
    for text in texts {
        let length = u32::try_from(text.len()).expect("no message has 4 GiB");
        message.extend(length.to_be_bytes());
        message.extend(text);
    }
    message
}

/// The kind of a message; empty for what is none.
pub(crate) fn kind_of(message: &[u8]) -> &str {
    let end = message.iter().position(|byte| !byte.is_ascii_lowercase());
    let (kind, rest) = message.split_at(end.unwrap_or(message.len()));
    match rest.first() {
        Some(b' ') => std::str::from_utf8(kind).unwrap_or_default(),
        _ => "",
    }
}

fn texts_of(message: &[u8]) -> Option<Vec<&[u8]>> {
    let mut rest = message.get(kind_of(message).len() + 1..)?;
    let mut texts = Vec::new();
    while !rest.is_empty() {
        let (length, behind) = rest.split_first_chunk::<4>()?;
        let length = usize::try_from(u32::from_be_bytes(*length)).ok()?;
        let (text, behind) = behind.split_at_checked(length)?;
        texts.push(text);
        rest = behind;
    }
    Some(texts)
}
