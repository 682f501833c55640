//! The two conditions of a metric, ready to be evaluated.

use jiff::Timestamp;
use okra_domain::analysis::{Condition, Judgement, judge};
use okra_expr::{CompileError, Program, Value};
use thiserror::Error;

/// A condition that is no expression.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("could not evaluate {name} \"{text}\": {error}")]
pub struct InvalidCondition {
    /// `successCondition` or `failureCondition`.
    pub name: &'static str,
    /// The condition as written.
    pub text: String,
    /// What is wrong with it.
    pub error: CompileError,
}

/// The success and the failure condition of a metric, of which either may be absent.
#[derive(Debug, Clone, Default)]
pub struct Conditions {
    success: Option<(String, Program)>,
    failure: Option<(String, Program)>,
}

impl Conditions {
    /// Reads conditions; an empty text is an absent condition.
    ///
    /// # Errors
    ///
    /// With the first that is no expression.
    pub fn compile(success: &str, failure: &str) -> Result<Self, InvalidCondition> {
        let compiled = |name, text: &str| match text {
            "" => Ok(None),
            text => match Program::compile(text) {
                Ok(program) => Ok(Some((text.to_owned(), program))),
                Err(error) => Err(InvalidCondition { name, text: text.to_owned(), error }),
            },
        };
        Ok(Self {
            success: compiled("successCondition", success)?,
            failure: compiled("failureCondition", failure)?,
        })
    }

    /// What a measured value comes to. `text` is the value as people read it.
    pub fn judge(&self, text: &str, result: &Value, now: Timestamp) -> Judgement {
        let success = self.success.as_ref().map(|condition| evaluated(condition, false, result, now));
        let failure = self.failure.as_ref().map(|condition| evaluated(condition, true, result, now));
        judge(text, success.as_ref(), failure.as_ref())
    }
}

/// Evaluates a condition, and if it is `fatal`, finds the part that made it so.
fn evaluated<'a>(
    (text, program): &'a (String, Program),
    fatal: bool,
    result: &Value,
    now: Timestamp,
) -> Condition<'a> {
    let outcome = program.evaluate(result, now).map_err(|error| error.to_string());
    let deciding = if outcome == Ok(fatal) { program.deciding_limb(result, now) } else { None };
    Condition { text, outcome, deciding }
}

#[cfg(test)]
mod tests {
    use okra_domain::analysis::Phase;

    use super::*;

    fn judged(success: &str, failure: &str, result: &Value) -> Judgement {
        let conditions = Conditions::compile(success, failure).unwrap();
        conditions.judge(&result.to_string(), result, Timestamp::UNIX_EPOCH)
    }

    #[test]
    fn conditions_decide_the_phase() {
        let list = Value::array(vec![Value::Float(0.07)]);
        assert_eq!(judged("", "", &Value::Nil).phase, Phase::Successful);
        assert_eq!(judged("result[0] < 0.1", "", &list).phase, Phase::Successful);
        assert_eq!(judged("result[0] < 0.01", "result[0] > 0.1", &list).phase, Phase::Inconclusive);
        let failed = judged("", "result[0] > 0.05", &list);
        assert_eq!(failed.phase, Phase::Failed);
        assert_eq!(failed.message, "value [0.07]: failureCondition \"result[0] > 0.05\" is true");
        let half = judged("len(result) > 0 && result[0] < 0.05", "", &list).message;
        assert!(half.ends_with("is false, since \"result[0] < 0.05\" is"), "{half}");
    }

    #[test]
    fn no_data_and_broken_conditions_are_errors_with_the_condition() {
        let judged = judged("result[0] < 1", "", &Value::array(Vec::new()));
        let expected = "could not evaluate successCondition \"result[0] < 1\": \
                        metric result is nil or empty: no data returned from the metric provider";
        assert_eq!((judged.phase, &*judged.message), (Phase::Error, expected));
        let error = Conditions::compile("", "reslt > 1").unwrap_err().to_string();
        assert_eq!(error, "could not evaluate failureCondition \"reslt > 1\": unknown name reslt");
    }
}
