//! The spec of a Cell in words of the domain, with everything that keeps it
//! from being followed (`spec/okra.md` 2.6.1).

use std::fmt::Display;
use std::str::FromStr;

use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;
use okra_domain::cell::steps::STEPS_MAX;
use okra_domain::cell::{
    Approval, BackgroundAnalysis, DeadlineAction, ReadinessGates, RetirementGates, Spec, SpecError, Step,
    Steps, StickyPolicy, Supersede, WeightMode, WorkloadReference,
};
use okra_domain::duration::{DURATION_SECONDS_MAX, parse_pause_seconds};
use okra_domain::{Version, WeightTotal};
use serde::Serialize;
use serde_json::Value;

use super::config::listener_part;
use crate::analysis::validate_checks;
use crate::cell::{
    AnalysisArgument, AnalysisBlock, BlueGreenStep, CanaryStep, CanaryStrategy, CellSpec, EntryError,
    ExperimentStep, PauseStep, TYPE_BLUE_GREEN, TYPE_CANARY, UpdateStrategy,
};

/// Collects what is wrong while the rest is read.
#[derive(Default)]
struct Errors(Vec<SpecError>);

impl Errors {
    fn add(&mut self, field: &str, message: impl Display) {
        self.0.push(SpecError { field: field.to_owned(), message: message.to_string() });
    }

    /// The value, or its default with a remark.
    fn or_default<T: Default>(&mut self, field: &str, value: Result<T, impl Display>) -> T {
        value.unwrap_or_else(|error| {
            self.add(field, error);
            T::default()
        })
    }

    /// The word that a text stands for, or the default.
    fn word<T: FromStr<Err: Display>>(&mut self, field: &str, text: Option<&String>, default: T) -> T {
        match text.map(|text| text.parse()) {
            None => default,
            Some(Ok(word)) => word,
            Some(Err(error)) => {
                self.add(field, error);
                default
            }
        }
    }

    /// A number within bounds, or the default.
    fn number(&mut self, field: &str, number: Option<i64>, least: i64, most: i64, default: i64) -> u64 {
        let number = match number {
            None => default,
            Some(number) if (least..=most).contains(&number) => number,
            Some(number) => {
                self.add(field, format!("{number} is not within {least} and {most}"));
                default
            }
        };
        u64::try_from(number).unwrap_or_default()
    }

    fn seconds(&mut self, field: &str, seconds: Option<i64>, default: i64) -> u64 {
        let most = i64::try_from(DURATION_SECONDS_MAX).expect("ten years are far below the limit");
        self.number(field, seconds, 0, most, default)
    }
}

/// The spec in words of the domain; `weight_mode` is the controller's default.
pub fn domain_spec(cell: &CellSpec, weight_mode: WeightMode) -> Spec {
    let mut errors = Errors::default();
    let default = Spec::default();
    let strategy = cell.update_strategy.clone().unwrap_or_default();
    let (steps, background) = steps_and_background(&strategy, weight_mode, &mut errors);
    let total = strategy.weight_total.map_or(Ok(WeightTotal::default()), WeightTotal::try_from);
    let deadline = errors.seconds(
        "spec.updateStrategy.progressDeadlineSeconds",
        strategy.progress_deadline_seconds,
        600,
    );
    let approval = strategy.canary.as_ref().and_then(|canary| canary.approval.as_ref());
    let spec = Spec {
        listener: listener(cell, &mut errors),
        replicas: replicas(cell, &mut errors),
        pin: pin(cell, &mut errors),
        pin_word: None,
        steps,
        background,
        approval: errors.word("spec.updateStrategy.canary.approval", approval, Approval::Automatic),
        drain_seconds: errors.seconds("spec.updateStrategy.drainSeconds", strategy.drain_seconds, 300),
        supersede: errors.word(
            "spec.updateStrategy.supersede",
            strategy.supersede.as_ref(),
            Supersede::Restart,
        ),
        settle_seconds: errors.seconds("spec.updateStrategy.settleSeconds", strategy.settle_seconds, 60),
        weight_total: errors.or_default("spec.updateStrategy.weightTotal", total),
        sticky: errors.word("spec.updateStrategy.sticky", strategy.sticky.as_ref(), StickyPolicy::Wait),
        progress_deadline_seconds: deadline,
        progress_deadline_action: errors.word(
            "spec.updateStrategy.progressDeadlineAction",
            strategy.progress_deadline_action.as_ref(),
            DeadlineAction::Report,
        ),
        readiness: readiness(cell, &mut errors),
        retirement: retirement(cell, &mut errors),
        paused: cell.paused.unwrap_or(false),
        drift_policy: errors.word("spec.driftPolicy", cell.drift_policy.as_ref(), default.drift_policy),
        executor: errors.word("spec.executor", cell.executor.as_ref(), default.executor),
        deletion_policy: errors.word(
            "spec.deletionPolicy",
            cell.deletion_policy.as_ref(),
            default.deletion_policy,
        ),
        history_limit: history_limit(cell, &mut errors),
        errors: vec![],
    };
    Spec { errors: errors.0, ..spec }
}

