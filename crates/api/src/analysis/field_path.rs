//! Paths into an object (`spec/okra.md` 3.4.6): `status.desiredVersion`,
//! `spec.ingress.….hosts[0]`, `metadata.labels['a.b/c']`.

use serde_json::Value;
use thiserror::Error;

/// Longest path that is followed, in parts: no object of ours is deeper.
const PARTS_MAX: usize = 64;

/// A path does not lead to a value.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum FieldPathError {
    /// A quote or bracket is not closed.
    #[error("field path {path:?}: {quote} is not closed")]
    Unclosed {
        /// The path.
        path: String,
        /// What is open.
        quote: char,
    },
    /// More than 64 parts, or none.
    #[error("field path {path:?} has {parts} parts, not 1 to {PARTS_MAX}")]
    Length {
        /// The path.
        path: String,
        /// How many parts it has.
        parts: usize,
    },
    /// No member of that name, or a null.
    #[error("field path {path:?}: no such field {part:?}")]
    Missing {
        /// The path.
        path: String,
        /// The part that leads nowhere.
        part: String,
    },
    /// A list is not indexed by a number.
    #[error("field path {path:?}: index {part:?} is not a number of 0 or more")]
    NotAnIndex {
        /// The path.
        path: String,
        /// The part that is no number.
        part: String,
    },
    /// A list is shorter.
    #[error("field path {path:?}: index {index} is out of range, the list has {length} items")]
    OutOfRange {
        /// The path.
        path: String,
        /// The index.
        index: usize,
        /// The length of the list.
        length: usize,
    },
    /// The end is a list or an object.
    #[error("field path {path:?} leads to {found}, not to text, a number or true or false")]
    NotScalar {
        /// The path.
        path: String,
        /// What is there.
        found: &'static str,
    },
}

/// The text of the scalar that `path` leads to from `root`.
///
/// # Errors
/// When the path leads nowhere, or to a list or object.
pub fn field_path(root: &Value, path: &str) -> Result<String, FieldPathError> {
    let parts = parts(path)?;
    if parts.is_empty() || parts.len() > PARTS_MAX {
        return Err(FieldPathError::Length { path: path.to_owned(), parts: parts.len() });
    }
    let mut value = root;
    for part in &parts {
        value = descend(value, part, path)?;
    }
    let not_scalar = |found| FieldPathError::NotScalar { path: path.to_owned(), found };
    match value {
        Value::String(text) => Ok(text.clone()),
        Value::Bool(flag) => Ok(flag.to_string()),
        Value::Number(number) => Ok(number.to_string()),
        Value::Array(_) => Err(not_scalar("a list")),
        Value::Object(_) => Err(not_scalar("an object")),
        Value::Null => {
            let part = parts.last().cloned().unwrap_or_default();
            Err(FieldPathError::Missing { path: path.to_owned(), part })
        }
    }
}

fn descend<'a>(value: &'a Value, part: &str, path: &str) -> Result<&'a Value, FieldPathError> {
    match value {
        Value::Object(members) => members
            .get(part)
            .ok_or_else(|| FieldPathError::Missing { path: path.to_owned(), part: part.to_owned() }),
        Value::Array(items) => {
            let index: usize = part
                .parse()
                .map_err(|_| FieldPathError::NotAnIndex { path: path.to_owned(), part: part.to_owned() })?;
            items.get(index).ok_or(FieldPathError::OutOfRange {
                path: path.to_owned(),
                index,
                length: items.len(),
            })
        }
        _ => Err(FieldPathError::Missing { path: path.to_owned(), part: part.to_owned() }),
    }
}

/// Splits at runs of `.`, `[` and `]`; what stands in quotes is one part.
fn parts(path: &str) -> Result<Vec<String>, FieldPathError> {
    let mut parts = vec![];
    let mut rest = path;
    while let Some(first) = rest.chars().next() {
        match first {
            '.' | '[' | ']' => rest = &rest[1..],
            '\'' | '"' => {
                let (part, after) = rest[1..]
                    .split_once(first)
                    .ok_or_else(|| FieldPathError::Unclosed { path: path.to_owned(), quote: first })?;
                parts.push(part.to_owned());
                rest = after;
            }
            _ => {
                let end = rest.find(['.', '[', ']']).unwrap_or(rest.len());
                parts.push(rest[..end].to_owned());
                rest = &rest[end..];
            }
        }
    }
    Ok(parts)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn root() -> Value {
        json!({
            "metadata": {"name": "web", "labels": {"a.b/c": "x"}},
            "spec": {"replicas": 12_000_000, "paused": true, "share": 0.5, "empty": "", "none": null,
                     "hosts": ["a.example", "b.example"]},
            "status": {"desiredVersion": "2.0.0"},
        })
    }

    #[test]
    fn scalars_are_found_and_printed() {
        for (path, expected) in [
            ("status.desiredVersion", "2.0.0"),
            ("metadata.labels['a.b/c']", "x"),
            ("metadata.labels[\"a.b/c\"]", "x"),
            ("spec.hosts[1]", "b.example"),
            ("spec.hosts.0", "a.example"),
            ("..spec..hosts[[0]]", "a.example"),
            ("spec.replicas", "12000000"),
            ("spec.paused", "true"),
            ("spec.share", "0.5"),
            ("spec.empty", ""),
        ] {
            assert_eq!(field_path(&root(), path).as_deref(), Ok(expected), "{path}");
        }
    }

    #[test]
    fn each_way_to_nowhere_has_its_own_error() {
        for (path, expected) in [
            ("status.phase", "field path \"status.phase\": no such field \"phase\""),
            ("spec.none", "field path \"spec.none\": no such field \"none\""),
            ("spec.paused.x", "field path \"spec.paused.x\": no such field \"x\""),
            ("spec.hosts[-1]", "field path \"spec.hosts[-1]\": index \"-1\" is not a number of 0 or more"),
            ("spec.hosts[x]", "field path \"spec.hosts[x]\": index \"x\" is not a number of 0 or more"),
            ("spec.hosts[2]", "field path \"spec.hosts[2]\": index 2 is out of range, the list has 2 items"),
            (
                "spec.hosts",
                "field path \"spec.hosts\" leads to a list, not to text, a number or true or false",
            ),
            ("spec", "field path \"spec\" leads to an object, not to text, a number or true or false"),
            ("metadata.labels['a", "field path \"metadata.labels['a\": ' is not closed"),
            (" ", "field path \" \": no such field \" \""),
            ("", "field path \"\" has 0 parts, not 1 to 64"),
        ] {
            assert_eq!(field_path(&root(), path).unwrap_err().to_string(), expected);
        }
    }
}
