//! Jobs and events as CloudEvents 1.0: what they carry, in the form that other systems read.

mod forms;

use std::collections::BTreeMap;
use std::fmt;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde::{Deserialize, Deserializer, Serialize};

use crate::error::Error;
use crate::id::JobId;
use crate::job::version::FIRST;
use crate::time::Timestamp;
use forms::{is_extension_name, is_media_type, is_moment, is_uri_reference};

/// The version of CloudEvents.
const SPEC_VERSION: &str = "1.0";
/// What the data is, unless it is said.
const JSON: &str = "application/json";
/// What names of attributes no extension can have. In the JSON format, `data` and `data_base64` stand beside the attributes.
const RESERVED: [&str; 9] = [
    "specversion",
    "id",
    "source",
    "type",
    "subject",
    "time",
    "datacontenttype",
    "dataschema",
    "data",
];
const SCHEMA_VERSION: &str = "schemaversion";
/// A source travels with each job.
const SOURCE_BYTES_MAX: usize = 256;

/// A job or an event as a [CloudEvent](https://cloudevents.io) of version 1.0. It is written and read with serde; with `serde_json` that gives the JSON
/// format of CloudEvents. `D` is the data: the type of the job, or a type that holds any value, such as `serde_json::Value`. A list of them
/// is the batch format.
///
/// | attribute | what it is of a job |
/// |---|---|
/// | `id` | its id |
/// | `type` | the name of its type ([`Job::NAME`](crate::Job::NAME)) |
/// | `source` | its header `source`, or that of the connection ([`OxcartBuilder::source`](crate::OxcartBuilder::source)), or `oxcart:<namespace>/<queue>` |
/// | `subject` | its header `subject` |
/// | `time` | its header `time`, or when Redis got it |
/// | `datacontenttype`, `dataschema` | its header of that name; `application/json` |
/// | `data` | its payload |
/// | `schemaversion` | the [version](crate::Job::VERSION) of its payload |
/// | others (`correlationid`, `causationid`, `traceparent`, ..) | its headers whose names have lower-case letters and digits alone; headers with other names stay behind |
///
/// [`Queue::cloud_event`](crate::Queue::cloud_event) and [`Context::cloud_event`](crate::Context::cloud_event) make one of a job;
/// [`Queue::enqueue_event`](crate::Queue::enqueue_event) and [`Topic::publish_event`](crate::Topic::publish_event) make a request of one.
///
/// ```
/// # use oxcart::CloudEvent;
/// let text = r#"{"specversion": "1.0", "id": "1", "type": "order-placed", "source": "/orders", "data": {"order": 17}}"#;
/// let event: CloudEvent<serde_json::Value> = serde_json::from_str(text)?;
/// assert_eq!((event.name.as_str(), event.data), ("order-placed", Some(serde_json::json!({ "order": 17 }))));
/// # Ok::<(), serde_json::Error>(())
/// ```
#[derive(Clone, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct CloudEvent<D> {
    /// The version of CloudEvents: `1.0`.
    pub specversion: String,
    /// The id of the event, one of its source.
    pub id: String,
    /// What it tells: the attribute `type`.
    #[serde(rename = "type")]
    pub name: String,
    /// Where it comes from: a URI reference.
    pub source: String,
    /// What it is about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subject: Option<String>,
    /// When it happened, as RFC 3339 says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub time: Option<String>,
    /// What the data is, as a media type. Without it, JSON.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub datacontenttype: Option<String>,
    /// The schema of the data: a URI.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dataschema: Option<String>,
    /// All other attributes. Numbers and booleans become texts when they are read.
    #[serde(flatten, deserialize_with = "texts")]
    pub extensions: BTreeMap<String, String>,
    /// The data.
    #[serde(
        default = "Option::default",
        skip_serializing_if = "Option::is_none",
        bound(deserialize = "D: Deserialize<'de>")
    )]
    pub data: Option<D>,
}

