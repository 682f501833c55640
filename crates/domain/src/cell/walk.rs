//! The walk over the steps: as far as the facts allow, to the first weight to
//! write, component to create or thing to wait for (`spec/okra.md` 3.4.2-12
//! and -13).

use jiff::Timestamp;

use super::commands::{Command, Verb};
use super::components;
use super::confirm::Confirmation;
use super::gates::Gate;
use super::observed::{Component, ComponentKind, ComponentPhase, StepReference};
use super::plan::{ComponentName, NewComponent, NewComponentBody};
use super::spec::Approval;
use super::status::{PassedStep, RunningRollout};
use super::steps::Step;
use super::view::{View, seconds_between};
use crate::phase::Phase;
use crate::reason::Reason;
use crate::rollout_id::RolloutId;
use crate::weight::Weight;

/// What the walk starts from.
pub(super) struct Walk<'v, 'a> {
    pub view: &'v View<'a>,
    pub id: &'v RolloutId,
    pub record: RunningRollout,
    /// First step that is not done.
    pub index: usize,
    /// Present weight of the canary side.
    pub canary: Weight,
    pub confirmation: Confirmation,
    pub gate: Gate,
    /// Whether all members are registered; else why not.
    pub attached: Result<(), Stop>,
    /// What holds all steps, if anything does.
    pub hold: Option<Stop>,
    /// `Promote` or `Continue`, if one was said and not yet answered.
    pub command: Option<(&'v Command, Verb)>,
}

/// Why the walk ends where it does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Stop {
    pub reason: Reason,
    pub message: String,
    pub next: String,
    /// `Progressing`, or `Paused` while a human is needed.
    pub phase: Phase,
    pub until: Option<Timestamp>,
}

impl Stop {
    pub(super) fn waiting(reason: Reason, message: impl Into<String>, next: impl Into<String>) -> Self {
        Self { reason, message: message.into(), next: next.into(), phase: Phase::Progressing, until: None }
    }

    pub(super) fn paused(reason: Reason, message: impl Into<String>, next: impl Into<String>) -> Self {
        Self { phase: Phase::Paused, ..Self::waiting(reason, message, next) }
    }

    pub(super) fn until(self, until: Timestamp) -> Self {
        Self { until: Some(until), ..self }
    }

    /// Whether `progressDeadlineSeconds` limits this wait.
    pub(super) fn has_deadline(&self) -> bool {
        matches!(
            self.reason,
            Reason::Attaching
                | Reason::WaitingForLoadBalancer
                | Reason::WaitingForHealth
                | Reason::WaitingForWorkloads
        )
    }
}

/// Where the walk ended.
pub(super) struct Walked {
    pub index: usize,
    pub record: RunningRollout,
    /// Weight that the canary side shall have.
    pub canary: Weight,
    /// `None` when the rollout is finished.
    pub stop: Option<Stop>,
    pub create: Vec<NewComponent>,
    pub terminate: Vec<ComponentName>,
    pub delete: Vec<ComponentName>,
    /// What the command did, if it was carried out.
    pub answered: Option<String>,
}

/// How one step ended.
enum Passage {
    Done,
    Stopped(Stop),
}

impl<'v, 'a> Walk<'v, 'a> {
    /// Walks.
    pub(super) fn run(self) -> Walked {
        let mut walked = Walked {
            index: self.index,
            record: self.record.clone(),
            canary: self.canary,
            stop: None,
            create: Vec::new(),
            terminate: Vec::new(),
            delete: Vec::new(),
            answered: None,
        };
        walked.stop = self.advance(&mut walked);
        walked
    }

