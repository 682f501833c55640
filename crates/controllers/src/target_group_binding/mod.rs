//! AWSTargetGroupBinding: one target group filled from several clusters, with
//! nodes, pods or fixed ids (`spec/okra.md` 2.4).
//!
//! ```text
//!   entries + member clusters ──> wanted ─┐
//!   DescribeTargetHealth ─────────────────┼─> plan ─> status ─> RegisterTargets, DeregisterTargets
//!   status: what okra registered ─────────┘             ^                     │
//!                                                       └──── read back ──────┘
//! ```
//!
//! What okra is about to register is written down first: a crash in between
//! leaves a target that okra knows as its own, never one that is nobody's. A
//! target that somebody else registered is never deregistered, and one that
//! serves only when another serves, or when nobody shall.

pub mod eligible;
pub mod plan;
mod resolve;
mod status;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures::StreamExt as _;
use futures::future::join_all;
use k8s_openapi::api::core::v1::Secret;
use kube::ResourceExt as _;
use kube::runtime::controller::{Action, Controller};
use kube::runtime::reflector::{ObjectRef, Store};
use kube::runtime::watcher;
use okra_api::aws_target_group_binding::AWSTargetGroupBindingStatus;
use okra_api::names::CLUSTER_SECRETS;
use okra_api::{AWSTargetGroupBinding, Lenient};
use okra_aws::{AwsError, Meaning, Target, Write};
use okra_domain::TargetGroupArn;
use tokio_util::sync::CancellationToken;

use crate::chain::chain;
use crate::events::{Occurrence, Severity};
use crate::failure::{ReconcileError, doubled, measured};
use crate::members::cluster_secrets;
use crate::writer::WriteError;
use crate::{Context, finalizers, malformed};
use eligible::TargetType;
use plan::{Entry, Observed, Plan, TARGETS_MAX, plan};
use resolve::{Group, check, resolve};
use status::{Outcome, after, by_entry, listed, own, reason_of};

/// The name of this controller in metrics and events.
const NAME: &str = "target_group_binding";
/// First wait after a pass that failed, doubled up to the longest.
const RETRY_FIRST: Duration = Duration::from_secs(1);
/// Longest such wait (`spec/okra.md` 3).
const RETRY_LONGEST: Duration = Duration::from_secs(120);
/// Wait after a write that came too late.
const RETRY_STALE: Duration = Duration::from_millis(200);
/// Health polls between two looks while targets come or drain: members are
/// listed as well, and draining takes minutes.
const MOVING_POLLS: u32 = 5;
/// Share by which a wait is lengthened at random.
const JITTER: f64 = 0.2;

type Binding = Lenient<AWSTargetGroupBinding>;

