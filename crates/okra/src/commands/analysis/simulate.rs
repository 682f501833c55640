//! `okra analysis simulate`: recorded values played through the scheduling and
//! the judgement of a template, on virtual time.

use std::collections::{BTreeMap, VecDeque};
use std::path::PathBuf;

use anyhow::ensure;
use clap::Args;
use jiff::Timestamp;
use okra_domain::analysis::comparison::{ComparisonKind, ComparisonSpec, Evidence, Window, compare};
use okra_domain::analysis::{
    Ending, Judgement, Metric, Phase, Played, Run, RunStatus, Script, Simulation, judge_no_data, simulate,
};
use okra_expr::Value;
use okra_providers::{Conditions, InvalidCondition};

use super::recording::{Outcome, Recorded, Recording};
use super::template::{Chosen, TemplateArgs, planned};
use crate::look::{columns, span};
use crate::output::{self, Exit, Format};

/// Flags of `okra analysis simulate`.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  okra analysis simulate -f template.yaml --measurements values.yaml\n  \
    okra analysis simulate -f templates/ --template-name errors -a limit=5 \\\n    \
    --measurements values.json -o json\n\n\
    The recording says what each measurement came to, in turn:\n  \
    metrics:\n    errors: [0.01, 0.2, .nan, {error: refused, took: 10s}]\n\n\
    Exit codes: 0 successful, 1 no template or recording, 2 failed or an error,\n\
    3 the values ended before the run, 5 inconclusive.")]
pub struct SimulateArgs {
    #[command(flatten)]
    template: TemplateArgs,
    /// What the measurements came to, or - for stdin
    #[arg(long, value_name = "FILE")]
    measurements: PathBuf,
    /// How to print it
    #[arg(long, short = 'o', default_value = "table")]
    output: Format,
}

/// Plays the recording.
///
/// # Errors
/// When there is no such template, it cannot be run, or the recording cannot be read.
pub fn run(args: &SimulateArgs) -> anyhow::Result<Exit> {
    ensure!(!args.template.filename.is_empty(), "which template? give its file with -f");
    let chosen = Chosen::of_files(&args.template.filename, args.template.template_name.as_deref())?;
    let spec = chosen.run_spec(&args.template.values(), &BTreeMap::new())?;
    let run = planned(&spec)?;
    run.warnings().iter().for_each(|warning| output::remark(&format!("warning: {warning}")));
    let played = play(&run, Recording::read(&args.measurements)?)?;
    match args.output {
        Format::Json => output::print(&output::json(&played)?)?,
        Format::Yaml => output::print(&serde_saphyr::to_string(&played)?)?,
        Format::Name => output::print(&format!("{}\n", played.status.phase_for_people()))?,
        Format::Table | Format::Wide => output::print(&table(&played))?,
    }
    if played.ending != Ending::Completed {
        output::remark(&unfinished(&played));
    }
    Ok(exit(&played))
}

fn exit(played: &Simulation) -> Exit {
    match (played.ending, played.status.phase) {
        (Ending::OutOfValues | Ending::TooLong, _) => Exit::Timeout,
        (Ending::Completed, phase) => super::exit_of(phase),
    }
}

fn unfinished(played: &Simulation) -> String {
    match played.ending {
        Ending::TooLong => "the run has no end within the measurements that a simulation takes".to_owned(),
        _ => format!("the values ended before the run, which is {}", played.status.phase.as_str()),
    }
}

/// Plays a recording.
///
/// # Errors
/// When it names a metric that the run does not have, or a condition is no expression.
fn play(run: &Run, mut recording: Recording) -> anyhow::Result<Simulation> {
    let names: Vec<&str> = run.metrics().iter().map(|metric| metric.spec.name.as_str()).collect();
    if let Some(unknown) = recording.metrics.keys().find(|name| !names.contains(&name.as_str())) {
        anyhow::bail!("the template has no metric {unknown:?}; it has: {}", names.join(", "));
    }
    let compiled = |metric: &Metric| -> Result<(String, Conditions), InvalidCondition> {
        let spec = &metric.spec;
        let conditions = Conditions::compile(&spec.success_condition, &spec.failure_condition)?;
        Ok((spec.name.clone(), conditions))
    };
    let conditions = run.metrics().iter().map(compiled).collect::<Result<BTreeMap<_, _>, _>>()?;
    let terminate_at = recording.stop_after.map(|after| recording.start.saturating_add(after));
    let terminate_at = terminate_at.map(|at| at.unwrap_or(Timestamp::MAX));
    let script = Script { start: recording.start, terminate_at };
    Ok(simulate(run, script, |metric, now, status| {
        let name = &metric.spec.name;
        let next = recording.metrics.get_mut(name).and_then(VecDeque::pop_front)?;
        Some(measured(metric, conditions.get(name)?, next, now, status))
    }))
}

