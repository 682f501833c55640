//! AWSTargetGroupSet: one AWSTargetGroup for each binding of the member
//! clusters (`spec/okra.md` 3.2.5). Members are watched, never polled.

mod binding_template;
pub mod facts;
mod members;
mod plan;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt as _;
use k8s_openapi::api::core::v1::Secret;
use kube::api::ListParams;
use kube::runtime::controller::{Action, Controller};
use kube::runtime::reflector::{ObjectRef, Store};
use kube::runtime::watcher;
use kube::{Resource as _, ResourceExt as _};
use okra_api::aws_target_group_set::{AWSTargetGroupSetStatus, ClusterCounts};
use okra_api::common::Condition;
use okra_api::names::{CLUSTER_SECRETS, LABEL_TARGET_GROUP_SET};
use okra_api::write::label_value;
use okra_api::{AWSTargetGroup, AWSTargetGroupBinding, AWSTargetGroupSet, Lenient};
use tokio_util::sync::CancellationToken;

use crate::chain::chain;
use crate::events::{Occurrence, Severity};
use crate::failure::{ReconcileError, SyncError};
use crate::members::cluster_secrets;
use crate::writer::WriteError;
use crate::{Context, finalizers, malformed};
use binding_template::bindings;
use facts::{facts, is_leaving};
use members::Members;
use plan::{Cluster, Observed, Plan, Unreachable, plan};

/// First wait after a refused write, doubled up to [`RETRY_LONGEST`].
const RETRY_FIRST: Duration = Duration::from_millis(200);
/// Longest wait after a refused write (`spec/okra.md` 3).
const RETRY_LONGEST: Duration = Duration::from_secs(120);
/// How long a pass by hand waits for member clusters.
const ONE_PASS_WAIT: Duration = Duration::from_secs(10);
/// AWSTargetGroups named in a message before it is cut.
const SKIPPED_NAMED_MAX: usize = 5;

type Set = Lenient<AWSTargetGroupSet>;

struct Shell {
    context: Context,
    members: Members,
}

/// Runs until `stop`.
pub async fn run(context: Context, stop: CancellationToken) {
    let shell = Arc::new(Shell { members: Members::new(context.clone()), context: context.clone() });
    let secrets = watcher::Config::default().labels(CLUSTER_SECRETS);
    let own = watcher::Config::default().labels(LABEL_TARGET_GROUP_SET);
    let controller = Controller::new(context.watched::<Set>(), watcher::Config::default());
    let (in_namespace, of_set) = (controller.store(), controller.store());
    let changed = futures::stream::unfold(shell.clone(), |shell| async {
        shell.members.changed().await;
        Some(((), shell))
    });
    controller
        .watches(context.watched::<Secret>(), secrets, move |secret| {
            let namespace = secret.namespace();
            sets(&in_namespace, |set| set.namespace() == namespace)
        })
        .watches(context.watched::<AWSTargetGroup>(), own, move |group| {
            let (namespace, marker) =
                (group.namespace(), group.labels().get(LABEL_TARGET_GROUP_SET).cloned());
            sets(&of_set, move |set| {
                set.namespace() == namespace && marker.as_deref() == Some(&label_value(&set.name_any()))
            })
        })
        .reconcile_all_on(changed)
        .graceful_shutdown_on(stop.cancelled_owned())
        .run(reconcile, on_error, shell)
        .for_each(|_| std::future::ready(()))
        .await;
}

fn sets(store: &Store<Set>, wanted: impl Fn(&Set) -> bool) -> Vec<ObjectRef<Set>> {
    let mut found: Vec<ObjectRef<Set>> =
        store.state().iter().filter(|set| wanted(set)).map(|set| ObjectRef::from_obj(set.as_ref())).collect();
    found.sort_by(|a, b| (&a.namespace, &a.name).cmp(&(&b.namespace, &b.name)));
    found
}

/// kube calls this with the object, its error and the shell; a refused write
/// is tried again soon, as the object has changed meanwhile.
fn on_error(set: Arc<Set>, error: &ReconcileError, shell: Arc<Shell>) -> Action {
    tracing::debug!(set = set.name_any(), error = chain(error), "reconcile again");
    let longest = if error.is_stale() { RETRY_FIRST } else { RETRY_LONGEST / 8 };
    Action::requeue(shell.context.entropy.jitter(longest, 0.5).min(RETRY_LONGEST))
}

