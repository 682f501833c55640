//! The operations of a document.

use super::components::{Names, Schemas};
use super::{OpenApiKind, OpenApiSource};
use crate::builtin::by_plural;
use serde_json::{Map, Value, json};

const JSON: &str = "application/json";
const YAML: &str = "application/yaml";
/// No strategic merge patch: see the head of the module.
const PATCHES: &[&str] =
    &["application/apply-patch+yaml", "application/json-patch+json", "application/merge-patch+json"];

/// Adds the paths of one kind.
pub(super) fn add(
    paths: &mut Map<String, Value>,
    group: &str,
    version: &str,
    kind: &OpenApiKind<'_>,
    names: &Names,
    schemas: &mut Schemas,
) {
    let root = if group.is_empty() { format!("/api/{version}") } else { format!("/apis/{group}/{version}") };
    let base = if kind.namespaced { format!("{root}/namespaces/{{namespace}}") } else { root.clone() };
    let builtin = match kind.source {
        OpenApiSource::Builtin => by_plural(group, version, kind.plural),
        OpenApiSource::Custom { .. } => None,
    };
    let identity = json!({"group": group, "version": version, "kind": kind.kind});
    let object = Operations { kind: kind.kind, identity: &identity, component: &names.object };
    let collection = format!("{base}/{}", kind.plural);
    if builtin.is_some_and(|builtin| !builtin.stored) {
        paths.insert(collection, with_parameters(kind, false, json!({"post": object.create()})));
        return;
    }
    let list = Operations { component: &names.list, ..object };
    let status = schemas.meta("Status");
    let delete_options = schemas.add_type("v1", "DeleteOptions");
    let operations = json!({"get": list.list(), "post": object.create(), "delete": object.delete("deletecollection", &status, &delete_options)});
    paths.insert(collection.clone(), with_parameters(kind, false, operations));
    if kind.namespaced {
        paths.insert(format!("{root}/{}", kind.plural), json!({"get": list.list()}));
    }
    let mut operations = object.read_and_write(schemas);
    operations["delete"] = object.delete("delete", &status, &delete_options);
    paths.insert(format!("{collection}/{{name}}"), with_parameters(kind, true, operations));
    if kind.status {
        let operations = object.read_and_write(schemas);
        paths.insert(format!("{collection}/{{name}}/status"), with_parameters(kind, true, operations));
    }
    if kind.scale {
        let component = schemas.add_type("autoscaling/v1", "Scale");
        let identity = json!({"group": "autoscaling", "version": "v1", "kind": "Scale"});
        let scale = Operations { kind: "Scale", identity: &identity, component: &component };
        let operations = scale.read_and_write(schemas);
        paths.insert(format!("{collection}/{{name}}/scale"), with_parameters(kind, true, operations));
    }
}

/// Path parameters stand once for all operations of a path.
fn with_parameters(kind: &OpenApiKind<'_>, named: bool, mut operations: Value) -> Value {
    let mut parameters = Vec::new();
    let mut add = |name: &str| {
        parameters.push(json!({"name": name, "in": "path", "required": true, "schema": {"type": "string", "uniqueItems": true}}));
    };
    if named {
        add("name");
    }
    if kind.namespaced {
        add("namespace");
    }
    operations["parameters"] = Value::Array(parameters);
    operations
}

#[derive(Clone, Copy)]
struct Operations<'a> {
    kind: &'a str,
    identity: &'a Value,
    /// The component its answers refer to.
    component: &'a str,
}

impl Operations<'_> {
    fn operation(&self, action: &str, parameters: &[&str], answers: &[&str]) -> Value {
        self.operation_answering(action, parameters, answers, self.component)
    }

    fn operation_answering(
        &self,
        action: &str,
        parameters: &[&str],
        answers: &[&str],
        component: &str,
    ) -> Value {
        let parameters: Vec<Value> = parameters.iter().map(|name| query_parameter(name)).collect();
        let responses = answers.iter().map(|code| {
            (
                (*code).to_owned(),
                json!({"description": description(code), "content": content(&[JSON, YAML], component)}),
            )
        });
        json!({
            "operationId": format!("{action}{}", self.kind),
            "parameters": parameters,
            "responses": responses.collect::<Map<_, _>>(),
            "x-kubernetes-action": action,
            "x-kubernetes-group-version-kind": self.identity,
        })
    }

    fn list(&self) -> Value {
        let parameters = [
            "allowWatchBookmarks",
            "continue",
            "fieldSelector",
            "labelSelector",
            "limit",
            "resourceVersion",
            "resourceVersionMatch",
            "sendInitialEvents",
            "timeoutSeconds",
            "watch",
        ];
        self.operation("list", &parameters, &["200"])
    }

    fn create(&self) -> Value {
        let parameters = ["dryRun", "fieldManager", "fieldValidation"];
        let mut operation = self.operation("post", &parameters, &["200", "201", "202"]);
        operation["requestBody"] =
            json!({"required": true, "content": content(&[JSON, YAML], self.component)});
        operation
    }

    fn delete(&self, action: &str, status: &str, options: &str) -> Value {
        let parameters = ["dryRun", "gracePeriodSeconds", "orphanDependents", "propagationPolicy"];
        let mut operation = self.operation_answering(action, &parameters, &["200", "202"], status);
        operation["requestBody"] = json!({"content": content(&[JSON, YAML], options)});
        operation
    }

    /// `get`, `put` and `patch`.
    fn read_and_write(&self, schemas: &mut Schemas) -> Value {
        let get = self.operation("get", &["resourceVersion"], &["200"]);
        let mut put = self.operation("put", &["dryRun", "fieldManager", "fieldValidation"], &["200", "201"]);
        put["requestBody"] = json!({"required": true, "content": content(&[JSON, YAML], self.component)});
        let mut patch =
            self.operation("patch", &["dryRun", "fieldManager", "fieldValidation", "force"], &["200", "201"]);
        let document = schemas.meta("Patch");
        patch["requestBody"] = json!({"required": true, "content": content(PATCHES, &document)});
        json!({"get": get, "put": put, "patch": patch})
    }
}

fn content(types: &[&str], component: &str) -> Value {
    let schema = json!({"schema": {"$ref": format!("#/components/schemas/{component}")}});
    types.iter().map(|kind| ((*kind).to_owned(), schema.clone())).collect::<Map<_, _>>().into()
}

fn description(code: &str) -> &'static str {
    match code {
        "201" => "Created",
        "202" => "Accepted",
        _ => "OK",
    }
}

fn query_parameter(name: &str) -> Value {
    let kind = match name {
        "limit" | "timeoutSeconds" | "gracePeriodSeconds" => "integer",
        "allowWatchBookmarks" | "watch" | "sendInitialEvents" | "force" | "orphanDependents" => "boolean",
        _ => "string",
    };
    json!({"name": name, "in": "query", "schema": {"type": kind, "uniqueItems": true}})
}
