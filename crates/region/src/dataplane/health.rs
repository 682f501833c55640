//! Health of a target as a pure function of check results (`spec/aws.md` 1.7).
//!
//! ```text
//!              one pass                unhealthy threshold
//!   initial ───────────▶ healthy ◀──────────────────────▶ unhealthy
//!      └─────────────────── unhealthy threshold ─────────────▲
//! ```
//!
//! The way back to healthy takes the healthy threshold; only a newly
//! registered target needs just one pass.

use super::topology::{HealthCheck, Target};

/// State of a target, as DescribeTargetHealth names it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum TargetState {
    /// Registered, no verdict yet.
    Initial,
    /// Passes its checks.
    Healthy,
    /// Fails its checks.
    Unhealthy,
    /// Not checked and not sent to: no rule names its group.
    Unused,
    /// Leaves: finishes what it has begun, gets nothing new.
    Draining,
    /// Health unknown: checks are off.
    Unavailable,
}

impl TargetState {
    /// The word of the API.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Initial => "initial",
            Self::Healthy => "healthy",
            Self::Unhealthy => "unhealthy",
            Self::Unused => "unused",
            Self::Draining => "draining",
            Self::Unavailable => "unavailable",
        }
    }
}

/// Why a target is in its state. Healthy targets have no reason.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum HealthReason {
    /// `Elb.RegistrationInProgress`
    RegistrationInProgress,
    /// `Elb.InitialHealthChecking`
    InitialHealthChecking,
    /// `Target.ResponseCodeMismatch`
    ResponseCodeMismatch,
    /// `Target.Timeout`
    Timeout,
    /// `Target.FailedHealthChecks`
    FailedHealthChecks,
    /// `Target.NotRegistered`
    NotRegistered,
    /// `Target.NotInUse`
    NotInUse,
    /// `Target.DeregistrationInProgress`
    DeregistrationInProgress,
    /// `Target.HealthCheckDisabled`
    HealthCheckDisabled,
}

impl HealthReason {
    /// The code of the API.
    pub fn code(self) -> &'static str {
        match self {
            Self::RegistrationInProgress => "Elb.RegistrationInProgress",
            Self::InitialHealthChecking => "Elb.InitialHealthChecking",
            Self::ResponseCodeMismatch => "Target.ResponseCodeMismatch",
            Self::Timeout => "Target.Timeout",
            Self::FailedHealthChecks => "Target.FailedHealthChecks",
            Self::NotRegistered => "Target.NotRegistered",
            Self::NotInUse => "Target.NotInUse",
            Self::DeregistrationInProgress => "Target.DeregistrationInProgress",
            Self::HealthCheckDisabled => "Target.HealthCheckDisabled",
        }
    }

    fn text(self) -> &'static str {
        match self {
            Self::RegistrationInProgress => "Target registration is in progress",
            Self::InitialHealthChecking => "Initial health checks in progress",
            Self::ResponseCodeMismatch => "Health checks failed with these codes",
            Self::Timeout => "Request timed out",
            Self::FailedHealthChecks => "Health checks failed",
            Self::NotRegistered => "Target is not registered to the target group",
            Self::NotInUse => "Target group is not configured to receive traffic from the load balancer",
            Self::DeregistrationInProgress => "Target deregistration is in progress",
            Self::HealthCheckDisabled => "Health checks are not enabled for this target",
        }
    }
}

/// What DescribeTargetHealth says of one target.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TargetHealth {
    /// The target.
    pub target: Target,
    /// Its state.
    pub state: TargetState,
    /// Why; none when healthy.
    pub reason: Option<HealthReason>,
    /// The reason in words.
    pub description: Option<String>,
}

impl TargetHealth {
    /// A target in a state for a reason.
    pub(super) fn new(target: Target, state: TargetState, reason: HealthReason) -> Self {
        Self { target, state, reason: Some(reason), description: Some(reason.text().into()) }
    }

    /// What is said of a target that its group does not hold.
    pub fn not_registered(target: Target) -> Self {
        Self::new(target, TargetState::Unused, HealthReason::NotRegistered)
    }
}

/// How one check ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum CheckOutcome {
    /// A code that passes, in time.
    Passed,
    /// A code that does not.
    WrongCode(u16),
    /// Nothing in time.
    TimedOut,
    /// No connection, or no HTTP.
    Failed,
}

/// The verdict so far on a target that is checked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Verdict {
    state: VerdictState,
    /// Results in a row that speak against the state.
    against: u32,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum VerdictState {
    Registering,
    Initial,
    Healthy,
    Unhealthy(CheckOutcome),
}

impl Verdict {
    /// Of a target that was just registered or attached.
    pub(super) fn new() -> Self {
        Self { state: VerdictState::Registering, against: 0 }
    }

    /// Takes in one check result and says whether anything changed that
    /// [`Verdict::describe`] shows.
    pub(super) fn observe(&mut self, check: &HealthCheck, outcome: CheckOutcome) -> bool {
        let before = self.state;
        let passed = outcome == CheckOutcome::Passed;
        self.state = match before {
            VerdictState::Registering | VerdictState::Initial if passed => VerdictState::Healthy,
            VerdictState::Registering | VerdictState::Initial => {
                if self.reaches(check.unhealthy_threshold) {
                    VerdictState::Unhealthy(outcome)
                } else {
                    VerdictState::Initial
                }
            }
            VerdictState::Healthy if passed => self.confirm(before),
            VerdictState::Healthy if self.reaches(check.unhealthy_threshold) => {
                VerdictState::Unhealthy(outcome)
            }
            VerdictState::Unhealthy(_) if !passed => self.confirm(VerdictState::Unhealthy(outcome)),
            VerdictState::Unhealthy(_) if self.reaches(check.healthy_threshold) => VerdictState::Healthy,
            undecided => undecided,
        };
        if self.state != before && self.is_final() {
            self.against = 0;
        }
        self.state != before
    }

