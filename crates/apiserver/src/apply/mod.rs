//! Server-side apply and field ownership (`spec/apiserver.md` 12).
//!
//! Pure functions: objects in, object out. Time is handed in as text, so that the same request at the same time
//! leads to the same bytes. Defaulting is the caller's: what a default adds belongs to nobody.

mod kubectl;
mod managers;
mod merge;
mod scale;
mod set;
#[cfg(test)]
mod tests;
mod typed;
mod update;

use crate::schema::Schema;
use managers::{Manager, Managers, Operation, list_of};
pub use scale::{SCALE, apply_scale, set as set_at};
use serde_json::{Value, json};
use set::{FieldSet, field_element};
use typed::{Comparison, compare, present, specified};
pub use update::track_update;

/// Who writes, through which door and when.
#[derive(Debug, Clone, Copy)]
pub struct Writer<'a> {
    /// The field manager.
    pub manager: &'a str,
    /// The apiVersion of the request.
    pub api_version: &'a str,
    /// `""`, `"status"` or `"scale"`.
    pub subresource: &'a str,
    /// Now, as RFC 3339 with seconds; empty leaves the entry without a time.
    pub time: &'a str,
    /// Whether the kind has a status subresource (then the main door never owns `status`).
    pub has_status: bool,
    /// The apiVersions that the kind has; nothing if it never loses one. What was recorded for another is forgotten:
    /// nobody can say any more which fields its paths meant (12.5).
    pub versions: Option<&'a [String]>,
}

/// One field another manager owns with another value.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Conflict {
    /// `"u" using v1` or `"s" with subresource "scale" using g.io/v1`.
    pub manager: String,
    /// The path with a leading dot, `.spec.replicas`.
    pub field: String,
}

impl Conflict {
    /// The entry of `details.causes`.
    pub fn cause(&self) -> Value {
        json!({
            "reason": "FieldManagerConflict",
            "message": format!("conflict with {}", self.manager),
            "field": self.field,
        })
    }
}

/// Why an apply was refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ApplyError {
    /// The body does not fit the schema (422).
    #[error("{0}")]
    Unfit(String),
    /// Other managers own fields with other values (409).
    #[error("{}", conflict_message(.0))]
    Conflicts(Vec<Conflict>),
    /// `metadata.managedFields must be nil` (400).
    #[error("{0}")]
    BadRequest(String),
}

/// The Status message of a conflict (12.4).
pub fn conflict_message(conflicts: &[Conflict]) -> String {
    if let [conflict] = conflicts {
        return format!(
            "Apply failed with 1 conflict: conflict with {}: {}",
            conflict.manager, conflict.field
        );
    }
    let mut lines = Vec::new();
    let mut last = None;
    for conflict in conflicts {
        if last != Some(&conflict.manager) {
            lines.push(format!("conflicts with {}:", conflict.manager));
            last = Some(&conflict.manager);
        }
        lines.push(format!("- {}", conflict.field));
    }
    format!("Apply failed with {} conflicts: {}", conflicts.len(), lines.join("\n"))
}

/// What an apply leads to.
#[derive(Debug, Clone, PartialEq)]
pub enum Outcome {
    /// Nothing at all changes: answer with the live object untouched.
    Unchanged,
    /// The object to store, managedFields included; defaults not yet filled in.
    Changed(Value),
}

/// Merges the applied configuration into the live object. The caller has checked kind, name, version and that the
/// manager is named.
pub fn apply(
    schema: &Schema,
    live: Option<&Value>,
    applied: &Value,
    writer: &Writer<'_>,
    force: bool,
) -> Result<Outcome, ApplyError> {
    check_body(schema, applied)?;
    let body = filtered(applied, live.is_some(), writer);
    let attempt = Attempt { schema, live, body: &body, writer };
    let outcome = match attempt.run(force) {
        Err(conflicts) => attempt.as_kubectl(conflicts)?,
        Ok(outcome) => outcome,
    };
    if writer.manager != kubectl::MANAGER || !writer.subresource.is_empty() {
        return Ok(outcome);
    }
    let mut object = match (&outcome, live) {
        (Outcome::Changed(object), _) => object.clone(),
        (Outcome::Unchanged, Some(live)) => live.clone(),
        (Outcome::Unchanged, None) => return Ok(outcome),
    };
    kubectl::refresh_annotation(&mut object, applied);
    Ok(if live == Some(&object) { Outcome::Unchanged } else { Outcome::Changed(object) })
}