/// The value of an attribute in JSON.
#[derive(Deserialize)]
#[serde(untagged)]
enum Attribute {
    Text(String),
    Boolean(bool),
    Integer(i64),
}

/// An attribute that is null is not there.
fn texts<'de, D: Deserializer<'de>>(deserializer: D) -> Result<BTreeMap<String, String>, D::Error> {
    let all = BTreeMap::<String, Option<Attribute>>::deserialize(deserializer)?;
    let text = |attribute| match attribute {
        Attribute::Text(text) => text,
        Attribute::Boolean(boolean) => boolean.to_string(),
        Attribute::Integer(integer) => integer.to_string(),
    };
    let there = all.into_iter();
    Ok(there
        .filter_map(|(name, value)| Some((name, text(value?))))
        .collect())
}

/// What is known of a job that becomes a CloudEvent.
pub(crate) struct Described<'a> {
    pub(crate) id: &'a JobId,
    pub(crate) name: &'a str,
    /// The source, if its headers name none.
    pub(crate) source: String,
    pub(crate) headers: &'a [(String, String)],
    pub(crate) enqueued_at: Timestamp,
    /// The version of the data.
    pub(crate) version: u32,
}

impl<D> CloudEvent<D> {
    pub(crate) fn of(job: &Described<'_>, data: D) -> Self {
        let header = |key: &str| {
            let mut headers = job.headers.iter();
            let found = headers.find(|(known, value)| known == key && !value.is_empty());
            found.map(|(_, value)| value.clone())
        };
        let is_extension = |(key, value): &&(String, String)| {
            let fits = is_extension_name(key) && !RESERVED.contains(&key.as_str());
            fits && !value.is_empty() && !value.contains(char::is_control)
        };
        let extensions = job.headers.iter().filter(is_extension).cloned();
        let mut extensions: BTreeMap<_, _> = extensions.collect();
        extensions.insert(SCHEMA_VERSION.to_owned(), job.version.to_string());
        let time = header("time").filter(|time| is_moment(time));
        let time = time.unwrap_or_else(|| job.enqueued_at.to_string());
        Self {
            specversion: SPEC_VERSION.to_owned(),
            id: job.id.to_string(),
            name: job.name.to_owned(),
            source: header("source")
                .filter(|source| is_uri_reference(source))
                .unwrap_or_else(|| job.source.clone()),
            subject: header("subject"),
            time: Some(time).filter(|time| is_moment(time)),
            datacontenttype: header("datacontenttype")
                .filter(|it| is_media_type(it))
                .or_else(|| Some(JSON.to_owned())),
            dataschema: header("dataschema").filter(|schema| is_uri_reference(schema)),
            extensions,
            data: Some(data),
        }
    }

    /// Whether it is as CloudEvents 1.0 says, and can be a job.
    pub(crate) fn check(&self) -> Result<(), Error> {
        let bad = |attribute: &str, why: &str| {
            let what = format!("the CloudEvent {:?} has {attribute} {why}", self.id);
            Err(Error::invalid(what))
        };
        if self.specversion != SPEC_VERSION {
            return bad(
                "the `specversion`",
                &format!("{:?}; {SPEC_VERSION} can be read", self.specversion),
            );
        }
        if !is_uri_reference(&self.source) {
            return bad("a `source`", "that is no URI reference");
        }
        let absent = |it: &Option<String>, is: fn(&str) -> bool| it.as_deref().is_none_or(is);
        if !absent(&self.time, is_moment) {
            return bad("a `time`", "that is none as RFC 3339 says");
        }
        if !absent(&self.dataschema, is_uri_reference) {
            return bad("a `dataschema`", "that is no URI");
        }
        if !absent(&self.datacontenttype, is_media_type) {
            return bad("a `datacontenttype`", "that is no media type");
        }
        if !absent(&self.subject, |subject| !subject.is_empty()) {
            return bad("a `subject`", "that is empty");
        }
        if self.extensions.contains_key("data_base64") {
            return bad("data in base64", "(`data_base64`); a payload is a value");
        }
        let names = || self.extensions.keys();
        let wrong = names().find(|it| !is_extension_name(it) || RESERVED.contains(&it.as_str()));
        if let Some(name) = wrong {
            return bad(
                "an attribute",
                &format!("{name:?}; names have lower-case letters and digits"),
            );
        }
        Ok(())
    }

