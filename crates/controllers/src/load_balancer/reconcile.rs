//! One pass over a config object.

use std::sync::Arc;
use std::time::Duration;

use k8s_openapi::api::core::v1::Namespace;
use kube::runtime::controller::Action;
use kube::{Api, Resource as _, ResourceExt as _};
use okra_api::load_balancer::{LoadBalancerConfigStatus, PHASE_ERROR, PHASE_UPDATED};
use okra_api::names::{ANNOTATION_ADOPT, FINALIZER, FINALIZER_LEGACY};
use okra_api::{AWSApplicationLoadBalancerConfig, Lenient};
use okra_aws::Write;
use okra_domain::{Phase, Reason, RuleArn};
use serde_json::json;

use super::act::{Pass, delete_if_own};
use super::desired::{Desired, place_of};
use super::memory::{Held, Memory};
use super::ownership::Identity;
use super::reasons::outcome_of;
use super::status::{HealthByGroup, Outcome, after, confirmed_weights, invalid};
use super::{NAME, Shared, again, health, pace};
use crate::events::{Occurrence, Severity};
use crate::failure::{ReconcileError, measured};
use crate::writer::WriteError;

/// `spec.deletionPolicy`: the rule goes with the object.
const POLICY_DELETE: &str = "Delete";
/// Wait after a write that met a newer object: it is read anew at once.
const RETRY_STALE: Duration = Duration::from_millis(50);
/// Wait after another failure of the management API.
const RETRY_API: Duration = Duration::from_secs(2);
/// Share by which waits are lengthened at random.
const JITTER: f64 = 0.2;

pub(crate) fn on_error(
    config: Arc<Lenient<AWSApplicationLoadBalancerConfig>>,
    error: &ReconcileError,
    shared: Arc<Shared>,
) -> Action {
    let entropy = &shared.context.entropy;
    if error.is_stale() {
        return again(entropy.jitter(RETRY_STALE, JITTER));
    }
    let cause = std::error::Error::source(error).map(ToString::to_string).unwrap_or_default();
    tracing::warn!(config = config.name_any(), %error, cause, "the config is tried again");
    again(entropy.jitter(RETRY_API, JITTER))
}

/// One pass: what it read and wrote is in the object's status afterwards.
pub(crate) async fn reconcile(
    seen: Arc<Lenient<AWSApplicationLoadBalancerConfig>>,
    shared: Arc<Shared>,
) -> Result<Action, ReconcileError> {
    measured(&shared.context, NAME, pass(&seen, &shared)).await
}

async fn pass(
    seen: &Lenient<AWSApplicationLoadBalancerConfig>,
    shared: &Shared,
) -> Result<Action, ReconcileError> {
    let config = match seen {
        Lenient::Valid(config) => config.as_ref(),
        Lenient::Malformed(malformed) => {
            let config = AWSApplicationLoadBalancerConfig {
                metadata: malformed.metadata.clone(),
                spec: Default::default(),
                status: None,
            };
            let message = malformed.error.to_string();
            return refuse(shared, &config, Reason::InvalidSpec, message).await;
        }
    };
    let uid = config.uid().unwrap_or_default();
    if config.metadata.deletion_timestamp.is_some() {
        shared.memories.forget(&uid);
        return release(shared, config).await;
    }
    if keep_finalizer(shared, config).await? {
        // The write brings the object back under its new version.
        return Ok(Action::await_change());
    }
    let desired = match Desired::of(&config.spec) {
        Ok(desired) => desired,
        Err(error) => return refuse(shared, config, Reason::InvalidSpec, error.to_string()).await,
    };
    if let Some(message) = conflict(shared, config) {
        return refuse(shared, config, Reason::Conflict, message).await;
    }
    let mut memory = shared.memories.take(&uid);
    let outcome = keep_rule(shared, config, desired, &mut memory).await;
    shared.memories.put(&uid, memory);
    outcome
}

