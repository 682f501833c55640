//! What happened, told from the outside: the region's journal of API calls
//! and the answers that the load generator saw (`spec/okra.md` 8).

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use jiff::Timestamp;
use okra_region::{Call, Detail, Moment, Outcome as CallOutcome};
use serde::Serialize;

use super::load::Answer;

/// Which target groups belong to the version that is rolled out.
#[derive(Debug, Clone, Default)]
pub struct Sides {
    /// Name of every target group by ARN.
    pub names: BTreeMap<String, String>,
    /// ARNs of the groups of the new version.
    pub canary: BTreeSet<String>,
}

/// One change of the canary's weight, as AWS saw it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Change {
    /// Canary weight in percent of the rule's sum.
    pub weight: u32,
    /// When the write arrived.
    pub received: Moment,
    /// When it was accepted.
    pub accepted: Moment,
    /// When a read first showed it; `None` while none has.
    pub read_back: Option<Moment>,
}

/// What the journal has shown so far.
#[derive(Debug, Clone, Default)]
pub struct Timeline {
    sides: Sides,
    healthy: BTreeMap<String, Moment>,
    all_healthy: Option<Moment>,
    changes: Vec<Change>,
    weights: BTreeMap<String, u32>,
}

/// One step of the rollout and what clients saw while it held.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Step {
    /// Canary weight in percent.
    pub weight: u32,
    /// Percent of the answers that came from the new version.
    pub share: f64,
    /// Requests begun between read-back and the next write.
    pub requests: usize,
    /// How long that was.
    pub seconds: f64,
}

impl Timeline {
    /// Learns that a target group exists.
    pub fn add_group(&mut self, arn: &str, name: &str, is_canary: bool) {
        self.sides.names.insert(arn.to_owned(), name.to_owned());
        if is_canary {
            self.sides.canary.insert(arn.to_owned());
        }
    }

    /// Takes in one call; calls come in the order in which they were answered.
    pub fn record(&mut self, call: &Call) {
        if call.outcome != CallOutcome::Accepted {
            return;
        }
        match &call.detail {
            Detail::None => {}
            Detail::TargetHealth { target_group_arn, targets } => {
                self.saw_health(target_group_arn, targets, call.answered);
            }
            Detail::Weights(rules) => {
                for rule in rules {
                    self.saw_weights(&call.action, &rule.target_groups, call);
                }
            }
        }
    }

    fn saw_health(&mut self, arn: &str, targets: &[(String, String)], at: Moment) {
        if !self.sides.canary.contains(arn) || !targets.iter().any(|(_, state)| state == "healthy") {
            return;
        }
        self.healthy.entry(arn.to_owned()).or_insert(at);
        if self.all_healthy.is_none() && self.healthy.len() == self.sides.canary.len() {
            self.all_healthy = Some(at);
        }
    }

    fn saw_weights(&mut self, action: &str, groups: &[(String, u32)], call: &Call) {
        if !groups.iter().any(|(arn, _)| self.sides.names.contains_key(arn)) {
            return;
        }
        let weight = self.canary_percent(groups);
        match action {
            "ModifyRule" | "CreateRule" => {
                self.weights = groups.iter().cloned().collect();
                if self.changes.last().map_or(0, |change| change.weight) != weight {
                    self.changes.push(Change {
                        weight,
                        received: call.received,
                        accepted: call.answered,
                        read_back: None,
                    });
                }
            }
            "DescribeRules" => {
                if let Some(change) = self.changes.last_mut().filter(|change| change.weight == weight) {
                    change.read_back.get_or_insert(call.answered);
                }
            }
            _ => {}
        }
    }

    fn canary_percent(&self, groups: &[(String, u32)]) -> u32 {
        let sum: u32 = groups.iter().map(|(_, weight)| weight).sum();
        let canary: u32 =
            groups.iter().filter(|(arn, _)| self.sides.canary.contains(arn)).map(|(_, weight)| weight).sum();
        if sum == 0 { 0 } else { (f64::from(canary) * 100.0 / f64::from(sum)).round() as u32 }
    }

    /// The rule's weights as last written, by target group name.
    pub fn weights(&self) -> BTreeMap<String, u32> {
        self.weights
            .iter()
            .map(|(arn, weight)| (self.sides.names.get(arn).unwrap_or(arn).clone(), *weight))
            .collect()
    }

    /// From the answer that shows the last new group healthy to the answer of
    /// the first write that gives the canary weight, in milliseconds.
    pub fn reaction_ms(&self) -> Option<f64> {
        let first = self.changes.iter().find(|change| change.weight > 0)?;
        let seen = self.all_healthy?;
        Some(milliseconds(first.accepted.monotonic.checked_sub(seen.monotonic)?))
    }

    /// From the failing measurement to the read that shows the canary at 0, in
    /// milliseconds; `None` when that has not been seen.
    pub fn rollback_ms(&self, failed_at: Timestamp) -> Option<f64> {
        let back = self.changes.last().filter(|change| change.weight == 0)?.read_back?;
        let passed = back.wall.duration_since(failed_at);
        Duration::try_from(passed).ok().map(milliseconds)
    }

