use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};

use super::*;
use crate::analysis::Phase;

/// An experiment with one set of two pods and one analysis, on virtual time.
struct Trial {
    spec: ExperimentSpec,
    status: ExperimentStatus,
    seen: Observed,
    now: Timestamp,
}

impl Trial {
    fn new(duration: Option<i64>, required: bool) -> Self {
        let spec = ExperimentSpec {
            templates: vec![Template { name: "canary".into(), replicas: 2 }],
            analyses: vec![Analysis { name: "smoke".into(), required }],
            duration: duration.map(SignedDuration::from_secs),
            progress_deadline: SignedDuration::from_secs(600),
            scale_down_delay: SignedDuration::from_secs(30),
            terminate: false,
        };
        let now = Timestamp::UNIX_EPOCH;
        Self { spec, status: ExperimentStatus::default(), seen: Observed::default(), now }
    }

    /// Plans, takes the status over, and does what the plan says.
    fn step(&mut self) -> ExperimentPlan {
        let plan = plan(&self.spec, &self.status, &self.seen, self.now);
        self.status = plan.status.clone();
        for name in &plan.create {
            self.seen.sets.insert(name.clone(), PodSet::default());
        }
        for (name, replicas) in &plan.scale {
            let set = PodSet { replicas: *replicas, ..self.seen.sets[name] };
            self.seen.sets.insert(name.clone(), set);
        }
        for name in &plan.start {
            self.seen.runs.insert(name.clone(), RunSeen { phase: Phase::Running, ..RunSeen::default() });
        }
        for name in &plan.terminate {
            self.seen.runs.get_mut(name).unwrap().terminating = true;
        }
        plan
    }

    fn after(&mut self, seconds: i64) -> ExperimentPlan {
        self.now = self.now.saturating_add(SignedDuration::from_secs(seconds)).unwrap();
        self.step()
    }

    /// Pods come as they were asked for.
    fn available(&mut self) -> ExperimentPlan {
        for set in self.seen.sets.values_mut() {
            set.available = set.replicas;
        }
        self.step()
    }

    fn judged(&mut self, phase: Phase, message: &str) -> ExperimentPlan {
        let run = RunSeen { phase, message: message.into(), terminating: false };
        self.seen.runs.insert("smoke".into(), run);
        self.step()
    }

    fn running(mut self) -> Self {
        assert_eq!(self.step().create, ["canary"]);
        assert_eq!(self.step().scale, [("canary".to_owned(), 2)]);
        assert_eq!(self.step().status.phase, Phase::Pending);
        let started = self.available();
        assert_eq!((started.status.phase, &*started.start), (Phase::Running, &["smoke".to_owned()][..]));
        assert_eq!(started.status.available_at, Some(self.now));
        self
    }
}

#[test]
fn it_lives_for_its_duration_once_all_pods_are_available() {
    let mut trial = Trial::new(Some(60), false).running();
    let waiting = trial.after(59);
    let finish = Timestamp::from_second(60).unwrap();
    assert_eq!((waiting.status.phase, waiting.wake_at), (Phase::Running, Some(finish)));
    let ended = trial.after(1);
    assert_eq!((ended.status.phase, ended.status.completed_at), (Phase::Successful, Some(trial.now)));
    assert_eq!(ended.terminate, ["smoke"]);
    assert_eq!(trial.after(29).scale, []);
    assert_eq!(trial.after(1).scale, [("canary".to_owned(), 0)]);
    assert_eq!(trial.step().wake_at, None);
}

#[test]
fn what_is_required_holds_it_beyond_its_duration_and_ends_it_before() {
    let mut late = Trial::new(Some(60), true).running();
    assert_eq!(late.after(100).status.phase, Phase::Running);
    let ended = late.judged(Phase::Successful, "");
    assert_eq!(ended.status.message, "Required AnalysisRuns completed");
    let mut early = Trial::new(Some(60), true).running();
    assert_eq!(early.judged(Phase::Successful, "").status.phase, Phase::Successful);
    let mut free = Trial::new(Some(60), false).running();
    assert_eq!(free.judged(Phase::Successful, "").status.phase, Phase::Running);
}

#[test]
fn a_run_that_ends_badly_ends_it_at_once_with_its_phase() {
    for phase in [Phase::Failed, Phase::Error, Phase::Inconclusive] {
        let mut trial = Trial::new(None, false).running();
        let ended = trial.judged(phase, "too slow");
        assert_eq!(ended.status.phase, phase);
        assert_eq!(ended.status.message, format!("analysis \"smoke\" is {}: too slow", phase.as_str()));
    }
}

#[test]
fn a_set_that_is_late_fails_it_and_one_that_was_available_may_falter() {
    let mut late = Trial::new(Some(60), false);
    late.step();
    late.step();
    assert_eq!(late.step().wake_at, Timestamp::from_second(600).ok());
    assert_eq!(late.after(599).status.phase, Phase::Pending);
    let failed = late.after(1);
    assert_eq!(failed.status.phase, Phase::Failed);
    assert_eq!(failed.status.message, "template \"canary\": 0 of 2 pods available after 600 s");
    let mut falters = Trial::new(None, false).running();
    falters.seen.sets.get_mut("canary").unwrap().available = 1;
    assert_eq!(falters.after(10_000).status.phase, Phase::Running);
}

#[test]
fn a_word_ends_it_and_without_one_it_may_last() {
    let mut trial = Trial::new(None, false).running();
    assert_eq!(trial.after(1_000_000).status.phase, Phase::Running);
    trial.spec.terminate = true;
    let ended = trial.step();
    let told = (ended.status.phase, &*ended.status.message, &*ended.terminate);
    assert_eq!(told, (Phase::Successful, "Experiment Terminated", &["smoke".to_owned()][..]));
}

#[test]
fn without_templates_analyses_begin_at_once() {
    let mut trial = Trial::new(None, true);
    trial.spec.templates.clear();
    assert_eq!(trial.step().start, ["smoke"]);
}

#[test]
fn the_same_state_gives_the_same_plan_and_a_set_that_was_deleted_comes_back() {
    let mut trial = Trial::new(None, false).running();
    let again = plan(&trial.spec, &trial.status, &trial.seen, trial.now);
    assert_eq!((again.create.len(), again.start.len(), &again.status), (0, 0, &trial.status));
    trial.seen.sets = BTreeMap::new();
    assert_eq!(trial.step().create, ["canary"]);
}