/// Keeps the rule, reads health, writes the status.
async fn keep_rule(
    shared: &Shared,
    config: &AWSApplicationLoadBalancerConfig,
    desired: Desired,
    memory: &mut Memory,
) -> Result<Action, ReconcileError> {
    let context = &shared.context;
    let status = config.status.clone().unwrap_or_default();
    let rollout_runs = rollout_runs(shared, config);
    let now = context.clock.monotonic();
    let generation = config.metadata.generation;
    if let Some(wait) = held_for(config, memory, now) {
        return Ok(again(wait));
    }
    let rule_due = pace::rule_is_due(&status, generation, memory.verified_at, &context.settings, now);
    let outcome = if rule_due {
        let fresh = context.namespaced::<AWSApplicationLoadBalancerConfig>(&namespace(config));
        let fresh = fresh.get_metadata_opt(&config.name_any()).await?;
        // A cache lags writes: what is about to be written must be the newest word.
        if fresh.is_none_or(|fresh| fresh.metadata.generation != generation) {
            return Ok(again(context.entropy.jitter(RETRY_STALE, JITTER)));
        }
        verify(shared, config, &desired, &status, memory).await?
    } else {
        Outcome::Unchanged
    };
    let awaited = pace::health_is_awaited(&status, rollout_runs, context.clock.now());
    let interval = pace::health_interval(&context.settings, awaited);
    let attached = matches!(outcome, Outcome::Confirmed { .. } | Outcome::Unchanged | Outcome::Drifted(_));
    let confirmed_anew = matches!(outcome, Outcome::Confirmed { .. })
        && (status.observed_generation != generation || status.phase.as_deref() != Some(PHASE_UPDATED));
    let health_due = pace::is_due(memory.health_at, interval, context.clock.monotonic());
    let (health, failed) = if attached && (confirmed_anew || health_due) {
        memory.health_at = Some(context.clock.monotonic());
        health::read(context, desired.groups.iter().map(|group| &group.arn)).await
    } else {
        (HealthByGroup::new(), None)
    };
    let outcome = match failed.map(|error| outcome_of(&error)) {
        // A permission that is missing, or a group that has gone, is an error;
        // what passes is read again.
        Some(error @ Outcome::Error { .. }) => error,
        _ => outcome,
    };
    let new = after(&status, &desired, &outcome, &health, generation, context.clock.now());
    report(shared, config, &status, &new).await?;
    health::tell(shared, &namespace(config), &health).await;
    Ok(next_pass(shared, config, &new, &outcome, memory, rollout_runs))
}

async fn verify(
    shared: &Shared,
    config: &AWSApplicationLoadBalancerConfig,
    desired: &Desired,
    status: &LoadBalancerConfigStatus,
    memory: &mut Memory,
) -> Result<Outcome, ReconcileError> {
    let identity = identity(shared, config).await?;
    let pass = Pass {
        context: &shared.context,
        listeners: &shared.listeners,
        desired,
        identity: &identity,
        adopt: is_adopting(config),
        generation: config.metadata.generation.unwrap_or_default(),
        recorded: status.rule_arn.as_ref().and_then(|arn| arn.parse().ok()),
        confirmed: confirmed_weights(status),
        spec_confirmed: status.observed_generation == config.metadata.generation
            && status.phase.as_deref() != Some(PHASE_ERROR),
        known_drift: status.drift.as_ref().map(|drift| drift.id.clone()),
    };
    Ok(pass.run(memory).await)
}

/// How long a failed pass is still waited after: its own status write, or a
/// word of the Cell, must not bring the next one forward.
fn held_for(config: &AWSApplicationLoadBalancerConfig, memory: &Memory, now: Duration) -> Option<Duration> {
    let held = memory
        .held
        .filter(|held| held.generation == config.metadata.generation && held.adopt == is_adopting(config))?;
    Some(held.until.saturating_sub(now)).filter(|wait| !wait.is_zero())
}

