//! GetMetricData: many metrics and expressions over them.

use std::collections::BTreeMap;

use jiff::Timestamp;

use super::faults::{invalid_value, need};
use super::math::{Evaluator, Expression, Series};
use super::metric::{MetricKey, Statistic, read_period};
use super::statistics::read_times;
use super::{Window, read};
use crate::wire::{Fault, Input, Members, Value};
use crate::world::World;

/// Queries of one call.
const MOST_QUERIES: usize = 500;
/// Points of one answer.
const MOST_POINTS: usize = 100_800;
/// Periods computed for one metric: more than the retention of any can hold.
const MOST_PERIODS: i64 = MOST_POINTS as i64;
/// Characters of an expression.
const LONGEST_EXPRESSION: usize = 2048;
/// Period of an expression that uses no metric.
const DEFAULT_PERIOD: u32 = 60;

struct Query {
    id: String,
    label: Option<String>,
    returned: bool,
    kind: Kind,
}

enum Kind {
    Metric {
        key: MetricKey,
        statistic: Statistic,
        statistic_name: String,
        unit: Option<String>,
        window: Window,
    },
    Expression(Expression),
}

pub(super) fn get(world: &World, input: &Input<'_>) -> Result<Members, Fault> {
    let (start, end) = read_times(input)?;
    let list = input.member("MetricDataQueries");
    let given = need(&list, list.list()?)?;
    if given.is_empty() || given.len() > MOST_QUERIES {
        let count = format!("[{} queries]", given.len());
        return Err(invalid_value(list.path(), &count, &format!("1 to {MOST_QUERIES} queries make a call")));
    }
    let mut queries = Vec::new();
    for one in &given {
        queries.push(Query::read(one, start, end)?);
    }
    check_ids(&queries)?;
    let now = world.options.clock.now();
    let results = evaluate(world, &queries, Window::new(start, end.min(now), DEFAULT_PERIOD))?;
    answer(input, results)
}

impl Query {
    fn read(input: &Input<'_>, start: Timestamp, end: Timestamp) -> Result<Self, Fault> {
        let id_input = input.member("Id");
        let id = need(&id_input, id_input.sized_text(1..=255)?)?;
        let rest = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
        if !(id.starts_with(|first: char| first.is_ascii_lowercase()) && id.bytes().all(rest)) {
            return Err(Fault::validation(format!(
                "The value {id} for parameter {} is not matching the expected pattern ^[a-z][a-zA-Z0-9_]*$.",
                id_input.path()
            )));
        }
        let (metric, expression) = (input.member("MetricStat"), input.member("Expression"));
        let kind = match (metric.is_given(), expression.is_given()) {
            (true, false) => read_metric(&metric, start, end)?,
            (false, true) => {
                let text = expression.sized_text(1..=LONGEST_EXPRESSION)?.unwrap_or_default();
                let parsed = Expression::parse(&text).map_err(|error| in_expression(&id, &error))?;
                Kind::Expression(parsed)
            }
            _ => {
                return Err(Fault::validation(format!(
                    "Query '{id}' must have exactly one of MetricStat and Expression."
                )));
            }
        };
        let returned = input.member("ReturnData").boolean()?.unwrap_or(true);
        Ok(Self { id, label: input.member("Label").text()?, returned, kind })
    }
}

fn read_metric(input: &Input<'_>, start: Timestamp, end: Timestamp) -> Result<Kind, Fault> {
    let key = MetricKey::read(&input.member("Metric"))?;
    let (period, stat) = (input.member("Period"), input.member("Stat"));
    let window = Window::new(start, end, need(&period, read_period(&period)?)?);
    if window.count() > MOST_PERIODS {
        return Err(Fault::validation(format!(
            "The query asks for {} points of '{}'; the limit is {MOST_PERIODS}",
            window.count(),
            key.name
        )));
    }
    let statistic_name = need(&stat, stat.text()?)?;
    let statistic = Statistic::read(&stat, &statistic_name)?;
    Ok(Kind::Metric { key, statistic, statistic_name, unit: input.member("Unit").text()?, window })
}

fn check_ids(queries: &[Query]) -> Result<(), Fault> {
    let mut seen = std::collections::BTreeSet::new();
    if let Some(twice) = queries.iter().find(|query| !seen.insert(&query.id)) {
        return Err(Fault::validation(format!(
            "The values for parameter id in MetricDataQueries are not unique: '{}'",
            twice.id
        )));
    }
    if !queries.iter().any(|query| query.returned) {
        return Err(Fault::validation("At least one of the queries must have ReturnData true"));
    }
    Ok(())
}

