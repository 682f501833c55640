//! Which AWSTargetGroups a set shall hold (`spec/okra.md` 3.2.5): a pure
//! function of what was seen in the member clusters and in the management API.

use std::collections::{BTreeMap, BTreeSet};

use k8s_openapi::apimachinery::pkg::apis::meta::v1::OwnerReference;
use kube::core::ObjectMeta;
use okra_api::AWSTargetGroup;
use okra_api::aws_target_group::AWSTargetGroupSpec;
use okra_api::aws_target_group_set::AWSTargetGroupSetSpec;
use okra_api::common::LabelSelector;
use okra_api::names::{
    DEFAULT_VERSION_LABELS, LABEL_BINDING_CLUSTER, LABEL_BINDING_NAME, LABEL_BINDING_NAMESPACE,
    LABEL_TARGET_GROUP_SET, LABEL_VERSION, RESERVED_LABEL_PREFIXES,
};
use okra_api::template::{ClusterFacts, expand_label};
use okra_api::write::label_value;

use crate::applied::is_applied;
use crate::naming::object_name;

/// A binding of a member cluster.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Binding {
    /// Its namespace.
    pub namespace: String,
    /// Its name.
    pub name: String,
    /// Its labels.
    pub labels: BTreeMap<String, String>,
    /// ARN of the target group, if it names one.
    pub arn: Option<String>,
    /// Whether it is being deleted.
    pub deleting: bool,
}

/// A selected cluster and what it said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cluster {
    /// Name of its secret: the cluster's identity.
    pub name: String,
    /// Labels of its secret.
    pub labels: BTreeMap<String, String>,
    /// What templates may name of it.
    pub facts: ClusterFacts,
    /// Its bindings, or why they could not be read.
    pub bindings: Result<Vec<Binding>, Unreachable>,
}

/// Why a cluster could not be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unreachable {
    /// For people.
    pub message: String,
}

/// Everything that a plan depends on.
#[derive(Clone, Debug)]
pub struct Observed<'a> {
    /// Name of the set.
    pub set: &'a str,
    /// Its namespace, in which the objects are.
    pub namespace: &'a str,
    /// The reference to it, as its objects bear it.
    pub owner: &'a OwnerReference,
    /// Its spec.
    pub spec: &'a AWSTargetGroupSetSpec,
    /// All clusters of the namespace that a generator selects, in order of name.
    pub clusters: Vec<Cluster>,
    /// All AWSTargetGroups of the namespace.
    pub existing: &'a [AWSTargetGroup],
    /// All cluster secrets of the namespace, selected or not, whose cluster is
    /// not being deleted: objects of all other clusters are removed.
    pub known_clusters: BTreeSet<String>,
}

/// One AWSTargetGroup that shall be there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Desired {
    /// Its name, which stays with its identity.
    pub name: String,
    /// Its labels.
    pub labels: BTreeMap<String, String>,
    /// Its ARN.
    pub arn: String,
}

/// What to write.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Plan {
    /// To be applied, those equal to what is there left out.
    pub apply: Vec<Desired>,
    /// Names of own objects whose binding or cluster is gone.
    pub delete: Vec<String>,
    /// How many objects the set holds afterwards.
    pub held: usize,
    /// Selected clusters.
    pub clusters: Vec<String>,
    /// Those that could not be read, with the reason.
    pub unreachable: BTreeMap<String, String>,
    /// Bindings and objects that were left out, with the reason.
    pub skipped: Vec<String>,
}

impl Desired {
    /// The object as it is applied.
    pub fn object(&self, observed: &Observed<'_>) -> AWSTargetGroup {
        let mut object = AWSTargetGroup::new(&self.name, AWSTargetGroupSpec { arn: self.arn.clone() });
        object.metadata = ObjectMeta {
            name: Some(self.name.clone()),
            namespace: Some(observed.namespace.to_owned()),
            labels: Some(self.labels.clone()),
            owner_references: Some(vec![observed.owner.clone()]),
            ..ObjectMeta::default()
        };
        object
    }
}

/// (cluster, namespace, name): the identity of an object, as its labels hold it.
type Identity = (String, String, String);