/// Why a pass over a legal object came to nothing.
#[derive(Debug)]
enum Trouble {
    /// To be told in the status.
    Told { reason: &'static str, message: String },
    /// To be tried again.
    Again(ReconcileError),
}

/// Trouble with AWS is for the status to tell.
fn aws(error: AwsError) -> Trouble {
    Trouble::Told { reason: reason_of(error.meaning), message: chain(&error) }
}

impl From<ReconcileError> for Trouble {
    fn from(error: ReconcileError) -> Self {
        Self::Again(error)
    }
}

impl From<WriteError> for Trouble {
    fn from(error: WriteError) -> Self {
        Self::Again(error.into())
    }
}

impl From<kube::Error> for Trouble {
    fn from(error: kube::Error) -> Self {
        Self::Again(error.into())
    }
}

fn invalid(message: impl Into<String>) -> Trouble {
    Trouble::Told { reason: "InvalidSpec", message: message.into() }
}

/// What a process remembers of a binding.
#[derive(Clone, Copy, Debug)]
struct Memory {
    generation: Option<i64>,
    /// When to look again, on the monotonic clock.
    next: Duration,
    /// Passes in a row that failed.
    failures: u32,
}

struct Shell {
    context: Context,
    bindings: Store<Binding>,
    /// By UID.
    memories: Mutex<BTreeMap<String, Memory>>,
    /// What never changes of a target group.
    groups: Mutex<BTreeMap<TargetGroupArn, Group>>,
}

/// Runs until `stop`.
pub async fn run(context: Context, stop: CancellationToken) {
    let secrets = watcher::Config::default().labels(CLUSTER_SECRETS);
    let controller = Controller::new(context.watched::<Binding>(), watcher::Config::default());
    let bindings = controller.store();
    let shell = Arc::new(Shell {
        context: context.clone(),
        bindings: bindings.clone(),
        memories: Mutex::default(),
        groups: Mutex::default(),
    });
    let woken = shell.clone();
    controller
        .watches(context.watched::<Secret>(), secrets, move |secret| {
            let namespace = secret.namespace();
            let here = |binding: &&Arc<Binding>| binding.namespace() == namespace;
            let all = bindings.state();
            let found: Vec<_> =
                all.iter().filter(here).map(|one| ObjectRef::from_obj(one.as_ref())).collect();
            woken.look_again(all.iter().filter(here));
            found
        })
        .graceful_shutdown_on(stop.cancelled_owned())
        .run(reconcile, on_error, shell)
        .for_each(|_| std::future::ready(()))
        .await;
}

fn on_error(binding: Arc<Binding>, error: &ReconcileError, shell: Arc<Shell>) -> Action {
    let stale = error.is_stale();
    if !stale {
        tracing::warn!(binding = binding.name_any(), error = chain(error), "the binding is tried again");
    }
    let wait = if stale { RETRY_STALE } else { RETRY_FIRST * 8 };
    Action::requeue(shell.context.entropy.jitter(wait, 1.0))
}

async fn reconcile(binding: Arc<Binding>, shell: Arc<Shell>) -> Result<Action, ReconcileError> {
    measured(&shell.context, NAME, pass(&binding, &shell)).await
}

async fn pass(seen: &Binding, shell: &Shell) -> Result<Action, ReconcileError> {
    let context = &shell.context;
    let binding = match seen {
        Lenient::Valid(binding) => binding.as_ref(),
        Lenient::Malformed(malformed) => {
            malformed::tell::<AWSTargetGroupBinding>(context, malformed).await?;
            return Ok(Action::await_change());
        }
    };
    let now = context.clock.monotonic();
    if let Some(wait) = shell.not_yet(binding, now) {
        return Ok(Action::requeue(wait));
    }
    let leaving = binding.metadata.deletion_timestamp.is_some();
    if !leaving && finalizers::keep(&context.writer(), binding, true).await? {
        // The write brings the object back under its new version.
        return Ok(Action::await_change());
    }
    let outcome = if leaving { release(shell, binding).await } else { fill(shell, binding).await };
    let wait = match outcome {
        Ok(None) => return Ok(Action::await_change()),
        Ok(Some(wait)) => {
            shell.remember(binding, now + wait, 0);
            wait
        }
        Err(Trouble::Again(error)) => return Err(error),
        Err(trouble) => {
            tell_trouble(context, binding, trouble).await?;
            shell.failed(binding, now)
        }
    };
    Ok(Action::requeue(wait))
}

/// Makes the group hold what the entries ask for. Gives when to look again.
async fn fill(shell: &Shell, binding: &AWSTargetGroupBinding) -> Result<Option<Duration>, Trouble> {
    let context = &shell.context;
    let arn = group_of(binding)?;
    let group = shell.group(&arn).await?;
    let mut names = BTreeSet::new();
    for entry in &binding.spec.targets {
        check(entry, &group).map_err(invalid)?;
        if !names.insert(&entry.name) {
            return Err(invalid(format!("two entries of targets are named {:?}", entry.name)));
        }
    }
    let secrets = cluster_secrets(context, &binding.namespace().unwrap_or_default()).await?;
    let entries = binding.spec.targets.iter().map(|entry| resolve(context, &secrets, entry, &group));
    let entries = join_all(entries).await;
    let plan = move_targets(shell, binding, &arn, &entries).await?;
    let before = binding.status.clone().unwrap_or_default();
    let outcome = Outcome::Done { entries: &entries, plan: &plan };
    let new = after(&before, binding.metadata.generation, arn.as_str(), &outcome, context.clock.now());
    tell(context, binding, &new).await?;
    let moving = !plan.waiting.is_empty() || plan.draining > 0 || !plan.deregister.is_empty();
    let period = context.settings.sync_period;
    let wait = if moving { (context.settings.health_poll * MOVING_POLLS).min(period) } else { period };
    Ok(Some(context.entropy.jitter(wait, JITTER)))
}

/// Takes out what okra registered, and lets the binding go. A group that is
/// gone holds nothing.
async fn release(shell: &Shell, binding: &AWSTargetGroupBinding) -> Result<Option<Duration>, Trouble> {
    let arn = group_of(binding);
    let registered = binding.status.as_ref().is_some_and(|status| !status.registered.is_empty());
    if let (Ok(arn), true) = (arn, registered) {
        match move_targets(shell, binding, &arn, &[]).await {
            Ok(_) => {}
            Err(Trouble::Told { reason: "TargetGroupNotFound", .. }) => {}
            Err(trouble) => return Err(trouble),
        }
    }
    finalizers::release(&shell.context.writer(), binding).await?;
    Ok(None)
}

fn group_of(binding: &AWSTargetGroupBinding) -> Result<TargetGroupArn, Trouble> {
    let text = binding.spec.target_group_arn.as_deref().filter(|text| !text.is_empty());
    let text = text.ok_or_else(|| invalid("spec.targetGroupARN is missing: okra makes no target groups"))?;
    text.parse().map_err(|error| invalid(format!("spec.targetGroupARN: {error}")))
}

/// Plans from what AWS shows, carries the plan out and looks again. Gives the
/// plan that the last look leaves.
async fn move_targets(
    shell: &Shell,
    binding: &AWSTargetGroupBinding,
    arn: &TargetGroupArn,
    entries: &[Entry],
) -> Result<Plan, Trouble> {
    let context = &shell.context;
    let status = binding.status.clone().unwrap_or_default();
    let (before, others) = (by_entry(&status), shell.others(binding));
    let mut own = own(&status);
    let first = planned(context, arn, entries, &before, &own, &others).await?;
    if first.register.is_empty() && first.deregister.is_empty() {
        return Ok(first);
    }
    write_ahead(context, binding, &status, &first).await?;
    own.clone_from(&first.own);
    let gate = Write::normal(&context.fence);
    if !first.register.is_empty() {
        context.targets.register(gate, arn, &first.register).await.or_else(read_back).map_err(aws)?;
        tracing::info!(binding = binding.name_any(), targets = first.register.len(), "targets registered");
    }
    if !first.deregister.is_empty() {
        context.targets.deregister(gate, arn, &first.deregister).await.or_else(read_back).map_err(aws)?;
        tracing::info!(
            binding = binding.name_any(),
            targets = first.deregister.len(),
            "targets deregistered"
        );
    }
    let second = planned(context, arn, entries, &before, &own, &others).await?;
    if let Some(missing) = second.register.first() {
        let message = format!("AWS does not show {missing} after its registration");
        return Err(Trouble::Told { reason: "WaitingForRegistration", message });
    }
    Ok(second)
}

/// A write of unknown outcome is read back, as every write is.
fn read_back(error: AwsError) -> Result<(), AwsError> {
    if error.meaning == Meaning::UnknownOutcome { Ok(()) } else { Err(error) }
}

async fn planned(
    context: &Context,
    arn: &TargetGroupArn,
    entries: &[Entry],
    before: &BTreeMap<String, BTreeSet<Target>>,
    own: &BTreeSet<Target>,
    others: &BTreeSet<Target>,
) -> Result<Plan, Trouble> {
    let live = context.targets.registered(arn).await.map_err(aws)?;
    plan(&Observed { entries, before, own, others, live: &live }).map_err(|count| Trouble::Told {
        reason: "TooManyTargets",
        message: format!("the group would hold {count} targets, more than {TARGETS_MAX}"),
    })
}

/// Writes down what is about to be okra's own. The object's version moves
/// with it, so that whoever planned from an old view is refused here.
async fn write_ahead(
    context: &Context,
    binding: &AWSTargetGroupBinding,
    before: &AWSTargetGroupBindingStatus,
    plan: &Plan,
) -> Result<(), Trouble> {
    let after = AWSTargetGroupBindingStatus { registered: listed(&plan.own), ..before.clone() };
    context.writer().patch_status(binding, binding.status.as_ref(), &after).await?;
    Ok(())
}

impl Shell {
    fn memories(&self) -> std::sync::MutexGuard<'_, BTreeMap<String, Memory>> {
        self.memories.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How long to wait still: okra's own status write must not bring the
    /// next look forward.
    fn not_yet(&self, binding: &AWSTargetGroupBinding, now: Duration) -> Option<Duration> {
        let bindings = self.bindings.state();
        let living: BTreeSet<String> = bindings.iter().filter_map(|one| one.uid()).collect();
        let mut memories = self.memories();
        memories.retain(|uid, _| living.contains(uid));
        let memory = memories.get(&binding.uid()?)?;
        let same = memory.generation == binding.metadata.generation;
        Some(memory.next.saturating_sub(now)).filter(|wait| same && !wait.is_zero())
    }