fn in_expression(id: &str, error: &impl std::fmt::Display) -> Fault {
    Fault::validation(format!("Error in expression '{id}': {error}"))
}

/// One result: id, label, points.
struct Returned {
    id: String,
    label: String,
    series: BTreeMap<i64, f64>,
}

fn evaluate(world: &World, queries: &[Query], window: Window) -> Result<Vec<Returned>, Fault> {
    let mut evaluator = Evaluator::new(window);
    for query in queries {
        match &query.kind {
            Kind::Metric { key, statistic, unit, window, .. } => {
                let points = read(world, key, unit.as_deref(), *window);
                let values = points
                    .iter()
                    .filter_map(|(start, point)| point.statistic(*statistic).map(|value| (*start, value)))
                    .collect();
                evaluator.metric(&query.id, Series { period: window.period, values });
            }
            Kind::Expression(expression) => evaluator.expression(&query.id, expression),
        }
    }
    let mut results = Vec::new();
    for query in queries.iter().filter(|query| query.returned) {
        let series = evaluator.result(&query.id).map_err(|error| in_expression(&query.id, &error))?;
        let label = label(query, queries);
        results.extend(series.into_iter().map(|series| Returned {
            id: query.id.clone(),
            label: label.clone(),
            series: series.values,
        }));
    }
    Ok(results)
}

/// Without a label of its own a metric is told by its name and, where the
/// queries of the call differ in it, by statistic and period
/// (`spec/aws.md` 5.1); an expression by its id.
fn label(query: &Query, queries: &[Query]) -> String {
    if let Some(label) = &query.label {
        return label.clone();
    }
    let Kind::Metric { key, statistic_name, window, .. } = &query.kind else { return query.id.clone() };
    let metrics = queries.iter().filter_map(|query| match &query.kind {
        Kind::Metric { statistic_name, window, .. } => Some((statistic_name, window.period)),
        Kind::Expression(_) => None,
    });
    let (mut statistics, mut periods) = (false, false);
    for (other_statistic, other_period) in metrics {
        statistics |= other_statistic != statistic_name;
        periods |= other_period != window.period;
    }
    let mut label = key.name.clone();
    if statistics {
        label = format!("{label} {statistic_name}");
    }
    if periods {
        label = format!("{label} {}", window.period);
    }
    label
}

fn answer(input: &Input<'_>, results: Vec<Returned>) -> Result<Members, Fault> {
    let order = input.member("ScanBy").choice(&["TimestampDescending", "TimestampAscending"])?;
    let ascending = order == Some("TimestampAscending");
    let most = input.member("MaxDatapoints").integer_in(1u32..=MOST_POINTS as u32)?;
    let most = most.map_or(MOST_POINTS, |most| most as usize);
    let token = input.member("NextToken").text()?;
    let start: usize = match &token {
        None => 0,
        Some(token) => token
            .parse()
            .map_err(|_| Fault::new("InvalidNextToken", format!("The next token '{token}' is not valid")))?,
    };
    let total: usize = results.iter().map(|result| result.series.len()).sum();
    let (mut skipped, mut left) = (start, most);
    let mut rendered = Vec::new();
    for result in results {
        let mut points: Vec<(i64, f64)> = result.series.into_iter().collect();
        if !ascending {
            points.reverse();
        }
        let skip = skipped.min(points.len());
        skipped -= skip;
        let page: Vec<(i64, f64)> = points.into_iter().skip(skip).take(left).collect();
        left -= page.len();
        let time = |(start, _): &(i64, f64)| Timestamp::from_second(*start).unwrap_or(Timestamp::UNIX_EPOCH);
        rendered.push(
            Members::new()
                .with("Id", result.id)
                .with("Label", result.label)
                .with("Timestamps", page.iter().map(time).collect::<Vec<_>>())
                .with("Values", page.iter().map(|(_, value)| *value).collect::<Vec<_>>())
                .with(
                    "StatusCode",
                    if left == 0 && start + most < total { "PartialData" } else { "Complete" },
                ),
        );
    }
    let next = (start + most < total).then(|| (start + most).to_string());
    let messages = Value::List(Vec::new());
    Ok(Members::new().with("MetricDataResults", rendered).maybe("NextToken", next).with("Messages", messages))
}
