//! The schema of `metadata`, which no CRD may change (`spec/apiserver.md` 13.2, 13.3).

use super::{ListType, Properties, Schema, Strategy, Type};
use serde_json::Value;
use std::collections::BTreeMap;
use std::sync::LazyLock;

fn object(fields: impl IntoIterator<Item = (&'static str, Schema)>) -> Schema {
    let fields = fields.into_iter().map(|(name, schema)| (name.to_owned(), schema)).collect();
    Schema { properties: Properties::Own(fields), ..Schema::of(Type::Object) }
}

fn strings(names: &[&'static str]) -> Vec<(&'static str, Schema)> {
    names.iter().map(|name| (*name, Schema::of(Type::String))).collect()
}

fn string_map() -> Schema {
    // Go reads null in a map of texts as the empty text.
    let text = Schema { default: Some(Value::from("")), ..Schema::of(Type::String) };
    Schema { additional: Some(Box::new(text)), ..Schema::of(Type::Object) }
}

fn list(items: Schema, list_type: ListType, strategy: Strategy) -> Schema {
    Schema { items: Some(Box::new(items)), list_type, strategy, ..Schema::of(Type::Array) }
}

fn owner_reference() -> Schema {
    let mut fields = strings(&["apiVersion", "kind", "name", "uid"]);
    fields.push(("controller", Schema::of(Type::Boolean)));
    fields.push(("blockOwnerDeletion", Schema::of(Type::Boolean)));
    Schema { atomic: true, ..object(fields) }
}

fn managed_fields_entry() -> Schema {
    let names = ["manager", "operation", "apiVersion", "time", "fieldsType", "subresource"];
    let mut fields = strings(&names);
    fields.push(("fieldsV1", Schema::anything()));
    object(fields)
}

/// The schema of ObjectMeta. Clients send `creationTimestamp: null` all the time: defaulting drops the nulls.
pub(crate) fn object_meta() -> &'static Schema {
    static META: LazyLock<Schema> = LazyLock::new(|| {
        let mut fields = strings(&[
            "name",
            "generateName",
            "namespace",
            "selfLink",
            "uid",
            "resourceVersion",
            "creationTimestamp",
            "deletionTimestamp",
        ]);
        fields.push(("generation", Schema::of(Type::Integer)));
        fields.push(("deletionGracePeriodSeconds", Schema::of(Type::Integer)));
        fields.push(("labels", string_map()));
        fields.push(("annotations", string_map()));
        let by_uid = Strategy { merge: true, key: Some("uid".to_owned()) };
        let key = ListType::Map(vec!["uid".to_owned()]);
        fields.push(("ownerReferences", list(owner_reference(), key, by_uid)));
        let merged = Strategy { merge: true, key: None };
        fields.push(("finalizers", list(Schema::of(Type::String), ListType::Set, merged)));
        fields.push(("managedFields", list(managed_fields_entry(), ListType::Atomic, Strategy::default())));
        Schema { always_present: true, ..object(fields) }
    });
    &META
}

/// The three fields every object has, for the root and for embedded resources.
pub(crate) fn resource_fields() -> BTreeMap<String, Schema> {
    BTreeMap::from([
        ("apiVersion".to_owned(), Schema::of(Type::String)),
        ("kind".to_owned(), Schema::of(Type::String)),
        ("metadata".to_owned(), object_meta().clone()),
    ])
}