    fn remember(&self, binding: &AWSTargetGroupBinding, next: Duration, failures: u32) {
        let memory = Memory { generation: binding.metadata.generation, next, failures };
        self.memories().insert(binding.uid().unwrap_or_default(), memory);
    }

    /// Counts a failure and gives the wait after it.
    fn failed(&self, binding: &AWSTargetGroupBinding, now: Duration) -> Duration {
        let uid = binding.uid().unwrap_or_default();
        let failures = self.memories().get(&uid).map_or(0, |memory| memory.failures).saturating_add(1);
        let wait = doubled(RETRY_FIRST, failures - 1, RETRY_LONGEST);
        let wait = self.context.entropy.jitter(wait, JITTER);
        self.remember(binding, now + wait, failures);
        wait
    }

    /// A cluster secret has changed: no wait holds any more.
    fn look_again<'a>(&self, bindings: impl Iterator<Item = &'a Arc<Binding>>) {
        let mut memories = self.memories();
        for uid in bindings.filter_map(|binding| binding.uid()) {
            memories.remove(&uid);
        }
    }

    async fn group(&self, arn: &TargetGroupArn) -> Result<Group, Trouble> {
        let known = || self.groups.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(group) = known().get(arn) {
            return Ok(*group);
        }
        let found =
            self.context.load_balancers.target_groups(std::slice::from_ref(arn)).await.map_err(aws)?;
        let found = found.into_iter().find(|group| group.arn == *arn);
        let found = found.ok_or_else(|| Trouble::Told {
            reason: "TargetGroupNotFound",
            message: format!("{arn} is not in the answer"),
        })?;
        let word = found.target_type.unwrap_or_default();
        let kind = TargetType::of(&word)
            .ok_or_else(|| invalid(format!("the target group takes {word:?}, not instances or addresses")))?;
        let group = Group { kind, port: found.port };
        known().insert(arn.clone(), group);
        Ok(group)
    }