/// Plans the set.
pub fn plan(observed: &Observed<'_>) -> Plan {
    let mut plan = Plan::default();
    let mut wanted = Wanted::default();
    for cluster in &observed.clusters {
        plan.clusters.push(cluster.name.clone());
        match &cluster.bindings {
            Ok(bindings) => collect(observed.spec, cluster, bindings, &mut wanted, &mut plan.skipped),
            Err(unreachable) => {
                plan.unreachable.insert(cluster.name.clone(), unreachable.message.clone());
            }
        }
    }
    let names = Names::new(observed, &wanted.objects);
    let mut kept = wanted.stays(observed);
    for (identity, (arn, mut labels)) in wanted.objects {
        let name = match names.of(&identity, &arn) {
            Ok(name) => name,
            Err(reason) => {
                let (cluster, namespace, binding) = &identity;
                plan.skipped.push(format!("{cluster}: {namespace}/{binding}: {reason}"));
                continue;
            }
        };
        labels.extend(identity_labels(observed.set, &identity));
        kept.insert(name.clone());
        let desired = Desired { name, labels, arn };
        let object = desired.object(observed);
        let is_there = |existing: &AWSTargetGroup| {
            existing.metadata.name == object.metadata.name && is_applied(existing, &object)
        };
        if !observed.existing.iter().any(is_there) {
            plan.apply.push(desired);
        }
    }
    plan.delete = outdated(observed, &kept, &plan.unreachable);
    let staying = observed
        .existing
        .iter()
        .filter(|object| is_own(observed, object))
        .filter_map(|object| object.metadata.name.clone())
        .filter(|name| !plan.delete.contains(name));
    plan.held = kept.into_iter().chain(staying).collect::<BTreeSet<String>>().len();
    plan
}

/// What the bindings ask for.
#[derive(Default)]
struct Wanted {
    /// ARN and labels of each object.
    objects: BTreeMap<Identity, (String, BTreeMap<String, String>)>,
    /// Bindings that are there, but whose labels cannot be generated: an
    /// object that they have already stays as it is.
    unlabelled: BTreeSet<Identity>,
}

impl Wanted {
    /// Names of the objects that stay as they are.
    fn stays(&self, observed: &Observed<'_>) -> BTreeSet<String> {
        let is_of = |object: &&AWSTargetGroup| {
            is_own(observed, object) && self.unlabelled.iter().any(|identity| has_identity(object, identity))
        };
        observed.existing.iter().filter(is_of).filter_map(|object| object.metadata.name.clone()).collect()
    }
}

fn collect(
    spec: &AWSTargetGroupSetSpec,
    cluster: &Cluster,
    bindings: &[Binding],
    wanted: &mut Wanted,
    skipped: &mut Vec<String>,
) {
    for binding in bindings {
        let selects = |selector: &LabelSelector| selector.matches(&binding.labels);
        let chosen = spec.generators.iter().filter_map(|generator| generator.awseks.as_ref()).any(|source| {
            source.cluster_selector.matches(&cluster.labels) && selects(&source.binding_selector)
        });
        if !chosen || binding.deleting {
            continue;
        }
        let identity = (cluster.name.clone(), binding.namespace.clone(), binding.name.clone());
        let mut skip = |why: String| {
            skipped.push(format!("{}: {}/{}: {why}", cluster.name, binding.namespace, binding.name));
        };
        let Some(arn) = binding.arn.as_deref().filter(|arn| is_target_group_arn(arn)) else {
            skip(format!("no target group ARN: {}", binding.arn.as_deref().unwrap_or("none")));
            continue;
        };
        if let Err(why) = is_trusted(spec, cluster, arn) {
            skip(why);
            continue;
        }
        match labels(spec, cluster, binding) {
            Ok(labels) => {
                wanted.objects.insert(identity, (arn.to_owned(), labels));
            }
            Err(why) => {
                skip(why);
                wanted.unlabelled.insert(identity);
            }
        }
    }
}

