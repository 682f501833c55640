//! Values of a rule. What comes from the object is looked at where it lies, through its schema; only what a rule
//! makes itself is made.

use super::super::format::Format;
use super::super::{ListType, Properties, Schema, Type, parse_go_duration};
use super::names::unescaped;
use kube_cel::cel::functions::time;
use kube_cel::cel::objects::{Key as CelKey, Map as CelMap, OptionalValue};
use kube_cel::cel::{ExecutionError, Value as CelValue};
use serde_json::{Map, Value};
use std::collections::{BTreeMap, HashMap};
use std::ops::Deref;
use std::rc::Rc;
use std::sync::{Arc, LazyLock};

/// A text of the object or of the rule, or one that a rule made. Cheap to copy: variables are read again and again.
#[derive(Debug, Clone)]
pub(super) enum Text<'v> {
    Part(&'v str),
    Made(Rc<str>),
}

impl Deref for Text<'_> {
    type Target = str;

    fn deref(&self) -> &str {
        match self {
            Text::Part(text) => text,
            Text::Made(text) => text,
        }
    }
}

/// A value while a rule runs.
#[derive(Debug, Clone)]
pub(super) enum Val<'v> {
    Null,
    Bool(bool),
    Int(i64),
    UInt(u64),
    Double(f64),
    Text(Text<'v>),
    Bytes(Rc<Vec<u8>>),
    /// A list of the object, with the schema of the list.
    JsonList(&'v [Value], &'v Schema),
    /// An object or map of the object, with its schema.
    JsonMap(&'v Map<String, Value>, &'v Schema),
    List(Rc<Vec<Val<'v>>>),
    Map(Rc<BTreeMap<Key, Val<'v>>>),
    Optional(Option<Rc<Val<'v>>>),
    /// A type as a value, by its name.
    Type(&'static str),
    /// Times, quantities and other values that only the library understands.
    Other(CelValue),
}

/// A key of a map that a rule makes.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Key {
    Bool(bool),
    Int(i64),
    UInt(u64),
    Text(String),
}

/// The schema of what no schema describes.
pub(super) fn untyped() -> &'static Schema {
    static ANY: LazyLock<Schema> = LazyLock::new(|| Schema::of(Type::Any));
    &ANY
}

/// Of metadata rules see two fields only (13.5).
pub(super) fn visible_metadata() -> &'static Schema {
    static VISIBLE: LazyLock<Schema> = LazyLock::new(|| {
        let names = ["name", "generateName"].map(|name| (name.to_owned(), Schema::of(Type::String)));
        Schema { properties: Properties::Own(BTreeMap::from(names)), ..Schema::of(Type::Object) }
    });
    &VISIBLE
}

impl<'v> Val<'v> {
    /// A value of the object.
    pub(super) fn of(value: &'v Value, schema: &'v Schema) -> Self {
        match value {
            Value::Null => Val::Null,
            Value::Bool(flag) => Val::Bool(*flag),
            Value::Number(_) => number(schema.kind, value),
            Value::String(text) => string(schema, text),
            Value::Array(items) => Val::JsonList(items, schema),
            Value::Object(fields) => Val::JsonMap(fields, schema),
        }
    }

    pub(super) fn text(text: &str) -> Self {
        Val::Text(Text::Made(Rc::from(text)))
    }

    pub(super) fn list(items: Vec<Val<'v>>) -> Self {
        Val::List(Rc::new(items))
    }

    /// The name of the value's type, as rules and messages spell it.
    pub(super) fn type_name(&self) -> &'static str {
        match self {
            Val::Null => "null_type",
            Val::Bool(_) => "bool",
            Val::Int(_) => "int",
            Val::UInt(_) => "uint",
            Val::Double(_) => "double",
            Val::Text(_) => "string",
            Val::Bytes(_) => "bytes",
            Val::JsonList(..) | Val::List(_) => "list",
            Val::JsonMap(..) | Val::Map(_) => "map",
            Val::Optional(_) => "optional_type",
            Val::Type(_) => "type",
            Val::Other(CelValue::Timestamp(_)) => "google.protobuf.Timestamp",
            Val::Other(CelValue::Duration(_)) => "google.protobuf.Duration",
            Val::Other(_) => "object",
        }
    }

    /// The items of a list; none if it is no list.
    pub(super) fn items(&self) -> Option<Vec<Val<'v>>> {
        match self {
            Val::JsonList(items, schema) => {
                let schema = schema.items().unwrap_or_else(|| untyped());
                Some(items.iter().map(|item| Val::of(item, schema)).collect())
            }
            Val::List(items) => Some(items.to_vec()),
            _ => None,
        }
    }

    /// How many items, entries, characters or bytes; none if the value has no size.
    pub(super) fn size(&self) -> Option<usize> {
        Some(match self {
            Val::Text(text) => text.chars().count(),
            Val::Bytes(bytes) => bytes.len(),
            Val::JsonList(items, _) => items.len(),
            Val::List(items) => items.len(),
            Val::JsonMap(fields, _) => fields.len(),
            Val::Map(entries) => entries.len(),
            _ => return None,
        })
    }

    /// The keys and values of a map; none if it is no map.
    pub(super) fn entries(&self) -> Option<Vec<(Val<'v>, Val<'v>)>> {
        match self {
            Val::JsonMap(fields, schema) => {
                let visible = fields.keys().filter_map(|name| {
                    let value = field(fields, schema, name)?;
                    let shown = match schema.property(name) {
                        Some(_) => Val::text(&super::names::escaped(name)),
                        None => Val::Text(Text::Part(name)),
                    };
                    Some((shown, value))
                });
                Some(visible.collect())
            }
            Val::Map(entries) => {
                Some(entries.iter().map(|(key, value)| (key.clone().into(), value.clone())).collect())
            }
            _ => None,
        }
    }

    /// The value of a field or key that a rule spells; nothing if it is not there or the value has no fields.
    pub(super) fn select(&self, spelled: &str) -> Option<Val<'v>> {
        match self {
            Val::JsonMap(fields, schema) => {
                let name = unescaped(spelled);
                if schema.property(&name).is_some() {
                    return field(fields, schema, &name);
                }
                field(fields, schema, spelled)
            }
            Val::Map(entries) => entries.get(&Key::Text(spelled.to_owned())).cloned(),
            _ => None,
        }
    }

    /// The value of a key that a rule computes.
    pub(super) fn lookup(&self, key: &Val<'v>) -> Option<Val<'v>> {
        match (self, key) {
            (Val::JsonMap(..), Val::Text(text)) => self.select(text),
            (Val::Map(entries), key) => entries.get(&Key::of(key)?).cloned(),
            _ => None,
        }
    }

    /// Whether two values are equal; numbers are compared by value, sets and maps by key in any order.
    pub(super) fn same(&self, other: &Val<'v>) -> bool {
        match (self, other) {
            (Val::Null, Val::Null) => true,
            (Val::Bool(left), Val::Bool(right)) => left == right,
            (Val::Text(left), Val::Text(right)) => **left == **right,
            (Val::Bytes(left), Val::Bytes(right)) => left == right,
            (Val::Type(left), Val::Type(right)) => left == right,
            (Val::Optional(left), Val::Optional(right)) => match (left, right) {
                (Some(left), Some(right)) => left.same(right),
                (left, right) => left.is_none() && right.is_none(),
            },
            (Val::Other(left), Val::Other(right)) => left == right,
            (left, right) if left.is_number() && right.is_number() => {
                left.compare_numbers(right) == Some(std::cmp::Ordering::Equal)
            }
            (Val::JsonList(left, _), Val::JsonList(right, _)) if left == right => true,
            // Sizes first: taking a large value apart is not for nothing.
            (left, right) if left.is_list() && right.is_list() && left.size() == right.size() => {
                let items = left.items().zip(right.items());
                items.is_some_and(|(left, right)| same_items(self, &left, &right))
            }
            (left, right) if left.is_map() && right.is_map() => {
                let small = if left.size() <= right.size() { (left, right) } else { (right, left) };
                let entries = small.0.entries().unwrap_or_default();
                let same = |(key, value): &(Val<'v>, Val<'v>)| {
                    small.1.lookup(key).is_some_and(|other| value.same(&other))
                };
                entries.iter().all(same) && small.1.entries().is_some_and(|all| all.len() == entries.len())
            }
            _ => false,
        }
    }

    pub(super) fn is_list(&self) -> bool {
        matches!(self, Val::JsonList(..) | Val::List(_))
    }

    pub(super) fn is_map(&self) -> bool {
        matches!(self, Val::JsonMap(..) | Val::Map(_))
    }

    pub(super) fn is_number(&self) -> bool {
        matches!(self, Val::Int(_) | Val::UInt(_) | Val::Double(_))
    }

    /// Compares numbers of any two kinds.
    pub(super) fn compare_numbers(&self, other: &Val<'v>) -> Option<std::cmp::Ordering> {
        match (self, other) {
            (Val::Double(left), right) => left.partial_cmp(&right.as_double()?),
            (left, Val::Double(right)) => left.as_double()?.partial_cmp(right),
            (left, right) => Some(left.as_wide()?.cmp(&right.as_wide()?)),
        }
    }

    fn as_wide(&self) -> Option<i128> {
        match self {
            Val::Int(number) => Some(i128::from(*number)),
            Val::UInt(number) => Some(i128::from(*number)),
            _ => None,
        }
    }

    fn as_double(&self) -> Option<f64> {
        match self {
            Val::Int(number) => Some(*number as f64),
            Val::UInt(number) => Some(*number as f64),
            Val::Double(number) => Some(*number),
            _ => None,
        }
    }

    /// How the list's items are known: lists of the object by their schema.
    pub(super) fn list_type(&self) -> Option<&'v ListType> {
        match self {
            Val::JsonList(_, schema) => Some(&schema.list_type),
            _ => None,
        }
    }

    /// What handling the whole value costs: a unit a node, and one for ten characters. Counts no further than `limit`,
    /// so that looking at a large value costs no more than the answer is worth.
    pub(super) fn weight(&self, limit: u64) -> u64 {
        let mut scale = Scale { total: 0, limit };
        scale.put(self);
        scale.total
    }

    /// The lighter of two weights; the work is in proportion to it.
    pub(super) fn lighter(&self, other: &Val<'v>) -> u64 {
        let mut limit = 64;
        loop {
            let lighter = self.weight(limit).min(other.weight(limit));
            if lighter < limit {
                return lighter;
            }
            limit *= 4;
        }
    }

    /// The value as the library's functions take it.
    pub(super) fn to_cel(&self) -> CelValue {
        match self {
            Val::Null => CelValue::Null,
            Val::Bool(flag) => CelValue::Bool(*flag),
            Val::Int(number) => CelValue::Int(*number),
            Val::UInt(number) => CelValue::UInt(*number),
            Val::Double(number) => CelValue::Float(*number),
            Val::Text(text) => CelValue::String(Arc::new(text.to_string())),
            Val::Bytes(bytes) => CelValue::Bytes(Arc::new(bytes.to_vec())),
            Val::Optional(None) => CelValue::Opaque(Arc::new(OptionalValue::none())),
            Val::Optional(Some(value)) => CelValue::Opaque(Arc::new(OptionalValue::of(value.to_cel()))),
            Val::Type(name) => CelValue::String(Arc::new((*name).to_owned())),
            Val::Other(value) => value.clone(),
            Val::JsonList(..) | Val::List(_) => {
                let items = self.items().unwrap_or_default();
                CelValue::List(Arc::new(items.iter().map(Val::to_cel).collect()))
            }
            Val::JsonMap(..) | Val::Map(_) => {
                let entries = self.entries().unwrap_or_default();
                let entries = entries.iter().filter_map(|(key, value)| {
                    let key: CelKey = key.to_cel().try_into().ok()?;
                    Some((key, value.to_cel()))
                });
                CelValue::Map(CelMap { map: Arc::new(entries.collect::<HashMap<_, _>>()) })
            }
        }
    }

    /// What a function of the library gave.
    pub(super) fn from_cel(value: CelValue) -> Self {
        match value {
            CelValue::Null => Val::Null,
            CelValue::Bool(flag) => Val::Bool(flag),
            CelValue::Int(number) => Val::Int(number),
            CelValue::UInt(number) => Val::UInt(number),
            CelValue::Float(number) => Val::Double(number),
            CelValue::String(text) => Val::text(&text),
            CelValue::Bytes(bytes) => Val::Bytes(Rc::new(Arc::unwrap_or_clone(bytes))),
            CelValue::List(items) => {
                Val::list(Arc::unwrap_or_clone(items).into_iter().map(Val::from_cel).collect())
            }
            CelValue::Map(map) => {
                let entries =
                    map.map.iter().map(|(key, value)| (Key::from_cel(key), Val::from_cel(value.clone())));
                Val::Map(Rc::new(entries.collect()))
            }
            other => {
                let optional: Result<&OptionalValue, ExecutionError> = (&other).try_into();
                match optional {
                    Ok(optional) => {
                        Val::Optional(optional.value().map(|value| Rc::new(Val::from_cel(value.clone()))))
                    }
                    Err(_) => Val::Other(other),
                }
            }
        }
    }
}