async fn reconcile(set: Arc<Set>, shell: Arc<Shell>) -> Result<Action, ReconcileError> {
    let context = &shell.context;
    let set = match set.as_ref() {
        Lenient::Valid(set) => set.as_ref(),
        Lenient::Malformed(malformed) => {
            malformed::tell::<AWSTargetGroupSet>(context, malformed).await?;
            return Ok(Action::await_change());
        }
    };
    let namespace = set.namespace().unwrap_or_default();
    if set.metadata.deletion_timestamp.is_some() {
        // Owner references let the garbage collector take the objects.
        finalizers::release(&context.writer(), set).await?;
        return Ok(Action::await_change());
    }
    if set.spec.generators.iter().all(|generator| generator.awseks.is_none()) {
        let message = "spec.generators names no awseks generator";
        write_status(context, set, &invalid(set, message)).await?;
        return Ok(Action::await_change());
    }
    let mut secrets = cluster_secrets(context, &namespace).await?;
    // A cluster that is being deleted counts as gone, and is not asked (SC-33).
    secrets.retain(|secret| !is_leaving(secret));
    let existing = context.namespaced::<AWSTargetGroup>(&namespace).list(&ListParams::default()).await?.items;
    let known_clusters: BTreeSet<String> = secrets.iter().map(kube::ResourceExt::name_any).collect();
    shell.members.keep_only(&namespace, &|name| known_clusters.contains(name));
    let clusters = gather(&shell, set, &secrets);
    let Some(owner) = set.controller_owner_ref(&()) else { return Ok(Action::await_change()) };
    let observed = Observed {
        set: &set.name_any(),
        namespace: &namespace,
        owner: &owner,
        spec: &set.spec,
        clusters,
        existing: &existing,
        known_clusters,
    };
    let mut plan = plan(&observed);
    carry_out(context, &observed, &plan).await?;
    plan.skipped.extend(keep_bindings(context, &observed).await?);
    write_status(context, set, &status(set, &plan)).await?;
    Ok(Action::await_change())
}

/// One pass over an AWSTargetGroupSet, once the member clusters have answered
/// or been waited for; whether there is such a set.
///
/// # Errors
/// When it cannot be read, or a write was refused.
pub async fn sync(context: &Context, namespace: &str, name: &str) -> Result<bool, SyncError> {
    let Some(set) = context.namespaced::<Set>(namespace).get_opt(name).await? else { return Ok(false) };
    let shell = Shell { members: Members::new(context.clone()), context: context.clone() };
    if let Some(valid) = set.valid() {
        let mut secrets = cluster_secrets(context, namespace).await?;
        secrets.retain(|secret| !is_leaving(secret));
        let answered = async {
            while !selected(valid, &secrets).all(|secret| shell.members.bindings(secret).is_some()) {
                shell.members.changed().await;
            }
        };
        // Who has not answered by then counts as unreachable.
        let _ = tokio::time::timeout(ONE_PASS_WAIT, answered).await;
    }
    reconcile(Arc::new(set), Arc::new(shell)).await?;
    Ok(true)
}

/// The clusters that a set selects.
fn selected<'a>(set: &'a AWSTargetGroupSet, secrets: &'a [Secret]) -> impl Iterator<Item = &'a Secret> {
    secrets.iter().filter(|secret| {
        let sources = set.spec.generators.iter().filter_map(|generator| generator.awseks.as_ref());
        sources.into_iter().any(|source| source.cluster_selector.matches(secret.labels()))
    })
}

/// What each selected cluster has said; one that has not said anything yet
/// counts as unreachable, so that its objects stay.
fn gather(shell: &Shell, set: &AWSTargetGroupSet, secrets: &[Secret]) -> Vec<Cluster> {
    let waiting = || Err(Unreachable { message: "no answer yet".to_owned() });
    let mut clusters: Vec<Cluster> = selected(set, secrets)
        .map(|secret| Cluster {
            name: secret.name_any(),
            labels: secret.labels().clone(),
            facts: facts(secret),
            bindings: shell.members.bindings(secret).unwrap_or_else(waiting),
        })
        .collect();
    clusters.sort_by(|a, b| a.name.cmp(&b.name));
    clusters
}

async fn carry_out(context: &Context, observed: &Observed<'_>, plan: &Plan) -> Result<(), ReconcileError> {
    let writer = context.writer();
    for desired in &plan.apply {
        writer.apply(&desired.object(observed)).await?;
        tracing::info!(name = desired.name, arn = desired.arn, "AWSTargetGroup applied");
    }
    for object in observed.existing.iter().filter(|object| plan.delete.contains(&object.name_any())) {
        match writer.delete(object).await {
            // Gone already, or replaced by one that the next pass sees.
            Ok(()) | Err(WriteError::Stale) => {}
            Err(error) => return Err(error.into()),
        }
        tracing::info!(name = object.name_any(), "AWSTargetGroup deleted: its binding or cluster is gone");
    }
    Ok(())
}

