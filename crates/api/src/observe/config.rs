//! The load balancer config as the planner sees it.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use okra_domain::cell::{
    CellIdentity, Config, ConfigEntry, ConfigStatus, DeletionPolicy, Drift, ListenerPart, Overwrite,
    Ownership, ReportedTargetGroup,
};
use serde_json::{Value, json};

use super::{CellView, count, owned_by, unreadable};
use crate::cell::{ALB_CONFIG_KIND, EntryPoint, NLB_CONFIG_KIND};
use crate::lenient::Lenient;
use crate::load_balancer::{
    Drift as ApiDrift, Forward, ListenerRule, LoadBalancerConfigStatus, OVERWRITE_ALWAYS, WeightedTargetGroup,
};
use crate::names::ANNOTATION_ADOPT;

/// Which kind of config carries the weights of a Cell.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ConfigKind {
    /// AWSApplicationLoadBalancerConfig.
    Alb,
    /// AWSNetworkLoadBalancerConfig.
    Nlb,
}

impl ConfigKind {
    /// The kind as Kubernetes writes it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Alb => ALB_CONFIG_KIND,
            Self::Nlb => NLB_CONFIG_KIND,
        }
    }

    /// What the Cell asks for; while it asks for nothing that can be followed,
    /// the kind of config that is there.
    pub fn of_view(view: &CellView<'_>) -> Self {
        let entry = view.cell.valid().and_then(|cell| cell.spec.entry_point().ok());
        match entry {
            Some(EntryPoint::Alb(_)) => Self::Alb,
            Some(EntryPoint::Nlb(_)) => Self::Nlb,
            None if view.alb_config.is_none() && view.nlb_config.is_some() => Self::Nlb,
            None => Self::Alb,
        }
    }
}

/// The config of this kind.
pub(super) fn observe_config(
    view: &CellView<'_>,
    kind: ConfigKind,
    cell: &CellIdentity,
    incomplete: &mut Vec<String>,
) -> Option<Config> {
    match kind {
        ConfigKind::Alb => match view.alb_config? {
            Lenient::Malformed(malformed) => {
                incomplete.push(unreadable(kind.as_str(), malformed));
                None
            }
            Lenient::Valid(object) => {
                let spec = object.spec.clone().normalised();
                let entries = entries(spec.target_groups());
                let rule = spec.rule().cloned().unwrap_or_default();
                let listener = alb_part(&spec.listener_arn, &rule);
                let shared = Shared {
                    metadata: &object.metadata,
                    status: object.status.as_ref(),
                    overwrite: spec.overwrite.as_deref(),
                    deletion_policy: spec.deletion_policy.as_deref(),
                };
                Some(shared.config(cell, listener, entries))
            }
        },
        ConfigKind::Nlb => match view.nlb_config? {
            Lenient::Malformed(malformed) => {
                incomplete.push(unreadable(kind.as_str(), malformed));
                None
            }
            Lenient::Valid(object) => {
                let spec = &object.spec;
                let forward = spec.listener.as_ref().and_then(|listener| listener.forward.as_ref());
                let shared = Shared {
                    metadata: &object.metadata,
                    status: object.status.as_ref(),
                    overwrite: spec.overwrite.as_deref(),
                    deletion_policy: spec.deletion_policy.as_deref(),
                };
                Some(shared.config(
                    cell,
                    nlb_part(&spec.listener_arn, forward),
                    entries(spec.target_groups()),
                ))
            }
        },
    }
}

/// What configs of both kinds have in common.
struct Shared<'a> {
    metadata: &'a ObjectMeta,
    status: Option<&'a LoadBalancerConfigStatus>,
    overwrite: Option<&'a str>,
    deletion_policy: Option<&'a str>,
}

impl Shared<'_> {
    fn config(&self, cell: &CellIdentity, listener: ListenerPart, entries: Vec<ConfigEntry>) -> Config {
        let policy = self.deletion_policy.and_then(|policy| policy.parse().ok());
        Config {
            ownership: ownership(self.metadata, cell),
            generation: self.metadata.generation.unwrap_or_default(),
            listener,
            entries,
            overwrite: self.overwrite.filter(|id| !id.is_empty()).map(|id| match id {
                OVERWRITE_ALWAYS => Overwrite::Always,
                id => Overwrite::Drift(id.to_owned()),
            }),
            deletion_policy: policy.unwrap_or(DeletionPolicy::Retain),
            status: self.status.map(config_status).unwrap_or_default(),
        }
    }
}