/// A field of the object as rules see it: declared fields, keys of maps, of metadata two fields only.
fn field<'v>(fields: &'v Map<String, Value>, schema: &'v Schema, name: &str) -> Option<Val<'v>> {
    let value = fields.get(name)?;
    if schema.resource && name == "metadata" {
        return Some(Val::of(value, visible_metadata()));
    }
    match (schema.property(name), &schema.additional) {
        (Some(child), _) => Some(Val::of(value, child)),
        (None, Some(values)) => Some(Val::of(value, values)),
        (None, None) if schema.kind == Type::Any => Some(Val::of(value, untyped())),
        (None, None) => None,
    }
}

fn same_items<'v>(list: &Val<'v>, left: &[Val<'v>], right: &[Val<'v>]) -> bool {
    if left.len() != right.len() {
        return false;
    }
    match list.list_type() {
        Some(ListType::Set | ListType::Map(_)) => {
            left.iter().all(|item| right.iter().any(|other| item.same(other)))
        }
        _ => left.iter().zip(right).all(|(left, right)| left.same(right)),
    }
}

/// Weighs values up to a limit.
struct Scale {
    total: u64,
    limit: u64,
}

impl Scale {
    fn add(&mut self, bytes: usize) {
        self.total += 1 + bytes as u64 / 10;
    }

