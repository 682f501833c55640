//! What the store holds: objects, their names, and changes of them.

use std::fmt;
use std::sync::{Arc, OnceLock};

use bytes::Bytes;
use serde_json::Value;

/// The number of a committed write; larger is later.
pub(crate) type Revision = u64;

/// The collection an object is stored in: `group/plural`, the same for all versions.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct ResourceId(Arc<str>);

impl ResourceId {
    pub(crate) fn new(group: &str, plural: &str) -> Self {
        Self(format!("{group}/{plural}").into())
    }

    pub(crate) fn from_text(text: &str) -> Self {
        Self(text.into())
    }

    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for ResourceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Namespace (empty for cluster scope) and name; ordered as lists are.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct ObjectName {
    pub(crate) namespace: String,
    pub(crate) name: String,
}

impl ObjectName {
    pub(crate) fn new(namespace: impl Into<String>, name: impl Into<String>) -> Self {
        Self { namespace: namespace.into(), name: name.into() }
    }
}

/// One state of one object, with its `metadata.resourceVersion`.
#[derive(Debug)]
pub(crate) struct Record {
    pub(crate) revision: Revision,
    pub(crate) value: Value,
    json: OnceLock<Bytes>,
}

impl Record {
    pub(crate) fn new(revision: Revision, value: Value) -> Self {
        Self { revision, value, json: OnceLock::new() }
    }

    pub(super) fn encoded(revision: Revision, value: Value, json: Bytes) -> Self {
        Self { revision, value, json: json.into() }
    }

    /// The object as compact JSON; encoded at most once.
    pub(crate) fn json(&self) -> Bytes {
        self.json
            .get_or_init(|| serde_json::to_vec(&self.value).expect("a JSON value encodes").into())
            .clone()
    }
}

/// What a change left behind.
#[derive(Clone, Debug)]
pub(crate) enum Outcome {
    /// The object as it is since.
    Stored(Arc<Record>),
    /// The object's last content, with the revision of the delete.
    Deleted(Arc<Record>),
}

/// One committed change.
#[derive(Debug)]
pub(crate) struct Change {
    pub(crate) resource: ResourceId,
    pub(crate) name: ObjectName,
    pub(crate) previous: Option<Arc<Record>>,
    pub(crate) outcome: Outcome,
}

impl Change {
    /// The revision of the change.
    pub(crate) fn revision(&self) -> Revision {
        self.record().revision
    }

    /// The state stored, or the last content of what was deleted.
    pub(crate) fn record(&self) -> &Arc<Record> {
        match &self.outcome {
            Outcome::Stored(record) | Outcome::Deleted(record) => record,
        }
    }
}
