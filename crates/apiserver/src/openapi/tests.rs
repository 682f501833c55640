use super::{OpenApiKind, OpenApiSource, document, hash, index};
use serde_json::{Value, json};

fn builtin_document(group: &str) -> Value {
    let kinds: Vec<OpenApiKind<'_>> = crate::builtin::kinds()
        .iter()
        .filter(|kind| kind.group == group)
        .map(|kind| OpenApiKind {
            kind: kind.kind,
            plural: kind.plural,
            namespaced: kind.namespaced,
            status: kind.status,
            scale: kind.scale.is_some(),
            source: OpenApiSource::Builtin,
        })
        .collect();
    document(group, "v1", &kinds)
}

fn custom_document() -> Value {
    let schema = json!({"type": "object", "properties": {
        "metadata": {"type": "object"},
        "spec": {"type": "object", "description": "what is wanted", "x-kubernetes-preserve-unknown-fields": true}}});
    let fields = json!([{"jsonPath": ".spec.a"}]);
    let gizmo = OpenApiKind {
        kind: "Gizmo",
        plural: "gizmos",
        namespaced: true,
        status: true,
        scale: true,
        source: OpenApiSource::Custom { schema: &schema, selectable_fields: Some(&fields) },
    };
    document("probe.example.com", "v1", &[gizmo])
}

/// Every `$ref` below a value.
fn references(value: &Value, found: &mut Vec<String>) {
    match value {
        Value::Object(fields) => {
            for (name, value) in fields {
                match value.as_str() {
                    Some(target) if name == "$ref" => found.push(target.to_owned()),
                    _ => references(value, found),
                }
            }
        }
        Value::Array(items) => items.iter().for_each(|item| references(item, found)),
        _ => {}
    }
}

#[test]
fn every_reference_has_a_target() {
    let groups: std::collections::BTreeSet<&str> =
        crate::builtin::kinds().iter().map(|kind| kind.group).collect();
    let documents = groups.into_iter().map(builtin_document).chain([custom_document()]);
    for document in documents {
        let mut found = Vec::new();
        references(&document["paths"], &mut found);
        references(&document["components"], &mut found);
        assert!(!found.is_empty());
        for target in found {
            let pointer = target.strip_prefix('#').unwrap();
            assert!(document.pointer(pointer).is_some_and(Value::is_object), "{target}");
        }
    }
}

#[test]
fn h_5_kubectl_finds_the_patch_operation_of_each_kind() {
    for (document, path) in [
        (builtin_document(""), "/api/v1/namespaces/{name}"),
        (builtin_document("apps"), "/apis/apps/v1/namespaces/{namespace}/deployments/{name}"),
        (custom_document(), "/apis/probe.example.com/v1/namespaces/{namespace}/gizmos/{name}"),
    ] {
        let patch = &document["paths"][path]["patch"];
        assert!(patch["x-kubernetes-group-version-kind"].is_object(), "{path}");
        let parameters = patch["parameters"].as_array().unwrap();
        assert!(parameters.iter().any(|parameter| parameter["name"] == "fieldValidation"));
        let get = &document["paths"][path]["get"]["responses"]["200"]["content"]["application/json"]["schema"]
            ["$ref"];
        let component = document.pointer(get.as_str().unwrap().strip_prefix('#').unwrap()).unwrap();
        assert_eq!(component["x-kubernetes-group-version-kind"][0], patch["x-kubernetes-group-version-kind"]);
    }
}

#[test]
fn h_6_strategic_merge_patch_is_not_offered() {
    assert!(!builtin_document("apps").to_string().contains("strategic-merge-patch"));
}

#[test]
fn a_custom_kind_keeps_its_schema_and_gets_the_common_fields() {
    let document = custom_document();
    let gizmo = &document["components"]["schemas"]["com.example.probe.v1.Gizmo"];
    assert_eq!(gizmo["properties"]["spec"]["description"], "what is wanted");
    assert_eq!(
        gizmo["properties"]["metadata"]["allOf"][0]["$ref"],
        "#/components/schemas/io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta"
    );
    assert_eq!(gizmo["x-kubernetes-selectable-fields"][0]["jsonPath"], ".spec.a");
    let list = &document["components"]["schemas"]["com.example.probe.v1.GizmoList"];
    assert_eq!(list["required"], json!(["items"]));
    let scale = &document["paths"]["/apis/probe.example.com/v1/namespaces/{namespace}/gizmos/{name}/scale"];
    assert_eq!(scale["patch"]["x-kubernetes-group-version-kind"]["kind"], "Scale");
}

#[test]
fn reviews_can_only_be_created() {
    let document = builtin_document("authorization.k8s.io");
    let path = &document["paths"]["/apis/authorization.k8s.io/v1/selfsubjectaccessreviews"];
    assert!(path.get("post").is_some() && path.get("get").is_none());
}

#[test]
fn the_index_carries_the_hashes() {
    let sum = hash(b"{}");
    assert_eq!(sum.len(), 128);
    assert!(sum.starts_with("27C74670ADB75075"));
    let index = index(&[("api/v1".to_owned(), sum.clone())]);
    assert_eq!(index["paths"]["api/v1"]["serverRelativeURL"], format!("/openapi/v3/api/v1?hash={sum}"));
}
