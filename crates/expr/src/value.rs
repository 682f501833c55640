//! Values of the language.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use jiff::Zoned;

use crate::text;

/// A value: what a provider measured, and whatever an expression makes of it.
///
/// Copies are cheap: what can be large is shared.
#[derive(Debug, Clone)]
pub enum Value {
    /// Nothing, JSON's `null`.
    Nil,
    /// A truth value.
    Bool(bool),
    /// A whole number, as literals and counts are.
    Int(i64),
    /// A number, as every measured one is. May be NaN or infinite.
    Float(f64),
    /// Text.
    String(Arc<str>),
    /// A byte string, `b"…"`.
    Bytes(Arc<[u8]>),
    /// A list.
    Array(Array),
    /// A map. A missing key yields nil.
    Map(Map),
    /// A map with fixed fields. A missing field is an error.
    Record(Map),
    /// An instant, with the zone it is written in.
    Time(Arc<Zoned>),
    /// A span of time in nanoseconds.
    Duration(i64),
    /// A time zone.
    Zone(jiff::tz::TimeZone),
}

/// A list of values, with the depth and size of the whole below it.
#[derive(Debug, Clone)]
pub struct Array(Arc<Counted<Vec<Value>>>);

/// Keys and values in the order of the keys, with the depth and size of the whole below.
#[derive(Debug, Clone)]
pub struct Map(Arc<Counted<BTreeMap<Key, Value>>>);

#[derive(Debug)]
struct Counted<T> {
    items: T,
    extent: Extent,
}

/// How far a value reaches: a shared value can be far larger than the memory it takes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Extent {
    /// Levels of nesting; 0 for a scalar.
    pub(crate) depth: usize,
    /// Elements on all levels.
    pub(crate) size: usize,
}

impl Extent {
    fn around<'a>(children: impl Iterator<Item = &'a Value>) -> Self {
        children.fold(Self { depth: 1, size: 0 }, |whole, child| {
            let inner = child.extent();
            Self {
                depth: whole.depth.max(inner.depth.saturating_add(1)),
                size: whole.size.saturating_add(1).saturating_add(inner.size),
            }
        })
    }
}

impl Array {
    /// The elements.
    pub fn items(&self) -> &[Value] {
        &self.0.items
    }
}

impl From<Vec<Value>> for Array {
    fn from(items: Vec<Value>) -> Self {
        let extent = Extent::around(items.iter());
        Self(Arc::new(Counted { items, extent }))
    }
}

impl Map {
    /// The entries.
    pub fn entries(&self) -> &BTreeMap<Key, Value> {
        &self.0.items
    }

    /// The value of a text key.
    pub fn get(&self, key: &str) -> Option<&Value> {
        self.0.items.get(&Key::String(key.into()))
    }
}

impl From<BTreeMap<Key, Value>> for Map {
    fn from(items: BTreeMap<Key, Value>) -> Self {
        let extent = Extent::around(items.values());
        Self(Arc::new(Counted { items, extent }))
    }
}

/// A key of a map. JSON has only text; `groupBy` and `fromPairs` make the others.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Key {
    /// Nothing.
    Nil,
    /// A truth value.
    Bool(bool),
    /// A whole number.
    Int(i64),
    /// A number.
    Float(FloatKey),
    /// Text.
    String(Arc<str>),
}

/// A float that can be a key: ordered, zeros alike, every NaN alike.
#[derive(Debug, Clone, Copy)]
pub struct FloatKey(f64);

impl PartialEq for FloatKey {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for FloatKey {}

impl PartialOrd for FloatKey {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for FloatKey {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.0.total_cmp(&other.0)
    }
}

impl Key {
    /// The key that a value is, if it can be one.
    pub(crate) fn of(value: &Value) -> Option<Self> {
        match value {
            Value::Nil => Some(Self::Nil),
            Value::Bool(value) => Some(Self::Bool(*value)),
            Value::Int(value) => Some(Self::Int(*value)),
            // Adding zero turns -0.0 into 0.0.
            Value::Float(value) if value.is_nan() => Some(Self::Float(FloatKey(f64::NAN))),
            Value::Float(value) => Some(Self::Float(FloatKey(value + 0.0))),
            Value::String(value) => Some(Self::String(value.clone())),
            _ => None,
        }
    }