fn listener(cell: &CellSpec, errors: &mut Errors) -> Option<okra_domain::cell::ListenerPart> {
    let entry = match cell.entry_point() {
        Ok(entry) => entry,
        Err(error) => {
            let field = match error {
                EntryError::UnknownType(_) => "spec.ingress.type",
                EntryError::MissingBlock(_) | EntryError::VersionLabels { .. } => "spec.ingress",
            };
            errors.add(field, error);
            return None;
        }
    };
    if let Err(error) = cell.version_labels(&entry) {
        errors.add("spec.versionedBy.label", error);
    }
    Some(listener_part(&entry))
}

fn replicas(cell: &CellSpec, errors: &mut Errors) -> u32 {
    let replicas = cell.stated_replicas();
    if replicas < 1 {
        errors.add("spec.replicas", format!("{replicas} is below 1"));
        return 1;
    }
    u32::try_from(replicas).unwrap_or(u32::MAX)
}

fn pin(cell: &CellSpec, errors: &mut Errors) -> Option<Version> {
    // The Go program's empty text is no pin.
    let text = cell.version.as_deref().filter(|text| !text.is_empty())?;
    match text.parse() {
        Ok(version) => Some(version),
        Err(error) => {
            errors.add("spec.version", error);
            None
        }
    }
}

fn history_limit(cell: &CellSpec, errors: &mut Errors) -> usize {
    let limit = errors.number("spec.historyLimit", cell.history_limit, 0, 1000, 10);
    usize::try_from(limit).unwrap_or(10)
}

fn readiness(cell: &CellSpec, errors: &mut Errors) -> ReadinessGates {
    let gates = cell.readiness_gates.clone().unwrap_or_default();
    let field = |name: &str| format!("spec.readinessGates.{name}");
    let small = |number: u64| u32::try_from(number).unwrap_or(u32::MAX);
    let targets = errors.number(&field("healthyTargets"), gates.healthy_targets, 0, i64::from(u32::MAX), 1);
    ReadinessGates {
        healthy_targets: small(targets),
        healthy_percent: small(errors.number(&field("healthyPercent"), gates.healthy_percent, 0, 100, 0)),
        stabilize_seconds: errors.seconds(&field("stabilizeSeconds"), gates.stabilize_seconds, 0),
        unhealthy_seconds: errors.seconds(&field("unhealthySeconds"), gates.unhealthy_seconds, 30),
        workloads: gates
            .workloads
            .into_iter()
            .map(|workload| WorkloadReference {
                kind: workload.kind,
                namespace: workload.namespace,
                name: workload.name,
            })
            .collect(),
    }
}

