//! Measurements as they were, or might have been: what `okra analysis
//! simulate` plays. The format is described in `docs/analysis.md`.

use std::collections::{BTreeMap, VecDeque};
use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use anyhow::{Context as _, bail, ensure};
use jiff::{SignedDuration, Timestamp};
use okra_domain::analysis::{Phase, parse_duration};
use okra_expr::{Key, Map, Value};

use super::answer;

/// Bytes of a recording: a million short values.
const BYTES_MAX: u64 = 16 * 1024 * 1024;

/// A recording.
#[derive(Debug, Clone, Default)]
pub struct Recording {
    /// When the run begins.
    pub start: Timestamp,
    /// How long after its begin the run is told to stop.
    pub stop_after: Option<SignedDuration>,
    /// What each metric's measurements came to, in turn.
    pub metrics: BTreeMap<String, VecDeque<Recorded>>,
}

/// One recorded measurement.
#[derive(Debug, Clone)]
pub struct Recorded {
    /// What it came to.
    pub outcome: Outcome,
    /// How long the query took.
    pub took: SignedDuration,
}

/// What a recorded measurement came to.
#[derive(Debug, Clone)]
pub enum Outcome {
    /// What the provider answered, and of a comparison what it answered for stable.
    Result(Value, Option<Value>),
    /// Why it did not.
    Error(String),
    /// The verdict of a provider that judges by itself, such as `job`.
    Phase(Phase),
}

impl Recording {
    /// Reads a file, or stdin as `-`.
    ///
    /// # Errors
    /// When it is too large, neither JSON nor YAML, or no recording.
    pub fn read(path: &Path) -> anyhow::Result<Self> {
        let mut text = String::new();
        let name = if path == Path::new("-") { "stdin".to_owned() } else { path.display().to_string() };
        let reading = if path == Path::new("-") {
            io::stdin().lock().take(BYTES_MAX + 1).read_to_string(&mut text)
        } else {
            File::open(path).and_then(|file| file.take(BYTES_MAX + 1).read_to_string(&mut text))
        };
        reading.with_context(|| format!("cannot read {name}"))?;
        ensure!(text.len() as u64 <= BYTES_MAX, "{name} has more than {BYTES_MAX} bytes");
        Self::parse(&text).context(name)
    }

    /// Reads a text: JSON with `NaN`, `Infinity` and `-Infinity`, else YAML.
    ///
    /// # Errors
    /// When it is neither, or no recording.
    pub fn parse(text: &str) -> anyhow::Result<Self> {
        let value = match answer::parse(text) {
            Ok(value) => value,
            Err(json) => {
                answer::parse_yaml(text).with_context(|| format!("neither JSON ({json}) nor YAML"))?
            }
        };
        Self::of(&value)
    }

    fn of(value: &Value) -> anyhow::Result<Self> {
        let Value::Map(fields) = value else { bail!("a recording is a map with the field metrics") };
        only(fields, &["start", "stopAfter", "metrics"]).context("the recording")?;
        let text = |name: &str| fields.get(name).map(|value| text_of(name, value)).transpose();
        let Some(Value::Map(metrics)) = fields.get("metrics") else {
            bail!("metrics must be a map from the name of a metric to a list of measurements")
        };
        let start = text("start")?.map(|text| text.parse::<Timestamp>().context("start")).transpose()?;
        let stop = text("stopAfter")?.map(|text| parse_duration(&text).context("stopAfter")).transpose()?;
        let mut recording = Self { start: start.unwrap_or_default(), stop_after: stop, ..Self::default() };
        for (key, list) in metrics.entries() {
            let Key::String(name) = key else { bail!("a metric has a name") };
            let Value::Array(list) = list else { bail!("metrics.{name} must be a list of measurements") };
            let read =
                list.items().iter().enumerate().map(|(index, item)| {
                    Recorded::of(item).with_context(|| format!("metrics.{name}[{index}]"))
                });
            recording.metrics.insert(name.to_string(), read.collect::<anyhow::Result<_>>()?);
        }
        Ok(recording)
    }
}

