//! Version 1 of the API: the last point of the first series.

use bytes::Bytes;
use http::Method;
use okra_expr::Value;
use serde::Deserialize;
use serde_json::Value as Json;

use super::{Query, Window};
use crate::http::{Answer, form};
use crate::provider::{Measured, ProviderError};

#[derive(Default, Deserialize)]
#[serde(default)]
struct Response {
    series: Vec<Series>,
    error: Option<String>,
}

#[derive(Deserialize)]
struct Series {
    #[serde(default)]
    pointlist: Vec<Json>,
}

/// Method, path with query, and body.
pub(super) fn request(query: &Query, window: Window) -> (Method, String, Bytes) {
    let text = query.queries.values().next().map(String::as_str).unwrap_or_default();
    let (from, to) = (window.from.as_second().to_string(), window.to.as_second().to_string());
    let fields = form::encoded(&[("from", from.as_str()), ("query", text), ("to", to.as_str())]);
    (Method::GET, format!("/api/v1/query?{fields}"), Bytes::new())
}

/// The last point that has a value: where Datadog has none it writes null, which is not 0.
pub(super) fn measured(answer: &Answer) -> Result<Measured, ProviderError> {
    let response: Response = answer.json()?;
    if let Some(error) = response.error.filter(|error| !error.is_empty()) {
        return Err(ProviderError::new(format!("There were errors in your query: {error}")));
    }
    let points = response.series.first().map(|series| series.pointlist.as_slice()).unwrap_or_default();
    for point in points.iter().rev() {
        match point.as_array().map(Vec::as_slice) {
            Some([_, Json::Null]) => {}
            Some([_, Json::Number(value)]) => {
                return Ok(Measured::of(Value::Float(value.as_f64().unwrap_or(f64::NAN))));
            }
            _ => {
                return Err(ProviderError::new(format!(
                    "Datadog point {point} is no pair of time and value"
                )));
            }
        }
    }
    Ok(Measured::new("[]", Value::Nil))
}