/// Whether two objects differ at most in the times of their managedFields (a write that may be dropped).
pub fn same_but_times(a: &Value, b: &Value) -> bool {
    if a == b {
        return true;
    }
    let without_times = |object: &Value| {
        let mut managers = Managers::of(object);
        managers.0.iter_mut().for_each(|manager| manager.time = None);
        managers.0.sort_by(|a, b| {
            (&a.name, a.operation, &a.subresource, &a.api_version).cmp(&(
                &b.name,
                b.operation,
                &b.subresource,
                &b.api_version,
            ))
        });
        managers
    };
    without_managed_fields(a) == without_managed_fields(b) && without_times(a) == without_times(b)
}

fn without_managed_fields(object: &Value) -> Value {
    let mut object = object.clone();
    if let Some(Value::Object(metadata)) = object.get_mut("metadata") {
        metadata.shift_remove("managedFields");
    }
    object
}

fn check_body(schema: &Schema, applied: &Value) -> Result<(), ApplyError> {
    if list_of(applied).is_some_and(|list| !list.is_null()) {
        return Err(ApplyError::BadRequest("metadata.managedFields must be nil".to_owned()));
    }
    let faults = typed::faults(schema, applied);
    if faults.is_empty() {
        return Ok(());
    }
    let text = |value: Option<&Value>| value.and_then(Value::as_str).unwrap_or_default().to_owned();
    let metadata = applied.get("metadata");
    let namespace = text(metadata.and_then(|metadata| metadata.get("namespace")));
    let name = text(metadata.and_then(|metadata| metadata.get("name")));
    let (version, kind) = (text(applied.get("apiVersion")), text(applied.get("kind")));
    let version = if version.contains('/') { version } else { format!("/{version}") };
    let detail = match faults.as_slice() {
        [one] => one.clone(),
        several => format!("errors:\n  {}", several.join("\n  ")),
    };
    Err(ApplyError::Unfit(format!(
        "failed to create typed patch object ({namespace}/{name}; {version}, Kind={kind}): {detail}"
    )))
}

/// Fields of metadata that nobody owns (12.1).
const UNTRACKED_METADATA: &[&str] = &[
    "name",
    "namespace",
    "creationTimestamp",
    "selfLink",
    "uid",
    "clusterName",
    "generation",
    "managedFields",
    "resourceVersion",
];

/// The applied body as far as its door lets it in: no status on the main path, only status on `/status`, and onto
/// a live object nothing that the server alone sets.
fn filtered(applied: &Value, exists: bool, writer: &Writer<'_>) -> Value {
    let mut body = applied.clone();
    let Value::Object(fields) = &mut body else { return body };
    match writer.subresource {
        "status" => fields.retain(|name, _| ["apiVersion", "kind", "status"].contains(&name.as_str())),
        _ if writer.has_status => {
            fields.shift_remove("status");
        }
        _ => {}
    }
    if let Some(Value::Object(metadata)) = fields.get_mut("metadata") {
        metadata.shift_remove("managedFields");
        if exists {
            metadata.retain(|name, _| !UNTRACKED_METADATA.contains(&name.as_str()));
        }
    }
    body
}

/// Takes out of a set what is never tracked, or not through this door.
fn strip_set(set: &mut FieldSet, writer: &Writer<'_>) {
    if writer.subresource == "status" {
        let status = set.remove("f:status");
        *set = FieldSet::default();
        set.put("f:status".to_owned(), status.unwrap_or_default());
        return;
    }
    if writer.has_status {
        set.remove("f:status");
    }
    set.remove("f:apiVersion");
    set.remove("f:kind");
    if let Some(mut metadata) = set.remove("f:metadata") {
        metadata.member = false;
        for name in UNTRACKED_METADATA {
            metadata.below.remove(&field_element(name));
        }
        set.put("f:metadata".to_owned(), metadata);
    }
}

fn strip(mut comparison: Comparison, writer: &Writer<'_>) -> Comparison {
    for set in [&mut comparison.added, &mut comparison.modified, &mut comparison.removed] {
        strip_set(set, writer);
    }
    comparison
}

struct Attempt<'a> {
    schema: &'a Schema,
    live: Option<&'a Value>,
    body: &'a Value,
    writer: &'a Writer<'a>,
}

/// The conflicting set of each manager.
struct Conflicts(Vec<(Manager, FieldSet)>);

