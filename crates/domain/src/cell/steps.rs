//! Steps of a rollout and the weights they mean (`spec/okra.md` 2.6.3, 2.6.4).

use serde_json::Value;
use sha2::{Digest, Sha256};

use crate::text::words;
use crate::weight::Percent;

/// Most steps that one rollout has; a ramp of 1 % needs 198.
pub const STEPS_MAX: usize = 500;

/// One step.
#[derive(Clone, Debug, PartialEq)]
pub enum Step {
    /// `setWeight`: a total or an increment, by the weight mode.
    SetWeight(i64),
    /// `stepWeight`: always an increment.
    StepWeight(i64),
    /// Wait for this many seconds, or for a human.
    Pause(Option<u64>),
    /// Run an analysis; the block is carried along for the hash only.
    Analysis(Value),
    /// Run an experiment; likewise.
    Experiment(Value),
    /// Blue/green: all traffic to the new side.
    Promote,
}

words! {
    /// What `setWeight` means (2.6.4).
    pub enum WeightMode("weight mode") {
        /// The total that the new side shall have.
        Absolute,
        /// What is added to it, as the Go program did.
        Incremental,
    }
}

/// The steps of one rollout.
#[derive(Clone, Debug, PartialEq, Default)]
pub struct Steps {
    list: Vec<Step>,
    totals: Vec<Percent>,
    mode: Option<WeightMode>,
}

impl Steps {
    /// Canary steps. `mode` is the Cell's own, `default_mode` the controller's.
    pub fn canary(list: Vec<Step>, mode: Option<WeightMode>, default_mode: WeightMode) -> Self {
        let totals = totals(&list, mode.unwrap_or(default_mode));
        Self { list, totals, mode }
    }

    /// Blue/green steps: 0 before `Promote`, 100 after it.
    pub fn blue_green(list: Vec<Step>) -> Self {
        Self::canary(list, Some(WeightMode::Absolute), WeightMode::Absolute)
    }

    /// `canary.ramp`: equal raises with a pause after each, up to 100, which
    /// the end of the list means anyway.
    pub fn ramp(step_weight: u8, interval_seconds: u64) -> Self {
        let step_weight = usize::from(step_weight.clamp(1, 100));
        let list = (step_weight..100)
            .step_by(step_weight)
            .flat_map(|percent| {
                let percent = i64::try_from(percent).expect("below 100");
                [Step::SetWeight(percent), Step::Pause(Some(interval_seconds))]
            })
            .collect();
        Self::canary(list, Some(WeightMode::Absolute), WeightMode::Absolute)
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.list.len()
    }

    /// Whether there are none: 100 follows the attaching at once.
    pub fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    /// The step at this index.
    pub fn get(&self, index: usize) -> Option<&Step> {
        self.list.get(index)
    }

    /// In order.
    pub fn iter(&self) -> impl Iterator<Item = &Step> {
        self.list.iter()
    }

    /// Canary percent once steps `0..=index` are passed; 100 beyond the end.
    pub fn percent_through(&self, index: usize) -> Percent {
        self.totals.get(index).copied().unwrap_or(100)
    }

    /// Canary percent when step `index` begins.
    pub fn percent_before(&self, index: usize) -> Percent {
        match index.checked_sub(1) {
            None => 0,
            Some(previous) => {
                self.totals.get(previous.min(self.len().saturating_sub(1))).copied().unwrap_or(0)
            }
        }
    }

    /// Whether step `index` raises the canary.
    pub fn raises(&self, index: usize) -> bool {
        self.percent_through(index) > self.percent_before(index)
    }

    /// The last step whose weight is reached at this canary percent, 0 if none:
    /// where a rollout goes on whose steps or index are new (3.4.2-11, 5.7-4).
    pub fn index_reached(&self, percent: Percent) -> usize {
        (0..self.len())
            .rev()
            .find(|index| self.raises(*index) && self.percent_through(*index) <= percent)
            .unwrap_or(0)
    }

    /// Whether `setWeight` can be read in two ways here (2.6.4).
    pub fn is_ambiguous(&self) -> bool {
        self.mode.is_none() && self.list.iter().filter(|step| matches!(step, Step::SetWeight(_))).count() >= 2
    }

    /// Both readings, for the warning.
    pub fn readings(&self) -> [Vec<Percent>; 2] {
        [WeightMode::Absolute, WeightMode::Incremental].map(|mode| {
            let mut totals = totals(&self.list, mode);
            totals.dedup();
            totals.retain(|percent| *percent > 0);
            totals
        })
    }

    /// A last weight step below 100 that the end of the list overrules at once.
    pub fn overruled_weight(&self) -> Option<Percent> {
        let last = self.len().checked_sub(1)?;
        (self.raises(last) && self.totals[last] < 100).then(|| self.totals[last])
    }

    /// Identity of the list, for `status.stepsHash`.
    pub fn hash(&self) -> String {
        let mut hash = Sha256::new();
        for (step, total) in self.list.iter().zip(&self.totals) {
            let text = match step {
                Step::SetWeight(_) | Step::StepWeight(_) | Step::Promote => format!("weight {total}"),
                Step::Pause(Some(seconds)) => format!("pause {seconds}"),
                Step::Pause(None) => "pause".to_owned(),
                Step::Analysis(block) => format!("analysis {}", canonical(block)),
                Step::Experiment(block) => format!("experiment {}", canonical(block)),
            };
            hash.update(text.as_bytes());
            hash.update([0]);
        }
        hash.finalize().iter().take(8).map(|byte| format!("{byte:02x}")).collect()
    }
}

/// Running canary totals after each step: clamped to 0..100, never falling.
fn totals(list: &[Step], mode: WeightMode) -> Vec<Percent> {
    let mut reached: Percent = 0;
    list.iter()
        .map(|step| {
            let wanted = match (step, mode) {
                (Step::SetWeight(weight), WeightMode::Absolute) => *weight,
                (Step::SetWeight(weight), WeightMode::Incremental) | (Step::StepWeight(weight), _) => {
                    i64::from(reached).saturating_add(*weight)
                }
                (Step::Promote, _) => 100,
                (Step::Pause(_) | Step::Analysis(_) | Step::Experiment(_), _) => i64::from(reached),
            };
            let wanted = Percent::try_from(wanted.clamp(0, 100)).expect("clamped to 100");
            reached = reached.max(wanted);
            reached
        })
        .collect()
}

/// JSON with ordered keys, so that equal blocks have equal text.
fn canonical(value: &Value) -> String {
    match value {
        Value::Object(map) => {
            let mut pairs: Vec<_> = map.iter().collect();
            pairs.sort_by_key(|(key, _)| key.as_str());
            let pairs: Vec<_> =
                pairs.into_iter().map(|(key, value)| format!("{key:?}:{}", canonical(value))).collect();
            format!("{{{}}}", pairs.join(","))
        }
        Value::Array(items) => {
            let items: Vec<_> = items.iter().map(canonical).collect();
            format!("[{}]", items.join(","))
        }
        scalar => scalar.to_string(),
    }
}
