//! ClusterSet: which clusters there are, and one Argo CD cluster secret for
//! each (`spec/okra.md` 3.1.5).
//!
//! ```text
//!   EKS of every region and role ──┐
//!   secrets with kubeconfigs ──────┴─> candidates ─┐
//!                    secrets that are there ───────┼─> plan ──> apply, delete, status
//!                    what was missing last time ───┘
//! ```
//!
//! Sources are read once a sync period: EKS has no watch. Secrets are watched,
//! so that what somebody changes by hand is put right at once, from what the
//! last discovery found. Only a complete discovery may conclude that a cluster
//! is gone, and only together with another one. All but this file, [`discover`]
//! and `act` is pure.

mod act;
pub mod candidate;
pub mod desired;
pub mod discover;
pub mod metrics;
mod naming;
pub mod ownership;
pub mod plan;
pub mod status;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures::StreamExt as _;
use k8s_openapi::api::core::v1::{Namespace, Secret};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::OwnerReference;
use kube::api::ListParams;
use kube::runtime::controller::{Action, Controller};
use kube::runtime::reflector::{ObjectRef, Store};
use kube::runtime::watcher;
use kube::{Api, Resource as _, ResourceExt as _};
use okra_api::cluster_set::{ClusterSetSpec, ClusterSetStatus};
use okra_api::names::LABEL_CLUSTER_SET;
use okra_api::write::label_value;
use okra_api::{ClusterSet, Lenient};
use okra_aws::Meaning;
use tokio_util::sync::CancellationToken;

use crate::chain::chain;
use crate::events::{Occurrence, Severity};
use crate::failure::{ReconcileError, SyncError, doubled, filled, measured};
use crate::members::cluster_secrets;
use crate::{Context, finalizers, malformed};
use act::Done;
use desired::Owner;
use discover::{Descriptions, Discovery, Failure, discover};
use metrics::SetLabels;
use ownership::{Afterlife, Asker, owner_references};
use plan::{Evidence, Observed, Plan, plan};
use status::{Outcome, after, invalid, unreadable};

/// The name of this controller in metrics and events.
const NAME: &str = "cluster_set";
/// First wait after a discovery that could not read all, doubled up to the longest.
const RETRY_FIRST: Duration = Duration::from_secs(1);
/// Longest such wait (`spec/okra.md` 3).
const RETRY_LONGEST: Duration = Duration::from_secs(120);
/// Wait after a write that came too late: the next event brings the object anyway.
const RETRY_STALE: Duration = Duration::from_millis(200);
/// Share by which a wait is lengthened at random, so that sets do not look together.
const JITTER: f64 = 0.2;

type Set = Lenient<ClusterSet>;

/// What a process remembers of a set. Whoever forgets it looks again.
#[derive(Clone, Debug)]
struct Memory {
    discovery: Arc<Discovery>,
    /// The generation whose sources were read.
    generation: Option<i64>,
    /// When to read them again, on the monotonic clock.
    next: Duration,
    /// Discoveries in a row that could not read all.
    failures: u32,
    /// Under which its metrics stand.
    labels: SetLabels,
}

struct Shell {
    context: Context,
    sets: Store<Set>,
    descriptions: Descriptions,
    /// By UID.
    memories: Mutex<BTreeMap<String, Memory>>,
    /// UIDs of namespaces by name; a namespace never gets another one.
    namespaces: Mutex<BTreeMap<String, String>>,
}

/// Runs until `stop`.
pub async fn run(context: Context, stop: CancellationToken) {
    let secrets = watcher::Config::default().labels(LABEL_CLUSTER_SET);
    let controller = Controller::new(context.watched::<Set>(), watcher::Config::default());
    let sets = controller.store();
    let shell = Arc::new(Shell {
        context: context.clone(),
        sets: sets.clone(),
        descriptions: Descriptions::default(),
        memories: Mutex::default(),
        namespaces: Mutex::default(),
    });
    controller
        .watches(context.watched::<Secret>(), secrets, move |secret| marked_by(&sets, &secret))
        .graceful_shutdown_on(stop.cancelled_owned())
        .run(reconcile, on_error, shell)
        .for_each(|_| std::future::ready(()))
        .await;
}