fn ownership(metadata: &ObjectMeta, cell: &CellIdentity) -> Ownership {
    let adopt = metadata.annotations.as_ref().and_then(|annotations| annotations.get(ANNOTATION_ADOPT));
    if owned_by(metadata, cell).is_some() {
        Ownership::Owned
    } else if adopt.is_some_and(|adopt| adopt == "true") {
        Ownership::Adoptable
    } else {
        Ownership::Foreign
    }
}

fn entries(groups: &[WeightedTargetGroup]) -> Vec<ConfigEntry> {
    groups
        .iter()
        .map(|group| ConfigEntry {
            name: group.name.clone(),
            arn: group.arn.clone(),
            weight: count(group.weight.unwrap_or_default()),
        })
        .collect()
}

fn config_status(status: &LoadBalancerConfigStatus) -> ConfigStatus {
    let reported = status.target_groups.iter().map(|group| ReportedTargetGroup {
        arn: group.arn.clone(),
        weight: count(group.weight.unwrap_or_default()),
        healthy_targets: group.healthy_targets.map(count),
        unhealthy_since: group.unhealthy_since,
    });
    ConfigStatus {
        phase: status.phase.as_deref().and_then(|phase| phase.parse().ok()),
        reason: status.reason.clone().unwrap_or_default(),
        message: status.message.clone().unwrap_or_default(),
        observed_generation: status.observed_generation,
        target_groups: reported.collect(),
        weights_since: status.weights_since,
        drift: status.drift.as_ref().map(drift),
    }
}

fn drift(drift: &ApiDrift) -> Drift {
    Drift { id: drift.id.clone(), seen_at: drift.seen_at, target_groups: entries(&drift.target_groups) }
}

/// The part of the config that the Cell decides.
pub(super) fn listener_part(entry: &EntryPoint) -> ListenerPart {
    match entry {
        EntryPoint::Alb(alb) => {
            let rule = alb.listener.as_ref().and_then(|listener| listener.rule.clone());
            alb_part(&alb.listener_arn, &rule.unwrap_or_default())
        }
        EntryPoint::Nlb(nlb) => nlb_part(&nlb.listener_arn, entry.forward()),
    }
}

/// Without target groups, and with the priority that an absent one means, so
/// that equal rules are equal values.
fn alb_part(listener_arn: &str, rule: &ListenerRule) -> ListenerPart {
    let stickiness = rule.forward.as_ref().and_then(|forward| forward.stickiness.clone());
    let seconds = stickiness_seconds(rule.forward.as_ref());
    let rule = ListenerRule {
        priority: Some(rule.effective_priority()),
        forward: stickiness.map(|stickiness| Forward { target_groups: vec![], stickiness: Some(stickiness) }),
        ..rule.clone()
    };
    ListenerPart {
        value: json!({"listenerARN": listener_arn, "listener": {"rule": as_json(&rule)}}),
        stickiness_seconds: seconds,
    }
}

fn nlb_part(listener_arn: &str, forward: Option<&Forward>) -> ListenerPart {
    let stickiness = forward.and_then(|forward| forward.stickiness.clone());
    let seconds = stickiness_seconds(forward);
    let value = match stickiness {
        None => json!({"listenerARN": listener_arn}),
        Some(stickiness) => {
            json!({"listenerARN": listener_arn, "listener": {"forward": {"stickiness": as_json(&stickiness)}}})
        }
    };
    ListenerPart { value, stickiness_seconds: seconds }
}

fn stickiness_seconds(forward: Option<&Forward>) -> Option<u64> {
    let stickiness = forward?.stickiness.as_ref()?;
    let seconds = stickiness.duration_seconds.unwrap_or_default();
    stickiness.enabled.unwrap_or(false).then(|| u64::try_from(seconds).unwrap_or_default())
}

fn as_json(value: &impl serde::Serialize) -> Value {
    serde_json::to_value(value).expect("a rule holds only text, numbers, lists and maps of text")
}
