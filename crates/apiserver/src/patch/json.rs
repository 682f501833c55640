//! RFC 6902 as the Go library in use applies it (`spec/apiserver.md` 11.2): a `test` for null passes on a missing
//! member, `replace` of a missing member sets it, negative list positions count from the end.

use super::PatchError;
use serde_json::Value;

/// Most operations of one patch (upstream's limit).
pub const OPERATION_LIMIT: usize = 10_000;
/// Most bytes that `copy` operations may add up to; a few of them could otherwise double a document many times.
pub const COPY_LIMIT: usize = 3 * 1024 * 1024;

/// A parsed RFC 6902 document.
#[derive(Debug, Clone)]
pub struct JsonPatch {
    operations: Vec<Operation>,
}

#[derive(Debug, Clone)]
struct Operation {
    op: String,
    path: Option<String>,
    from: Option<String>,
    value: Value,
}

impl JsonPatch {
    /// Reads the document and checks its size; `null` is a patch without operations.
    pub fn parse(document: &Value) -> Result<Self, PatchError> {
        let items = match document {
            Value::Null => &[][..],
            Value::Array(items) => items.as_slice(),
            other => return Err(undecodable(go_type(other), "[]handlers.jsonPatchOp")),
        };
        if items.len() > OPERATION_LIMIT {
            return Err(PatchError::TooManyOperations { limit: OPERATION_LIMIT, count: items.len() });
        }
        let operations = items.iter().map(Operation::parse).collect::<Result<_, _>>()?;
        Ok(JsonPatch { operations })
    }

    /// Applies all operations or none.
    pub fn apply(&self, target: &Value) -> Result<Value, PatchError> {
        let mut document = target.clone();
        let mut copied = 0;
        for operation in &self.operations {
            operation.apply(&mut document, &mut copied)?;
        }
        Ok(document)
    }

    /// The members of operations that RFC 6902 does not know, as `[0].foo` (for `fieldValidation`).
    pub fn unknown_fields(document: &Value) -> Vec<String> {
        let mut unknown = Vec::new();
        for (index, item) in document.as_array().into_iter().flatten().enumerate() {
            for name in item.as_object().into_iter().flatten().map(|(name, _)| name) {
                if !["op", "path", "from", "value"].contains(&name.as_str()) {
                    unknown.push(format!("[{index}].{name}"));
                }
            }
        }
        unknown
    }
}

fn go_type(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "bool",
        Value::Number(_) => "number",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    }
}

fn undecodable(found: &str, wanted: &str) -> PatchError {
    PatchError::Malformed(format!("json: cannot unmarshal {found} into Go value of type {wanted}"))
}

impl Operation {
    fn parse(item: &Value) -> Result<Self, PatchError> {
        let Value::Object(members) = item else {
            return Err(undecodable(go_type(item), "handlers.jsonPatchOp"));
        };
        let text = |name: &str| match members.get(name) {
            None | Some(Value::Null) => Ok(None),
            Some(Value::String(text)) => Ok(Some(text.clone())),
            Some(other) => Err(PatchError::Malformed(format!(
                "json: cannot unmarshal {} into Go struct field jsonPatchOp.{name} of type string",
                go_type(other)
            ))),
        };
        Ok(Operation {
            op: text("op")?.unwrap_or_default(),
            path: text("path")?,
            from: text("from")?,
            value: members.get("value").cloned().unwrap_or(Value::Null),
        })
    }

    fn apply(&self, document: &mut Value, copied: &mut usize) -> Result<(), PatchError> {
        let path = self.path.as_deref().ok_or_else(|| rejected("operation has no path"))?;
        match self.op.as_str() {
            "add" => add(document, path, self.value.clone()),
            "remove" => remove(document, path).map(drop),
            "replace" => replace(document, path, self.value.clone()),
            "test" => test(document, path, &self.value),
            "move" => {
                let moved = remove(document, self.from()?)?;
                add(document, path, moved)
            }
            "copy" => {
                let source = get(document, self.from()?)?.cloned().unwrap_or(Value::Null);
                *copied += source.to_string().len();
                if *copied > COPY_LIMIT {
                    return Err(rejected(&format!("copy operations exceed {COPY_LIMIT} bytes")));
                }
                add(document, path, source)
            }
            unknown => Err(rejected(&format!("unexpected kind: {unknown}"))),
        }
    }

    fn from(&self) -> Result<&str, PatchError> {
        self.from.as_deref().ok_or_else(|| rejected("operation has no from"))
    }
}

