//! What there is: clusters of all regions, accounts and kubeconfigs that a
//! set names. Reads only.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use futures::StreamExt as _;
use futures::future::join_all;
use k8s_openapi::api::core::v1::Secret;
use kube::api::ListParams;
use kube::{Api, ResourceExt as _};
use okra_api::cluster_set::{AwsEksClusters, ClusterSetSpec, KubeconfigClusters};
use okra_api::names::LABEL_SECRET_TYPE;
use okra_aws::{AwsError, ClusterDescription, ClusterStatus, Meaning, Region, Role, Scope};

use super::candidate::{Candidate, is_selected, of_eks, of_kubeconfig};
use crate::Context;
use crate::chain::chain;

/// Descriptions asked for at the same time: enough to fill a minute's budget,
/// few enough that one account does not take all sockets.
const DESCRIBES_AT_ONCE: usize = 8;
/// Known clusters that one discovery describes again at least; more when
/// discoveries are rarer than every ten seconds.
const DESCRIBED_AGAIN_MIN: usize = 20;
/// Known clusters described again, for each second between two discoveries.
/// With `spec/aws.md` 1.10's five reads a second, most of the budget is left.
const DESCRIBED_AGAIN_PER_SECOND: usize = 2;
/// Descriptions kept. Beyond it they are made anew: far more than any fleet.
const KNOWN_MAX: usize = 16_384;

/// What a discovery found.
#[derive(Clone, Debug, Default)]
pub struct Discovery {
    /// The selected clusters.
    pub candidates: Vec<Candidate>,
    /// Places that could not be read, in order. None means that it is complete.
    pub failures: Vec<Failure>,
}

/// A place that could not be read to its end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// Region and role, or what else was read.
    pub place: String,
    /// What AWS's answer means; `None` where AWS was not asked.
    pub meaning: Option<Meaning>,
    /// The answer.
    pub message: String,
}

/// What is known of a cluster, and since when.
#[derive(Clone, Debug)]
struct Known {
    description: ClusterDescription,
    /// On the monotonic clock.
    at: Duration,
}

/// Descriptions, shared by all sets that look into one account (H-65).
#[derive(Debug, Default)]
pub struct Descriptions(Mutex<BTreeMap<Scope, BTreeMap<String, Known>>>);

/// The regions and roles that a generator looks into.
///
/// # Errors
/// When it names no region and okra has none of its own.
pub fn scopes(source: &AwsEksClusters, region: Option<&Region>) -> Result<Vec<Scope>, String> {
    let role = source.role_arn.as_ref().filter(|arn| !arn.is_empty()).map(|arn| Role {
        arn: arn.clone(),
        external_id: source.external_id.clone(),
        session_name: source.session_name.clone(),
    });
    let mut regions: Vec<Region> = source.regions.iter().map(Region::new).collect();
    if regions.is_empty() {
        let own = region.cloned();
        regions
            .push(own.ok_or("the generator names no region, and okra has none: set regions, or --region")?);
    }
    regions.sort();
    regions.dedup();
    Ok(regions.into_iter().map(|region| Scope { region, role: role.clone() }).collect())
}

/// Reads all sources of a set. One that fails does not hold up the others.
pub async fn discover(
    context: &Context,
    descriptions: &Descriptions,
    namespace: &str,
    spec: &ClusterSetSpec,
) -> Discovery {
    let mut places: Vec<(Scope, AwsEksClusters)> = Vec::new();
    let mut found = Discovery::default();
    for source in spec.sources() {
        match scopes(&source, context.region.as_ref()) {
            Ok(scopes) => places.extend(scopes.into_iter().map(|scope| (scope, source.clone()))),
            Err(message) => {
                found.failures.push(Failure { place: "awseks".to_owned(), meaning: None, message });
            }
        }
    }
    let reads = places.iter().map(|(scope, source)| read_eks(context, descriptions, scope, source));
    for read in join_all(reads).await {
        found.candidates.extend(read.candidates);
        found.failures.extend(read.failures);
    }
    for source in spec.kubeconfigs() {
        match read_kubeconfigs(context, namespace, &source).await {
            Ok(candidates) => found.candidates.extend(candidates),
            Err(error) => found.failures.push(Failure {
                place: "kubeconfig secrets".to_owned(),
                meaning: None,
                message: chain(&error),
            }),
        }
    }
    found
}

