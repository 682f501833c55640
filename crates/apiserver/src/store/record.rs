//! What the store holds: objects, their names, and changes of them.

use std::borrow::Cow;
use std::fmt;
use std::ops::Deref;
use std::sync::{Arc, OnceLock};

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

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

/// An object as compact JSON, as a decoded value, or both; each is made from
/// the other when it is first needed.
///
/// A decoded object takes about five times the memory of its JSON. The store
/// therefore keeps JSON, and drops decoded values that nobody needs any more
/// ([`Record::cold`]). Code that looks at many objects uses [`Record::peek`],
/// which leaves nothing behind.
pub(crate) struct Content {
    json: OnceLock<Bytes>,
    value: OnceLock<Value>,
}

impl Content {
    fn is_decoded(&self) -> bool {
        self.value.get().is_some()
    }

    /// The JSON; it exists whenever the value does not.
    fn encoded(&self) -> &Bytes {
        self.json.get_or_init(|| {
            let value = self.value.get().expect("content is encoded or decoded");
            serde_json::to_vec(value).expect("a JSON value encodes").into()
        })
    }

    fn decode(&self) -> Value {
        serde_json::from_slice(self.encoded()).expect("what the store holds was checked to be JSON")
    }
}

impl Deref for Content {
    type Target = Value;

    fn deref(&self) -> &Value {
        self.value.get_or_init(|| self.decode())
    }
}

impl fmt::Debug for Content {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&String::from_utf8_lossy(self.encoded()))
    }
}

impl PartialEq<Content> for Value {
    fn eq(&self, other: &Content) -> bool {
        *self == **other
    }
}

/// One state of one object, with its `metadata.resourceVersion`.
#[derive(Debug)]
pub(crate) struct Record {
    pub(crate) revision: Revision,
    /// The object; using it keeps it decoded for a while.
    pub(crate) value: Content,
}

impl Record {
    /// A state that is decoded already, usually one that is not stored.
    pub(crate) fn new(revision: Revision, value: Value) -> Self {
        Self { revision, value: Content { json: OnceLock::new(), value: value.into() } }
    }

    /// A stored state. `json` must be one JSON document.
    pub(super) fn stored(revision: Revision, json: Bytes) -> Self {
        Self { revision, value: Content { json: json.into(), value: OnceLock::new() } }
    }

    /// The object as compact JSON.
    pub(crate) fn json(&self) -> Bytes {
        self.value.encoded().clone()
    }

    /// The object, decoded for this use alone unless it is decoded already.
    pub(crate) fn peek(&self) -> Cow<'_, Value> {
        match self.value.value.get() {
            Some(value) => Cow::Borrowed(value),
            None => Cow::Owned(self.value.decode()),
        }
    }

    /// The labels, without decoding the rest.
    pub(crate) fn labels(&self) -> Cow<'_, Map<String, Value>> {
        if let Some(value) = self.value.value.get() {
            return value["metadata"]["labels"].as_object().map(Cow::Borrowed).unwrap_or_default();
        }
        let labelled: Result<Labelled, _> = serde_json::from_slice(self.value.encoded());
        Cow::Owned(labelled.ok().and_then(|labelled| labelled.metadata.labels).unwrap_or_default())
    }

    /// The object without what neither ownership nor deletion depends on, and
    /// without decoding that: most of an object, looked at after every write.
    pub(crate) fn lifecycle(&self) -> Value {
        let found: Result<Lifecycle, _> = serde_json::from_slice(self.value.encoded());
        let metadata = found.map(|found| found.metadata).unwrap_or_default();
        json!({ "metadata": metadata })
    }

    /// Whether a decoded value is kept.
    pub(super) fn is_warm(&self) -> bool {
        self.value.is_decoded()
    }

    /// The same state with the same JSON, and a decoded value of its own.
    pub(super) fn twin(&self) -> Arc<Self> {
        Arc::new(Self::stored(self.revision, self.json()))
    }

    /// The same state without its decoded value.
    pub(super) fn cold(self: &Arc<Self>) -> Arc<Self> {
        if self.is_warm() { self.twin() } else { self.clone() }
    }
}

/// As much of an object as its labels need.
#[derive(Deserialize)]
struct Labelled {
    #[serde(default)]
    metadata: LabelledMetadata,
}

#[derive(Default, Deserialize)]
struct LabelledMetadata {
    #[serde(default)]
    labels: Option<Map<String, Value>>,
}

/// As much of an object as its life and its owners' lives need.
#[derive(Deserialize)]
struct Lifecycle {
    #[serde(default)]
    metadata: LifecycleMetadata,
}

#[derive(Default, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
struct LifecycleMetadata {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    name: Option<Value>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    namespace: Option<Value>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    uid: Option<Value>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    deletion_timestamp: Option<Value>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    finalizers: Option<Value>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    owner_references: Option<Value>,
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
