//! What a Prometheus server answers.

use okra_expr::Value;
use serde::Deserialize;
use serde::de::{DeserializeOwned, IgnoredAny};
use serde_json::{Map, Value as Json};

use crate::grouped::{Group, noted};
use crate::http::Answer;
use crate::provider::{Measured, ProviderError};

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Response {
    status: String,
    data: Data,
    error_type: String,
    error: String,
    warnings: Option<Vec<String>>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Data {
    result_type: String,
    result: Json,
}

/// A value as text; the wire has its time before it.
#[derive(Deserialize)]
#[serde(from = "(IgnoredAny, String)")]
struct Sample(String);

impl From<(IgnoredAny, String)> for Sample {
    fn from((_, value): (IgnoredAny, String)) -> Self {
        Self(value)
    }
}

#[derive(Deserialize)]
struct Series {
    #[serde(default)]
    metric: Map<String, Json>,
    /// Of an instant query.
    value: Option<Sample>,
    /// Of a range query.
    #[serde(default)]
    values: Vec<Sample>,
}

/// The values of an answer.
///
/// # Errors
///
/// If it is an error, or holds something else than numbers.
pub(super) fn measured(answer: &Answer) -> Result<Measured, ProviderError> {
    let response: Response = match answer.json() {
        Ok(response) => response,
        Err(_) if !answer.status.is_success() => return Err(answer.refusal()),
        Err(error) => return Err(error),
    };
    if response.status != "success" {
        let Response { error_type, error, .. } = &response;
        return Err(match (error_type.is_empty() && error.is_empty(), answer.status.is_success()) {
            (false, _) => answer.error(format!("{error_type}: {error}")),
            (true, false) => answer.refusal(),
            (true, true) => {
                ProviderError::new(format!("this is no answer of Prometheus: {}", answer.excerpt()))
            }
        });
    }
    let measured = match response.data.result_type.as_str() {
        "scalar" => Measured::of(number(&read(response.data.result)?)?),
        "vector" | "matrix" => of_series(response.data.result)?,
        other => {
            let message = format!("Prometheus metric type not supported: {other:?}");
            return Err(ProviderError::new(message));
        }
    };
    let warnings: Vec<String> =
        response.warnings.unwrap_or_default().iter().map(|warning| format!("\"{warning}\"")).collect();
    Ok(if warnings.is_empty() { measured } else { measured.noted("warnings", warnings.join(", ")) })
}

/// The samples of all series in the order of the server.
fn of_series(result: Json) -> Result<Measured, ProviderError> {
    let items: Vec<Json> = read(result)?;
    let (mut values, mut groups) = (Vec::new(), Vec::new());
    for item in items {
        if item.get("histogram").is_some() || item.get("histograms").is_some() {
            let message = "the query yields native histograms, which are no numbers: use histogram_quantile \
                           or another function of them";
            return Err(ProviderError::new(message));
        }
        let series: Series = read(item)?;
        let samples = series.value.iter().chain(&series.values);
        let numbers = samples.map(number).collect::<Result<Vec<_>, _>>()?;
        // Of a range, the newest sample stands for the series in the note.
        if let Some(newest) = numbers.last().and_then(Value::as_float) {
            groups.push(Group { name: ("metric", Json::Object(series.metric)), value: newest });
        }
        values.extend(numbers);
    }
    let measured = Measured::of(Value::array(values));
    Ok(if groups.is_empty() { measured } else { noted(measured, "series", groups) })
}

fn number(Sample(text): &Sample) -> Result<Value, ProviderError> {
    let number =
        text.parse().map_err(|_| ProviderError::new(format!("Prometheus sample {text:?} is no number")))?;
    Ok(Value::Float(number))
}

fn read<T: DeserializeOwned>(json: Json) -> Result<T, ProviderError> {
    serde_json::from_value(json)
        .map_err(|error| ProviderError::caused_by("Prometheus result cannot be read", error))
}