impl Recorded {
    /// A map says what it is; everything else is the result itself.
    fn of(item: &Value) -> anyhow::Result<Self> {
        let Value::Map(fields) = item else {
            return Ok(Self { outcome: Outcome::Result(item.clone(), None), took: SignedDuration::ZERO });
        };
        only(fields, &["result", "baseline", "error", "phase", "took"])?;
        let outcome = match (fields.get("result"), fields.get("error"), fields.get("phase")) {
            (Some(result), None, None) => Outcome::Result(result.clone(), fields.get("baseline").cloned()),
            (None, Some(error), None) => Outcome::Error(text_of("error", error)?),
            (None, None, Some(phase)) => Outcome::Phase(phase_of(phase)?),
            _ => bail!(
                "a measurement has one of result, error and phase; a map as the result itself is {{result: {{…}}}}"
            ),
        };
        let took = match fields.get("took") {
            None => SignedDuration::ZERO,
            Some(took) => parse_duration(&text_of("took", took)?).context("took")?,
        };
        Ok(Self { outcome, took })
    }
}

fn only(fields: &Map, known: &[&str]) -> anyhow::Result<()> {
    let unknown = fields.entries().keys().find(|key| match key {
        Key::String(name) => !known.contains(&&**name),
        _ => true,
    });
    match unknown {
        None => Ok(()),
        Some(Key::String(name)) => bail!("has no field {name:?}; its fields are {}", known.join(", ")),
        Some(_) => bail!("its fields are {}", known.join(", ")),
    }
}

fn text_of(name: &str, value: &Value) -> anyhow::Result<String> {
    match value {
        Value::String(text) => Ok(text.to_string()),
        other => bail!("{name} must be a text, not {other}"),
    }
}

fn phase_of(value: &Value) -> anyhow::Result<Phase> {
    const PHASES: [Phase; 4] = [Phase::Successful, Phase::Failed, Phase::Error, Phase::Inconclusive];
    let text = text_of("phase", value)?;
    let found = PHASES.into_iter().find(|phase| phase.as_str() == text);
    found.with_context(|| format!("phase must be one of {}", PHASES.map(Phase::as_str).join(", ")))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(text: &str) -> String {
        crate::output::chain(&Recording::parse(text).unwrap_err())
    }

    #[test]
    fn yaml_and_json_say_the_same() {
        let yaml = "start: 2026-11-20T10:00:00Z\nstopAfter: 30m\nmetrics:\n  a: [0.5, .nan, [1], null]\n  \
                    b:\n  - {result: {x: 1}, took: 300ms}\n  - {error: refused}\n  - {phase: Failed}\n  \
                    c: [{result: [1, 10], baseline: [0, 10]}]\n";
        let json = r#"{"start": "2026-11-20T10:00:00Z", "stopAfter": "30m", "metrics": {"a": [0.5, NaN, [1], null],
            "b": [{"result": {"x": 1}, "took": "300ms"}, {"error": "refused"}, {"phase": "Failed"}],
            "c": [{"result": [1, 10], "baseline": [0, 10]}]}}"#;
        let [yaml, json] = [yaml, json].map(|text| format!("{:#?}", Recording::parse(text).unwrap()));
        assert_eq!(yaml, json);
        let read = Recording::parse("{metrics: {a: [1]}}").unwrap();
        assert_eq!((read.start, read.stop_after), (Timestamp::UNIX_EPOCH, None));
    }

    #[test]
    fn what_is_no_recording_is_refused_with_its_place() {
        let cases = [
            ("[1]", "a recording is a map with the field metrics"),
            ("{metrics: [1]}", "metrics must be a map from the name of a metric to a list of measurements"),
            (
                "{metrics: {}, begin: x}",
                "the recording: has no field \"begin\"; its fields are start, stopAfter, metrics",
            ),
            ("{metrics: {a: 1}}", "metrics.a must be a list of measurements"),
            (
                "{metrics: {a: [1, {value: 2}]}}",
                "metrics.a[1]: has no field \"value\"; its fields are result, baseline, error, phase, took",
            ),
            (
                "{metrics: {a: [{phase: Good}]}}",
                "metrics.a[0]: phase must be one of Successful, Failed, Error, Inconclusive",
            ),
            ("{metrics: {a: [{error: 5}]}}", "metrics.a[0]: error must be a text, not 5"),
        ];
        for (text, expected) in cases {
            assert_eq!(said(text), expected, "{text}");
        }
        assert!(said("{metrics: {a: [{took: 1s}]}}").contains("one of result, error and phase"));
        assert!(said("{").starts_with("neither JSON (a key in quotes"));
        assert!(said("{metrics: {}, start: soon}").starts_with("start: "));
    }
}