    /// The version of its data.
    pub(crate) fn version(&self) -> Result<u32, Error> {
        let Some(version) = self.extensions.get(SCHEMA_VERSION) else {
            return Ok(FIRST);
        };
        version.parse().map_err(|_| {
            Error::invalid(format!(
                "the CloudEvent {:?} has the `{SCHEMA_VERSION}` {version:?}; it counts the versions of a type of jobs, from {FIRST} on. Rename the attribute if it means something else",
                self.id
            ))
        })
    }

    /// Whether it can be a job of this type, whose present version the data was read as.
    pub(crate) fn check_type(&self, name: &str, version: u32) -> Result<(), Error> {
        self.check()?;
        let id = &self.id;
        if self.name != name {
            let is = &self.name;
            return Err(Error::invalid(format!(
                "the CloudEvent {id:?} is of type {is:?}, and not {name:?}"
            )));
        }
        if self.extensions.contains_key(SCHEMA_VERSION) && self.version()? != version {
            let is = self.version()?;
            return Err(Error::invalid(format!(
                "the CloudEvent {id:?} has data of version {is} of {name:?}, which is now {version}; as an event of no type (`enqueue_event`, `publish_event`) it goes through the upcasters"
            )));
        }
        Ok(())
    }

    /// What the job carries of it as headers.
    pub(crate) fn headers(&self) -> impl Iterator<Item = (&str, &str)> {
        let attributes = [
            ("source", Some(&self.source)),
            ("subject", self.subject.as_ref()),
            ("time", self.time.as_ref()),
            (
                "datacontenttype",
                self.datacontenttype.as_ref().filter(|it| *it != JSON),
            ),
            ("dataschema", self.dataschema.as_ref()),
        ];
        let attributes = attributes.into_iter();
        let attributes = attributes.filter_map(|(name, value)| Some((name, value?.as_str())));
        let extensions = self.extensions.iter();
        let extensions = extensions.filter(|(name, _)| *name != SCHEMA_VERSION);
        attributes.chain(extensions.map(|(name, value)| (name.as_str(), value.as_str())))
    }
}

/// Whether jobs can say that they come from there.
pub(crate) fn check_source(source: &str) -> Result<(), Error> {
    if is_uri_reference(source) && source.len() <= SOURCE_BYTES_MAX {
        return Ok(());
    }
    Err(Error::invalid(format!(
        "the source {source:?} is no URI reference of 1 to {SOURCE_BYTES_MAX} bytes, such as `https://shop.example/orders` or `/orders`"
    )))
}

/// What a name has in a URI as it is.
const AS_IT_IS: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'@');

/// Where jobs of a queue come from, if nothing else is said.
pub(crate) fn source_of(namespace: &str, queue: &str) -> String {
    let [namespace, queue] = [namespace, queue].map(|it| utf8_percent_encode(it, AS_IT_IS));
    format!("oxcart:{namespace}/{queue}")
}

/// Without the data: what is in it is the application's, and may be secret.
impl<D> fmt::Debug for CloudEvent<D> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let extensions: Vec<_> = self.extensions.keys().collect();
        f.debug_struct("CloudEvent")
            .field("id", &self.id)
            .field("type", &self.name)
            .field("source", &self.source)
            .field("subject", &self.subject)
            .field("time", &self.time)
            .field("extensions", &extensions)
            .finish_non_exhaustive()
    }
}