/// Under `labelPolicy: Strict` a member cluster may only name target groups
/// of its own region and account, or of an account that the set trusts (H-63).
/// Where the cluster is not of AWS nothing is known to compare with.
fn is_trusted(spec: &AWSTargetGroupSetSpec, cluster: &Cluster, arn: &str) -> Result<(), String> {
    let parts: Vec<&str> = arn.splitn(6, ':').collect();
    let ([_, _, _, region, account, _], true) = (parts.as_slice(), is_strict(spec)) else { return Ok(()) };
    let facts = &cluster.facts;
    if !facts.region.is_empty() && facts.region != *region {
        return Err(format!("{arn} is of region {region}, the cluster of {}", facts.region));
    }
    let trusted = spec.allowed_accounts.iter().any(|allowed| allowed == account);
    if !facts.account_id.is_empty() && facts.account_id != *account && !trusted {
        return Err(format!(
            "{arn} is of account {account}, which is neither the cluster's nor in allowedAccounts"
        ));
    }
    Ok(())
}

fn is_strict(spec: &AWSTargetGroupSetSpec) -> bool {
    spec.label_policy.as_deref() == Some("Strict")
}

/// `arn:*:elasticloadbalancing:*:*:targetgroup/*` (3.2.5-2).
fn is_target_group_arn(arn: &str) -> bool {
    let parts: Vec<&str> = arn.splitn(6, ':').collect();
    matches!(parts.as_slice(), ["arn", _, "elasticloadbalancing", _, _, resource]
        if resource.strip_prefix("targetgroup/").is_some_and(|rest| !rest.is_empty()))
}

/// Labels of the object without those of its identity (3.2.5-3, 4): the
/// binding's as far as the policy lets them through, the template's over
/// them, and a version from the cluster secret where neither names one.
fn labels(
    spec: &AWSTargetGroupSetSpec,
    cluster: &Cluster,
    binding: &Binding,
) -> Result<BTreeMap<String, String>, String> {
    let strict = is_strict(spec);
    let is_version = |key: &str| DEFAULT_VERSION_LABELS.contains(&key);
    let passes = |key: &str| {
        if strict {
            return !is_version(key) && spec.allowed_labels.iter().any(|allowed| allowed == key);
        }
        is_version(key) || !RESERVED_LABEL_PREFIXES.iter().any(|prefix| key.starts_with(prefix))
    };
    let mut labels: BTreeMap<String, String> = binding
        .labels
        .iter()
        .filter(|(key, _)| passes(key))
        .map(|(key, value)| (key.clone(), value.clone()))
        .collect();
    let template = spec.template.as_ref().map(|template| &template.metadata.labels);
    for (key, value) in template.into_iter().flatten() {
        let value = expand_label(value, &cluster.facts).map_err(|error| format!("{key}: {error}"))?;
        labels.insert(key.clone(), value);
    }
    if !labels.keys().any(|key| is_version(key)) {
        let own = DEFAULT_VERSION_LABELS.iter().find_map(|key| cluster.labels.get(*key));
        labels.extend(own.map(|version| (LABEL_VERSION.to_owned(), version.clone())));
    }
    Ok(labels)
}

fn identity_labels(set: &str, identity: &Identity) -> [(String, String); 4] {
    let (cluster, namespace, name) = identity;
    [
        (LABEL_BINDING_CLUSTER.to_owned(), label_value(cluster)),
        (LABEL_BINDING_NAMESPACE.to_owned(), label_value(namespace)),
        (LABEL_BINDING_NAME.to_owned(), label_value(name)),
        (LABEL_TARGET_GROUP_SET.to_owned(), label_value(set)),
    ]
}

fn label<'a>(object: &'a AWSTargetGroup, key: &str) -> Option<&'a str> {
    object.metadata.labels.as_ref()?.get(key).map(String::as_str)
}

/// Marker and owner together: a label alone is quickly put on by hand (H-54).
fn is_own(observed: &Observed<'_>, object: &AWSTargetGroup) -> bool {
    let owners = object.metadata.owner_references.as_deref().unwrap_or_default();
    label(object, LABEL_TARGET_GROUP_SET) == Some(label_value(observed.set).as_str())
        && owners.iter().any(|owner| owner.uid == observed.owner.uid)
}

