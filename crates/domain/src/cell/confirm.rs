//! Whether AWS shows what was written (`spec/okra.md` 3.4.2-12).

use std::collections::BTreeMap;

use super::observed::{Config, ConfigPhase};
use crate::weight::Weight;

/// Whether the config reports `Updated` for its present generation with its
/// present weights.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Confirmation {
    /// AWS shows it.
    Confirmed,
    /// Not yet; why.
    Waiting(String),
}

impl Confirmation {
    pub(super) fn is_confirmed(&self) -> bool {
        *self == Self::Confirmed
    }
}

/// What the config's status says about its spec.
pub(super) fn confirmation(config: Option<&Config>) -> Confirmation {
    let Some(config) = config else {
        return Confirmation::Waiting("the load balancer config does not exist yet".to_owned());
    };
    let status = &config.status;
    if status.phase == Some(ConfigPhase::Error) {
        return Confirmation::Waiting(format!(
            "the load balancer config reports {}: {}",
            status.reason, status.message
        ));
    }
    if status.drift.is_some() {
        return Confirmation::Waiting("the load balancer shows weights that okra did not write".to_owned());
    }
    let observed = status.observed_generation.unwrap_or(0);
    if status.phase != Some(ConfigPhase::Updated) || observed < config.generation {
        return Confirmation::Waiting(format!(
            "AWS has not yet confirmed generation {} of the load balancer config (confirmed: {observed})",
            config.generation
        ));
    }
    if !same_shares(config) {
        return Confirmation::Waiting(
            "AWS reports other weights than the load balancer config asks for".to_owned(),
        );
    }
    Confirmation::Confirmed
}

/// Weights as shares of their sum; a single target group has all, whatever
/// AWS echoes (3.3.2-5).
fn same_shares(config: &Config) -> bool {
    let asked = sums(config.entries.iter().map(|entry| (entry.arn.as_str(), entry.weight)));
    let shown = sums(config.status.target_groups.iter().map(|group| (group.arn.as_str(), group.weight)));
    if asked.len() == 1 {
        return asked.keys().eq(shown.keys());
    }
    let (asked_sum, shown_sum) = (asked.values().sum::<u128>(), shown.values().sum::<u128>());
    let same = |(arn, weight): (&&str, &u128)| {
        shown.get(arn).is_some_and(|seen| weight * shown_sum == seen * asked_sum)
    };
    asked.len() == shown.len() && asked.iter().all(same)
}

/// Weights by ARN, wide enough that no product of two sums overflows.
fn sums<'a>(weights: impl Iterator<Item = (&'a str, Weight)>) -> BTreeMap<&'a str, u128> {
    let mut sums: BTreeMap<&str, u128> = BTreeMap::new();
    for (arn, weight) in weights {
        *sums.entry(arn).or_default() += u128::from(weight);
    }
    sums
}
