//! Proportions: events of a total.
//!
//! If the true proportion is `p`, then for every prior over proportions the ratio of the likelihood
//! averaged over the prior to the likelihood at `p` is a martingale that begins at 1, whatever the
//! sizes of the windows. With the prior Beta(1/2, 1/2) it has a closed form:
//!
//! ```text
//!  M(p) = B(1/2 + events, 1/2 + total - events) / B(1/2, 1/2) / (p^events (1-p)^(total - events))
//! ```
//!
//! Two sides are independent, so the product of their ratios is a martingale too, and by Ville's
//! inequality it ever reaches `1/alpha` with a probability of at most `alpha`. The differences `d`
//! for which some pair `(p, p + d)` keeps the product below `1/alpha` are the interval.

use serde::{Deserialize, Serialize};

use super::verdict::Interval;

/// Greatest total: beyond it the logarithms lose the digits that decide.
pub(super) const TOTAL_MAX: f64 = 1e12;

/// Events of a total, of one side, over all windows.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub struct ProportionArm {
    /// How many were events. Not always whole: monitoring systems extrapolate.
    pub events: f64,
    /// How many there were.
    pub total: f64,
}

impl ProportionArm {
    /// The observed proportion; `None` without samples.
    pub fn proportion(&self) -> Option<f64> {
        (self.total > 0.0).then(|| (self.events / self.total).clamp(0.0, 1.0))
    }

    /// The logarithm of `M(p)`: convex in `p`, and infinite where what was seen is impossible.
    fn log_ratio(&self, p: f64, log_mixture: f64) -> f64 {
        log_mixture - times_ln(self.events, p) - times_ln(self.total - self.events, 1.0 - p)
    }

    fn log_mixture(&self) -> f64 {
        let (events, others) = (0.5 + self.events, 0.5 + self.total - self.events);
        let log_beta = libm::lgamma(events) + libm::lgamma(others) - libm::lgamma(events + others);
        log_beta - std::f64::consts::PI.ln()
    }
}

/// `count * ln(p)`, of which 0 events at probability 0 are nothing unlikely.
fn times_ln(count: f64, p: f64) -> f64 {
    if count > 0.0 { count * p.ln() } else { 0.0 }
}

/// Halvings that find an end of the interval to 2e-9.
const INTERVAL_HALVINGS: usize = 30;
/// Halvings that find the likeliest pair, as finely as a float can tell.
const PAIR_HALVINGS: usize = 60;

/// The interval for the canary's proportion minus the baseline's, at confidence `1 - alpha`.
pub fn interval(canary: &ProportionArm, baseline: &ProportionArm, alpha: f64) -> Interval {
    let (Some(canary_p), Some(baseline_p)) = (canary.proportion(), baseline.proportion()) else {
        return Interval { low: -1.0, high: 1.0 };
    };
    let (canary_mixture, baseline_mixture) = (canary.log_mixture(), baseline.log_mixture());
    let limit = -alpha.ln();
    let possible = |difference: f64| {
        let p = likeliest(canary, baseline, difference);
        let of_canary = canary.log_ratio((p + difference).clamp(0.0, 1.0), canary_mixture);
        of_canary + baseline.log_ratio(p, baseline_mixture) < limit
    };
    let seen = canary_p - baseline_p;
    Interval { low: last_possible(seen, -1.0, possible), high: last_possible(seen, 1.0, possible) }
}

/// The last place on the way from `inside` to `end` that is possible; the possible ones are
/// connected, since the least of a convex function over one variable is convex in the other.
fn last_possible(inside: f64, end: f64, possible: impl Fn(f64) -> bool) -> f64 {
    if possible(end) {
        return end;
    }
    let (mut inside, mut outside) = (inside, end);
    for _ in 0..INTERVAL_HALVINGS {
        let middle = f64::midpoint(inside, outside);
        if possible(middle) {
            inside = middle;
        } else {
            outside = middle;
        }
    }
    // Rounded outwards, so that nothing possible is left out.
    outside
}

/// The baseline's proportion that, with the canary's greater by `difference`, fits best what was
/// seen: where the slope of the convex sum of both ratios passes zero.
fn likeliest(canary: &ProportionArm, baseline: &ProportionArm, difference: f64) -> f64 {
    let (mut from, mut to) = ((-difference).max(0.0), (1.0 - difference).min(1.0));
    let over = |count: f64, p: f64| if count > 0.0 { count / p } else { 0.0 };
    let slope = |arm: &ProportionArm, p: f64| over(arm.total - arm.events, 1.0 - p) - over(arm.events, p);
    for _ in 0..PAIR_HALVINGS {
        let middle = f64::midpoint(from, to);
        if slope(baseline, middle) + slope(canary, middle + difference) < 0.0 {
            from = middle;
        } else {
            to = middle;
        }
    }
    f64::midpoint(from, to)
}