/// When to look again.
fn next_pass(
    shared: &Shared,
    config: &AWSApplicationLoadBalancerConfig,
    status: &LoadBalancerConfigStatus,
    outcome: &Outcome,
    memory: &mut Memory,
    rollout_runs: bool,
) -> Action {
    let context = &shared.context;
    let now = context.clock.monotonic();
    let failed = matches!(outcome, Outcome::Pending { .. } | Outcome::Error { .. });
    memory.failures = if failed { memory.failures.saturating_add(1) } else { 0 };
    let awaited = pace::health_is_awaited(status, rollout_runs, context.clock.now());
    let interval = pace::health_interval(&context.settings, awaited);
    let health = pace::until_due(memory.health_at, interval, now);
    let rule = pace::until_due(memory.verified_at, context.settings.sync_period, now);
    let wait = if failed {
        pace::retry_after(memory.failures, matches!(outcome, Outcome::Pending { .. }))
    } else {
        health.min(rule)
    };
    let wait = context.entropy.jitter(wait, JITTER);
    let (generation, adopt) = (config.metadata.generation, is_adopting(config));
    memory.held = failed.then(|| Held { generation, adopt, until: now + wait });
    again(wait)
}

/// Writes the status, and an event where phase, reason or weights moved.
async fn report(
    shared: &Shared,
    config: &AWSApplicationLoadBalancerConfig,
    before: &LoadBalancerConfigStatus,
    new: &LoadBalancerConfigStatus,
) -> Result<(), WriteError> {
    let written = shared.context.writer().patch_status(config, config.status.as_ref(), new).await?;
    if written.is_some()
        && let Some(occurrence) = occurrence(before, new)
    {
        shared.context.events(NAME).publish(config, &occurrence).await;
    }
    Ok(())
}

/// The event of a transition, if it is one.
fn occurrence(before: &LoadBalancerConfigStatus, new: &LoadBalancerConfigStatus) -> Option<Occurrence> {
    let drift = |status: &LoadBalancerConfigStatus| status.drift.as_ref().map(|drift| drift.id.clone());
    let note = new.message.clone().unwrap_or_default();
    if drift(new).is_some() && drift(new) != drift(before) {
        let reason = Reason::Drift.to_string();
        return Some(Occurrence { severity: Severity::Warning, reason, action: "Hold", note });
    }
    let failed = new.phase.as_deref() == Some(PHASE_ERROR);
    if failed && (before.phase != new.phase || before.reason != new.reason) {
        let reason = new.reason.clone().unwrap_or_default();
        return Some(Occurrence { severity: Severity::Warning, reason, action: "Refuse", note });
    }
    let weights = confirmed_weights(new);
    let updated = new.phase.as_deref() == Some(PHASE_UPDATED);
    if updated && weights != confirmed_weights(before) {
        let shown: Vec<String> = new
            .target_groups
            .iter()
            .map(|group| format!("{} {}", group.name, group.weight.unwrap_or(0)))
            .collect();
        let note = format!("the rule forwards to {}", shown.join(", "));
        let reason = PHASE_UPDATED.to_owned();
        return Some(Occurrence { severity: Severity::Normal, reason, action: "WriteWeights", note });
    }
    None
}

/// Says why nothing is done, and waits for another word.
async fn refuse(
    shared: &Shared,
    config: &AWSApplicationLoadBalancerConfig,
    reason: Reason,
    message: String,
) -> Result<Action, ReconcileError> {
    let before = config.status.clone().unwrap_or_default();
    let now = shared.context.clock.now();
    let new = invalid(&before, config.metadata.generation, reason, message, now);
    report(shared, config, &before, &new).await?;
    // Another object may give way without a word to this one.
    Ok(again(shared.context.entropy.jitter(shared.context.settings.sync_period, JITTER)))
}

