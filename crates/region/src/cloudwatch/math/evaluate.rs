//! Tree to points.

use std::collections::BTreeMap;

use super::parse::{Expression, Operator};
use crate::cloudwatch::Window;

/// Points of one metric or result by the start of their period.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Series {
    pub(crate) period: i64,
    pub(crate) values: BTreeMap<i64, f64>,
}

/// What an expression can come to.
#[derive(Debug, Clone, PartialEq)]
enum Value {
    Scalar(f64),
    Series(Series),
    /// Several series side by side: METRICS(), or a list in brackets.
    Many(Vec<Series>),
    Text(String),
}

/// Why an expression has no value.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum EvaluateError {
    #[error("there is no query with id '{0}'")]
    UnknownId(String),
    #[error("'{0}' refers to itself")]
    Circle(String),
    #[error(
        "function {0} is not known here; known are ABS, AVG, CEIL, FILL, FLOOR, IF, MAX, METRICS, MIN, PERIOD and SUM"
    )]
    UnknownFunction(String),
    #[error("{function} takes {wanted}")]
    Arguments { function: String, wanted: &'static str },
    #[error("it yields {0}, but a query must yield a time series")]
    NoSeries(&'static str),
    #[error("{0} cannot be calculated with")]
    Operand(&'static str),
}

type Evaluated = Result<Value, EvaluateError>;

/// The queries of one call.
pub(crate) struct Evaluator<'a> {
    window: Window,
    metrics: BTreeMap<String, Series>,
    expressions: BTreeMap<String, &'a Expression>,
}

impl<'a> Evaluator<'a> {
    pub(crate) fn new(window: Window) -> Self {
        Self { window, metrics: BTreeMap::new(), expressions: BTreeMap::new() }
    }

    pub(crate) fn metric(&mut self, id: &str, series: Series) {
        self.metrics.insert(id.to_owned(), series);
    }

    pub(crate) fn expression(&mut self, id: &str, expression: &'a Expression) {
        self.expressions.insert(id.to_owned(), expression);
    }

    /// What a query comes to: one series, or several.
    pub(crate) fn result(&self, id: &str) -> Result<Vec<Series>, EvaluateError> {
        match self.named(id, &mut Vec::new())? {
            Value::Series(series) => Ok(vec![series]),
            Value::Many(many) => Ok(many),
            Value::Scalar(_) => Err(EvaluateError::NoSeries("a single number")),
            Value::Text(_) => Err(EvaluateError::NoSeries("a text")),
        }
    }

    /// `open` holds the ids that are being evaluated.
    fn named(&self, id: &str, open: &mut Vec<String>) -> Evaluated {
        if let Some(series) = self.metrics.get(id) {
            return Ok(Value::Series(series.clone()));
        }
        let expression = self.expressions.get(id).ok_or_else(|| EvaluateError::UnknownId(id.to_owned()))?;
        if open.iter().any(|known| known == id) {
            return Err(EvaluateError::Circle(id.to_owned()));
        }
        open.push(id.to_owned());
        let value = self.evaluate(expression, open)?;
        open.pop();
        Ok(value)
    }

    fn evaluate(&self, expression: &Expression, open: &mut Vec<String>) -> Evaluated {
        match expression {
            Expression::Number(number) => Ok(Value::Scalar(*number)),
            Expression::Text(text) => Ok(Value::Text(text.clone())),
            Expression::Name(id) => self.named(id, open),
            Expression::List(elements) => {
                let mut many = Vec::new();
                for element in elements {
                    match self.evaluate(element, open)? {
                        Value::Series(series) => many.push(series),
                        Value::Many(series) => many.extend(series),
                        _ => return Err(EvaluateError::Operand("a list of anything but time series")),
                    }
                }
                Ok(Value::Many(many))
            }
            Expression::Negative(inner) => map(self.evaluate(inner, open)?, &|number| Some(-number)),
            Expression::Binary(operator, left, right) => {
                let (left, right) = (self.evaluate(left, open)?, self.evaluate(right, open)?);
                combine(left, right, &|one, other| calculate(*operator, one, other))
            }
            Expression::Call(name, arguments) => self.call(name, arguments, open),
        }
    }

    fn call(&self, name: &str, arguments: &[Expression], open: &mut Vec<String>) -> Evaluated {
        let wrong = |wanted| EvaluateError::Arguments { function: name.to_owned(), wanted };
        match name {
            "METRICS" => self.metrics_like(arguments).ok_or_else(|| wrong("nothing, or a text in quotes")),
            "FILL" => match arguments {
                [filled, with] => {
                    let filled = self.evaluate(filled, open)?;
                    self.fill(filled, with, open)
                }
                _ => Err(wrong("a time series and what to fill it with")),
            },
            "IF" => match arguments {
                [condition, then, otherwise] => self.choose(condition, then, otherwise, open),
                _ => Err(wrong("a condition and two values")),
            },
            _ => {
                let [only] = arguments else {
                    known(name)?;
                    return Err(wrong("one argument; several series go into brackets"));
                };
                let value = self.evaluate(only, open)?;
                match name {
                    "ABS" => map(value, &|number| Some(number.abs())),
                    "CEIL" => map(value, &|number| Some(number.ceil())),
                    "FLOOR" => map(value, &|number| Some(number.floor())),
                    "PERIOD" => match value {
                        Value::Series(series) => Ok(Value::Scalar(series.period as f64)),
                        _ => Err(wrong("one time series")),
                    },
                    "SUM" | "AVG" | "MIN" | "MAX" => aggregate(name, value),
                    other => Err(EvaluateError::UnknownFunction(other.to_owned())),
                }
            }
        }
    }

    /// All metrics of the call, or those whose id holds a text.
    fn metrics_like(&self, arguments: &[Expression]) -> Option<Value> {
        let part = match arguments {
            [] => "",
            [Expression::Text(part)] => part,
            _ => return None,
        };
        let matching = self.metrics.iter().filter(|(id, _)| id.contains(part));
        Some(Value::Many(matching.map(|(_, series)| series.clone()).collect()))
    }

    fn fill(&self, filled: Value, with: &Expression, open: &mut Vec<String>) -> Evaluated {
        let filler = match with {
            Expression::Name(word) if word == "REPEAT" => Filler::Repeat,
            Expression::Name(word) if word == "LINEAR" => Filler::Linear,
            other => match self.evaluate(other, open)? {
                Value::Scalar(number) => Filler::Number(number),
                Value::Series(series) => Filler::Series(series),
                _ => return Err(EvaluateError::Operand("a list as filling")),
            },
        };
        match filled {
            Value::Series(series) => Ok(Value::Series(self.fill_one(series, &filler))),
            Value::Many(many) => {
                Ok(Value::Many(many.into_iter().map(|series| self.fill_one(series, &filler)).collect()))
            }
            _ => Err(EvaluateError::Operand("anything but a time series in FILL")),
        }
    }

    fn fill_one(&self, series: Series, filler: &Filler) -> Series {
        let start = self.window.start - self.window.start.rem_euclid(series.period);
        let window = Window { start, period: series.period, ..self.window };
        let value = |time: i64| {
            let before = series.values.range(..=time).next_back();
            if let Some((known, value)) = before
                && *known == time
            {
                return Some(*value);
            }
            match filler {
                Filler::Number(number) => Some(*number),
                Filler::Series(other) => other.values.get(&time).copied(),
                Filler::Repeat => before.map(|(_, value)| *value),
                Filler::Linear => {
                    let ((from, low), (to, high)) = (before?, series.values.range(time..).next()?);
                    let share = (time - from) as f64 / (to - from) as f64;
                    Some(low + (high - low) * share)
                }
            }
        };
        let values = window.starts().filter_map(|time| value(time).map(|value| (time, value))).collect();
        Series { period: series.period, values }
    }

    fn choose(
        &self,
        condition: &Expression,
        then: &Expression,
        otherwise: &Expression,
        open: &mut Vec<String>,
    ) -> Evaluated {
        let condition = self.evaluate(condition, open)?;
        let (then, otherwise) = (self.evaluate(then, open)?, self.evaluate(otherwise, open)?);
        if let Value::Scalar(number) = condition {
            return Ok(if number == 0.0 { otherwise } else { then });
        }
        // Each side counts where the condition calls for it.
        let chosen = combine(condition.clone(), then, &|choice, value| (choice != 0.0).then_some(value))?;
        let rest = combine(condition, otherwise, &|choice, value| (choice == 0.0).then_some(value))?;
        match (chosen, rest) {
            (Value::Series(mut chosen), Value::Series(rest)) => {
                chosen.values.extend(rest.values);
                Ok(Value::Series(chosen))
            }
            _ => Err(EvaluateError::Operand("a list in IF")),
        }
    }
}

enum Filler {
    Number(f64),
    Series(Series),
    Repeat,
    Linear,
}

/// Refuses a name that is no function, whatever its arguments.
fn known(name: &str) -> Result<(), EvaluateError> {
    match name {
        "ABS" | "AVG" | "CEIL" | "FLOOR" | "MAX" | "MIN" | "PERIOD" | "SUM" => Ok(()),
        other => Err(EvaluateError::UnknownFunction(other.to_owned())),
    }
}

fn calculate(operator: Operator, one: f64, other: f64) -> Option<f64> {
    let truth = |holds: bool| Some(f64::from(u8::from(holds)));
    match operator {
        Operator::Add => Some(one + other),
        Operator::Subtract => Some(one - other),
        Operator::Multiply => Some(one * other),
        Operator::Divide => Some(one / other).filter(|result| result.is_finite()),
        Operator::Power => Some(one.powf(other)).filter(|result| result.is_finite()),
        Operator::Less => truth(one < other),
        Operator::LessOrEqual => truth(one <= other),
        Operator::Greater => truth(one > other),
        Operator::GreaterOrEqual => truth(one >= other),
        Operator::Equal => truth(one == other),
        Operator::NotEqual => truth(one != other),
    }
}

/// A function of one number, everywhere.
fn map(value: Value, function: &dyn Fn(f64) -> Option<f64>) -> Evaluated {
    let one = |series: Series| Series {
        period: series.period,
        values: series
            .values
            .into_iter()
            .filter_map(|(time, value)| Some((time, function(value)?)))
            .collect(),
    };
    match value {
        Value::Scalar(number) => {
            function(number).map(Value::Scalar).ok_or(EvaluateError::Operand("a division by zero"))
        }
        Value::Series(series) => Ok(Value::Series(one(series))),
        Value::Many(many) => Ok(Value::Many(many.into_iter().map(one).collect())),
        Value::Text(_) => Err(EvaluateError::Operand("a text")),
    }
}

/// A function of two numbers, where both are known.
fn combine(left: Value, right: Value, function: &dyn Fn(f64, f64) -> Option<f64>) -> Evaluated {
    match (left, right) {
        (value, Value::Scalar(other)) => map(value, &|one| function(one, other)),
        (Value::Scalar(one), value) => map(value, &|other| function(one, other)),
        (Value::Series(left), Value::Series(right)) => Ok(Value::Series(pairwise(&left, &right, function))),
        (Value::Many(many), Value::Series(right)) => {
            Ok(Value::Many(many.iter().map(|left| pairwise(left, &right, function)).collect()))
        }
        (Value::Series(left), Value::Many(many)) => {
            Ok(Value::Many(many.iter().map(|right| pairwise(&left, right, function)).collect()))
        }
        (Value::Many(_), Value::Many(_)) => Err(EvaluateError::Operand("a list with another list")),
        _ => Err(EvaluateError::Operand("a text")),
    }
}

fn pairwise(left: &Series, right: &Series, function: &dyn Fn(f64, f64) -> Option<f64>) -> Series {
    let both = |(time, one): (&i64, &f64)| Some((*time, function(*one, *right.values.get(time)?)?));
    Series { period: left.period.max(right.period), values: left.values.iter().filter_map(both).collect() }
}

/// Of one series the figure over all its time; of several the series of the
/// figures at each time.
fn aggregate(name: &str, value: Value) -> Evaluated {
    let figure = |numbers: &[f64]| match name {
        "SUM" => numbers.iter().sum(),
        "AVG" => numbers.iter().sum::<f64>() / numbers.len() as f64,
        "MIN" => numbers.iter().copied().fold(f64::INFINITY, f64::min),
        _ => numbers.iter().copied().fold(f64::NEG_INFINITY, f64::max),
    };
    match value {
        Value::Series(series) => {
            let numbers: Vec<f64> = series.values.into_values().collect();
            if numbers.is_empty() && name != "SUM" {
                return Err(EvaluateError::Operand("a time series without points"));
            }
            Ok(Value::Scalar(figure(&numbers)))
        }
        Value::Many(many) => {
            let mut by_time: BTreeMap<i64, Vec<f64>> = BTreeMap::new();
            for (time, value) in many.iter().flat_map(|series| &series.values) {
                by_time.entry(*time).or_default().push(*value);
            }
            let period = many.iter().map(|series| series.period).max().unwrap_or(60);
            let values = by_time.into_iter().map(|(time, numbers)| (time, figure(&numbers))).collect();
            Ok(Value::Series(Series { period, values }))
        }
        Value::Scalar(_) | Value::Text(_) => {
            Err(EvaluateError::Arguments { function: name.to_owned(), wanted: "time series" })
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn series(values: &[(i64, f64)]) -> Series {
        Series { period: 60, values: values.iter().copied().collect() }
    }

    /// Minutes 0 to 4; `req` has a gap at 120, `err` only one point.
    fn evaluate(text: &str) -> Result<Vec<Vec<(i64, f64)>>, String> {
        let expression = Expression::parse(text).map_err(|error| error.to_string())?;
        let twice = Expression::parse("req * 2").unwrap();
        let mut evaluator = Evaluator::new(Window { start: 0, end: 240, period: 60 });
        evaluator.metric("req", series(&[(0, 100.0), (60, 200.0), (180, 400.0)]));
        evaluator.metric("err", series(&[(60, 10.0)]));
        evaluator.metric("none", series(&[]));
        evaluator.expression("twice", &twice);
        evaluator.expression("it", &expression);
        let result = evaluator.result("it").map_err(|error| error.to_string())?;
        Ok(result.into_iter().map(|series| series.values.into_iter().collect()).collect())
    }

    fn one(text: &str) -> Vec<(i64, f64)> {
        evaluate(text).unwrap().remove(0)
    }

    #[test]
    fn missing_stays_missing_and_fill_fills() {
        assert_eq!(one("err/req"), [(60, 0.05)]);
        assert_eq!(one("100*FILL(err,0)/req"), [(0, 0.0), (60, 5.0), (180, 0.0)]);
        assert_eq!(one("FILL(req,REPEAT)"), [(0, 100.0), (60, 200.0), (120, 200.0), (180, 400.0)]);
        assert_eq!(one("FILL(req,LINEAR)")[2], (120, 300.0));
        assert_eq!(one("FILL(none,1)").len(), 4);
        assert_eq!(one("FILL(err,req)"), [(0, 100.0), (60, 10.0), (180, 400.0)]);
        assert!(one("req/0").is_empty());
    }

    #[test]
    fn aggregates_go_over_time_or_over_series() {
        assert_eq!(one("req/SUM(req)")[0], (0, 100.0 / 700.0));
        assert_eq!(one("SUM([req, err])"), [(0, 100.0), (60, 210.0), (180, 400.0)]);
        assert_eq!(one("MAX(METRICS())"), [(0, 100.0), (60, 200.0), (180, 400.0)]);
        assert_eq!(one("MIN(METRICS(\"e\"))")[1], (60, 10.0));
        assert_eq!(one("AVG([req, err])")[1], (60, 105.0));
        assert_eq!(evaluate("METRICS() * 1").unwrap().len(), 3);
        assert_eq!(one("req / PERIOD(req)")[1], (60, 200.0 / 60.0));
    }

    #[test]
    fn other_expressions_and_conditions() {
        assert_eq!(one("twice - req"), one("req"));
        assert_eq!(one("IF(req > 150, req, 0)"), [(0, 0.0), (60, 200.0), (180, 400.0)]);
        assert_eq!(one("-ABS(0-req) + 2^3")[0], (0, -92.0));
        assert_eq!(one("CEIL(req/30) - FLOOR(req/30)")[0], (0, 1.0));
    }

    #[test]
    fn what_cannot_be_evaluated_is_said() {
        for (text, message) in [
            ("other + 1", "no query with id 'other'"),
            ("it + 1", "'it' refers to itself"),
            ("ANOMALY_DETECTION_BAND(req, 2)", "function ANOMALY_DETECTION_BAND is not known"),
            ("1 + 1", "a single number"),
            ("SUM(req)", "a single number"),
            ("SUM(req, err)", "brackets"),
            ("FILL(req)", "FILL takes"),
            ("AVG(none) * req", "without points"),
            ("METRICS() + METRICS()", "a list with another list"),
            ("\"a\"", "a text"),
        ] {
            let error = evaluate(text).unwrap_err();
            assert!(error.contains(message), "{text}: {error}");
        }
    }
}