/// What a recorded measurement comes to in a run of this state.
fn measured(
    metric: &Metric,
    conditions: &Conditions,
    recorded: Recorded,
    begun: Timestamp,
    status: &RunStatus,
) -> Played {
    let took = recorded.took;
    let read_at = begun.saturating_add(took).unwrap_or(Timestamp::MAX);
    let played = match recorded.outcome {
        Outcome::Error(message) => error(message),
        Outcome::Phase(phase) => Played { phase, ..Played::default() },
        Outcome::Result(result, baseline) => match &metric.spec.baseline {
            Some(comparison) => compared(metric, comparison, &result, baseline.as_ref(), (begun, status)),
            None => {
                let value = result.to_string();
                let Judgement { phase, message } = match metric.spec.no_data {
                    Some(policy) if has_no_data(&result) => judge_no_data(policy, &value),
                    _ => conditions.judge(&value, &result, read_at),
                };
                Played { phase, message, value, ..Played::default() }
            }
        },
    };
    Played { took, ..played }
}

fn error(message: String) -> Played {
    Played { phase: Phase::Error, message, ..Played::default() }
}

/// Nil, nothing in a list, or NaN (`spec/analysis.md` 2.10-6).
fn has_no_data(result: &Value) -> bool {
    result.is_nil_or_empty() || matches!(result, Value::Float(number) if number.is_nan())
}

/// One look of a comparison with stable.
fn compared(
    metric: &Metric,
    spec: &ComparisonSpec,
    canary: &Value,
    stable: Option<&Value>,
    (now, status): (Timestamp, &RunStatus),
) -> Played {
    let value = canary.to_string();
    let Some(stable) = stable else {
        return Played { value, ..error("the recording has no baseline for this comparison".to_owned()) };
    };
    let since = status.started_at.unwrap_or(now);
    let so_far = Evidence::of(status.metric(&metric.spec.name), spec.kind, since);
    let look =
        window(spec.kind, canary).and_then(|canary| Ok((canary, window(spec.kind, stable)?))).and_then(
            |(canary, stable)| so_far.with(&canary, &stable, now).map_err(|invalid| invalid.to_string()),
        );
    match look {
        Err(message) => Played { value, ..error(message) },
        Ok(evidence) => {
            let found = compare(spec, &evidence);
            Played {
                phase: found.phase,
                message: found.message,
                value,
                metadata: found.metadata,
                facts: evidence.fact(),
                ..Played::default()
            }
        }
    }
}

fn window(kind: ComparisonKind, value: &Value) -> Result<Window, String> {
    let Value::Array(list) = value else {
        return Err(format!("a comparison needs lists of numbers, got {value}"));
    };
    let number =
        |one: &Value| one.as_float().ok_or_else(|| format!("{one} is not a number that can be compared"));
    let numbers = list.items().iter().map(number).collect::<Result<_, _>>()?;
    Window::from_numbers(kind, numbers).map_err(|invalid| invalid.to_string())
}

