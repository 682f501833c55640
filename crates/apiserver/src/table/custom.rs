//! Columns of custom resources: `additionalPrinterColumns`.

use super::age::age;
use super::{JsonPath, JsonPathError};
use jiff::Timestamp;
use serde_json::{Value, json};

/// One entry of `additionalPrinterColumns`.
#[derive(Debug, Clone)]
pub(super) struct Column {
    name: String,
    kind: String,
    format: String,
    description: String,
    priority: i64,
    path: JsonPath,
}

/// The columns after Name: those of the list, or Age if there is none.
pub(super) fn columns(written: Option<&Value>) -> Result<Vec<Column>, JsonPathError> {
    let age = json!([{"name": "Age", "type": "date", "jsonPath": ".metadata.creationTimestamp",
        "description": "Time since the object was created."}]);
    let written = written.filter(|list| list.as_array().is_some_and(|list| !list.is_empty())).unwrap_or(&age);
    written.as_array().into_iter().flatten().map(Column::parse).collect()
}

impl Column {
    fn parse(written: &Value) -> Result<Self, JsonPathError> {
        let text = |name: &str| written.get(name).and_then(Value::as_str).unwrap_or_default().to_owned();
        Ok(Column {
            name: text("name"),
            kind: text("type"),
            format: text("format"),
            description: text("description"),
            priority: written.get("priority").and_then(Value::as_i64).unwrap_or(0),
            path: JsonPath::parse(&text("jsonPath"))?,
        })
    }

    pub(super) fn definition(&self) -> Value {
        super::column(&self.name, &self.kind, &self.format, &self.description, self.priority)
    }

    pub(super) fn cell(&self, object: &Value, now: Timestamp) -> Value {
        let Some(hit) = self.path.first(object).filter(|hit| !hit.is_null()) else { return Value::Null };
        match self.kind.as_str() {
            "integer" => match hit {
                Value::Number(number) if number.is_i64() || number.is_u64() => hit.clone(),
                Value::Number(number) => {
                    number.as_f64().map_or(Value::Null, |number| Value::from(number as i64))
                }
                _ => Value::Null,
            },
            "number" if hit.is_number() => hit.clone(),
            "boolean" if hit.is_boolean() => hit.clone(),
            "number" | "boolean" => Value::Null,
            "date" => match hit {
                Value::String(_) => match age(Some(hit), now).as_str() {
                    Some("<unknown>") | None => Value::Null,
                    Some(text) => Value::from(text),
                },
                _ => Value::from("<invalid>"),
            },
            _ => match hit {
                Value::String(_) => hit.clone(),
                other => Value::from(other.to_string()),
            },
        }
    }
}