impl Attempt<'_> {
    fn run(&self, force: bool) -> Result<Outcome, Conflicts> {
        let (schema, writer) = (self.schema, self.writer);
        let mut managers = self.live.map(|live| live_managers(schema, live, writer)).unwrap_or_default();
        let empty = json!({});
        let live = self.live.unwrap_or(&empty);
        let mut own = Manager::new(writer, Operation::Apply);
        let before = managers.position(&own).map(|at| managers.0.remove(at));
        own.set = specified(Some(schema), self.body);
        strip_set(&mut own.set, writer);

        let merged = merge::merge(Some(schema), live, self.body);
        let merged = match &before {
            Some(before) => self.prune(merged, &before.set, &own.set.union(&managers.union())),
            None => merged,
        };
        let comparison = strip(compare(schema, live, &merged), writer);
        let changed = comparison.changed();
        let conflicts: Vec<(Manager, FieldSet)> = managers
            .0
            .iter()
            .map(|manager| (manager.clone(), manager.set.intersection(&changed)))
            .filter(|(_, set)| !set.is_empty())
            .collect();
        if !force && !conflicts.is_empty() {
            return Err(Conflicts(conflicts));
        }
        for manager in &mut managers.0 {
            manager.set = manager.set.difference(&changed).difference(&comparison.removed);
        }
        let same_object = self.live.is_some() && comparison.is_same();
        if same_object && own.set.is_empty() && Managers::of(live).0.is_empty() {
            // An apply that says nothing about an object nobody tracks does not begin to track it.
            return Ok(Outcome::Unchanged);
        }
        own.time = match (same_object, &before) {
            (true, before) => before.as_ref().and_then(|before| before.time.clone()),
            (false, _) => Some(writer.time.to_owned()).filter(|time| !time.is_empty()),
        };
        managers.0.push(own);
        let mut object = if same_object { live.clone() } else { merged };
        managers.store(&mut object);
        Ok(if self.live.is_some_and(|live| same_but_times(live, &object)) {
            Outcome::Unchanged
        } else {
            Outcome::Changed(object)
        })
    }

    /// Removes what the manager applied before, applies no longer, and nobody owns (step 5).
    fn prune(&self, merged: Value, before: &FieldSet, owned: &FieldSet) -> Value {
        let schema = Some(self.schema);
        let before = merge::with_declared_parents(schema, before);
        let pruned = merge::without(schema, &merged, &before);
        if pruned == merged {
            return merged;
        }
        let all = present(schema, &merged);
        // What the body says or others own comes back, and what holds it.
        let kept = present(schema, &pruned).union(&present(schema, self.body)).union(&owned.with_parents());
        let pruned = merge::without(schema, &merged, &all.difference(&kept));
        // What the manager never owned comes back too.
        let gone = all.difference(&present(schema, &pruned)).intersection(&before);
        merge::without(schema, &merged, &gone)
    }

    /// Gives `kubectl` what it had applied from the client side before (12.6), then reports what is left.
    fn as_kubectl(&self, conflicts: Conflicts) -> Result<Outcome, ApplyError> {
        let mut conflicts = conflicts.0;
        if self.writer.manager == kubectl::MANAGER
            && let Some(live) = self.live
        {
            let own = kubectl::unchanged_since_client_side(self.schema, live);
            for (_, set) in &mut conflicts {
                *set = set.difference(&own);
            }
            conflicts.retain(|(_, set)| !set.is_empty());
            if conflicts.is_empty()
                && let Ok(outcome) = self.run(true)
            {
                return Ok(outcome);
            }
        }
        conflicts.sort_by(|(a, _), (b, _)| {
            (&a.name, a.operation, &a.subresource).cmp(&(&b.name, b.operation, &b.subresource))
        });
        let listed = conflicts.iter().flat_map(|(manager, set)| {
            let manager = manager.shown();
            set.paths().into_iter().map(move |field| Conflict { manager: manager.clone(), field })
        });
        Err(ApplyError::Conflicts(listed.collect()))
    }
}

/// The stored entries, fitted to the schema of today. An object nobody tracked belongs, as a whole, to
/// `before-first-apply`.
fn live_managers(schema: &Schema, live: &Value, writer: &Writer<'_>) -> Managers {
    let mut managers = Managers::of(live);
    if managers.0.is_empty() {
        let created = live.get("metadata").and_then(|metadata| metadata.get("creationTimestamp"));
        let first = Writer {
            manager: "before-first-apply",
            time: created.and_then(Value::as_str).unwrap_or_default(),
            subresource: "",
            ..*writer
        };
        let comparison = strip(compare(schema, &json!({}), live), &first);
        update::record(&mut managers, &comparison, &first);
    }
    managers.forget_lost_versions(writer);
    for manager in &mut managers.0 {
        manager.set = merge::reconcile(Some(schema), &manager.set);
    }
    managers
}

/// Reads the managedFields of an object as pairs of manager and paths, for tests and diagnostics.
pub fn owners(object: &Value) -> Vec<(String, Vec<String>)> {
    Managers::of(object).0.iter().map(|manager| (manager.name.clone(), manager.set.paths())).collect()
}