fn retirement(cell: &CellSpec, errors: &mut Errors) -> RetirementGates {
    let gates = cell.retirement_gates.clone().unwrap_or_default();
    RetirementGates {
        quiet_seconds: errors.seconds("spec.retirementGates.quietSeconds", gates.quiet_seconds, 300),
        watches_jobs: !gates.jobs.is_empty(),
    }
}

fn check_type(strategy: &UpdateStrategy, errors: &mut Errors) {
    let known = ["", TYPE_CANARY, TYPE_BLUE_GREEN];
    if let Some(other) = strategy.type_.as_deref().filter(|text| !known.contains(text)) {
        let message = format!("{other:?} is unknown: use {TYPE_CANARY} or {TYPE_BLUE_GREEN}");
        errors.add("spec.updateStrategy.type", message);
    }
}

fn steps_and_background(
    strategy: &UpdateStrategy,
    default_mode: WeightMode,
    errors: &mut Errors,
) -> (Steps, Option<BackgroundAnalysis>) {
    check_type(strategy, errors);
    if strategy.is_blue_green() {
        let steps = strategy.blue_green.clone().unwrap_or_default().steps;
        let field = "spec.updateStrategy.blueGreen.steps";
        let list: Vec<Step> = within_limit(&steps, field, errors)
            .iter()
            .enumerate()
            .map(|(index, step)| blue_green_step(step, &format!("{field}[{index}]"), errors))
            .collect();
        if list.iter().filter(|step| **step == Step::Promote).count() > 1 {
            errors.add(field, "more than one step promotes");
        }
        return (Steps::blue_green(list), None);
    }
    let canary = strategy.canary.clone().unwrap_or_default();
    let background = canary.analysis.as_ref().map(|analysis| {
        let field = "spec.updateStrategy.canary.analysis";
        check_analysis(&analysis.block(), field, errors);
        BackgroundAnalysis {
            starting_step: usize::try_from(analysis.starting_step.unwrap_or(0).max(0)).unwrap_or(usize::MAX),
            bake_seconds: errors.seconds(
                &format!("{field}.bakeSeconds"),
                analysis.bake_seconds,
                i64::try_from(BackgroundAnalysis::BAKE_SECONDS_DEFAULT).unwrap_or(i64::MAX),
            ),
        }
    });
    (canary_steps(&canary, default_mode, errors), background)
}

fn canary_steps(canary: &CanaryStrategy, default_mode: WeightMode, errors: &mut Errors) -> Steps {
    let field = "spec.updateStrategy.canary";
    if let Some(ramp) = &canary.ramp {
        if !canary.steps.is_empty() {
            errors.add(field, "ramp and steps are both set: set one of them");
        }
        let ramp_field = format!("{field}.ramp");
        let weight = errors.number(&format!("{ramp_field}.stepWeight"), Some(ramp.step_weight), 1, 100, 100);
        let interval = parse_pause_seconds(&ramp.interval);
        let interval = errors.or_default(&format!("{ramp_field}.interval"), interval);
        return Steps::ramp(u8::try_from(weight).unwrap_or(100), interval);
    }
    let mode = canary.weight_mode.as_ref().and_then(|mode| {
        mode.parse().map_err(|error| errors.add(&format!("{field}.weightMode"), error)).ok()
    });
    let steps_field = format!("{field}.steps");
    let list = within_limit(&canary.steps, &steps_field, errors)
        .iter()
        .enumerate()
        .map(|(index, step)| canary_step(step, &format!("{steps_field}[{index}]"), errors))
        .collect();
    Steps::canary(list, mode, default_mode)
}

fn within_limit<'a, T>(steps: &'a [T], field: &str, errors: &mut Errors) -> &'a [T] {
    if steps.len() > STEPS_MAX {
        errors.add(field, format!("{} steps, more than {STEPS_MAX}", steps.len()));
    }
    &steps[..steps.len().min(STEPS_MAX)]
}

