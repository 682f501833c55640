//! Reasons: the enum that plans, conditions, events and status share
//! (`spec/okra.md` 2.6.2).

use crate::text::words;

words! {
    /// Why a Cell or a load balancer config is as it is.
    pub enum Reason("reason") {
        /// New target groups enter at weight 0, so that health checks begin.
        Attaching,
        /// What was written is not yet confirmed by AWS.
        WaitingForLoadBalancer,
        /// A readiness gate on healthy targets does not hold.
        WaitingForHealth,
        /// A version has fewer target groups than `spec.replicas`.
        WaitingForReplicas,
        /// A workload named by the readiness gates is not ready.
        WaitingForWorkloads,
        /// A confirmed weight must have held for `settleSeconds`.
        Settling,
        /// A slot is needed by an entry that still drains.
        Draining,
        /// A pause step runs.
        PauseRunning,
        /// An analysis runs.
        AnalysisRunning,
        /// An experiment runs.
        ExperimentRunning,
        /// `approval: Manual` waits for a human.
        ApprovalNeeded,
        /// `spec.paused`.
        PausedByUser,
        /// An analysis or experiment came to no verdict.
        Inconclusive,
        /// Something else changed the weights.
        Drift,
        /// An analysis or experiment failed.
        AnalysisFailed,
        /// A canary target group with weight had no healthy target for too long.
        CanaryUnhealthy,
        /// A human aborted the rollout.
        Aborted,
        /// The longest wait is over.
        ProgressDeadlineExceeded,
        /// A version that would be served is on the blocklist.
        VersionBlocked,
        /// A stable target group has had no healthy target for too long.
        StableUnhealthy,
        /// The stable version has fewer target groups than `spec.replicas`.
        StableIncomplete,
        /// No version can be served.
        NothingToServe,
        /// The version that served is gone; another one took over.
        FailedOver,
        /// The spec cannot be followed.
        InvalidSpec,
        /// An AWSTargetGroup is illegal and left out.
        InvalidTargetGroup,
        /// More target groups than one forward action holds.
        TooManyTargetGroups,
        /// The load balancer config belongs to somebody else.
        ConfigNotOwned,
        /// A kind could not be listed, so nothing is decided.
        IncompleteView,
        /// On load balancer configs: no such listener.
        ListenerNotFound,
        /// On load balancer configs: no such target group.
        TargetGroupNotFound,
        /// On load balancer configs: the priority belongs to another rule.
        PriorityInUse,
        /// On load balancer configs: two objects want one rule.
        Conflict,
        /// On load balancer configs: another controller owns the load balancer.
        ForeignController,
        /// On load balancer configs: a permission is missing.
        AccessDenied,
        /// On load balancer configs: AWS asked to slow down.
        Throttled,
        /// On load balancer configs: AWS refused; its code is in the message.
        Refused,
    }
}