/// Measurements and changes of phase in the order of time, counted from the begin.
fn table(played: &Simulation) -> String {
    let start = played.phases.first().map_or(Timestamp::UNIX_EPOCH, |change| change.at);
    let since = |at: Timestamp| format!("+{}", span(at.duration_since(start).as_secs()));
    let measurements = played.measurements.iter().map(|one| {
        let row = [since(one.finished_at), one.metric.clone(), "measured".to_owned()];
        (
            one.finished_at,
            0,
            row.into_iter().chain([one.phase.as_str().to_owned(), one.value.clone(), one.message.clone()]),
        )
    });
    let measurements = measurements.map(|(at, order, row)| (at, order, row.collect::<Vec<_>>()));
    let phases = played.phases.iter().map(|change| {
        let who = change.metric.clone().unwrap_or_else(|| "run".to_owned());
        let row = vec![
            since(change.at),
            who,
            "is".to_owned(),
            change.phase.as_str().to_owned(),
            String::new(),
            change.message.clone(),
        ];
        (change.at, 1, row)
    });
    let mut rows: Vec<(Timestamp, u8, Vec<String>)> = measurements.chain(phases).collect();
    rows.sort_by_key(|(at, order, _)| (*at, *order));
    let rows: Vec<Vec<String>> = rows.into_iter().map(|(_, _, row)| row).collect();
    columns(&rows)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use okra_api::analysis::AnalysisRunSpec;

    fn simulated(metrics: serde_json::Value, recording: &str) -> anyhow::Result<Simulation> {
        let spec =
            AnalysisRunSpec { metrics: serde_json::from_value(metrics)?, ..AnalysisRunSpec::default() };
        play(&planned(&spec)?, Recording::parse(recording)?)
    }

    fn metric(changes: serde_json::Value) -> serde_json::Value {
        let mut metric = json!({
            "name": "errors", "interval": "1m", "count": 3, "failureLimit": 1,
            "successCondition": "result < 0.05", "provider": {"web": {"url": "http://h/"}},
        });
        metric.as_object_mut().unwrap().extend(changes.as_object().unwrap().clone());
        json!([metric])
    }

    #[test]
    fn recorded_values_are_scheduled_and_judged_as_in_a_run() {
        let played = simulated(
            metric(json!({})),
            "{metrics: {errors: [0.01, {result: 0.2, took: 2s}, {error: refused}, 0.02]}}",
        );
        let played = played.unwrap();
        assert_eq!((played.ending, exit(&played)), (Ending::Completed, Exit::Ok));
        insta::assert_snapshot!(table(&played));
        insta::assert_json_snapshot!(played);
    }

    #[test]
    fn no_data_and_verdicts_of_their_own_are_judged_by_their_rules() {
        let phases = |metrics, recording: &str| {
            let played = simulated(metrics, recording).unwrap();
            played.measurements.iter().map(|one| one.phase).collect::<Vec<_>>()
        };
        let policy = metric(json!({"noData": "Inconclusive", "inconclusiveLimit": 3}));
        let all = phases(policy, "{metrics: {errors: [null, [], .nan]}}");
        assert_eq!(all, [Phase::Inconclusive; 3]);
        let jobs = metric(json!({"successCondition": "", "failureLimit": 0}));
        assert_eq!(phases(jobs, "{metrics: {errors: [{phase: Failed}]}}"), [Phase::Failed]);
    }

    #[test]
    fn a_comparison_adds_its_windows_up() {
        let compared = metric(json!({
            "successCondition": "", "count": 2, "failureLimit": 0, "inconclusiveLimit": 2,
            "baseline": {"provider": {"web": {"url": "http://h/"}}, "kind": "Proportion", "worse": "Higher"},
        }));
        let recording = "{metrics: {errors: [{result: [1, 50], baseline: [1, 50]}, {result: [500, 1000], baseline: [1, 1000]}]}}";
        let played = simulated(compared.clone(), recording).unwrap();
        let phases: Vec<Phase> = played.measurements.iter().map(|one| one.phase).collect();
        assert_eq!(phases, [Phase::Inconclusive, Phase::Failed], "{played:#?}");
        assert_eq!(exit(&played), Exit::Degraded);
        let without = simulated(compared, "{metrics: {errors: [[1, 50]]}}").unwrap();
        assert!(without.measurements[0].message.contains("no baseline"));
    }

    #[test]
    fn a_recording_that_ends_or_does_not_fit_says_so() {
        let short = simulated(metric(json!({})), "{metrics: {errors: [0.01]}}").unwrap();
        assert_eq!(
            (exit(&short), &*unfinished(&short)),
            (Exit::Timeout, "the values ended before the run, which is Running")
        );
        let other = simulated(metric(json!({})), "{metrics: {error: [1]}}").unwrap_err();
        assert_eq!(other.to_string(), "the template has no metric \"error\"; it has: errors");
        let stopped =
            simulated(metric(json!({"count": 0})), "{stopAfter: 90s, metrics: {errors: [0, 0, 0, 0]}}")
                .unwrap();
        assert_eq!((stopped.measurements.len(), stopped.status.phase_for_people()), (2, "Stopped"));
    }
}