/// What a step does; an invalid one waits for a human, so that the others
/// keep their places.
fn canary_step(step: &CanaryStep, field: &str, errors: &mut Errors) -> Step {
    let mut actions = vec![];
    actions.extend(step.set_weight.map(Step::SetWeight));
    actions.extend(step.step_weight.map(Step::StepWeight));
    actions.extend(step.pause.as_ref().map(|pause| pause_step(pause, field, errors)));
    actions.extend(step.analysis.as_ref().map(|analysis| analysis_step(analysis, field, errors)));
    actions.extend(step.experiment.as_ref().map(|experiment| experiment_step(experiment, field, errors)));
    if step.set_canary_scale.is_some() {
        errors.add(field, "setCanaryScale has no meaning for a Cell");
        actions.push(Step::Pause(None));
    }
    let known = "setWeight, stepWeight, pause, analysis and experiment";
    the_one(actions, field, known, errors)
}

fn blue_green_step(step: &BlueGreenStep, field: &str, errors: &mut Errors) -> Step {
    let mut actions = vec![];
    actions.extend(step.pause.as_ref().map(|pause| pause_step(pause, field, errors)));
    actions.extend(step.analysis.as_ref().map(|analysis| analysis_step(analysis, field, errors)));
    actions.extend(step.experiment.as_ref().map(|experiment| experiment_step(experiment, field, errors)));
    actions.extend(step.promote.as_ref().map(|_| Step::Promote));
    the_one(actions, field, "analysis, experiment, pause and promote", errors)
}

fn the_one(mut actions: Vec<Step>, field: &str, known: &str, errors: &mut Errors) -> Step {
    if actions.len() != 1 {
        errors.add(field, format!("a step has exactly one of {known}, this one has {}", actions.len()));
        return Step::Pause(None);
    }
    actions.remove(0)
}

fn pause_step(pause: &PauseStep, field: &str, errors: &mut Errors) -> Step {
    let seconds = match &pause.duration {
        None => return Step::Pause(None),
        Some(IntOrString::Int(seconds)) => parse_pause_seconds(&seconds.to_string()),
        Some(IntOrString::String(text)) => parse_pause_seconds(text),
    };
    Step::Pause(Some(errors.or_default(&format!("{field}.pause.duration"), seconds)))
}

fn analysis_step(block: &AnalysisBlock, field: &str, errors: &mut Errors) -> Step {
    check_analysis(block, &format!("{field}.analysis"), errors);
    Step::Analysis(as_json(block))
}

fn experiment_step(step: &ExperimentStep, field: &str, errors: &mut Errors) -> Step {
    for (index, analysis) in step.analyses.iter().enumerate() {
        check_arguments(&analysis.args, &format!("{field}.experiment.analyses[{index}]"), errors);
    }
    Step::Experiment(as_json(step))
}

fn check_analysis(block: &AnalysisBlock, field: &str, errors: &mut Errors) {
    if block.templates.is_empty() && block.checks.is_empty() {
        errors.add(field, "an analysis needs templates or checks");
    }
    if block.templates.iter().any(|template| template.template_name.is_empty()) {
        errors.add(&format!("{field}.templates"), "a template has no templateName");
    }
    if let Err(error) = validate_checks(&block.checks) {
        errors.add(&format!("{field}.checks"), error);
    }
    check_arguments(&block.args, field, errors);
}

fn check_arguments(args: &[AnalysisArgument], field: &str, errors: &mut Errors) {
    for (index, argument) in args.iter().enumerate() {
        let from = argument.value_from.as_ref();
        if from.is_some_and(|from| from.pod_template_hash_value.is_some()) {
            let field = format!("{field}.args[{index}].valueFrom.podTemplateHashValue");
            errors.add(&field, "has no meaning for a Cell");
        }
    }
}

fn as_json(value: &impl Serialize) -> Value {
    serde_json::to_value(value).expect("a step holds only text, numbers, lists, maps of text and JSON")
}
