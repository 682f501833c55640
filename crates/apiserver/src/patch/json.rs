//! RFC 6902 as the Go library in use applies it (`spec/apiserver.md` 11.2): a `test` for null passes on a missing
//! member, `replace` of a missing member sets it, negative list positions count from the end.

use super::PatchError;
use crate::schema::TypeMismatch;
use serde_json::Value;

/// Most operations of one patch (upstream's limit).
pub const OPERATION_LIMIT: usize = 10_000;
/// Most bytes that `copy` operations may add up to; a few of them could otherwise double a document many times.
pub const COPY_LIMIT: usize = 3 * 1024 * 1024;

/// Most list items and object members that the operations may move or look through; thousands of them at the front of
/// a long list would otherwise move it thousands of times.
pub const WORK_LIMIT: usize = 20_000_000;
/// Deepest nesting of the result: `move` can build any depth out of nothing, and all that walks an object calls itself
/// once a level.
const DEPTH_LIMIT: usize = crate::http::json::DEPTH;

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
            other => return Err(undecodable(TypeMismatch::go_name(other), "[]handlers.jsonPatchOp")),
        };
        if items.len() > OPERATION_LIMIT {
            return Err(PatchError::TooManyOperations { limit: OPERATION_LIMIT, count: items.len() });
        }
        let operations = items.iter().map(Operation::parse).collect::<Result<_, _>>()?;
        Ok(JsonPatch { operations })
    }

    /// Applies all operations or none.
    pub fn apply(&self, target: &Value) -> Result<Value, PatchError> {
        let mut work = Work { document: target.clone(), copied: 0, moved: 0 };
        for operation in &self.operations {
            work.apply(operation)?;
        }
        Ok(work.document)
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

fn undecodable(found: &str, wanted: &str) -> PatchError {
    PatchError::Malformed(format!("json: cannot unmarshal {found} into Go value of type {wanted}"))
}

impl Operation {
    fn parse(item: &Value) -> Result<Self, PatchError> {
        let Value::Object(members) = item else {
            return Err(undecodable(TypeMismatch::go_name(item), "handlers.jsonPatchOp"));
        };
        let text = |name: &str| match members.get(name) {
            None | Some(Value::Null) => Ok(None),
            Some(Value::String(text)) => Ok(Some(text.clone())),
            Some(other) => Err(PatchError::Malformed(format!(
                "json: cannot unmarshal {} into Go struct field jsonPatchOp.{name} of type string",
                TypeMismatch::go_name(other)
            ))),
        };
        Ok(Operation {
            op: text("op")?.unwrap_or_default(),
            path: text("path")?,
            from: text("from")?,
            value: members.get("value").cloned().unwrap_or(Value::Null),
        })
    }

    fn from(&self) -> Result<&str, PatchError> {
        self.from.as_deref().ok_or_else(|| rejected("operation has no from"))
    }
}

/// A document under its operations, and what they have cost so far.
struct Work {
    document: Value,
    copied: usize,
    moved: usize,
}

impl Work {
    fn apply(&mut self, operation: &Operation) -> Result<(), PatchError> {
        let path = operation.path.as_deref().ok_or_else(|| rejected("operation has no path"))?;
        match operation.op.as_str() {
            "add" => self.add(path, operation.value.clone()),
            "remove" => self.remove(path).map(drop),
            "replace" => self.replace(path, operation.value.clone()),
            "test" => test(&self.document, path, &operation.value),
            "move" => {
                let moved = self.remove(operation.from()?)?;
                self.add(path, moved)
            }
            "copy" => {
                let source = get(&self.document, operation.from()?)?.cloned().unwrap_or(Value::Null);
                self.copied += source.to_string().len();
                if self.copied > COPY_LIMIT {
                    return Err(rejected(&format!("copy operations exceed {COPY_LIMIT} bytes")));
                }
                self.add(path, source)
            }
            unknown => Err(rejected(&format!("unexpected kind: {unknown}"))),
        }
    }

    fn pay(&mut self, items: usize) -> Result<(), PatchError> {
        self.moved = self.moved.saturating_add(items);
        if self.moved > WORK_LIMIT {
            return Err(rejected(&format!("operations move more than {WORK_LIMIT} items")));
        }
        Ok(())
    }

    /// Refuses a value that would end up too deep, and pays for the look at it.
    fn check_depth(&mut self, path: &str, value: &Value) -> Result<(), PatchError> {
        let above = path.matches('/').count();
        let mut seen = 0;
        let deepest = depth(value, &mut seen);
        self.pay(seen)?;
        if above + deepest > DEPTH_LIMIT {
            return Err(rejected(&format!("the result is nested deeper than {DEPTH_LIMIT}")));
        }
        Ok(())
    }

    fn add(&mut self, path: &str, value: Value) -> Result<(), PatchError> {
        self.check_depth(path, &value)?;
        if path.is_empty() {
            self.document = value;
            return Ok(());
        }
        let (parent, last) = split(path)?;
        let mut behind = 0;
        match container_mut(&mut self.document, parent) {
            Some(Value::Object(members)) => {
                members.insert(last, value);
            }
            Some(Value::Array(items)) if last == "-" => items.push(value),
            Some(Value::Array(items)) => {
                let index = slot(&last, items.len() + 1).ok_or_else(|| missing(path))?;
                behind = items.len() - index;
                items.insert(index, value);
            }
            _ => return Err(missing(path)),
        }
        self.pay(behind)
    }

    fn replace(&mut self, path: &str, value: Value) -> Result<(), PatchError> {
        self.check_depth(path, &value)?;
        if path.is_empty() {
            self.document = value;
            return Ok(());
        }
        let (parent, last) = split(path)?;
        match container_mut(&mut self.document, parent) {
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

    fn remove(&mut self, path: &str) -> Result<Value, PatchError> {
        let (parent, last) = split(path)?;
        let (removed, behind) = match container_mut(&mut self.document, parent) {
            Some(Value::Object(members)) => {
                let count = members.len();
                (members.shift_remove(&last).ok_or_else(|| missing(path))?, count)
            }
            Some(Value::Array(items)) => {
                let index = slot(&last, items.len()).ok_or_else(|| missing(path))?;
                (items.remove(index), items.len() - index)
            }
            _ => return Err(missing(path)),
        };
        self.pay(behind)?;
        Ok(removed)
    }
}

/// How deep a value is nested; counts the nodes it looks at.
fn depth(value: &Value, seen: &mut usize) -> usize {
    *seen += 1;
    match value {
        Value::Array(items) => 1 + items.iter().map(|item| depth(item, seen)).max().unwrap_or(0),
        Value::Object(members) => 1 + members.values().map(|member| depth(member, seen)).max().unwrap_or(0),
        _ => 0,
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
