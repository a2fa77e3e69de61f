//! What queues send to one another: the kind, a space, and texts, each behind its length (`lua/lib/message.lua`).

use crate::codec;
use crate::id::JobId;
use crate::job::record::EncodedRecord;
use crate::store::enqueue::{NewJob, Options};

/// A message that this version knows.
#[derive(Debug, Clone)]
pub(crate) enum Message {
    /// A job for the target.
    Job(NewJob),
    /// Jobs of the target are to end; with what is stored as their outcome.
    Cancel { outcome: Vec<u8>, ids: Vec<JobId> },
    /// The target is to send this message to a further queue.
    Forward { target: String, message: Vec<u8> },
    /// From a queue to itself: a draft was committed.
    Expand { draft: String },
}

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
            "forward" if texts.len() == 2 => Some(Self::Forward {
                target: text(0)?,
                message: texts[1].to_vec(),
            }),
            "expand" if texts.len() == 1 => Some(Self::Expand { draft: text(0)? }),
            _ => None,
        }
    }
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