    fn advance(&self, walked: &mut Walked) -> Option<Stop> {
        if let Some(hold) = &self.hold {
            return Some(hold.clone());
        }
        if let Err(stop) = &self.attached {
            return Some(stop.clone());
        }
        if let Confirmation::Waiting(why) = &self.confirmation {
            let next = format!("step {} goes on when AWS shows these weights", walked.index);
            return Some(Stop::waiting(Reason::WaitingForLoadBalancer, why.clone(), next));
        }
        if self.canary == 0 {
            // The attaching write counts as done only when health is seen.
            if let Some(stop) = self.closed_gate(walked.index) {
                return Some(stop);
            }
        }
        while walked.index < self.view.spec.steps.len() {
            if let Some(stop) = self.background(walked) {
                return Some(stop);
            }
            match self.step(walked) {
                Passage::Done => walked.index += 1,
                Passage::Stopped(stop) => return Some(stop),
            }
        }
        self.end(walked)
    }

    fn step(&self, walked: &mut Walked) -> Passage {
        let index = walked.index;
        match self.view.spec.steps.get(index).expect("the walk stays below the length") {
            Step::SetWeight(_) | Step::StepWeight(_) | Step::Promote => self.weight_step(walked),
            Step::Pause(_) if walked.record.promoted_fully => Passage::Done,
            Step::Pause(seconds) => self.pause_step(walked, *seconds),
            Step::Analysis(_) | Step::Experiment(_) if walked.record.promoted_fully => Passage::Done,
            Step::Analysis(_) => self.judged_step(walked, ComponentKind::AnalysisRun),
            Step::Experiment(_) => self.judged_step(walked, ComponentKind::Experiment),
        }
    }

    /// A weight step is done when its weight is confirmed, the gates hold and
    /// it has settled.
    fn weight_step(&self, walked: &mut Walked) -> Passage {
        let index = walked.index;
        let steps = &self.view.spec.steps;
        let wanted = self.view.spec.weight_total.of_percent(steps.percent_through(index));
        if walked.canary < wanted {
            return Passage::Stopped(self.raise(walked, wanted));
        }
        if !steps.raises(index) {
            return Passage::Done;
        }
        if let Some(stop) = self.closed_gate(index) {
            return Passage::Stopped(stop);
        }
        match self.settling(index) {
            Some(stop) if !walked.record.promoted_fully && !self.promotes(walked, "ended the settling") => {
                Passage::Stopped(stop)
            }
            _ => Passage::Done,
        }
    }

    fn settling(&self, index: usize) -> Option<Stop> {
        let settle = self.view.spec.settle_seconds;
        let since = self.view.config()?.status.weights_since?;
        let settled = View::after(since, settle);
        (settled > self.view.now).then(|| {
            let message = format!(
                "the weights of step {index} are confirmed for {} s of settleSeconds {settle}",
                seconds_between(since, self.view.now)
            );
            Stop::waiting(Reason::Settling, message, format!("step {index} counts as done at {settled}"))
                .until(settled)
        })
    }

    fn closed_gate(&self, index: usize) -> Option<Stop> {
        let Gate::Closed { reason, message, until } = &self.gate else { return None };
        let next = format!("step {index} goes on when the readiness gates hold");
        let stop = Stop::waiting(*reason, message.clone(), next);
        Some(match until {
            Some(until) => stop.until(*until),
            None => stop,
        })
    }

    /// Writes a greater canary weight, if the gates hold and nobody must
    /// approve it first.
    fn raise(&self, walked: &mut Walked, wanted: Weight) -> Stop {
        let index = walked.index;
        if let Some(stop) = self.closed_gate(index) {
            return stop;
        }
        if let Some(stop) = self.approval(walked, wanted) {
            return stop;
        }
        let message = format!("step {index} gives the canary {wanted} of {}", self.view.total);
        walked.canary = wanted;
        walked.record.approved_step = None;
        Stop::waiting(
            Reason::WaitingForLoadBalancer,
            message,
            "the step goes on when AWS shows these weights",
        )
    }

