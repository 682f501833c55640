//! Means: single values, of which count, mean and spread are kept.
//!
//! The difference of two sample means, divided by its variance `V`, moves like a Brownian motion on
//! the clock `1/V`, however fast either side grows. Averaging the likelihood ratio over a normal
//! distribution of differences gives the interval
//!
//! ```text
//!  difference ± sqrt( V (1 + 1/k) (ln(1 + k) - 2 ln alpha) ),    k = n rho²
//! ```
//!
//! where `n` is the harmonic count of both sides. `rho` only chooses where the interval is
//! tightest; it is fixed by `minSamples`, before any data.

use serde::{Deserialize, Serialize};

use super::verdict::Interval;

/// Values of one side, over all windows.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub struct MeanArm {
    /// How many.
    pub count: f64,
    /// Their mean.
    pub mean: f64,
    /// Sum of the squared distances from the mean.
    pub squares: f64,
}

impl MeanArm {
    /// One more value (Welford).
    pub fn add(&mut self, value: f64) {
        self.count += 1.0;
        let distance = value - self.mean;
        self.mean += distance / self.count;
        self.squares += distance * (value - self.mean);
    }

    /// The unbiased variance of one value; `None` below two values.
    pub fn variance(&self) -> Option<f64> {
        (self.count > 1.0).then(|| (self.squares / (self.count - 1.0)).max(0.0))
    }
}

/// Samples of each side at which the interval is tightest, as a multiple of `minSamples`: a verdict
/// is hardly ever clear at the first look, and seldom awaited for thousands of times as long.
const TIGHTEST_AT: f64 = 10.0;

/// The interval for the canary's mean minus the baseline's, at confidence `1 - alpha`. `None` where
/// there is no spread to judge by: fewer than two values, or all alike.
pub fn interval(canary: &MeanArm, baseline: &MeanArm, alpha: f64, min_samples: u64) -> Option<Interval> {
    let variance = canary.variance()? / canary.count + baseline.variance()? / baseline.count;
    let is_known = variance.is_finite() && variance > 0.0;
    if !is_known {
        return None;
    }
    let harmonic = canary.count * baseline.count / (canary.count + baseline.count);
    // Two sides of so many samples each have half of that as harmonic count.
    let tightest = (min_samples as f64 * TIGHTEST_AT / 2.0).max(1.0);
    let spread = -2.0 * alpha.ln();
    let information = harmonic / tightest * (spread + (1.0 + spread).ln());
    let factor = (1.0 + 1.0 / information) * (information.ln_1p() + spread);
    let (difference, radius) = (canary.mean - baseline.mean, (variance * factor).sqrt());
    Some(Interval { low: difference - radius, high: difference + radius })
}
