//! Version 2 of the API: one number, or one a group.

use bytes::Bytes;
use http::Method;
use okra_expr::Value;
use serde::Deserialize;
use serde_json::{Value as Json, json};

use super::{Query, Window};
use crate::grouped::{Group, noted};
use crate::http::Answer;
use crate::provider::{Measured, ProviderError};

#[derive(Default, Deserialize)]
#[serde(default)]
struct Response {
    data: Data,
    errors: Json,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Data {
    attributes: Attributes,
    errors: Json,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Attributes {
    columns: Vec<Column>,
}

#[derive(Deserialize)]
struct Column {
    #[serde(default)]
    name: String,
    #[serde(default, rename = "type")]
    kind: Option<String>,
    #[serde(default)]
    values: Vec<Json>,
}

impl Column {
    fn is_group(&self) -> bool {
        self.kind.as_deref() == Some("group")
    }

    fn is_number(&self) -> bool {
        matches!(self.kind.as_deref(), None | Some("" | "number"))
    }
}

/// Method, path and body.
pub(super) fn request(query: &Query, window: Window) -> (Method, String, Bytes) {
    let queries: Vec<Json> = query
        .queries
        .iter()
        .map(|(name, text)| {
            json!({"aggregator": query.aggregator, "data_source": "metrics", "name": name, "query": text})
        })
        .collect();
    let formulas: Vec<Json> = query.formula.iter().map(|formula| json!({"formula": formula})).collect();
    let attributes = json!({
        "from": window.from.as_millisecond(), "to": window.to.as_millisecond(),
        "queries": queries, "formulas": formulas,
    });
    let body = json!({"data": {"type": "scalar_request", "attributes": attributes}});
    (Method::POST, "/api/v2/query/scalar".to_owned(), Bytes::from(body.to_string()))
}

/// The first column of numbers: one value, or a list if there are groups.
pub(super) fn measured(answer: &Answer) -> Result<Measured, ProviderError> {
    let response: Response = answer.json()?;
    for errors in [&response.data.errors, &response.errors] {
        if let Some(said) = said(errors) {
            return Err(ProviderError::new(format!("There were errors in your query: {said}")));
        }
    }
    let columns = &response.data.attributes.columns;
    let groups: Vec<&Column> = columns.iter().filter(|column| column.is_group()).collect();
    let mut rows = Vec::new();
    if let Some(numbers) = columns.iter().find(|column| column.is_number()) {
        for (row, cell) in numbers.values.iter().enumerate().filter(|(_, cell)| !cell.is_null()) {
            let value = cell.as_f64().ok_or_else(|| {
                ProviderError::new(format!(
                    "column {:?} of the answer holds {cell}, which is no number",
                    numbers.name
                ))
            })?;
            rows.push((label(&groups, row)?, value));
        }
    }
    let Some((_, first)) = rows.first() else { return Ok(Measured::new("[]", Value::Nil)) };
    if groups.is_empty() {
        return Ok(Measured::of(Value::Float(*first)));
    }
    let values = rows.iter().map(|(_, value)| Value::Float(*value)).collect();
    let named = rows.into_iter().map(|(label, value)| Group { name: ("name", Json::from(label)), value });
    Ok(noted(Measured::of(Value::array(values)), "groups", named.collect()))
}

/// What the API says is wrong: a text, or several.
fn said(errors: &Json) -> Option<String> {
    match errors {
        Json::Null => None,
        Json::String(text) => Some(text.clone()).filter(|text| !text.is_empty()),
        Json::Array(items) if items.is_empty() => None,
        other => Some(other.to_string()),
    }
}

/// The tags of a row, in the order of the columns.
fn label(groups: &[&Column], row: usize) -> Result<String, ProviderError> {
    let mut parts = Vec::new();
    for group in groups {
        let missing =
            || ProviderError::new(format!("row {row} of the answer has no label in column {:?}", group.name));
        let cell = group.values.get(row).ok_or_else(missing)?;
        let tags: Vec<&str> = match cell {
            Json::String(tag) => vec![tag],
            Json::Array(tags) => tags.iter().filter_map(Json::as_str).collect(),
            _ => return Err(missing()),
        };
        if tags.is_empty() || tags.contains(&"") {
            return Err(missing());
        }
        parts.extend(tags);
    }
    Ok(parts.join(","))
}
