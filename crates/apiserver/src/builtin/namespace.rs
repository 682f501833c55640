//! Namespace (`spec/apiserver.md` 10.4).

use super::object_at;
use serde_json::{Value, json};

/// The label every namespace carries.
const NAME_LABEL: &str = "kubernetes.io/metadata.name";

pub(super) fn default(object: &mut Value, old: Option<&Value>) {
    let name = object["metadata"]["name"].clone();
    if !name.is_null()
        && let Some(metadata) = object.get_mut("metadata")
        && let Some(labels) = object_at(metadata, "labels")
    {
        labels.insert(NAME_LABEL.to_owned(), name);
    }
    match old {
        // Finalizers of the spec change through `/finalize` only.
        Some(old) => object["spec"] = old.get("spec").cloned().unwrap_or_else(|| json!({})),
        None => {
            object["spec"] = json!({"finalizers": ["kubernetes"]});
            object["status"] = json!({"phase": "Active"});
        }
    }
}
