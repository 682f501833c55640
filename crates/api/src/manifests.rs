//! Objects out of files: YAML with several documents, JSON, and lists of
//! objects, in the stored or the documented API group.

use serde_json::Value;
use thiserror::Error;

use crate::names::{CLUSTERSET_GROUP, DOCUMENTED_GROUP, GROUP};

/// Largest manifest that is read, in bytes; an API server accepts objects of
/// about 1.5 MiB and a file may hold many.
pub const MANIFEST_BYTES_MAX: usize = 64 * 1024 * 1024;

/// Depth of lists of lists that is followed.
const LIST_DEPTH_MAX: usize = 8;

/// A file does not hold objects.
#[derive(Debug, Error)]
pub enum ManifestError {
    /// Larger than [`MANIFEST_BYTES_MAX`].
    #[error("{0} bytes, more than {MANIFEST_BYTES_MAX}")]
    TooLarge(usize),
    /// Neither YAML nor JSON.
    #[error("neither YAML nor JSON")]
    Syntax(#[source] Box<serde_saphyr::Error>),
    /// A document is not an object with `apiVersion` and `kind`.
    #[error("document {0} is not an object with apiVersion and kind")]
    NotAnObject(usize),
    /// Lists inside lists.
    #[error("lists are nested more than {LIST_DEPTH_MAX} deep")]
    TooDeep,
}

/// All objects of a file, in its order; lists are taken apart, and the
/// documented API group, and that of argocd-clusterset, are read as the stored one.
///
/// # Errors
/// When the text is not a sequence of objects.
pub fn parse(text: &str) -> Result<Vec<Value>, ManifestError> {
    let mut objects = parse_as_written(text)?;
    objects.iter_mut().for_each(store_group);
    Ok(objects)
}

fn store_group(object: &mut Value) {
    let version = object.get("apiVersion").and_then(Value::as_str).unwrap_or_default();
    let older = [DOCUMENTED_GROUP, CLUSTERSET_GROUP];
    let rest = older.into_iter().find_map(|group| version.strip_prefix(group));
    let rest = rest.filter(|rest| rest.starts_with('/'));
    if let Some(stored) = rest.map(|rest| format!("{GROUP}{rest}")) {
        object["apiVersion"] = stored.into();
    }
}

/// The same with every API group as it was written.
///
/// # Errors
/// When the text is not a sequence of objects.
pub fn parse_as_written(text: &str) -> Result<Vec<Value>, ManifestError> {
    if text.len() > MANIFEST_BYTES_MAX {
        return Err(ManifestError::TooLarge(text.len()));
    }
    let documents: Vec<Value> =
        serde_saphyr::from_multiple(text).map_err(|error| ManifestError::Syntax(Box::new(error)))?;
    let mut objects = vec![];
    for (index, document) in documents.into_iter().enumerate() {
        take_apart(document, index, 0, &mut objects)?;
    }
    Ok(objects)
}

fn take_apart(
    mut document: Value,
    index: usize,
    depth: usize,
    objects: &mut Vec<Value>,
) -> Result<(), ManifestError> {
    let text = |name: &str| document.get(name).and_then(Value::as_str).map(str::to_owned);
    let (Some(api_version), Some(kind)) = (text("apiVersion"), text("kind")) else {
        return Err(ManifestError::NotAnObject(index + 1));
    };
    if depth > LIST_DEPTH_MAX {
        return Err(ManifestError::TooDeep);
    }
    if kind.ends_with("List")
        && let Some(Value::Array(items)) = document.get_mut("items").map(Value::take)
    {
        let item_kind = kind.strip_suffix("List").filter(|kind| !kind.is_empty());
        for mut item in items {
            // A list that an API server printed leaves these to the list itself.
            if let (Some(members), Some(item_kind)) = (item.as_object_mut(), item_kind) {
                members.entry("apiVersion").or_insert_with(|| api_version.as_str().into());
                members.entry("kind").or_insert_with(|| item_kind.into());
            }
            take_apart(item, index, depth + 1, objects)?;
        }
        return Ok(());
    }
    objects.push(document);
    Ok(())
}

/// Group and kind of an object that [`parse`] returned.
pub fn group_kind(object: &Value) -> (&str, &str) {
    let text = |name: &str| object.get(name).and_then(Value::as_str).unwrap_or_default();
    let group = text("apiVersion").split_once('/').map_or("", |(group, _)| group);
    (group, text("kind"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(text: &str) -> Vec<String> {
        let objects = parse(text).unwrap();
        objects.iter().map(|object| format!("{} {}", object["apiVersion"], object["kind"])).collect()
    }

    #[test]
    fn documents_lists_and_json_become_single_objects() {
        let text = "---\n# nothing\n---\napiVersion: okra.mumo.co/v1alpha1\nkind: Cell\n---\n\
            {\"apiVersion\": \"v1\", \"kind\": \"List\", \"items\": [{\"apiVersion\": \"v1\", \"kind\": \"Secret\"}]}\n---\n\
            apiVersion: okra.mumo.co/v1alpha1\nkind: PauseList\nitems:\n- metadata: {name: p}\n";
        assert_eq!(
            names(text),
            [
                "\"okra.mumo.co/v1alpha1\" \"Cell\"",
                "\"v1\" \"Secret\"",
                "\"okra.mumo.co/v1alpha1\" \"Pause\""
            ]
        );
    }

    #[test]
    fn the_documented_group_is_read_as_the_stored_one() {
        assert_eq!(
            names(
                "apiVersion: okra.mumoshu.github.io/v1alpha1\nkind: Cell\n---\n\
                 apiVersion: clusterset.mumo.co/v1alpha1\nkind: ClusterSet"
            ),
            ["\"okra.mumo.co/v1alpha1\" \"Cell\"", "\"okra.mumo.co/v1alpha1\" \"ClusterSet\""]
        );
        let objects = parse("apiVersion: okra.mumoshu.github.io/v1alpha1\nkind: Cell").unwrap();
        assert_eq!(group_kind(&objects[0]), ("okra.mumo.co", "Cell"));
    }

    #[test]
    fn quoted_versions_stay_text() {
        let objects = parse("apiVersion: v1\nkind: X\na: \"1.10\"\nb: 1.0.0\nc: 7").unwrap();
        assert_eq!((&objects[0]["a"], &objects[0]["b"]), (&"1.10".into(), &"1.0.0".into()));
        assert_eq!(objects[0]["c"], 7);
    }

    #[test]
    fn what_is_no_object_is_refused() {
        assert_eq!(
            parse("just text").unwrap_err().to_string(),
            "document 1 is not an object with apiVersion and kind"
        );
        assert!(matches!(parse("a: [").unwrap_err(), ManifestError::Syntax(_)));
        assert!(parse("").unwrap().is_empty());
    }
}