async fn read_eks(
    context: &Context,
    descriptions: &Descriptions,
    scope: &Scope,
    source: &AwsEksClusters,
) -> Discovery {
    let names = match context.clusters.list(scope).await {
        Ok(names) => names,
        Err(error) => {
            // What was known of the place still counts for what is there.
            let candidates = selected(scope, source, descriptions.all(scope));
            return Discovery { candidates, failures: vec![failure(scope, &error)] };
        }
    };
    let now = context.clock.monotonic();
    let due = descriptions.due(scope, &names, now, context.settings.sync_period);
    let describes = due.into_iter().map(|name| describe(context, scope, name));
    let mut answers = futures::stream::iter(describes).buffer_unordered(DESCRIBES_AT_ONCE);
    let mut failures = BTreeMap::new();
    while let Some((name, answer)) = answers.next().await {
        match answer {
            Ok(description) => descriptions.learn(scope, description, context.clock.monotonic()),
            // Gone since it was listed.
            Err(error) if error.meaning == Meaning::Absent => descriptions.forget(scope, &name),
            Err(error) => {
                failures.insert(name, failure(scope, &error));
            }
        }
    }
    let candidates = selected(scope, source, descriptions.all(scope));
    // One answer speaks for the rest: the first by name.
    Discovery { candidates, failures: failures.into_values().take(1).collect() }
}

async fn describe(
    context: &Context,
    scope: &Scope,
    name: String,
) -> (String, Result<ClusterDescription, AwsError>) {
    let answer = context.clusters.describe(scope, &name).await;
    (name, answer)
}

fn selected(scope: &Scope, source: &AwsEksClusters, known: Vec<ClusterDescription>) -> Vec<Candidate> {
    known
        .iter()
        .filter(|cluster| is_selected(source, cluster))
        .map(|cluster| of_eks(scope, cluster))
        .collect()
}

fn failure(scope: &Scope, error: &AwsError) -> Failure {
    let region = &scope.region;
    let place = match &scope.role {
        Some(role) => format!("{region} as {}", role.arn),
        None => region.to_string(),
    };
    Failure { place, meaning: Some(error.meaning), message: chain(error) }
}

async fn read_kubeconfigs(
    context: &Context,
    namespace: &str,
    source: &KubeconfigClusters,
) -> Result<Vec<Candidate>, kube::Error> {
    let labels = &source.secret_selector.match_labels;
    if labels.is_empty() {
        return Ok(Vec::new());
    }
    let wanted: Vec<String> = labels.iter().map(|(key, value)| format!("{key}={value}")).collect();
    let api: Api<Secret> = context.namespaced(namespace);
    let secrets = api.list(&ListParams::default().labels(&wanted.join(","))).await?.items;
    // What describes a cluster already is no source of another.
    let sources = secrets.iter().filter(|secret| !secret.labels().contains_key(LABEL_SECRET_TYPE));
    Ok(sources.filter(|secret| secret.metadata.deletion_timestamp.is_none()).map(of_kubeconfig).collect())
}

impl Descriptions {
    /// The names to describe now: new ones and those in motion all, the others
    /// in turn, longest unseen first. Forgets what is listed no more.
    fn due(&self, scope: &Scope, names: &[String], now: Duration, period: Duration) -> Vec<String> {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if all.values().map(BTreeMap::len).sum::<usize>() > KNOWN_MAX {
            all.clear();
        }
        let known = all.entry(scope.clone()).or_default();
        known.retain(|name, _| names.binary_search(name).is_ok());
        let (mut due, mut settled) = (Vec::new(), Vec::new());
        for name in names {
            match known.get(name) {
                // Another set has looked a moment ago.
                Some(known) if now.saturating_sub(known.at) < period / 2 => {}
                Some(known) if is_settled(&known.description) => settled.push((known.at, name.clone())),
                _ => due.push(name.clone()),
            }
        }
        settled.sort();
        due.extend(settled.into_iter().take(described_again(period)).map(|(_, name)| name));
        due
    }

    fn learn(&self, scope: &Scope, description: ClusterDescription, at: Duration) {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let name = description.name.clone();
        all.entry(scope.clone()).or_default().insert(name, Known { description, at });
    }

