//! Whether a query found anything at all, which a metric may judge by its `noData`
//! (`spec/analysis.md` 2.10-6).

use okra_expr::Value;

/// The key under which a series of CloudWatch has its points.
const POINTS: &str = "Values";

/// Whether a result holds no number: nil, NaN, an empty list, a list of such, or series without a
/// point.
pub fn is_no_data(result: &Value) -> bool {
    match result {
        Value::Nil => true,
        Value::Float(number) => number.is_nan(),
        Value::Array(items) => items.items().iter().all(is_no_data),
        // Records come from providers of series; a map is what somebody's web server said.
        Value::Record(fields) => fields.get(POINTS).is_some_and(is_no_data),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nil_nan_empty_lists_and_series_without_points_are_no_data() {
        let series = |points: Vec<Value>| Value::record([("Id", "m".into()), (POINTS, Value::array(points))]);
        for nothing in [
            Value::Nil,
            Value::Float(f64::NAN),
            Value::array(vec![]),
            Value::array(vec![Value::Float(f64::NAN), Value::Nil]),
            Value::array(vec![series(vec![]), series(vec![])]),
        ] {
            assert!(is_no_data(&nothing), "{nothing}");
        }
        for something in [
            Value::Float(0.0),
            Value::Float(f64::INFINITY),
            Value::Bool(false),
            "".into(),
            Value::array(vec![Value::Float(f64::NAN), Value::Float(1.0)]),
            Value::array(vec![series(vec![]), series(vec![Value::Float(1.0)])]),
            Value::map([("Values", Value::array(vec![]))]),
        ] {
            assert!(!is_no_data(&something), "{something}");
        }
    }
}
