//! Decoding that one malformed object cannot stop (H-07).
//!
//! A list or watch of [`Lenient`] objects always decodes; an object that does
//! not fit is kept as [`Malformed`], with the field named, so that it becomes
//! a condition on that one object while all others go on.

use std::borrow::Cow;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::Resource;
use kube::core::DynamicObject;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer};
use serde_json::{Map, Value};
use thiserror::Error;

/// An object, or what is known of one that does not fit its type.
#[derive(Clone, Debug, PartialEq)]
pub enum Lenient<K> {
    /// Fits.
    Valid(Box<K>),
    /// Does not fit.
    Malformed(Box<Malformed>),
}

/// An object that does not fit its type.
#[derive(Clone, Debug, PartialEq)]
pub struct Malformed {
    /// Which object.
    pub metadata: ObjectMeta,
    /// What does not fit.
    pub error: DecodeError,
    /// The object as it came, without nulls.
    pub object: Value,
}

/// What does not fit.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("{path}: {message}")]
pub struct DecodeError {
    /// The field, as a path such as `spec.replicas`; `.` is the object itself.
    pub path: String,
    /// What is wrong with it.
    pub message: String,
}

impl<K> Lenient<K> {
    /// The object or what does not fit.
    ///
    /// # Errors
    /// When the object does not fit its type.
    pub fn into_result(self) -> Result<K, Box<Malformed>> {
        match self {
            Self::Valid(object) => Ok(*object),
            Self::Malformed(malformed) => Err(malformed),
        }
    }

    /// The object, if it fits.
    pub fn valid(&self) -> Option<&K> {
        match self {
            Self::Valid(object) => Some(object),
            Self::Malformed(_) => None,
        }
    }

    /// What does not fit, if anything.
    pub fn malformed(&self) -> Option<&Malformed> {
        match self {
            Self::Valid(_) => None,
            Self::Malformed(malformed) => Some(malformed),
        }
    }
}

/// Decodes one object.
///
/// As the API server does, a member that is null counts as absent, and an
/// object without `spec` as one with an empty `spec`: whether that is enough
/// is for validation to say.
///
/// # Errors
/// When a field does not fit; names it.
pub fn decode<K: DeserializeOwned>(object: Value) -> Result<K, DecodeError> {
    decode_prepared(&prepared(object))
}

fn decode_prepared<K: DeserializeOwned>(object: &Value) -> Result<K, DecodeError> {
    serde_path_to_error::deserialize(object).map_err(|error| DecodeError {
        path: error.path().to_string(),
        message: error.into_inner().to_string(),
    })
}

/// Decodes an object that was watched without a type.
///
/// # Errors
/// When a field does not fit; names it.
pub fn decode_dynamic<K: DeserializeOwned>(object: DynamicObject) -> Result<K, Box<Malformed>> {
    let metadata = object.metadata.clone();
    let object = match serde_json::to_value(object) {
        Ok(object) => object,
        Err(error) => {
            let error = DecodeError { path: ".".to_owned(), message: error.to_string() };
            return Err(Box::new(Malformed { metadata, error, object: Value::Null }));
        }
    };
    let object = prepared(object);
    decode_prepared(&object).map_err(|error| Box::new(Malformed { metadata, error, object }))
}

fn prepared(mut object: Value) -> Value {
    if let Value::Object(members) = &mut object {
        members.entry("spec").or_insert_with(|| Value::Object(Map::new()));
        for member in ["spec", "status"] {
            if let Some(value) = members.get_mut(member) {
                drop_nulls(value);
            }
        }
        if members["spec"].is_null() {
            members["spec"] = Value::Object(Map::new());
        }
        if members.get("status").is_some_and(Value::is_null) {
            members.remove("status");
        }
    }
    object
}

/// Members below which a null is data of somebody else's.
const FOREIGN_MEMBERS: [&str; 2] = ["provider", "template"];

fn drop_nulls(value: &mut Value) {
    match value {
        Value::Object(members) => {
            members.retain(|_, member| !member.is_null());
            members
                .iter_mut()
                .filter(|(name, _)| !FOREIGN_MEMBERS.contains(&name.as_str()))
                .for_each(|(_, member)| drop_nulls(member));
        }
        Value::Array(items) => items.iter_mut().for_each(drop_nulls),
        _ => {}
    }
}

impl<K: DeserializeOwned> Lenient<K> {
    /// Decodes an object of any shape.
    pub fn from_value(object: Value) -> Self {
        let object = prepared(object);
        match decode_prepared(&object) {
            Ok(object) => Self::Valid(Box::new(object)),
            Err(error) => {
                let metadata = metadata_of(object.get("metadata").cloned().unwrap_or_default());
                Self::Malformed(Box::new(Malformed { metadata, error, object }))
            }
        }
    }
}

