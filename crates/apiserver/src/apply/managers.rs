//! `metadata.managedFields`: who owns what (`spec/apiserver.md` 12.1).

use super::Writer;
use super::set::FieldSet;
use serde_json::{Map, Value};

/// Most Update entries of one object; the oldest are merged beyond that (12.3, step 6).
pub(super) const UPDATE_ENTRY_LIMIT: usize = 10;
const ANCIENT: &str = "ancient-changes";

/// Which kind of write an entry records; part of its identity.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Operation {
    Apply,
    Update,
}

/// One entry of managedFields.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Manager {
    pub(super) name: String,
    pub(super) operation: Operation,
    pub(super) api_version: String,
    pub(super) subresource: String,
    pub(super) time: Option<String>,
    pub(super) set: FieldSet,
}

impl Manager {
    pub(super) fn new(writer: &Writer<'_>, operation: Operation) -> Self {
        Manager {
            name: writer.manager.to_owned(),
            operation,
            api_version: writer.api_version.to_owned(),
            subresource: writer.subresource.to_owned(),
            time: None,
            set: FieldSet::default(),
        }
    }

    /// Manager, operation and subresource; for updates also the version.
    pub(super) fn is(&self, other: &Manager) -> bool {
        self.name == other.name
            && self.operation == other.operation
            && self.subresource == other.subresource
            && (self.operation == Operation::Apply || self.api_version == other.api_version)
    }

    fn decode(entry: &Value) -> Option<Manager> {
        let text = |name: &str| match entry.get(name) {
            None | Some(Value::Null) => Some(String::new()),
            Some(Value::String(text)) => Some(text.clone()),
            Some(_) => None,
        };
        let operation = match text("operation")?.as_str() {
            "Apply" => Operation::Apply,
            "Update" => Operation::Update,
            _ => return None,
        };
        if !["", "FieldsV1"].contains(&text("fieldsType")?.as_str()) {
            return None;
        }
        Some(Manager {
            name: text("manager")?,
            operation,
            api_version: text("apiVersion")?,
            subresource: text("subresource")?,
            time: Some(text("time")?).filter(|time| !time.is_empty()),
            set: match entry.get("fieldsV1") {
                None | Some(Value::Null) => FieldSet::default(),
                Some(fields) => FieldSet::decode(fields)?,
            },
        })
    }

    fn encode(&self) -> Value {
        let mut entry = Map::new();
        let mut put = |name: &str, value: Value| {
            entry.insert(name.to_owned(), value);
        };
        put("manager", self.name.as_str().into());
        let operation = match self.operation {
            Operation::Apply => "Apply",
            Operation::Update => "Update",
        };
        put("operation", operation.into());
        put("apiVersion", self.api_version.as_str().into());
        if let Some(time) = &self.time {
            put("time", time.as_str().into());
        }
        put("fieldsType", "FieldsV1".into());
        put("fieldsV1", self.set.encode());
        if !self.subresource.is_empty() {
            put("subresource", self.subresource.as_str().into());
        }
        Value::Object(entry)
    }

    /// `"u" using v1`, as conflicts name a manager.
    pub(super) fn shown(&self) -> String {
        let mut text = crate::schema::quoted(&self.name);
        if !self.subresource.is_empty() {
            text += &format!(" with subresource {}", crate::schema::quoted(&self.subresource));
        }
        if self.operation == Operation::Update {
            text += &format!(" using {}", self.api_version);
        }
        text
    }
}

/// All entries of one object.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Managers(pub(super) Vec<Manager>);

impl Managers {
    /// Reads a managedFields list; `None` if any entry is not one.
    pub(super) fn decode(list: Option<&Value>) -> Option<Managers> {
        match list {
            None | Some(Value::Null) => Some(Managers::default()),
            Some(Value::Array(entries)) => {
                entries.iter().map(Manager::decode).collect::<Option<_>>().map(Managers)
            }
            Some(_) => None,
        }
    }

    /// The entries of a stored object; unreadable ones count as none.
    pub(super) fn of(object: &Value) -> Managers {
        Managers::decode(list_of(object)).unwrap_or_default()
    }

    pub(super) fn position(&self, who: &Manager) -> Option<usize> {
        self.0.iter().position(|manager| manager.is(who))
    }

    /// Drops the entries of versions that the kind no longer has.
    pub(super) fn forget_lost_versions(&mut self, writer: &Writer<'_>) {
        if let Some(versions) = writer.versions {
            self.0.retain(|manager| versions.contains(&manager.api_version));
        }
    }

    /// Everything any entry owns.
    pub(super) fn union(&self) -> FieldSet {
        let mut all = FieldSet::default();
        for manager in &self.0 {
            all.extend(&manager.set);
        }
        all
    }

    /// Writes the entries into the object, in upstream's order; no entries, no field.
    pub(super) fn store(mut self, object: &mut Value) {
        self.0.retain(|manager| !manager.set.is_empty());
        self.merge_ancient();
        self.0.sort_by(|a, b| {
            (a.operation, &a.time, &a.name, &a.api_version, &a.subresource).cmp(&(
                b.operation,
                &b.time,
                &b.name,
                &b.api_version,
                &b.subresource,
            ))
        });
        let Some(Value::Object(metadata)) = object.get_mut("metadata") else { return };
        if self.0.is_empty() {
            metadata.shift_remove("managedFields");
        } else {
            let entries = self.0.iter().map(Manager::encode).collect();
            metadata.insert("managedFields".to_owned(), Value::Array(entries));
        }
    }

    /// Merges the oldest Update entries, one bucket per version, until few enough remain.
    fn merge_ancient(&mut self) {
        let mut updates: Vec<Manager> = Vec::new();
        self.0.retain(|manager| {
            let update = manager.operation == Operation::Update;
            if update {
                updates.push(manager.clone());
            }
            !update
        });
        updates.sort_by(|a, b| (&a.time, &a.name).cmp(&(&b.time, &b.name)));
        while updates.len() > UPDATE_ENTRY_LIMIT {
            let pair = (0..updates.len()).find_map(|first| {
                let second = (first + 1..updates.len())
                    .find(|second| updates[*second].api_version == updates[first].api_version)?;
                Some((first, second))
            });
            let Some((first, second)) = pair else { break };
            let newer = updates.remove(second);
            let bucket = &mut updates[first];
            bucket.name = ANCIENT.to_owned();
            bucket.subresource = String::new();
            bucket.set.extend(&newer.set);
            bucket.time = newer.time;
        }
        self.0.extend(updates);
    }
}

/// `metadata.managedFields` of an object.
pub(super) fn list_of(object: &Value) -> Option<&Value> {
    object.get("metadata")?.get("managedFields")
}
