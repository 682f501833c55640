//! Random sequences against a slow model that counts from the whole history.

use proptest::prelude::*;

use super::*;

/// The metric's phase by reading 2.5 over the history of all measurements.
fn model(metric: &Metric, history: &[Phase]) -> Phase {
    let spec = &metric.spec;
    for seen in 1..=history.len() {
        let so_far = &history[..seen];
        let count_of = |phase| so_far.iter().filter(|own| **own == phase).count() as i64;
        let streak_of = |phase| so_far.iter().rev().take_while(|own| **own == phase).count() as i64;
        let counted = so_far.len() as i64 - count_of(Phase::Error);
        let reached = metric.count.is_some_and(|count| counted >= i64::from(count));
        let limits = (spec.failure_limit >= 0, spec.consecutive_success_limit > 0);
        let decided = if streak_of(Phase::Error) > spec.consecutive_error_limit {
            Phase::Error
        } else if count_of(Phase::Inconclusive) > spec.inconclusive_limit {
            Phase::Inconclusive
        } else if limits.0 && count_of(Phase::Failed) > spec.failure_limit {
            Phase::Failed
        } else if limits.1 && streak_of(Phase::Successful) >= spec.consecutive_success_limit {
            Phase::Successful
        } else if reached {
            match limits {
                (true, true) => Phase::Inconclusive,
                (false, _) => Phase::Failed,
                (true, false) => Phase::Successful,
            }
        } else {
            continue;
        };
        return decided;
    }
    if history.is_empty() { Phase::New } else { Phase::Running }
}

fn fields() -> impl Strategy<Value = Value> {
    (0..6_i64, -1..4_i64, 0..3_i64, 0..3_i64, 0..4_i64).prop_map(
        |(count, failure, inconclusive, error, success)| {
            json!({
                "interval": "1s", "count": count, "failureLimit": failure, "inconclusiveLimit": inconclusive,
                "consecutiveErrorLimit": error, "consecutiveSuccessLimit": success,
            })
        },
    )
}

proptest! {
    #[test]
    fn the_verdict_is_that_of_the_model_and_counters_are_the_history(
        fields in fields(),
        letters in proptest::collection::vec(proptest::sample::select(vec!['S', 'F', 'I', 'E']), 0..12),
    ) {
        let Ok(checked) = Run::new(spec(vec![metric("m", fields)]), |_, _| false) else { return Ok(()) };
        let mut player = Player::new(checked);
        let mut history = Vec::new();
        for letter in letters {
            if player.due().is_empty() {
                break;
            }
            history.push(phase(letter));
            player.record("m", phase(letter));
        }
        player.plan();
        prop_assert_eq!(player.metric_phase("m"), model(&player.run.metrics()[0], &history));
        let counters = player.status.metric("m").map(|result| result.counters).unwrap_or_default();
        let count_of = |phase| history.iter().filter(|own| **own == phase).count() as u32;
        prop_assert_eq!(counters.successful, count_of(Phase::Successful));
        prop_assert_eq!(counters.failed, count_of(Phase::Failed));
        prop_assert_eq!(counters.inconclusive, count_of(Phase::Inconclusive));
        prop_assert_eq!(counters.error, count_of(Phase::Error));
        prop_assert_eq!(counters.count as usize, history.len() - counters.error as usize);
    }
}