/// One pass over a ClusterSet; whether there is such a set. As for the
/// controller, a cluster is gone only when two passes have not found it.
///
/// # Errors
/// When it cannot be read, or a write was refused.
pub async fn sync(context: &Context, namespace: &str, name: &str) -> Result<bool, SyncError> {
    let api = context.namespaced::<Set>(namespace);
    let Some(mut set) = api.get_opt(name).await? else { return Ok(false) };
    let all = context.watched::<Set>().list(&ListParams::default()).await?;
    let shell = Shell {
        context: context.clone(),
        sets: filled(all.items),
        descriptions: Descriptions::default(),
        memories: Mutex::default(),
        namespaces: Mutex::default(),
    };
    if pass(&set, &shell).await? == Action::await_change() {
        // Perhaps a finalizer was written, and no more.
        let Some(newer) = api.get_opt(name).await? else { return Ok(true) };
        if newer.finalizers() != set.finalizers() {
            set = newer;
            pass(&set, &shell).await?;
        }
    }
    Ok(true)
}

/// The sets whose marker a secret bears.
fn marked_by(sets: &Store<Set>, secret: &Secret) -> Vec<ObjectRef<Set>> {
    let marker = secret.labels().get(LABEL_CLUSTER_SET);
    let wanted = |set: &&Arc<Set>| marker == Some(&label_value(&set.name_any()));
    sets.state().iter().filter(wanted).map(|set| ObjectRef::from_obj(set.as_ref())).collect()
}

fn on_error(set: Arc<Set>, error: &ReconcileError, shell: Arc<Shell>) -> Action {
    let stale = error.is_stale();
    if !stale {
        tracing::warn!(set = set.name_any(), error = chain(error), "the ClusterSet is tried again");
    }
    let wait = if stale { RETRY_STALE } else { RETRY_FIRST * 8 };
    Action::requeue(shell.context.entropy.jitter(wait, 1.0))
}

async fn reconcile(set: Arc<Set>, shell: Arc<Shell>) -> Result<Action, ReconcileError> {
    measured(&shell.context, NAME, pass(&set, &shell)).await
}

async fn pass(seen: &Set, shell: &Shell) -> Result<Action, ReconcileError> {
    let context = &shell.context;
    let set = match seen {
        Lenient::Valid(set) => set.as_ref(),
        Lenient::Malformed(malformed) => {
            malformed::tell::<ClusterSet>(context, malformed).await?;
            return Ok(Action::await_change());
        }
    };
    shell.forget_gone();
    if set.metadata.deletion_timestamp.is_some() {
        release(context, set).await?;
        return Ok(Action::await_change());
    }
    if let Err(message) = validate(&set.spec) {
        return refuse(context, set, &message).await;
    }
    if finalizers::keep(&context.writer(), set, needs_finalizer(set)).await? {
        // The write brings the object back under its new version.
        return Ok(Action::await_change());
    }
    let (memory, is_new) = shell.discovery(set).await;
    match keep(shell, set, &memory.discovery, is_new).await {
        Err(ReconcileError::Read(error)) if is_denied(&error) => {
            let failure = Failure {
                place: "management API".to_owned(),
                meaning: Some(Meaning::Denied),
                message: chain(error.as_ref()),
            };
            let before = set.status.clone().unwrap_or_default();
            let new = unreadable(&before, set.metadata.generation, &failure, context.clock.now());
            tell(context, set, &before, &new).await?;
        }
        outcome => outcome?,
    }
    Ok(Action::requeue(memory.next.saturating_sub(context.clock.monotonic())))
}

fn is_denied(error: &kube::Error) -> bool {
    matches!(error, kube::Error::Api(status) if matches!(status.code, 401 | 403))
}

/// What the schema does not refuse since the Go program stored it, and what it does.
fn validate(spec: &ClusterSetSpec) -> Result<(), String> {
    if spec.sources().is_empty() && spec.kubeconfigs().is_empty() {
        return Err("spec.generators names no awseks and no kubeconfig generator".to_owned());
    }
    if let Some(percent) = spec.max_deletion_percent.filter(|percent| !(0..=100).contains(percent)) {
        return Err(format!("spec.maxDeletionPercent is {percent}, not 0 to 100"));
    }
    match spec.deletion_policy.as_deref() {
        None | Some("Delete" | "Retain") => Ok(()),
        Some(other) => Err(format!("spec.deletionPolicy is {other:?}, neither Delete nor Retain")),
    }
}

/// What becomes of the secrets when the set goes: as with the Go program they
/// stay, unless somebody says otherwise.
fn afterlife(spec: &ClusterSetSpec) -> Afterlife {
    if spec.deletion_policy.as_deref() == Some("Delete") { Afterlife::Delete } else { Afterlife::Retain }
}

/// Where the secrets are.
fn place(set: &ClusterSet) -> String {
    let own = set.namespace().unwrap_or_default();
    set.spec.template.metadata.namespace.clone().filter(|namespace| !namespace.is_empty()).unwrap_or(own)
}

/// The garbage collector deletes by owner references, which do not lead into
/// another namespace: there okra deletes itself.
fn needs_finalizer(set: &ClusterSet) -> bool {
    afterlife(&set.spec) == Afterlife::Delete && Some(place(set)) != set.namespace()
}

