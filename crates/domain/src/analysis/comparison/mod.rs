//! Comparing the canary with stable: a metric with a `baseline` (`spec/analysis.md` 2.10-8).
//!
//! Two queries give, for the time since the previous measurement, what the canary did and what
//! stable did. All windows of a run add up to one [`Evidence`], and [`compare`] judges it: not by a
//! threshold, but by an interval for the true difference between the two.
//!
//! ```text
//!                 0      minEffect
//!  ───────────────┼──────────┼──────────────  how much worse the canary is
//!     [────────────────]                       Successful: at most minEffect worse
//!             [───────────────────]            Inconclusive: both are possible
//!                               [─────────]    Failed: more than minEffect worse
//! ```
//!
//! # Why looking often does no harm
//!
//! A usual test at 5 % errs in 5 % of all cases *if it is asked once*. Asked after every minute, it
//! errs sooner or later in most. The intervals here are *confidence sequences*: with probability of
//! at least `1 - alpha` the true difference lies inside *all* of them, however many there are and
//! whenever one stops. So over the whole run, a canary that is not worse by more than `minEffect` is
//! failed with a probability of at most `alpha`, and one that is worse by more is passed with a
//! probability of at most `alpha`.
//!
//! - Proportions ([`proportion`]): exact for any number of samples, from the beta-binomial mixture
//!   of Robbins, in the form of conjugate mixture bounds by Howard, Ramdas, McAuliffe and Sekhon,
//!   "Time-uniform, nonparametric, nonasymptotic confidence sequences", Annals of Statistics 49
//!   (2021). Both sides are multiplied into one martingale, and its set is projected onto the
//!   difference.
//! - Means ([`mean`]): the normal mixture of the mixture sequential probability ratio test, Johari,
//!   Koomen, Pekelis and Walsh, "Peeking at A/B Tests", KDD 2017, with variances as they are
//!   measured: Waudby-Smith, Arbour, Sinha, Kennedy and Ramdas, "Time-uniform central limit theory
//!   and asymptotic confidence sequences", Annals of Statistics 52 (2024). It holds in the limit, so
//!   `minSamples` must not be small for values with long tails.
//!
//! What both presume: samples of one side are alike and independent of one another. Requests are;
//! ten averages of the same minute are not.
//!
//! With `minEffect: 0` an equally good canary can never be passed, only not failed: name the
//! difference that would be borne.

mod evidence;
pub mod mean;
pub mod proportion;
mod spec;
#[cfg(test)]
mod tests;
mod verdict;
mod window;

pub use evidence::{Evidence, InvalidWindow, Sides, Window, next_window};
pub use mean::MeanArm;
pub use proportion::ProportionArm;
pub use spec::{ComparisonKind, ComparisonSpec, Worse};
pub use verdict::{Comparison, Interval, compare};
pub use window::window_arguments;