/// Who wants the same listener and priority and was there before.
fn conflict(shared: &Shared, config: &AWSApplicationLoadBalancerConfig) -> Option<String> {
    let place = place_of(&config.spec)?;
    let age = |config: &AWSApplicationLoadBalancerConfig| {
        let made = config.metadata.creation_timestamp.as_ref().map(|time| time.0);
        (made, namespace(config), config.name_any())
    };
    let own = age(config);
    let configs = shared.configs.state();
    let older = configs
        .iter()
        .filter_map(|other| other.valid())
        .filter(|other| other.metadata.deletion_timestamp.is_none())
        .filter(|other| place_of(&other.spec) == Some(place) && age(other) < own)
        .min_by_key(|other| age(other))?;
    let (listener, priority) = place;
    Some(format!(
        "{}/{} was there first with priority {priority} of {listener}",
        namespace(older),
        older.name_any()
    ))
}

fn rollout_runs(shared: &Shared, config: &AWSApplicationLoadBalancerConfig) -> bool {
    let reference = kube::runtime::reflector::ObjectRef::new(&config.name_any()).within(&namespace(config));
    let cell = shared.cells.get(&reference);
    let phase =
        cell.as_ref().and_then(|cell| cell.valid()).and_then(|cell| cell.status.as_ref()?.phase.clone());
    phase.is_some_and(|phase| phase == Phase::Progressing.as_str() || phase == Phase::Paused.as_str())
}

/// Gives the rule up: it stays and serves, or goes, as the policy says.
async fn release(
    shared: &Shared,
    config: &AWSApplicationLoadBalancerConfig,
) -> Result<Action, ReconcileError> {
    let ours: Vec<String> = config.finalizers().to_vec();
    let kept: Vec<&String> = ours.iter().filter(|name| !is_ours(name)).collect();
    if kept.len() == ours.len() {
        return Ok(Action::await_change());
    }
    if config.spec.deletion_policy.as_deref() == Some(POLICY_DELETE)
        && let Some(rule) = recorded_rule(config)
    {
        let identity = identity(shared, config).await?;
        let write = Write::normal(&shared.context.fence);
        delete_if_own(&shared.context, &rule, &identity, write).await.map_err(ReconcileError::Delete)?;
    }
    let patch = json!({"metadata": {"finalizers": kept}});
    shared.context.writer().patch(config, patch).await?;
    Ok(Action::await_change())
}

/// A finalizer stands only where the deletion of the object has to do
/// something on AWS. Says whether one was added or removed.
async fn keep_finalizer(
    shared: &Shared,
    config: &AWSApplicationLoadBalancerConfig,
) -> Result<bool, WriteError> {
    let wanted = config.spec.deletion_policy.as_deref() == Some(POLICY_DELETE);
    let present = config.finalizers().iter().any(|name| name == FINALIZER);
    if wanted == present {
        return Ok(false);
    }
    let others = config.finalizers().iter().filter(|name| *name != FINALIZER).cloned();
    let finalizers: Vec<String> = others.chain(wanted.then(|| FINALIZER.to_owned())).collect();
    let patch = json!({"metadata": {"finalizers": finalizers}});
    shared.context.writer().patch(config, patch).await?;
    Ok(true)
}

fn is_ours(finalizer: &str) -> bool {
    finalizer == FINALIZER || finalizer == FINALIZER_LEGACY
}

fn recorded_rule(config: &AWSApplicationLoadBalancerConfig) -> Option<RuleArn> {
    config.status.as_ref()?.rule_arn.as_ref()?.parse().ok()
}

fn is_adopting(config: &AWSApplicationLoadBalancerConfig) -> bool {
    config.annotations().get(ANNOTATION_ADOPT).is_some_and(|value| value == "true")
}

fn namespace(config: &AWSApplicationLoadBalancerConfig) -> String {
    config.meta().namespace.clone().unwrap_or_default()
}

/// Who this object is, in the tags of its rule.
async fn identity(
    shared: &Shared,
    config: &AWSApplicationLoadBalancerConfig,
) -> Result<Identity, kube::Error> {
    let read = || async {
        let namespaces: Api<Namespace> = Api::all(shared.context.client.clone());
        namespaces.get("kube-system").await.map(|namespace| namespace.uid().unwrap_or_default())
    };
    let cluster_id = shared.cluster_id.get_or_try_init(read).await?.clone();
    Ok(Identity { cluster_id, namespace: namespace(config), name: config.name_any() })
}