    /// `approval: Manual`: the raise waits for `Continue` naming the step.
    fn approval(&self, walked: &mut Walked, wanted: Weight) -> Option<Stop> {
        let index = walked.index;
        let approved = walked.record.approved_step == Some(index) || walked.record.promoted_fully;
        if self.view.spec.approval == Approval::Automatic || approved {
            return None;
        }
        if self.promotes(walked, "approved the raise") || self.continues(walked, "approved the raise", true) {
            return None;
        }
        let message =
            format!("step {index} would give the canary {wanted} of {} and needs approval", self.view.total);
        Some(Stop::paused(
            Reason::ApprovalNeeded,
            message,
            format!("send Continue naming step {index}, or Abort"),
        ))
    }

    fn pause_step(&self, walked: &mut Walked, seconds: Option<u64>) -> Passage {
        let index = walked.index;
        if seconds == Some(0) {
            return Passage::Done;
        }
        let Some(pause) = self.component(ComponentKind::Pause, StepReference::Index(index)) else {
            let expires_at = seconds.map(|seconds| View::after(self.view.now, seconds));
            self.create(walked, StepReference::Index(index), NewComponentBody::Pause { expires_at });
            return Passage::Stopped(pausing(index, expires_at));
        };
        if components::pause_is_over(self.view, pause) {
            return Passage::Done;
        }
        let promoted = self.promotes(walked, "ended the pause");
        if promoted || (pause.indefinite && self.continues(walked, "ended the pause", false)) {
            walked.delete.push(components::name_of(pause));
            return Passage::Done;
        }
        Passage::Stopped(pausing(index, pause.expires_at))
    }

    fn judged_step(&self, walked: &mut Walked, kind: ComponentKind) -> Passage {
        let index = walked.index;
        let running = match kind {
            ComponentKind::Experiment => Reason::ExperimentRunning,
            _ => Reason::AnalysisRunning,
        };
        let Some(component) = self.component(kind, StepReference::Index(index)) else {
            let body = match kind {
                ComponentKind::Experiment => NewComponentBody::Experiment,
                _ => NewComponentBody::AnalysisRun,
            };
            let name = self.create(walked, StepReference::Index(index), body);
            let message = format!("step {index} starts {kind} {name}");
            return Passage::Stopped(Stop::waiting(running, message, "its verdict decides"));
        };
        let name = &component.name;
        match component.phase {
            ComponentPhase::Successful => Passage::Done,
            ComponentPhase::Inconclusive => {
                if self.promotes(walked, "passed the step")
                    || self.continues(walked, "passed the step", false)
                {
                    return Passage::Done;
                }
                Passage::Stopped(Stop::paused(
                    Reason::Inconclusive,
                    format!("{kind} {name} of step {index} came to no verdict: {}", component.message),
                    "send Continue to pass the step, or Abort",
                ))
            }
            _ => {
                if self.promotes(walked, "ended the run and passed the step") {
                    if !component.terminating {
                        walked.terminate.push(components::name_of(component));
                    }
                    return Passage::Done;
                }
                let message = format!("{kind} {name} of step {index} is {}", component.phase);
                Passage::Stopped(Stop::waiting(running, message, "its verdict decides"))
            }
        }
    }

    /// The analysis beside the steps: created when its step is reached and
    /// the canary has confirmed weight (at 0 there is nothing to measure). Its
    /// failure is found by `failure`; without a verdict everything holds.
    fn background(&self, walked: &mut Walked) -> Option<Stop> {
        let analysis = self.view.spec.background.as_ref()?;
        let run = self.component(ComponentKind::AnalysisRun, StepReference::Background);
        if let Some(run) = run {
            let undecided = run.phase == ComponentPhase::Inconclusive && !walked.record.background_passed;
            if undecided && !walked.record.promoted_fully {
                if self.continues(walked, "passed the background analysis", false) {
                    walked.record.background_passed = true;
                    return None;
                }
                return Some(Stop::paused(
                    Reason::Inconclusive,
                    format!("background AnalysisRun {} came to no verdict: {}", run.name, run.message),
                    "send Continue to go on without it, or Abort",
                ));
            }
            return None;
        }
        let bakes = analysis.starting_step >= self.view.spec.steps.len();
        let measurable = if bakes { self.canary == self.view.total } else { self.canary > 0 };
        let reached = bakes || walked.index >= analysis.starting_step;
        let created = walked.create.iter().any(|component| component.step == StepReference::Background);
        if measurable && reached && !created && !walked.record.promoted_fully {
            self.create(walked, StepReference::Background, NewComponentBody::AnalysisRun);
        }
        None
    }

