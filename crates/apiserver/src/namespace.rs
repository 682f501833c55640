//! Namespaces: what every one has, and how one goes (spec/apiserver.md 10.4).

use serde_json::{Value, json};

use crate::object::Object;

/// Holds a Namespace until its content is gone.
const CONTENT_FINALIZER: &str = "kubernetes";

/// Fills in what a new Namespace always has.
pub(crate) fn complete(namespace: &mut Value) {
    let name = namespace.name().to_owned();
    let labels = namespace.metadata_mut().entry("labels").or_insert_with(|| json!({}));
    labels["kubernetes.io/metadata.name"] = json!(name);
    let finalizers = namespace["spec"]["finalizers"].as_array();
    if finalizers.is_none_or(|finalizers| !finalizers.contains(&json!(CONTENT_FINALIZER))) {
        namespace["spec"]["finalizers"] = json!([CONTENT_FINALIZER]);
    }
    namespace["status"]["phase"] = json!("Active");
}
