//! Steps and the weights they mean (`spec/okra.md` 2.6.4).

use serde_json::json;

use super::world::{analysis, canary};
use crate::Percent;
use crate::cell::*;

fn totals(steps: &Steps) -> Vec<Percent> {
    let mut totals: Vec<Percent> = (0..=steps.len()).map(|index| steps.percent_through(index)).collect();
    totals.dedup();
    totals
}

fn pause() -> Step {
    Step::Pause(Some(60))
}

fn with_mode(list: &[Step], mode: WeightMode) -> Vec<Percent> {
    totals(&Steps::canary(list.to_vec(), Some(mode), WeightMode::Absolute))
}

#[test]
fn h_20_set_weight_is_a_total_and_step_weight_an_increment() {
    let two = [Step::SetWeight(20), pause(), Step::SetWeight(40), pause()];
    assert_eq!(with_mode(&two, WeightMode::Absolute), [20, 40, 100]);
    assert_eq!(with_mode(&two, WeightMode::Incremental), [20, 60, 100]);
    let increments = [Step::StepWeight(10), pause(), Step::StepWeight(20), analysis()];
    assert_eq!(with_mode(&increments, WeightMode::Absolute), [10, 30, 100]);
    let three = [Step::SetWeight(20), pause(), Step::SetWeight(60), pause(), Step::SetWeight(80), pause()];
    assert_eq!(with_mode(&three, WeightMode::Absolute), [20, 60, 80, 100]);
    // Clamped, where the Go program ran into an error.
    assert_eq!(with_mode(&three, WeightMode::Incremental), [20, 80, 100]);
}

#[test]
fn weights_are_clamped_and_never_fall() {
    let list = [
        Step::SetWeight(40),
        Step::SetWeight(20),
        Step::StepWeight(10),
        Step::SetWeight(300),
        Step::StepWeight(-5),
    ];
    let steps = canary(list.to_vec());
    let through: Vec<Percent> = (0..5).map(|index| steps.percent_through(index)).collect();
    assert_eq!(through, [40, 40, 50, 100, 100]);
    assert!(steps.raises(0) && !steps.raises(1) && steps.raises(2));
}

#[test]
fn blue_green_switches_once() {
    let steps = Steps::blue_green(vec![analysis(), Step::Promote, pause()]);
    assert_eq!((steps.percent_before(1), steps.percent_through(1)), (0, 100));
    assert_eq!(Steps::blue_green(vec![analysis()]).percent_through(0), 0);
    assert_eq!(Steps::blue_green(vec![]).percent_through(0), 100);
}

#[test]
fn a_ramp_is_weights_and_pauses() {
    let steps = Steps::ramp(30, 60);
    let expected = [Step::SetWeight(30), pause(), Step::SetWeight(60), pause(), Step::SetWeight(90), pause()];
    assert!(steps.iter().eq(expected.iter()));
    assert!(Steps::ramp(100, 60).is_empty());
    assert_eq!(Steps::ramp(1, 60).len(), 198);
}

#[test]
fn a_rollout_goes_on_at_the_last_weight_reached() {
    let steps = canary(vec![Step::SetWeight(20), pause(), Step::SetWeight(50), analysis()]);
    for (percent, index) in [(0, 0), (10, 0), (20, 0), (30, 0), (50, 2), (100, 2)] {
        assert_eq!(steps.index_reached(percent), index, "{percent}");
    }
}

#[test]
fn two_set_weights_without_a_mode_are_ambiguous() {
    let list = vec![Step::SetWeight(20), pause(), Step::SetWeight(40)];
    let steps = Steps::canary(list.clone(), None, WeightMode::Absolute);
    assert!(steps.is_ambiguous());
    assert_eq!(steps.readings(), [vec![20, 40], vec![20, 60]]);
    assert!(!Steps::canary(list, Some(WeightMode::Absolute), WeightMode::Absolute).is_ambiguous());
    assert!(!Steps::canary(vec![Step::SetWeight(20)], None, WeightMode::Absolute).is_ambiguous());
}

#[test]
fn the_hash_follows_meaning_and_not_key_order() {
    let of = |block| canary(vec![Step::Analysis(block)]).hash();
    assert_eq!(of(json!({"a": 1, "b": {"c": 2, "d": 3}})), of(json!({"b": {"d": 3, "c": 2}, "a": 1})));
    assert_ne!(of(json!({"a": 1})), of(json!({"a": 2})));
    assert_ne!(canary(vec![pause()]).hash(), canary(vec![Step::Pause(None)]).hash());
}