    /// The end of the list means 100, whatever the last weight was.
    fn end(&self, walked: &mut Walked) -> Option<Stop> {
        if let Some(stop) = self.background(walked) {
            return Some(stop);
        }
        if walked.canary < self.view.total {
            return Some(self.raise(walked, self.view.total));
        }
        self.baking(walked)
    }

    /// A background analysis that starts only at 100 is waited for: to its
    /// end, or for `bakeSeconds` where it has none (3.4.3).
    fn baking(&self, walked: &Walked) -> Option<Stop> {
        let analysis = self.view.spec.background.as_ref()?;
        if analysis.starting_step < self.view.spec.steps.len() || walked.record.promoted_fully {
            return None;
        }
        let Some(run) = self.component(ComponentKind::AnalysisRun, StepReference::Background) else {
            return Some(Stop::waiting(
                Reason::AnalysisRunning,
                "the background analysis starts now that 100 is confirmed",
                "the rollout ends with it",
            ));
        };
        if run.phase.is_terminal() {
            return None;
        }
        let message = format!("background AnalysisRun {} is {}", run.name, run.phase);
        if !run.endless {
            return Some(Stop::waiting(Reason::AnalysisRunning, message, "the rollout ends with it"));
        }
        let baked = View::after(run.created_at.unwrap_or(self.view.now), analysis.bake_seconds);
        (baked > self.view.now).then(|| {
            Stop::waiting(Reason::AnalysisRunning, message, format!("the rollout ends at {baked}"))
                .until(baked)
        })
    }

    fn component(&self, kind: ComponentKind, step: StepReference) -> Option<&'a Component> {
        components::find(self.view, self.id, kind, step)
    }

    fn create(&self, walked: &mut Walked, step: StepReference, body: NewComponentBody) -> String {
        let kind = match body {
            NewComponentBody::Pause { .. } => ComponentKind::Pause,
            NewComponentBody::AnalysisRun => ComponentKind::AnalysisRun,
            NewComponentBody::Experiment => ComponentKind::Experiment,
        };
        let name = components::name(&self.view.observed.cell.name, self.id, step, kind);
        walked.create.push(NewComponent { name: name.clone(), rollout_id: self.id.clone(), step, body });
        name
    }

    /// Whether an unanswered `Promote` ends this wait; if so it is answered.
    fn promotes(&self, walked: &mut Walked, what: &str) -> bool {
        self.takes(walked, Verb::Promote, what, false)
    }

    /// Likewise `Continue`; where `named`, it must name the step.
    fn continues(&self, walked: &mut Walked, what: &str, named: bool) -> bool {
        self.takes(walked, Verb::Continue, what, named)
    }

    fn takes(&self, walked: &mut Walked, wanted: Verb, what: &str, named: bool) -> bool {
        let Some((command, verb)) = self.command else { return false };
        let index = walked.index;
        let meant = match command.step {
            Some(step) => step == index,
            None => !named,
        };
        if verb != wanted || walked.answered.is_some() || !meant {
            return false;
        }
        walked.answered = Some(format!("{what} (step {index})"));
        walked.record.passed.push(PassedStep { step: index, verb, by: command.by.clone() });
        true
    }
}

fn pausing(index: usize, expires_at: Option<Timestamp>) -> Stop {
    match expires_at {
        Some(until) => {
            let message = format!("the pause of step {index} lasts until {until}");
            Stop::waiting(Reason::PauseRunning, message, format!("step {} follows then", index + 1))
                .until(until)
        }
        None => Stop::paused(
            Reason::PauseRunning,
            format!("the pause of step {index} has no end"),
            "send Promote, or cancel the Pause, to go on",
        ),
    }
}