/// Deletes what the garbage collector cannot, and lets the set go.
async fn release(context: &Context, set: &ClusterSet) -> Result<(), ReconcileError> {
    if needs_finalizer(set) {
        let (name, uid, others) = (set.name_any(), set.uid().unwrap_or_default(), BTreeSet::new());
        let asker = Asker { name: &name, uid: &uid, others: &others };
        for secret in cluster_secrets(context, &place(set)).await? {
            if ownership::ownership(&asker, &secret) == ownership::Ownership::Own {
                act::delete(context, &secret).await?;
            }
        }
    }
    finalizers::release(&context.writer(), set).await?;
    Ok(())
}

/// Plans from what was discovered and what is there, carries the plan out,
/// and says so.
async fn keep(
    shell: &Shell,
    set: &ClusterSet,
    discovery: &Discovery,
    is_new: bool,
) -> Result<(), ReconcileError> {
    let context = &shell.context;
    let (name, uid) = (set.name_any(), set.uid().unwrap_or_default());
    let namespace = place(set);
    let before = set.status.clone().unwrap_or_default();
    let now = context.clock.now();
    let evidence = if is_new && discovery.failures.is_empty() {
        Evidence::Complete { at: now, apart: context.settings.sync_period / 2 }
    } else {
        Evidence::None
    };
    let owner = shell.owner(set, &namespace).await?;
    let others = shell.other_sets(&uid);
    let mut secrets = cluster_secrets(context, &namespace).await?;
    let plan_with = |secrets: &[Secret]| {
        plan(&Observed {
            asker: Asker { name: &name, uid: &uid, others: &others },
            spec: &set.spec,
            namespace: &namespace,
            owner: &owner,
            candidates: &discovery.candidates,
            secrets,
            missing: &before.missing,
            evidence,
        })
    };
    let mut plan = plan_with(&secrets);
    // A secret that describes no cluster may bear a name that is wanted.
    let hidden = act::hidden(context, &plan).await?;
    if !hidden.is_empty() {
        secrets.extend(hidden);
        plan = plan_with(&secrets);
    }
    let may_delete = plan.deletes.is_empty() || is_newest(context, set).await?;
    let done = act::carry_out(context, &plan, &secrets, may_delete).await?;
    let outcome =
        Outcome { plan: &plan, failures: &discovery.failures, evidence, unwritten: &done.unwritten };
    let new = after(&before, set.metadata.generation, &outcome, now);
    measure(context, set, &plan, evidence);
    tell(context, set, &before, &new).await?;
    announce(context, set, &done).await;
    Ok(())
}

/// Whether the set is as the cache has it: what was missing last time is in
/// its status, and a deletion must not rest on an old one.
async fn is_newest(context: &Context, set: &ClusterSet) -> Result<bool, kube::Error> {
    let api: Api<ClusterSet> = context.namespaced(&set.namespace().unwrap_or_default());
    let newest = api.get_metadata_opt(&set.name_any()).await?;
    Ok(newest.is_some_and(|newest| newest.metadata.resource_version == set.metadata.resource_version))
}

impl Shell {
    /// What the sources said last; reads them when their time has come, or the
    /// spec has changed. The second value is whether this is news.
    async fn discovery(&self, set: &ClusterSet) -> (Memory, bool) {
        let context = &self.context;
        let uid = set.uid().unwrap_or_default();
        let generation = set.metadata.generation;
        let known = self.memories().get(&uid).cloned();
        let failures = known.as_ref().map_or(0, |known| known.failures);
        if let Some(known) = known
            && known.generation == generation
            && context.clock.monotonic() < known.next
        {
            return (known, false);
        }
        let namespace = set.namespace().unwrap_or_default();
        let discovery = discover(context, &self.descriptions, &namespace, &set.spec).await;
        let failures = if discovery.failures.is_empty() { 0 } else { failures.saturating_add(1) };
        for failure in &discovery.failures {
            tracing::warn!(set = set.name_any(), place = failure.place, failure.message, "not discovered");
        }
        let word = match discovery.failures.first() {
            None => "complete",
            Some(failure) => status::reason_of(failure.meaning).as_str(),
        };
        context.metrics.discovery.discovered(word);
        let wait = match failures {
            0 => context.settings.sync_period,
            _ => doubled(RETRY_FIRST, failures - 1, RETRY_LONGEST),
        };
        let next = context.clock.monotonic() + context.entropy.jitter(wait, JITTER);
        let memory =
            Memory { discovery: Arc::new(discovery), generation, next, failures, labels: labels(set) };
        self.memories().insert(uid, memory.clone());
        (memory, true)
    }