/// Keeps the bindings of the template; gives what was left out.
async fn keep_bindings(context: &Context, observed: &Observed<'_>) -> Result<Vec<String>, ReconcileError> {
    let own = ListParams::default().labels(LABEL_TARGET_GROUP_SET);
    let api = context.namespaced::<AWSTargetGroupBinding>(observed.namespace);
    // Those without a marker matter only where a template asks for their names.
    let list = if observed.spec.binding_template.is_some() { ListParams::default() } else { own };
    let existing = api.list(&list).await?.items;
    let plan = bindings(observed, &existing);
    let writer = context.writer();
    for binding in &plan.apply {
        writer.apply(binding).await?;
    }
    for binding in existing.iter().filter(|one| plan.delete.contains(&one.name_any())) {
        match writer.delete(binding).await {
            Ok(()) | Err(WriteError::Stale) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(plan.skipped)
}

fn invalid(set: &AWSTargetGroupSet, message: &str) -> AWSTargetGroupSetStatus {
    let before = set.status.clone().unwrap_or_default();
    let ready = ready(set, false, "InvalidSpec", message);
    AWSTargetGroupSetStatus {
        phase: Some("Error".to_owned()),
        reason: Some("InvalidSpec".to_owned()),
        message: Some(message.to_owned()),
        observed_generation: set.metadata.generation,
        conditions: vec![ready],
        ..before
    }
}

fn status(set: &AWSTargetGroupSet, plan: &Plan) -> AWSTargetGroupSetStatus {
    let (phase, reason) = match (plan.unreachable.is_empty(), plan.skipped.is_empty()) {
        (true, true) => ("Synced", "Synced"),
        (false, _) => ("Degraded", "ClusterUnreachable"),
        (true, false) => ("Degraded", "InvalidTargetGroup"),
    };
    let message = message(plan);
    AWSTargetGroupSetStatus {
        clusters: Some(ClusterCounts {
            names: plan.clusters.clone(),
            unreachable: plan.unreachable.keys().cloned().collect(),
        }),
        target_groups: i64::try_from(plan.held).ok(),
        last_sync_time: None,
        phase: Some(phase.to_owned()),
        reason: Some(reason.to_owned()),
        observed_generation: set.metadata.generation,
        conditions: vec![ready(set, phase == "Synced", reason, &message)],
        message: Some(message),
    }
}

fn message(plan: &Plan) -> String {
    let counts = format!("{} target groups of {} clusters", plan.held, plan.clusters.len());
    let unreachable = plan.unreachable.iter().map(|(name, why)| format!("{name} cannot be read: {why}"));
    let skipped = plan.skipped.iter().take(SKIPPED_NAMED_MAX).map(|what| format!("left out: {what}"));
    let more = plan.skipped.len().saturating_sub(SKIPPED_NAMED_MAX);
    let more = (more > 0).then(|| format!("and {more} more left out"));
    let parts: Vec<String> = std::iter::once(counts).chain(unreachable).chain(skipped).chain(more).collect();
    parts.join("; ")
}

/// The condition `Ready`; its time moves only with its status.
fn ready(set: &AWSTargetGroupSet, holds: bool, reason: &str, message: &str) -> Condition {
    let status = if holds { "True" } else { "False" };
    let before = set.status.iter().flat_map(|status| &status.conditions).find(|one| one.type_ == "Ready");
    Condition {
        type_: "Ready".to_owned(),
        status: status.to_owned(),
        reason: reason.to_owned(),
        message: message.to_owned(),
        last_transition_time: before
            .filter(|one| one.status == status)
            .and_then(|one| one.last_transition_time),
        observed_generation: set.metadata.generation,
    }
}

async fn write_status(
    context: &Context,
    set: &AWSTargetGroupSet,
    planned: &AWSTargetGroupSetStatus,
) -> Result<(), ReconcileError> {
    let now = context.clock.now();
    let mut after = planned.clone();
    let before = set.status.as_ref();
    after.last_sync_time = before.and_then(|status| status.last_sync_time);
    for condition in &mut after.conditions {
        condition.last_transition_time.get_or_insert(now);
    }
    if Some(&after) == before {
        return Ok(());
    }
    after.last_sync_time = Some(now);
    context.writer().patch_status(set, before, &after).await?;
    if before.and_then(|status| status.reason.as_ref()) != after.reason.as_ref() {
        let severity =
            if after.phase.as_deref() == Some("Synced") { Severity::Normal } else { Severity::Warning };
        let occurrence = Occurrence {
            severity,
            reason: after.reason.clone().unwrap_or_default(),
            action: "Discover",
            note: after.message.clone().unwrap_or_default(),
        };
        context.events("awstargetgroupset").publish(set, &occurrence).await;
    }
    Ok(())
}