/// The metadata, or as much of it as tells which object it is.
fn metadata_of(metadata: Value) -> ObjectMeta {
    let text = |name: &str| metadata.get(name).and_then(Value::as_str).map(str::to_owned);
    let (name, namespace) = (text("name"), text("namespace"));
    serde_json::from_value(metadata).unwrap_or(ObjectMeta { name, namespace, ..ObjectMeta::default() })
}

impl<'de, K: DeserializeOwned> Deserialize<'de> for Lenient<K> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Value::deserialize(deserializer).map(Self::from_value)
    }
}

impl<K: Resource> Resource for Lenient<K> {
    type DynamicType = K::DynamicType;
    type Scope = K::Scope;

    fn kind(dynamic: &Self::DynamicType) -> Cow<'_, str> {
        K::kind(dynamic)
    }

    fn group(dynamic: &Self::DynamicType) -> Cow<'_, str> {
        K::group(dynamic)
    }

    fn version(dynamic: &Self::DynamicType) -> Cow<'_, str> {
        K::version(dynamic)
    }

    fn plural(dynamic: &Self::DynamicType) -> Cow<'_, str> {
        K::plural(dynamic)
    }

    fn meta(&self) -> &ObjectMeta {
        match self {
            Self::Valid(object) => object.meta(),
            Self::Malformed(malformed) => &malformed.metadata,
        }
    }

    fn meta_mut(&mut self) -> &mut ObjectMeta {
        match self {
            Self::Valid(object) => object.meta_mut(),
            Self::Malformed(malformed) => &mut malformed.metadata,
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::cell::Cell;

    fn cell(spec: Value) -> Value {
        json!({"apiVersion": "okra.mumo.co/v1alpha1", "kind": "Cell", "metadata": {"name": "web"}, "spec": spec})
    }

    #[test]
    fn a_malformed_object_names_its_field_and_keeps_its_metadata() {
        let object: Lenient<Cell> = serde_json::from_value(cell(json!({"replicas": "two"}))).unwrap();
        let malformed = object.malformed().unwrap();
        assert_eq!(malformed.metadata.name.as_deref(), Some("web"));
        assert_eq!(malformed.error.path, "spec.replicas");
        assert_eq!(malformed.error.to_string(), "spec.replicas: invalid type: string \"two\", expected i64");
        assert_eq!(object.meta().name.as_deref(), Some("web"));
    }

    #[test]
    fn h_07_one_malformed_object_leaves_the_rest_of_a_list_readable() {
        let list = json!([
            cell(json!({"ingress": {"type": 7}})),
            cell(json!({"ingress": {"type": ""}})),
            cell(json!({"ingress": {"type": "AWSNetworkLoadBalancer"}})),
            cell(json!({"ingress": {"type": "Envoy"}})),
        ]);
        let objects: Vec<Lenient<Cell>> = serde_json::from_value(list).unwrap();
        assert_eq!(objects.iter().filter(|object| object.valid().is_some()).count(), 3);
    }

    #[test]
    fn malformed_metadata_still_tells_which_object_it_is() {
        let object = json!({"metadata": {"name": "web", "namespace": "ns", "labels": {"a": 1}}});
        let object: Lenient<Cell> = serde_json::from_value(object).unwrap();
        assert_eq!(object.meta().name.as_deref(), Some("web"));
        assert_eq!(object.malformed().unwrap().error.path, "metadata.labels.a");
        let object: Lenient<Cell> = serde_json::from_value(json!({"metadata": 7})).unwrap();
        assert!(object.malformed().is_some());
    }

    #[test]
    fn null_and_missing_members_count_as_absent() {
        let nulls = json!({"replicas": null, "updateStrategy": {"canary": {"steps": null}}});
        let object: Cell = decode(cell(nulls)).unwrap();
        assert_eq!(object.spec.replicas, None);
        let object: Cell = decode(json!({"metadata": {"name": "web"}, "status": null})).unwrap();
        assert_eq!(object.status, None);
        let object: Cell = decode(cell(Value::Null)).unwrap();
        assert_eq!(object.spec, Default::default());
    }

    #[test]
    fn nulls_that_belong_to_a_provider_survive() {
        let metric = json!({"name": "m", "interval": null, "provider": {"web": {"jsonBody": {"a": null}}}});
        let template: crate::analysis::AnalysisTemplate =
            decode(json!({"metadata": {"name": "t"}, "spec": {"metrics": [metric]}})).unwrap();
        assert_eq!(
            template.spec.metrics,
            [json!({"name": "m", "provider": {"web": {"jsonBody": {"a": null}}}})]
        );
    }
}
