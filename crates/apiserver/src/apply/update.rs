//! Ownership after a create, replace or patch (`spec/apiserver.md` 12.3).

use super::managers::{Manager, Managers, Operation, list_of};
use super::set::FieldSet;
use super::typed::{Comparison, compare};
use super::{Writer, strip};
use crate::schema::Schema;
use serde_json::{Value, json};

/// Records in `new.metadata.managedFields` what a create (`old` is none), replace or patch changed. `new` may carry a
/// managedFields list of its own, as a client that edits it sends.
pub fn track_update(schema: &Schema, old: Option<&Value>, new: &mut Value, writer: &Writer<'_>) {
    ensure_metadata(new);
    let Some(mut managers) = starting_point(old, new, writer) else {
        Managers::default().store(new);
        return;
    };
    if old.is_some() && managers.0.is_empty() {
        // An object nobody tracks stays untracked until its first apply.
        managers.store(new);
        return;
    }
    managers.forget_lost_versions(writer);
    let empty = json!({});
    let comparison = compare(schema, old.unwrap_or(&empty), new);
    record(&mut managers, &strip(comparison, writer), writer);
    managers.store(new);
}

fn ensure_metadata(object: &mut Value) {
    if let Value::Object(fields) = object {
        fields.entry("metadata").or_insert_with(|| json!({}));
    }
}

/// The entries to start from; none if the client erased them (step 2).
fn starting_point(old: Option<&Value>, new: &Value, writer: &Writer<'_>) -> Option<Managers> {
    let stored = old.map(Managers::of).unwrap_or_default();
    if !writer.subresource.is_empty() {
        return Some(stored);
    }
    let sent = list_of(new);
    if sent.is_some_and(is_reset) {
        return None;
    }
    match Managers::decode(sent) {
        Some(sent) if !sent.0.is_empty() => Some(sent),
        _ => Some(stored),
    }
}

/// An empty list, or one entry that says nothing.
fn is_reset(list: &Value) -> bool {
    let blank = |entry: &Value| {
        entry
            .as_object()
            .is_some_and(|fields| fields.values().all(|value| value.is_null() || value.as_str() == Some("")))
    };
    match list.as_array().map(Vec::as_slice) {
        Some([]) => true,
        Some([entry]) => blank(entry),
        _ => false,
    }
}

/// Gives the writer what it added or changed, and takes from the others what it changed or removed (steps 4, 5).
pub(super) fn record(managers: &mut Managers, comparison: &Comparison, writer: &Writer<'_>) {
    let changed: FieldSet = comparison.changed();
    for manager in &mut managers.0 {
        manager.set = manager.set.difference(&changed).difference(&comparison.removed);
    }
    if changed.is_empty() {
        return;
    }
    let mut own = Manager::new(writer, Operation::Update);
    if let Some(at) = managers.position(&own) {
        own = managers.0.remove(at);
    }
    own.set.extend(&changed);
    own.time = Some(writer.time.to_owned()).filter(|time| !time.is_empty());
    managers.0.push(own);
}