    /// Targets that other bindings have in the same group.
    fn others(&self, binding: &AWSTargetGroupBinding) -> BTreeSet<Target> {
        let bindings = self.bindings.state();
        let others = bindings.iter().filter_map(|one| one.valid()).filter(|one| {
            one.uid() != binding.uid()
                && one.spec.target_group_arn == binding.spec.target_group_arn
                && one.metadata.deletion_timestamp.is_none()
        });
        others
            .filter_map(|one| one.status.as_ref())
            .flat_map(|status| by_entry(status).into_values().flatten())
            .collect()
    }
}

async fn tell_trouble(
    context: &Context,
    binding: &AWSTargetGroupBinding,
    trouble: Trouble,
) -> Result<(), ReconcileError> {
    let (reason, message) = match trouble {
        Trouble::Told { reason, message } => (reason, message),
        Trouble::Again(error) => return Err(error),
    };
    let api = context.namespaced::<AWSTargetGroupBinding>(&binding.namespace().unwrap_or_default());
    // What was written ahead in this pass must not be undone by an older view.
    let Some(fresh) = api.get_opt(&binding.name_any()).await? else { return Ok(()) };
    let before = fresh.status.clone().unwrap_or_default();
    let outcome = Outcome::Failed { reason, message };
    let arn = fresh.spec.target_group_arn.clone().unwrap_or_default();
    let new = after(&before, fresh.metadata.generation, &arn, &outcome, context.clock.now());
    write_status(context, &fresh, &new).await
}

/// Writes the status after a pass, over what was written ahead in it.
async fn tell(
    context: &Context,
    binding: &AWSTargetGroupBinding,
    new: &AWSTargetGroupBindingStatus,
) -> Result<(), ReconcileError> {
    if binding.status.as_ref() == Some(new) {
        return Ok(());
    }
    let api = context.namespaced::<AWSTargetGroupBinding>(&binding.namespace().unwrap_or_default());
    let Some(fresh) = api.get_opt(&binding.name_any()).await? else { return Ok(()) };
    write_status(context, &fresh, new).await
}

async fn write_status(
    context: &Context,
    binding: &AWSTargetGroupBinding,
    new: &AWSTargetGroupBindingStatus,
) -> Result<(), ReconcileError> {
    let before = binding.status.as_ref();
    if before == Some(new) {
        return Ok(());
    }
    context.writer().patch_status(binding, before, new).await?;
    if before.and_then(|status| status.reason.as_ref()) != new.reason.as_ref() {
        let calm = matches!(new.phase.as_deref(), Some("Synced" | "Updating"));
        let occurrence = Occurrence {
            severity: if calm { Severity::Normal } else { Severity::Warning },
            reason: new.reason.clone().unwrap_or_default(),
            action: "RegisterTargets",
            note: new.message.clone().unwrap_or_default(),
        };
        context.events(NAME).publish(binding, &occurrence).await;
    }
    Ok(())
}