    pub(crate) fn to_value(&self) -> Value {
        match self {
            Self::Nil => Value::Nil,
            Self::Bool(value) => Value::Bool(*value),
            Self::Int(value) => Value::Int(*value),
            Self::Float(value) => Value::Float(value.0),
            Self::String(value) => Value::String(value.clone()),
        }
    }
}

impl Value {
    /// A list.
    pub fn array(items: Vec<Value>) -> Self {
        Self::Array(items.into())
    }

    /// A map with text keys.
    pub fn map<K: AsRef<str>>(entries: impl IntoIterator<Item = (K, Value)>) -> Self {
        Self::Map(Self::keyed(entries))
    }

    /// A map whose fields are fixed: to ask for another is an error, not nil.
    pub fn record<K: AsRef<str>>(fields: impl IntoIterator<Item = (K, Value)>) -> Self {
        Self::Record(Self::keyed(fields))
    }

    fn keyed<K: AsRef<str>>(entries: impl IntoIterator<Item = (K, Value)>) -> Map {
        let entries = entries.into_iter().map(|(key, value)| (Key::String(key.as_ref().into()), value));
        entries.collect::<BTreeMap<_, _>>().into()
    }

    /// The name of the type as error messages give it.
    pub fn type_name(&self) -> &'static str {
        match self {
            Self::Nil => "nil",
            Self::Bool(_) => "bool",
            Self::Int(_) => "int",
            Self::Float(_) => "float64",
            Self::String(_) => "string",
            Self::Bytes(_) => "bytes",
            Self::Array(_) => "array",
            Self::Map(_) => "map",
            Self::Record(_) => "record",
            Self::Time(_) => "time.Time",
            Self::Duration(_) => "time.Duration",
            Self::Zone(_) => "time.Location",
        }
    }

    /// Whether this is what a provider without data gives: nil, or a list without elements.
    pub fn is_nil_or_empty(&self) -> bool {
        match self {
            Self::Nil => true,
            Self::Array(array) => array.items().is_empty(),
            _ => false,
        }
    }

    /// The number, if it is one.
    pub fn as_float(&self) -> Option<f64> {
        match self {
            Self::Int(value) => Some(*value as f64),
            Self::Float(value) => Some(*value),
            _ => None,
        }
    }

    pub(crate) fn extent(&self) -> Extent {
        match self {
            Self::Array(array) => array.0.extent,
            Self::Map(map) | Self::Record(map) => map.0.extent,
            _ => Extent::default(),
        }
    }
}

impl From<bool> for Value {
    fn from(value: bool) -> Self {
        Self::Bool(value)
    }
}

impl From<i64> for Value {
    fn from(value: i64) -> Self {
        Self::Int(value)
    }
}

impl From<f64> for Value {
    fn from(value: f64) -> Self {
        Self::Float(value)
    }
}

impl From<&str> for Value {
    fn from(value: &str) -> Self {
        Self::String(value.into())
    }
}

impl From<String> for Value {
    fn from(value: String) -> Self {
        Self::String(value.into())
    }
}

/// JSON as the providers read it: every number is a float (`spec/analysis.md` 3.3).
impl From<&serde_json::Value> for Value {
    fn from(json: &serde_json::Value) -> Self {
        match json {
            serde_json::Value::Null => Self::Nil,
            serde_json::Value::Bool(value) => Self::Bool(*value),
            serde_json::Value::Number(number) => Self::Float(number.as_f64().unwrap_or(f64::NAN)),
            serde_json::Value::String(value) => Self::from(value.as_str()),
            serde_json::Value::Array(items) => Self::array(items.iter().map(Self::from).collect()),
            serde_json::Value::Object(fields) => {
                Self::map(fields.iter().map(|(key, value)| (key, Self::from(value))))
            }
        }
    }
}

/// The text that status and logs show: compact JSON, numbers in plain decimal with the shortest
/// digits that read back alike, `NaN`, `+Inf`, `-Inf` (`spec/analysis.md` 4.0).
impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        text::write_compact(self, f)
    }
}
