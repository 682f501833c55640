//! From a CustomResourceDefinition to the kinds it serves.

use serde_json::Value;
use tokio_util::sync::CancellationToken;

use super::{Custom, Kind, ScaleFields, Source};
use crate::schema::{FieldError, FieldReason, Schema};
use crate::store::{ResourceId, Revision};
use crate::table::Printer;

/// The names a definition asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct CrdNames {
    pub(crate) group: String,
    pub(crate) plural: String,
    pub(crate) singular: String,
    pub(crate) kind: String,
    pub(crate) list_kind: String,
    pub(crate) short_names: Vec<String>,
    pub(crate) categories: Vec<String>,
}

/// Reads the names, with upstream's defaults.
pub(crate) fn names_of(definition: &Value) -> CrdNames {
    let spec = &definition["spec"];
    let names = &spec["names"];
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let kind = text(&names["kind"]);
    let or = |value: String, default: String| if value.is_empty() { default } else { value };
    CrdNames {
        group: text(&spec["group"]),
        plural: text(&names["plural"]),
        singular: or(text(&names["singular"]), kind.to_lowercase()),
        list_kind: or(text(&names["listKind"]), format!("{kind}List")),
        short_names: texts(&names["shortNames"]),
        categories: texts(&names["categories"]),
        kind,
    }
}

fn texts(value: &Value) -> Vec<String> {
    let items = value.as_array().into_iter().flatten();
    items.filter_map(Value::as_str).map(str::to_owned).collect()
}

/// The served versions of a definition. `since` is the revision from which
/// objects are written under these schemas.
pub(crate) fn served_kinds(
    definition: &Value,
    since: Revision,
    retired: &CancellationToken,
) -> Result<Vec<Kind>, Vec<FieldError>> {
    let names = names_of(definition);
    let versions = definition["spec"]["versions"].as_array().map(Vec::as_slice).unwrap_or_default();
    let storage = versions.iter().find(|version| version["storage"] == true);
    let storage = storage.and_then(|version| version["name"].as_str()).unwrap_or_default();
    let all = versions.iter().filter_map(|version| version["name"].as_str());
    let all: Vec<String> = all.map(|version| format!("{}/{version}", names.group)).collect();
    let uniform = versions.windows(2).all(|pair| pair[0]["schema"] == pair[1]["schema"]);
    let terminating = !definition["metadata"]["deletionTimestamp"].is_null();
    let served = versions.iter().enumerate().filter(|(_, version)| version["served"] == true);
    served
        .map(|(index, version)| {
            let custom = Custom {
                schema: Schema::parse(
                    &version["schema"]["openAPIV3Schema"],
                    &format!("spec.versions[{index}].schema.openAPIV3Schema"),
                )?,
                open_api: version["schema"]["openAPIV3Schema"].clone(),
                selectable: version.get("selectableFields").cloned(),
                storage_version: storage.to_owned(),
                versions: all.clone(),
                uniform,
                deprecation: deprecation(version, &names),
                terminating,
                since,
                retired: retired.clone(),
            };
            kind(definition, version, index, &names, custom)
        })
        .collect()
}

fn kind(
    definition: &Value,
    version: &Value,
    index: usize,
    names: &CrdNames,
    custom: Custom,
) -> Result<Kind, Vec<FieldError>> {
    let printer = Printer::custom(version.get("additionalPrinterColumns")).map_err(|error| {
        vec![FieldError {
            path: format!("spec.versions[{index}].additionalPrinterColumns"),
            reason: FieldReason::Invalid,
            message: format!("Invalid value: {error}"),
        }]
    })?;
    let subresources = &version["subresources"];
    Ok(Kind {
        group: names.group.clone(),
        version: version["name"].as_str().unwrap_or_default().to_owned(),
        kind: names.kind.clone(),
        list_kind: names.list_kind.clone(),
        plural: names.plural.clone(),
        singular: names.singular.clone(),
        short_names: names.short_names.clone(),
        categories: names.categories.clone(),
        namespaced: definition["spec"]["scope"] == "Namespaced",
        stored: true,
        status: subresources["status"].is_object(),
        scale: scale_fields(&subresources["scale"]),
        resource: ResourceId::new(&names.group, &names.plural),
        printer,
        source: Source::Custom(Box::new(custom)),
    })
}

fn scale_fields(scale: &Value) -> Option<ScaleFields> {
    let fields = |path: &Value| -> Option<Vec<String>> {
        let path = path.as_str().filter(|path| !path.is_empty())?;
        Some(path.trim_start_matches('.').split('.').map(str::to_owned).collect())
    };
    Some(ScaleFields {
        replicas: fields(&scale["specReplicasPath"])?,
        status_replicas: fields(&scale["statusReplicasPath"])?,
        selector: fields(&scale["labelSelectorPath"]),
    })
}

fn deprecation(version: &Value, names: &CrdNames) -> Option<String> {
    if version["deprecated"] != true {
        return None;
    }
    if let Some(text) = version["deprecationWarning"].as_str() {
        return Some(text.to_owned());
    }
    let name = version["name"].as_str().unwrap_or_default();
    Some(format!("{}/{name} {} is deprecated", names.group, names.kind))
}
