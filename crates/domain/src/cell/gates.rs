//! Readiness gates: what must hold before the canary takes more weight
//! (`spec/okra.md` 2.6.1, 3.4.2-12 and -14).

use jiff::Timestamp;

use super::sides::{Member, Members, Side};
use super::view::{View, seconds_between};
use crate::reason::Reason;

/// Whether all gates hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Gate {
    Open,
    Closed { reason: Reason, message: String, until: Option<Timestamp> },
}

impl Gate {
    fn closed(reason: Reason, message: String) -> Self {
        Self::Closed { reason, message, until: None }
    }

    /// Open, and for as long as `stabilizeSeconds` asks, given since when.
    pub(super) fn stabilized(self, view: &View<'_>, healthy_since: Timestamp) -> Self {
        let wanted = view.spec.readiness.stabilize_seconds;
        let until = View::after(healthy_since, wanted);
        match self {
            Self::Open if until > view.now => Self::Closed {
                reason: Reason::WaitingForHealth,
                message: format!(
                    "all canary target groups are healthy for {} s of the {wanted} s that stabilizeSeconds asks",
                    seconds_between(healthy_since, view.now)
                ),
                until: Some(until),
            },
            gate => gate,
        }
    }
}

/// Judges every canary target group, without `stabilizeSeconds`.
pub(super) fn gate(view: &View<'_>, members: &Members<'_>) -> Gate {
    let mean = mean_of_stable(view, members);
    for member in members.known(Side::Canary) {
        if let Some(message) = lacks_health(view, member, mean) {
            return Gate::closed(Reason::WaitingForHealth, message);
        }
    }
    workloads_gate(view, members)
}

/// Healthy targets as the config reports them, else as the AWSTargetGroup
/// does. Absent does not hold (3.4.2-12).
fn healthy_targets(view: &View<'_>, member: &Member<'_>) -> Option<u32> {
    let reported = view.report(member.arn).and_then(|report| report.healthy_targets);
    reported.or_else(|| member.group.and_then(|group| group.healthy_targets))
}

fn lacks_health(view: &View<'_>, member: &Member<'_>, mean: Option<f64>) -> Option<String> {
    let gates = &view.spec.readiness;
    let healthy = healthy_targets(view, member)?;
    if healthy < gates.healthy_targets {
        return Some(format!(
            "target group {} has {healthy} healthy targets of the {} that readinessGates.healthyTargets asks",
            member.name, gates.healthy_targets
        ));
    }
    let mean = mean?;
    let percent = f64::from(healthy) * 100.0 / mean;
    (percent < f64::from(gates.healthy_percent)).then(|| {
        format!(
            "target group {} has {healthy} healthy targets, {percent:.0} % of the stable mean of {mean:.1}; \
             readinessGates.healthyPercent asks {} %",
            member.name, gates.healthy_percent
        )
    })
}

/// Mean of the healthy targets of the stable target groups, if a percentage
/// of it is asked and any is seen.
fn mean_of_stable(view: &View<'_>, members: &Members<'_>) -> Option<f64> {
    if view.spec.readiness.healthy_percent == 0 {
        return None;
    }
    let seen: Vec<u32> = members
        .known(Side::Stable)
        .filter_map(|member| healthy_targets(view, member))
        .filter(|seen| *seen > 0)
        .collect();
    let count = u32::try_from(seen.len()).ok().filter(|count| *count > 0)?;
    Some(f64::from(seen.iter().sum::<u32>()) / f64::from(count))
}

fn workloads_gate(view: &View<'_>, members: &Members<'_>) -> Gate {
    for member in members.known(Side::Canary) {
        for wanted in &view.spec.readiness.workloads {
            let Some(cluster) = member.group.and_then(|group| group.cluster.as_deref()) else {
                return Gate::closed(
                    Reason::WaitingForWorkloads,
                    format!(
                        "target group {} names no cluster in which workloads could be looked at",
                        member.name
                    ),
                );
            };
            let seen = view
                .observed
                .workloads
                .iter()
                .find(|workload| workload.cluster == cluster && workload.workload == *wanted);
            let name = format!("{} {}/{} in cluster {cluster}", wanted.kind, wanted.namespace, wanted.name);
            match seen {
                Some(workload) if workload.ready => {}
                Some(workload) => {
                    let message = format!("{name} is not ready: {}", workload.message);
                    return Gate::closed(Reason::WaitingForWorkloads, message);
                }
                None => return Gate::closed(Reason::WaitingForWorkloads, format!("{name} was not seen yet")),
            }
        }
    }
    Gate::Open
}
