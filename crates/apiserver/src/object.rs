//! Reading and writing `metadata` of objects that are plain JSON values.

use serde_json::{Map, Value, json};

use crate::store::ObjectName;

/// The fields of `metadata` that the server itself works with.
pub(crate) trait Object {
    fn metadata(&self) -> &Value;
    fn metadata_mut(&mut self) -> &mut Map<String, Value>;

    fn metadata_text(&self, field: &str) -> &str {
        self.metadata()[field].as_str().unwrap_or_default()
    }

    fn name(&self) -> &str {
        self.metadata_text("name")
    }

    fn namespace(&self) -> &str {
        self.metadata_text("namespace")
    }

    fn uid(&self) -> &str {
        self.metadata_text("uid")
    }

    fn resource_version(&self) -> &str {
        self.metadata_text("resourceVersion")
    }

    fn object_name(&self) -> ObjectName {
        ObjectName::new(self.namespace(), self.name())
    }

    fn is_deleting(&self) -> bool {
        !self.metadata()["deletionTimestamp"].is_null()
    }

    fn finalizers(&self) -> Vec<&str> {
        let list = self.metadata()["finalizers"].as_array();
        list.into_iter().flatten().filter_map(Value::as_str).collect()
    }

    fn set_finalizers(&mut self, finalizers: &[String]) {
        if finalizers.is_empty() {
            self.metadata_mut().shift_remove("finalizers");
        } else {
            self.metadata_mut().insert("finalizers".to_owned(), json!(finalizers));
        }
    }

    fn owner_references(&self) -> &[Value] {
        self.metadata()["ownerReferences"].as_array().map(Vec::as_slice).unwrap_or_default()
    }

    fn set_metadata(&mut self, field: &str, value: Value) {
        self.metadata_mut().insert(field.to_owned(), value);
    }

    fn remove_metadata(&mut self, field: &str) {
        self.metadata_mut().shift_remove(field);
    }
}

impl Object for Value {
    fn metadata(&self) -> &Value {
        &self["metadata"]
    }

    fn metadata_mut(&mut self) -> &mut Map<String, Value> {
        if !self["metadata"].is_object() {
            self["metadata"] = Value::Object(Map::new());
        }
        self["metadata"].as_object_mut().expect("it was made an object above")
    }
}