fn rejected(why: &str) -> PatchError {
    PatchError::Rejected(why.to_owned())
}

fn missing(path: &str) -> PatchError {
    PatchError::Rejected(format!("missing path: {path}"))
}

/// The parent pointer and the last token of a path.
fn split(path: &str) -> Result<(&str, String), PatchError> {
    match path.rsplit_once('/') {
        Some((parent, last)) if path.starts_with('/') => Ok((parent, unescape(last))),
        _ => Err(missing(path)),
    }
}

fn unescape(token: &str) -> String {
    token.replace("~1", "/").replace("~0", "~")
}

/// Which slot of a list a token means; `length` is one past the last slot allowed.
fn slot(token: &str, length: usize) -> Option<usize> {
    let index: i64 = token.parse().ok()?;
    let length = i64::try_from(length).ok()?;
    let index = if index < 0 { index + length } else { index };
    (0..length).contains(&index).then_some(index as usize)
}

fn child<'v>(value: &'v Value, token: &str) -> Option<&'v Value> {
    match value {
        Value::Object(members) => members.get(token),
        Value::Array(items) => items.get(slot(token, items.len())?),
        _ => None,
    }
}

fn container<'v>(document: &'v Value, parent: &str) -> Option<&'v Value> {
    let found = tokens(parent).try_fold(document, |value, token| child(value, &token))?;
    matches!(found, Value::Object(_) | Value::Array(_)).then_some(found)
}

fn container_mut<'v>(document: &'v mut Value, parent: &str) -> Option<&'v mut Value> {
    let found = tokens(parent).try_fold(document, |value, token| match value {
        Value::Object(members) => members.get_mut(&token),
        Value::Array(items) => {
            let index = slot(&token, items.len())?;
            items.get_mut(index)
        }
        _ => None,
    })?;
    matches!(found, Value::Object(_) | Value::Array(_)).then_some(found)
}

fn tokens(pointer: &str) -> impl Iterator<Item = String> {
    pointer.split('/').skip(1).map(unescape)
}

/// The value at a path; `None` if only the last member is missing.
fn get<'v>(document: &'v Value, path: &str) -> Result<Option<&'v Value>, PatchError> {
    if path.is_empty() {
        return Ok(Some(document));
    }
    let (parent, last) = split(path)?;
    match container(document, parent) {
        Some(Value::Object(members)) => Ok(members.get(&last)),
        Some(list) => child(list, &last).map(Some).ok_or_else(|| missing(path)),
        None => Err(missing(path)),
    }
}

fn test(document: &Value, path: &str, expected: &Value) -> Result<(), PatchError> {
    let found = get(document, path)?.unwrap_or(&Value::Null);
    if found == expected { Ok(()) } else { Err(rejected(&format!("testing value {path} failed"))) }
}

fn add(document: &mut Value, path: &str, value: Value) -> Result<(), PatchError> {
    if path.is_empty() {
        *document = value;
        return Ok(());
    }
    let (parent, last) = split(path)?;
    match container_mut(document, parent) {
        Some(Value::Object(members)) => {
            members.insert(last, value);
            Ok(())
        }
        Some(Value::Array(items)) if last == "-" => {
            items.push(value);
            Ok(())
        }
        Some(Value::Array(items)) => {
            let index = slot(&last, items.len() + 1).ok_or_else(|| missing(path))?;
            items.insert(index, value);
            Ok(())
        }
        _ => Err(missing(path)),
    }
}

fn replace(document: &mut Value, path: &str, value: Value) -> Result<(), PatchError> {
    if path.is_empty() {
        *document = value;
        return Ok(());
    }
    let (parent, last) = split(path)?;
    match container_mut(document, parent) {
        Some(Value::Object(members)) => {
            members.insert(last, value);
            Ok(())
        }
        Some(Value::Array(items)) => {
            let index = slot(&last, items.len()).ok_or_else(|| missing(path))?;
            items[index] = value;
            Ok(())
        }
        _ => Err(missing(path)),
    }
}

fn remove(document: &mut Value, path: &str) -> Result<Value, PatchError> {
    let (parent, last) = split(path)?;
    match container_mut(document, parent) {
        Some(Value::Object(members)) => members.shift_remove(&last).ok_or_else(|| missing(path)),
        Some(Value::Array(items)) => {
            let index = slot(&last, items.len()).ok_or_else(|| missing(path))?;
            Ok(items.remove(index))
        }
        _ => Err(missing(path)),
    }
}