    fn is_full(&self) -> bool {
        self.total >= self.limit
    }

    fn put(&mut self, value: &Val<'_>) {
        match value {
            Val::Text(text) => self.add(text.len()),
            Val::Bytes(bytes) => self.add(bytes.len()),
            Val::JsonList(items, _) => {
                self.add(0);
                self.put_all(items.iter(), Self::put_json);
            }
            Val::JsonMap(fields, _) => {
                self.add(0);
                self.put_all(fields.values(), Self::put_json);
            }
            Val::List(items) => {
                self.add(0);
                self.put_all(items.iter(), Self::put);
            }
            Val::Map(entries) => {
                self.add(0);
                self.put_all(entries.values(), Self::put);
            }
            Val::Optional(Some(value)) => self.put(value),
            Val::Other(value) => self.put_cel(value),
            _ => self.add(0),
        }
    }

    fn put_json(&mut self, value: &Value) {
        match value {
            Value::String(text) => self.add(text.len()),
            Value::Array(items) => {
                self.add(0);
                self.put_all(items.iter(), Self::put_json);
            }
            Value::Object(fields) => {
                self.add(0);
                self.put_all(fields.values(), Self::put_json);
            }
            _ => self.add(0),
        }
    }

    fn put_cel(&mut self, value: &CelValue) {
        match value {
            CelValue::String(text) => self.add(text.len()),
            CelValue::Bytes(bytes) => self.add(bytes.len()),
            CelValue::List(items) => {
                self.add(0);
                self.put_all(items.iter(), Self::put_cel);
            }
            CelValue::Map(map) => {
                self.add(0);
                self.put_all(map.map.values(), Self::put_cel);
            }
            _ => self.add(0),
        }
    }