    fn memories(&self) -> std::sync::MutexGuard<'_, BTreeMap<String, Memory>> {
        self.memories.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Drops what is remembered of sets that are no more.
    fn forget_gone(&self) {
        let sets = self.sets.state();
        let living: BTreeSet<String> = sets.iter().filter_map(|set| set.uid()).collect();
        self.memories().retain(|uid, memory| {
            let lives = living.contains(uid);
            if !lives {
                self.context.metrics.discovery.forget(&memory.labels);
            }
            lives
        });
    }

    fn other_sets(&self, uid: &str) -> BTreeSet<String> {
        self.sets.state().iter().filter_map(|set| set.uid()).filter(|other| other != uid).collect()
    }

    async fn owner(&self, set: &ClusterSet, namespace: &str) -> Result<Owner, kube::Error> {
        let Some(reference) =
            set.controller_owner_ref(&()).filter(|_| set.namespace().as_deref() == Some(namespace))
        else {
            return Ok(Owner::Uid(set.uid().unwrap_or_default()));
        };
        // The set may go before its secrets: nothing of it must wait for them.
        let reference = OwnerReference { block_owner_deletion: None, ..reference };
        let home = OwnerReference {
            api_version: "v1".to_owned(),
            kind: "Namespace".to_owned(),
            name: namespace.to_owned(),
            uid: self.namespace_uid(namespace).await?,
            controller: None,
            block_owner_deletion: None,
        };
        Ok(Owner::References(owner_references(&reference, &home, afterlife(&set.spec))))
    }

    async fn namespace_uid(&self, namespace: &str) -> Result<String, kube::Error> {
        let known = || self.namespaces.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(uid) = known().get(namespace).cloned() {
            return Ok(uid);
        }
        let api: Api<Namespace> = Api::all(self.context.client.clone());
        let uid = api.get_metadata(namespace).await?.uid().unwrap_or_default();
        known().insert(namespace.to_owned(), uid.clone());
        Ok(uid)
    }
}

/// Says why nothing is done, and waits for another word.
async fn refuse(context: &Context, set: &ClusterSet, message: &str) -> Result<Action, ReconcileError> {
    let before = set.status.clone().unwrap_or_default();
    let new = invalid(&before, set.metadata.generation, message, context.clock.now());
    tell(context, set, &before, &new).await?;
    Ok(Action::await_change())
}

/// Writes the status, and an event where its reason has changed.
async fn tell(
    context: &Context,
    set: &ClusterSet,
    before: &ClusterSetStatus,
    new: &ClusterSetStatus,
) -> Result<(), ReconcileError> {
    if new == before {
        return Ok(());
    }
    context.writer().patch_status(set, set.status.as_ref(), new).await?;
    if before.reason != new.reason {
        let synced = new.phase.as_deref() == Some("Synced");
        let occurrence = Occurrence {
            severity: if synced { Severity::Normal } else { Severity::Warning },
            reason: new.reason.clone().unwrap_or_default(),
            action: "Discover",
            note: new.message.clone().unwrap_or_default(),
        };
        context.events(NAME).publish(set, &occurrence).await;
    }
    Ok(())
}

/// One event for each kind of change, however many clusters it concerns.
async fn announce(context: &Context, set: &ClusterSet, done: &Done) {
    let changes = [
        ("ClusterAdded", "CreateSecret", &done.created),
        ("ClusterAdopted", "AdoptSecret", &done.adopted),
        ("ClusterChanged", "UpdateSecret", &done.updated),
        ("ClusterRemoved", "DeleteSecret", &done.deleted),
    ];
    for (reason, action, names) in changes.into_iter().filter(|(_, _, names)| !names.is_empty()) {
        let note = status::listed(names);
        tracing::info!(set = set.name_any(), reason, secrets = note, "cluster secrets");
        let occurrence = Occurrence { severity: Severity::Normal, reason: reason.to_owned(), action, note };
        context.events(NAME).publish(set, &occurrence).await;
    }
}

fn measure(context: &Context, set: &ClusterSet, plan: &Plan, evidence: Evidence) {
    let labels = labels(set);
    let metrics = &context.metrics.discovery;
    let count = i64::try_from(plan.clusters.len()).unwrap_or(i64::MAX);
    metrics.clusters.get_or_create(&labels).set(count);
    if let Evidence::Complete { at, .. } = evidence {
        metrics.last_complete.get_or_create(&labels).set(at.as_second());
    }
}

fn labels(set: &ClusterSet) -> SetLabels {
    SetLabels { namespace: set.namespace().unwrap_or_default(), cluster_set: set.name_any() }
}