    /// Counts one more result against the state.
    fn reaches(&mut self, threshold: u32) -> bool {
        self.against += 1;
        self.against >= threshold
    }

    fn confirm(&mut self, state: VerdictState) -> VerdictState {
        self.against = 0;
        state
    }

    fn is_final(&self) -> bool {
        matches!(self.state, VerdictState::Healthy | VerdictState::Unhealthy(_))
    }

    pub(super) fn is_healthy(&self) -> bool {
        self.state == VerdictState::Healthy
    }

    pub(super) fn is_unhealthy(&self) -> bool {
        matches!(self.state, VerdictState::Unhealthy(_))
    }

    pub(super) fn describe(&self, target: Target) -> TargetHealth {
        let unhealthy = |reason| TargetHealth::new(target, TargetState::Unhealthy, reason);
        match self.state {
            VerdictState::Registering => {
                TargetHealth::new(target, TargetState::Initial, HealthReason::RegistrationInProgress)
            }
            VerdictState::Initial => {
                TargetHealth::new(target, TargetState::Initial, HealthReason::InitialHealthChecking)
            }
            VerdictState::Healthy | VerdictState::Unhealthy(CheckOutcome::Passed) => {
                TargetHealth { target, state: TargetState::Healthy, reason: None, description: None }
            }
            VerdictState::Unhealthy(CheckOutcome::WrongCode(code)) => TargetHealth {
                description: Some(format!("{}: [{code}]", HealthReason::ResponseCodeMismatch.text())),
                ..unhealthy(HealthReason::ResponseCodeMismatch)
            },
            VerdictState::Unhealthy(CheckOutcome::TimedOut) => unhealthy(HealthReason::Timeout),
            VerdictState::Unhealthy(CheckOutcome::Failed) => unhealthy(HealthReason::FailedHealthChecks),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::CheckOutcome::{Failed, Passed, TimedOut, WrongCode};
    use super::*;

    fn settings() -> HealthCheck {
        HealthCheck { healthy_threshold: 3, unhealthy_threshold: 2, ..HealthCheck::default() }
    }

    fn states(outcomes: &[CheckOutcome]) -> Vec<TargetState> {
        let mut verdict = Verdict::new();
        let target = Target { ip: "127.0.0.1".parse().unwrap(), port: 80 };
        let observe = |outcome: &CheckOutcome| {
            verdict.observe(&settings(), *outcome);
            verdict.describe(target).state
        };
        outcomes.iter().map(observe).collect()
    }

    #[test]
    fn a_new_target_needs_one_pass_and_a_recovering_one_the_threshold() {
        use TargetState::{Healthy, Unhealthy};
        assert_eq!(
            states(&[Passed, Failed, Failed, Passed, Passed, Passed]),
            [Healthy, Healthy, Unhealthy, Unhealthy, Unhealthy, Healthy]
        );
    }

    #[test]
    fn only_results_in_a_row_count() {
        use TargetState::{Healthy, Unhealthy};
        assert_eq!(states(&[Passed, Failed, Passed, Failed, Passed]), [Healthy; 5]);
        assert_eq!(
            states(&[Failed, Failed, Passed, Passed, Failed, Passed, Passed, Passed])[1..],
            [Unhealthy, Unhealthy, Unhealthy, Unhealthy, Unhealthy, Unhealthy, Healthy]
        );
    }

    #[test]
    fn a_new_target_that_fails_is_initial_until_the_threshold() {
        use TargetState::{Healthy, Initial, Unhealthy};
        assert_eq!(states(&[Failed, TimedOut]), [Initial, Unhealthy]);
        assert_eq!(states(&[Failed, Passed, Failed, Failed]), [Initial, Healthy, Healthy, Unhealthy]);
    }

    #[test]
    fn reasons_are_those_of_the_api() {
        let target = Target { ip: "127.0.0.1".parse().unwrap(), port: 80 };
        let mut verdict = Verdict::new();
        let told = verdict.describe(target);
        assert_eq!(told.reason.map(HealthReason::code), Some("Elb.RegistrationInProgress"));
        assert!(verdict.observe(&settings(), Failed));
        assert_eq!(verdict.describe(target).reason, Some(HealthReason::InitialHealthChecking));
        assert!(verdict.observe(&settings(), WrongCode(503)));
        let told = verdict.describe(target);
        assert_eq!(told.reason, Some(HealthReason::ResponseCodeMismatch));
        assert_eq!(told.description.as_deref(), Some("Health checks failed with these codes: [503]"));
        assert!(verdict.observe(&settings(), TimedOut), "the reason follows the last failure");
        assert_eq!(verdict.describe(target).reason, Some(HealthReason::Timeout));
        assert!(!verdict.observe(&settings(), TimedOut), "nothing new, nothing to tell");
        assert!(!verdict.observe(&settings(), Passed));
    }
}
