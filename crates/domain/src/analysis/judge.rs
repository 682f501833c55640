//! From the outcomes of conditions to the phase of a measurement (`spec/analysis.md` 2.4).

use super::{NoData, Phase};

/// A condition and what it yielded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Condition<'a> {
    /// The condition as written.
    pub text: &'a str,
    /// Whether it holds, or why that cannot be said.
    pub outcome: Result<bool, String>,
    /// The part of it that decided, if one did.
    pub deciding: Option<&'a str>,
}

/// What a measurement comes to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Judgement {
    /// Successful, Failed, Inconclusive or Error.
    pub phase: Phase,
    /// Why, unless it is successful.
    pub message: String,
}

/// Judges a measured value by the conditions that are set. `value` is its text, for the message.
///
/// An error of the success condition is reported before one of the failure condition.
pub fn judge(value: &str, success: Option<&Condition<'_>>, failure: Option<&Condition<'_>>) -> Judgement {
    for (name, condition) in [("successCondition", success), ("failureCondition", failure)] {
        if let Some(Condition { text, outcome: Err(reason), .. }) = condition {
            let message = format!("could not evaluate {name} \"{text}\": {reason}");
            return Judgement { phase: Phase::Error, message };
        }
    }
    let holds = |condition: &Condition<'_>| matches!(condition.outcome, Ok(true));
    let value = clipped(value);
    match (success, failure) {
        (_, Some(failure)) if holds(failure) => Judgement {
            phase: Phase::Failed,
            message: format!("value {value}: failureCondition {}", said(failure, true)),
        },
        (Some(success), None) if !holds(success) => Judgement {
            phase: Phase::Failed,
            message: format!("value {value}: successCondition {}", said(success, false)),
        },
        (Some(success), Some(failure)) if !holds(success) => Judgement {
            phase: Phase::Inconclusive,
            message: format!(
                "value {value}: neither successCondition \"{}\" nor failureCondition \"{}\" is true",
                success.text, failure.text
            ),
        },
        _ => Judgement { phase: Phase::Successful, message: String::new() },
    }
}

/// Judges a measurement without data (nil, an empty list, NaN, no point) of a metric that says what
/// that means. `value` is what came instead.
pub fn judge_no_data(policy: NoData, value: &str) -> Judgement {
    let phase = match policy {
        NoData::Fail => Phase::Failed,
        NoData::Inconclusive => Phase::Inconclusive,
        NoData::Success => return Judgement { phase: Phase::Successful, message: String::new() },
        NoData::Error => Phase::Error,
    };
    Judgement { phase, message: format!("no data (value {}); noData is {policy}", clipped(value)) }
}

/// A condition, its outcome, and the part that made it so.
fn said(condition: &Condition<'_>, outcome: bool) -> String {
    let part = condition.deciding.map(|part| format!(", since \"{part}\" is")).unwrap_or_default();
    format!("\"{}\" is {outcome}{part}", condition.text)
}

/// Characters of a value that a sentence repeats; the value itself stands beside it.
const MAX_VALUE_CHARS: usize = 100;

fn clipped(value: &str) -> String {
    let mut chars = value.chars();
    let mut text: String = chars.by_ref().take(MAX_VALUE_CHARS).collect();
    if chars.next().is_some() {
        text.push('…');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn condition(outcome: Option<bool>) -> Option<Condition<'static>> {
        outcome.map(|outcome| Condition { text: "result < 1", outcome: Ok(outcome), deciding: None })
    }

    #[test]
    fn the_truth_table() {
        let rows = [
            (None, None, Phase::Successful),
            (Some(true), None, Phase::Successful),
            (Some(false), None, Phase::Failed),
            (None, Some(true), Phase::Failed),
            (None, Some(false), Phase::Successful),
            (Some(true), Some(false), Phase::Successful),
            (Some(false), Some(true), Phase::Failed),
            (Some(true), Some(true), Phase::Failed),
            (Some(false), Some(false), Phase::Inconclusive),
        ];
        for (success, failure, phase) in rows {
            let judged = judge("0.5", condition(success).as_ref(), condition(failure).as_ref());
            assert_eq!(judged.phase, phase, "success {success:?}, failure {failure:?}");
            assert_eq!(judged.message.is_empty(), phase == Phase::Successful);
        }
    }

    #[test]
    fn an_error_of_either_condition_is_an_error_and_success_comes_first() {
        let broken = |reason: &str| Condition { text: "x(", outcome: Err(reason.to_owned()), deciding: None };
        let judged = judge("", Some(&broken("first")), Some(&broken("second")));
        assert_eq!(judged.phase, Phase::Error);
        assert_eq!(judged.message, "could not evaluate successCondition \"x(\": first");
        let judged = judge("", condition(Some(true)).as_ref(), Some(&broken("second")));
        assert_eq!(judged.message, "could not evaluate failureCondition \"x(\": second");
    }

    #[test]
    fn a_failure_says_value_and_condition() {
        let judged = judge("0.07", condition(Some(false)).as_ref(), None);
        assert_eq!(judged.message, "value 0.07: successCondition \"result < 1\" is false");
        let both = Condition { text: "a && b", outcome: Ok(false), deciding: Some("b") };
        let expected = "value 1: successCondition \"a && b\" is false, since \"b\" is";
        assert_eq!(judge("1", Some(&both), None).message, expected);
    }
}