    fn forget(&self, scope: &Scope, name: &str) {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = all.get_mut(scope) {
            known.remove(name);
        }
    }

    /// Everything known of a region and role, by name.
    fn all(&self, scope: &Scope) -> Vec<ClusterDescription> {
        let all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let known = all.get(scope).map(BTreeMap::values);
        known.into_iter().flatten().map(|known| known.description.clone()).collect()
    }
}

fn is_settled(cluster: &ClusterDescription) -> bool {
    let at_rest = matches!(cluster.status, ClusterStatus::Active | ClusterStatus::Failed);
    at_rest && cluster.endpoint.is_some() && cluster.certificate_authority.is_some()
}

fn described_again(period: Duration) -> usize {
    let by_time = usize::try_from(period.as_secs()).unwrap_or(usize::MAX);
    by_time.saturating_mul(DESCRIBED_AGAIN_PER_SECOND).max(DESCRIBED_AGAIN_MIN)
}

#[cfg(test)]
mod tests {
    use super::*;

    const PERIOD: Duration = Duration::from_secs(5);

    fn scope() -> Scope {
        Scope::own(Region::new("eu-west-1"))
    }

    fn cluster(name: &str, status: ClusterStatus) -> ClusterDescription {
        ClusterDescription {
            name: name.to_owned(),
            arn: String::new(),
            status,
            endpoint: Some("https://x".to_owned()),
            certificate_authority: Some("Q0E=".to_owned()),
            version: None,
            created: None,
            tags: BTreeMap::new(),
        }
    }

    #[test]
    fn h_65_what_is_known_is_described_in_turn() {
        let known = Descriptions::default();
        let names: Vec<String> = (0..50).map(|n| format!("c{n:02}")).collect();
        assert_eq!(known.due(&scope(), &names, Duration::ZERO, PERIOD).len(), 50, "all are new");
        for (index, name) in names.iter().enumerate() {
            let status = if index == 7 { ClusterStatus::Deleting } else { ClusterStatus::Active };
            known.learn(&scope(), cluster(name, status), Duration::from_secs(index as u64));
        }
        let now = Duration::from_secs(100);
        let due = known.due(&scope(), &names, now, PERIOD);
        assert_eq!(due.len(), DESCRIBED_AGAIN_MIN + 1);
        assert_eq!(
            (due[0].as_str(), due[1].as_str()),
            ("c07", "c00"),
            "what moves comes first, then the oldest"
        );
        for name in &due {
            known.learn(&scope(), cluster(name, ClusterStatus::Active), now);
        }
        assert_eq!(known.due(&scope(), &names, now + PERIOD, PERIOD)[0], "c21");
        assert_eq!(described_again(Duration::from_secs(60)), 120);
    }

    #[test]
    fn two_sets_of_one_account_share_what_they_know() {
        let known = Descriptions::default();
        let names = ["a".to_owned()];
        known.learn(&scope(), cluster("a", ClusterStatus::Active), Duration::from_secs(10));
        assert!(known.due(&scope(), &names, Duration::from_secs(11), PERIOD).is_empty());
        assert_eq!(known.due(&scope(), &names, Duration::from_secs(13), PERIOD), names);
        known.due(&scope(), &[], Duration::from_secs(13), PERIOD);
        assert!(known.all(&scope()).is_empty(), "what is listed no more is forgotten");
    }

    #[test]
    fn a_generator_looks_into_every_region_with_its_role() {
        let source = |value| serde_json::from_value::<AwsEksClusters>(value).unwrap();
        let own = Region::new("eu-west-1");
        let both = source(serde_json::json!({
            "regions": ["us-east-1", "eu-west-1", "us-east-1"], "roleARN": "arn:aws:iam::1:role/r",
            "externalID": "x", "sessionName": "okra-web",
        }));
        let found = scopes(&both, Some(&own)).unwrap();
        assert_eq!(found.len(), 2);
        let role = found[1].role.clone().unwrap();
        assert_eq!(
            (role.external_id.as_deref(), role.session_name.as_deref()),
            (Some("x"), Some("okra-web"))
        );
        assert_eq!(scopes(&source(serde_json::json!({})), Some(&own)).unwrap(), [Scope::own(own)]);
        assert!(scopes(&source(serde_json::json!({})), None).is_err());
    }
}