    /// The steps with what was observed while each held: from its read-back to
    /// the next write, the last one to the end of the load.
    pub fn steps(&self, answers: &[Answer], version: &str) -> Vec<Step> {
        let ends = self.changes.iter().skip(1).map(|change| change.received.monotonic).chain([Duration::MAX]);
        self.changes
            .iter()
            .zip(ends)
            .filter(|(change, _)| change.weight > 0)
            .filter_map(|(change, end)| {
                let begin = change.read_back?.monotonic;
                Some(observe(change.weight, answers, version, begin, end))
            })
            .collect()
    }
}

fn observe(weight: u32, answers: &[Answer], version: &str, begin: Duration, end: Duration) -> Step {
    let held = || answers.iter().filter(|answer| answer.begun >= begin && answer.begun < end);
    let answered = held().filter(|answer| answer.outcome.version().is_some()).count();
    let from_version = held().filter(|answer| answer.outcome.version() == Some(version)).count();
    let last = held().map(|answer| answer.begun).max().unwrap_or(begin);
    let until = if end == Duration::MAX { last } else { end };
    Step {
        weight,
        share: if answered == 0 { 0.0 } else { round(100.0 * from_version as f64 / answered as f64, 2) },
        requests: held().count(),
        seconds: round(until.saturating_sub(begin).as_secs_f64(), 3),
    }
}

/// Fractions of milliseconds, never 0 (`spec/okra.md` 8).
fn milliseconds(duration: Duration) -> f64 {
    round((duration.as_secs_f64() * 1_000.0).max(0.001), 3)
}

/// `value` with `digits` digits after the point.
pub fn round(value: f64, digits: i32) -> f64 {
    let scale = 10_f64.powi(digits);
    (value * scale).round() / scale
}

#[cfg(test)]
mod tests {
    use okra_region::ForwardWeights;

    use super::super::load::Outcome;
    use super::*;

    fn moment(milliseconds: u64) -> Moment {
        let wall = Timestamp::from_millisecond(1_700_000_000_000 + milliseconds as i64).unwrap();
        Moment { wall, monotonic: Duration::from_millis(milliseconds) }
    }

    fn call(action: &str, at: u64, detail: Detail) -> Call {
        Call {
            service: "elasticloadbalancing",
            action: action.into(),
            caller: None,
            received: moment(at),
            answered: moment(at + 1),
            outcome: CallOutcome::Accepted,
            parameters: BTreeMap::new(),
            detail,
        }
    }

    fn weights(action: &str, at: u64, stable: u32, canary: u32) -> Call {
        let groups = vec![("arn:a".to_owned(), stable), ("arn:b".to_owned(), canary)];
        let rule = ForwardWeights { arn: "arn:rule".into(), target_groups: groups };
        call(action, at, Detail::Weights(vec![rule]))
    }

    fn healthy(arn: &str, at: u64) -> Call {
        let targets = vec![("127.0.0.1:1".to_owned(), "healthy".to_owned())];
        call("DescribeTargetHealth", at, Detail::TargetHealth { target_group_arn: arn.into(), targets })
    }

    fn timeline() -> Timeline {
        let mut timeline = Timeline::default();
        timeline.add_group("arn:a", "web-1-v1", false);
        timeline.add_group("arn:b", "web-1-v2", true);
        timeline
    }

    fn answer(begun: u64, version: &str) -> Answer {
        Answer {
            begun: Duration::from_millis(begun),
            latency: Duration::from_millis(1),
            outcome: Outcome::Served { version: version.into() },
        }
    }

    #[test]
    fn shares_count_between_read_back_and_the_next_write() {
        let mut timeline = timeline();
        for call in [
            weights("ModifyRule", 90, 100, 0),
            healthy("arn:b", 100),
            weights("ModifyRule", 150, 50, 50),
            weights("DescribeRules", 160, 50, 50),
            weights("ModifyRule", 200, 0, 100),
            weights("DescribeRules", 210, 0, 100),
        ] {
            timeline.record(&call);
        }
        // 155 lies between write and read-back: it belongs to no step.
        let answers = [(155, "2"), (170, "1"), (180, "2"), (205, "1"), (220, "2"), (230, "2")];
        let answers: Vec<Answer> = answers.iter().map(|(begun, version)| answer(*begun, version)).collect();
        let steps = timeline.steps(&answers, "2");
        assert_eq!(steps.len(), 2);
        assert_eq!((steps[0].weight, steps[0].share, steps[0].requests), (50, 50.0, 2));
        assert_eq!((steps[1].weight, steps[1].share, steps[1].requests), (100, 100.0, 2));
        assert_eq!(timeline.reaction_ms(), Some(50.0));
        assert_eq!(timeline.weights(), BTreeMap::from([("web-1-v1".into(), 0), ("web-1-v2".into(), 100)]));
    }

    #[test]
    fn rollback_ends_with_the_read_and_not_with_the_write() {
        let mut timeline = timeline();
        timeline.record(&weights("ModifyRule", 100, 50, 50));
        timeline.record(&weights("ModifyRule", 300, 100, 0));
        let failed_at = moment(280).wall;
        assert_eq!(timeline.rollback_ms(failed_at), None);
        timeline.record(&weights("DescribeRules", 320, 100, 0));
        assert_eq!(timeline.rollback_ms(failed_at), Some(41.0));
    }

    #[test]
    fn refused_writes_change_nothing() {
        let mut timeline = timeline();
        let mut refused = weights("ModifyRule", 100, 50, 50);
        refused.outcome = CallOutcome::Rejected { code: "AccessDenied".into() };
        timeline.record(&refused);
        assert_eq!(timeline.changes, []);
    }
}