/// The marker of another set.
fn other_set<'a>(observed: &Observed<'_>, object: &'a AWSTargetGroup) -> Option<&'a str> {
    label(object, LABEL_TARGET_GROUP_SET).filter(|marker| *marker != label_value(observed.set))
}

fn has_identity(object: &AWSTargetGroup, identity: &Identity) -> bool {
    let (cluster, namespace, name) = identity;
    label(object, LABEL_BINDING_CLUSTER) == Some(label_value(cluster).as_str())
        && label(object, LABEL_BINDING_NAMESPACE) == Some(label_value(namespace).as_str())
        && label(object, LABEL_BINDING_NAME) == Some(label_value(name).as_str())
}

/// Names of objects (3.2.5-5): the object that has the identity keeps its
/// name; else a legacy object of the Go program with the same ARN; else a new
/// name. A name never moves to another cluster.
struct Names<'a> {
    observed: &'a Observed<'a>,
    /// ARNs that only one wanted identity has: a legacy object is adopted by
    /// ARN only where that is not ambiguous.
    single: BTreeSet<String>,
}

impl<'a> Names<'a> {
    fn new(
        observed: &'a Observed<'a>,
        wanted: &BTreeMap<Identity, (String, BTreeMap<String, String>)>,
    ) -> Self {
        let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
        for (arn, _) in wanted.values() {
            *counts.entry(arn).or_default() += 1;
        }
        let single =
            counts.into_iter().filter(|(_, count)| *count == 1).map(|(arn, _)| arn.to_owned()).collect();
        Self { observed, single }
    }

    /// The name for an identity.
    ///
    /// # Errors
    /// Why it has none: another set or somebody else holds the object.
    fn of(&self, identity: &Identity, arn: &str) -> Result<String, String> {
        let (cluster, namespace, binding) = identity;
        let existing = self.observed.existing;
        if let Some(object) = existing.iter().find(|object| has_identity(object, identity)) {
            let name = object.metadata.name.clone().unwrap_or_default();
            return match other_set(self.observed, object) {
                Some(other) => Err(format!("AWSTargetGroupSet {other} holds {name} for it")),
                None => Ok(name),
            };
        }
        let legacy = object_name(&format!("{namespace}-{binding}"));
        let is_legacy = |object: &&AWSTargetGroup| {
            object.metadata.name.as_deref() == Some(&legacy)
                && object.spec.arn == arn
                && label(object, LABEL_BINDING_CLUSTER).is_none_or(str::is_empty)
        };
        if self.single.contains(arn) && existing.iter().any(|object| is_legacy(&object)) {
            return Ok(legacy);
        }
        let fresh = object_name(&format!("{cluster}-{namespace}-{binding}"));
        if existing.iter().any(|object| object.metadata.name.as_deref() == Some(&fresh)) {
            return Err(format!("the object {fresh} belongs to somebody else"));
        }
        Ok(fresh)
    }
}

/// Own objects that go (3.2.5-7): those of reachable clusters that are not
/// wanted any more, and those of clusters whose secret is gone. Objects of
/// clusters that could not be read stay.
fn outdated(
    observed: &Observed<'_>,
    kept: &BTreeSet<String>,
    unreachable: &BTreeMap<String, String>,
) -> Vec<String> {
    let silent: BTreeSet<String> = unreachable.keys().map(|name| label_value(name)).collect();
    let known: BTreeSet<String> = observed.known_clusters.iter().map(|name| label_value(name)).collect();
    let mut names: Vec<String> = observed
        .existing
        .iter()
        .filter(|object| is_own(observed, object) && object.metadata.deletion_timestamp.is_none())
        .filter(|object| {
            let cluster = label(object, LABEL_BINDING_CLUSTER).unwrap_or_default();
            !known.contains(cluster) || !silent.contains(cluster)
        })
        .filter_map(|object| object.metadata.name.clone())
        .filter(|name| !kept.contains(name))
        .collect();
    names.sort();
    names
}

#[cfg(test)]
#[path = "plan_tests.rs"]
mod tests;