    fn put_all<'i, T: 'i>(&mut self, items: impl Iterator<Item = &'i T>, put: fn(&mut Self, &T)) {
        for item in items {
            if self.is_full() {
                return;
            }
            put(self, item);
        }
    }
}

impl Key {
    pub(super) fn of(value: &Val<'_>) -> Option<Key> {
        Some(match value {
            Val::Bool(flag) => Key::Bool(*flag),
            Val::Int(number) => Key::Int(*number),
            Val::UInt(number) => Key::UInt(*number),
            Val::Double(number) if number.fract() == 0.0 => Key::Int(*number as i64),
            Val::Text(text) => Key::Text(text.to_string()),
            _ => return None,
        })
    }

    fn from_cel(key: &CelKey) -> Key {
        match key {
            CelKey::Bool(flag) => Key::Bool(*flag),
            CelKey::Int(number) => Key::Int(*number),
            CelKey::Uint(number) => Key::UInt(*number),
            CelKey::String(text) => Key::Text(text.to_string()),
        }
    }
}

impl From<Key> for Val<'_> {
    fn from(key: Key) -> Self {
        match key {
            Key::Bool(flag) => Val::Bool(flag),
            Key::Int(number) => Val::Int(number),
            Key::UInt(number) => Val::UInt(number),
            Key::Text(text) => Val::text(&text),
        }
    }
}

fn number<'v>(kind: Type, value: &Value) -> Val<'v> {
    let float = value.as_f64().unwrap_or(f64::NAN);
    match (kind, value.as_i64()) {
        (Type::Number, _) => Val::Double(float),
        (_, Some(whole)) => Val::Int(whole),
        (Type::Integer, None) if float.fract() == 0.0 => Val::Int(float as i64),
        (_, None) => value.as_u64().map_or(Val::Double(float), Val::UInt),
    }
}

/// Texts with a format have a type of their own; one that does not fit stays a text.
fn string<'v>(schema: &Schema, text: &'v str) -> Val<'v> {
    let plain = || Val::Text(Text::Part(text));
    let format = schema.checks.as_ref().and_then(|checks| checks.format).map(Format::name);
    match format {
        Some("byte") => {
            use base64::Engine;
            let decoded = base64::engine::general_purpose::STANDARD.decode(text);
            decoded.map_or_else(|_| plain(), |bytes| Val::Bytes(Rc::new(bytes)))
        }
        Some("date" | "date-time") => {
            let full = if format == Some("date") { format!("{text}T00:00:00Z") } else { text.to_owned() };
            time::timestamp(Arc::new(full)).map_or_else(|_| plain(), Val::Other)
        }
        Some("duration") if parse_go_duration(text).is_some() => {
            time::duration(Arc::new(text.to_owned())).map_or_else(|_| plain(), Val::Other)
        }
        _ => plain(),
    }
}
