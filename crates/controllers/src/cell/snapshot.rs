//! Everything that the plan of one Cell depends on, read afresh: no cache,
//! so that a failed run is never seen without the blocklist beside it
//! (`spec/okra.md` 3). What cannot be read makes the view incomplete; it is
//! never taken for "nothing there".

use std::collections::BTreeSet;
use std::fmt::Debug;
use std::sync::{Mutex, PoisonError};

use futures::join;
use k8s_openapi::api::core::v1::Secret;
use kube::api::ListParams;
use kube::core::NamespaceResourceScope;
use kube::{Resource, ResourceExt as _};
use okra_api::cell::Cell;
use okra_api::names::{
    ANNOTATION_CLUSTER_STATUS, ANNOTATION_RETIRED, CLUSTER_SECRETS, LABEL_CELL, LABEL_LEGACY_CELL,
};
use okra_api::observe::{CellView, Facts, observe};
use okra_api::write::label_value;
use okra_api::{
    AWSApplicationLoadBalancerConfig, AWSNetworkLoadBalancerConfig, AWSTargetGroup, AnalysisRun, Experiment,
    Lenient, Pause, VersionBlocklist,
};
use okra_aws::{LoadBalancers, Meaning, Rule, RulePriority};
use okra_domain::ListenerArn;
use okra_domain::cell::{ConfigEntry, LiveRule};
use serde::de::DeserializeOwned;

use super::facts::{Questions, Secrets};
use super::lookout::Lookout;
use crate::Context;

/// Annotation value of a cluster that EKS is deleting (`spec/okra.md` 3.1.5-4).
const CLUSTER_DELETING: &str = "DELETING";
/// Weight of a target group for which AWS reports none: it is the only one.
const WEIGHT_OF_SINGLE: u32 = 100;

/// Objects as they were read.
pub struct Snapshot {
    pub cell: Lenient<Cell>,
    pub target_groups: Vec<Lenient<AWSTargetGroup>>,
    pub alb_config: Option<Lenient<AWSApplicationLoadBalancerConfig>>,
    pub nlb_config: Option<Lenient<AWSNetworkLoadBalancerConfig>>,
    pub pauses: Vec<Lenient<Pause>>,
    pub runs: Vec<Lenient<AnalysisRun>>,
    pub experiments: Vec<Lenient<Experiment>>,
    pub blocklist: Option<Lenient<VersionBlocklist>>,
    pub facts: Facts,
}

impl Snapshot {
    /// Reads everything; `None` when the Cell is gone.
    ///
    /// # Errors
    /// When the Cell itself cannot be read.
    pub async fn read(
        context: &Context,
        lookout: &Lookout,
        namespace: &str,
        name: &str,
    ) -> Result<Option<Self>, kube::Error> {
        let Some(cell) = context.namespaced::<Lenient<Cell>>(namespace).get_opt(name).await? else {
            return Ok(None);
        };
        let reader = Reader { context, namespace, incomplete: Mutex::default() };
        let everything = [ListParams::default()];
        let labelled = |key: &str| ListParams::default().labels(&format!("{key}={}", label_value(name)));
        // Components of the Go program bear its own label; they matter until
        // the Cell has been taken over.
        let taken_over =
            cell.valid().and_then(|cell| cell.status.as_ref()?.stable_version.as_ref()).is_some();
        let selectors: Vec<ListParams> = std::iter::once(LABEL_CELL)
            .chain((!taken_over).then_some(LABEL_LEGACY_CELL))
            .map(labelled)
            .collect();
        // All at once: a pass takes as long as the slowest read, not as their sum.
        let (target_groups, configs, components, blocklist, secrets) = join!(
            reader.list(&everything),
            async { join!(reader.get(name), reader.get(name)) },
            async { join!(reader.list(&selectors), reader.list(&selectors), reader.list(&selectors)) },
            reader.get(name),
            reader.secrets(),
        );
        let ((alb_config, nlb_config), (pauses, runs, experiments)) = (configs, components);
        let leaving_clusters = secrets.leaving.clone();
        let facts = Facts { leaving_clusters, weight_mode: context.settings.weight_mode, ..Facts::default() };
        let mut snapshot =
            Self { cell, target_groups, alb_config, nlb_config, pauses, runs, experiments, blocklist, facts };
        snapshot.facts.live_rule = reader.live_rule(&snapshot).await;
        reader.ask(lookout, &mut snapshot, &secrets).await;
        snapshot.facts.incomplete = reader.incomplete.into_inner().unwrap_or_else(PoisonError::into_inner);
        // The order in which reads failed must not reach a message.
        snapshot.facts.incomplete.sort();
        Ok(Some(snapshot))
    }

    /// The same as the planner's border wants to see it.
    pub fn view(&self) -> CellView<'_> {
        CellView {
            cell: &self.cell,
            target_groups: self.target_groups.iter().collect(),
            alb_config: self.alb_config.as_ref(),
            nlb_config: self.nlb_config.as_ref(),
            pauses: self.pauses.iter().collect(),
            runs: self.runs.iter().collect(),
            experiments: self.experiments.iter().collect(),
            blocklist: self.blocklist.as_ref(),
            facts: self.facts.clone(),
        }
    }

    /// Whether there is a config that names target groups.
    fn has_config(&self) -> bool {
        match &self.alb_config {
            Some(Lenient::Valid(config)) => !config.spec.target_groups().is_empty(),
            Some(Lenient::Malformed(_)) => true,
            None => false,
        }
    }
}

struct Reader<'a> {
    context: &'a Context,
    namespace: &'a str,
    incomplete: Mutex<Vec<String>>,
}

/// Bounds of what is read here.
trait Readable:
    Resource<Scope = NamespaceResourceScope, DynamicType = ()> + Clone + DeserializeOwned + Debug
{
}
impl<K> Readable for K where
    K: Resource<Scope = NamespaceResourceScope, DynamicType = ()> + Clone + DeserializeOwned + Debug
{
}

impl Reader<'_> {
    fn miss(&self, what: String) {
        self.incomplete.lock().unwrap_or_else(PoisonError::into_inner).push(what);
    }

    async fn list<K: Readable>(&self, selectors: &[ListParams]) -> Vec<K> {
        let api = self.context.namespaced::<K>(self.namespace);
        let mut found: Vec<K> = Vec::new();
        for selector in selectors {
            match api.list(selector).await {
                Ok(list) => found.extend(list.items),
                Err(error) => self.miss(format!("{} cannot be listed: {error}", K::plural(&()))),
            }
        }
        let mut seen = BTreeSet::new();
        found.retain(|object| seen.insert(object.name_any()));
        found
    }

    async fn get<K: Readable>(&self, name: &str) -> Option<K> {
        match self.context.namespaced::<K>(self.namespace).get_opt(name).await {
            Ok(object) => object,
            Err(error) => {
                self.miss(format!("{} {name} cannot be read: {error}", K::kind(&())));
                None
            }
        }
    }

    async fn secrets(&self) -> Secrets {
        let clusters = ListParams::default().labels(CLUSTER_SECRETS);
        let found = match self.context.namespaced::<Secret>(self.namespace).list_metadata(&clusters).await {
            Ok(list) => list.items,
            Err(error) => {
                self.miss(format!("cluster secrets cannot be listed: {error}"));
                return Secrets::default();
            }
        };
        let mut secrets = Secrets::default();
        for secret in found {
            let name = secret.name_any();
            let annotations = secret.annotations();
            if annotations.get(ANNOTATION_CLUSTER_STATUS).is_some_and(|word| word == CLUSTER_DELETING) {
                secrets.leaving.insert(name.clone());
            }
            if annotations.contains_key(ANNOTATION_RETIRED) {
                secrets.retired.insert(name.clone());
            }
            secrets.versions.insert(name, secret.metadata.resource_version.clone());
        }
        secrets
    }

    /// Adds what member clusters and CloudWatch have said by now.
    async fn ask(&self, lookout: &Lookout, snapshot: &mut Snapshot, secrets: &Secrets) {
        let Some(cell) = snapshot.cell.valid() else { return };
        let observed = observe(&snapshot.view());
        let questions = Questions::of(cell, &observed, secrets);
        let key = (self.namespace.to_owned(), cell.name_any());
        let answers = lookout.ask(&key, &questions.all(), &secrets.versions);
        snapshot.facts.workloads = questions.workloads(&answers);
        let weighted = match questions.await_retirement() {
            true => self.weighted_elsewhere(&cell.name_any()).await,
            false => Some(BTreeSet::new()),
        };
        if let Some(weighted) = weighted {
            snapshot.facts.retirement = questions.retirement(&answers, &observed, &weighted);
        }
    }

    /// The ARNs to which other configs give weight; `None` when one cannot be
    /// read, because then nobody knows.
    async fn weighted_elsewhere(&self, own: &str) -> Option<BTreeSet<String>> {
        let api = self.context.watched::<Lenient<AWSApplicationLoadBalancerConfig>>();
        let configs = match api.list(&ListParams::default()).await {
            Ok(list) => list.items,
            Err(error) => {
                tracing::warn!(cell = own, %error, "no cluster is marked as retired: the configs cannot be listed");
                return None;
            }
        };
        let is_own = |config: &Lenient<AWSApplicationLoadBalancerConfig>| {
            config.name_any() == own && config.namespace().as_deref() == Some(self.namespace)
        };
        let mut weighted = BTreeSet::new();
        for config in configs.iter().filter(|config| !is_own(config)) {
            let groups = config.valid()?.spec.target_groups();
            weighted.extend(
                groups.iter().filter(|group| group.weight.unwrap_or(0) > 0).map(|group| group.arn.clone()),
            );
        }
        Some(weighted)
    }

    /// The rule on AWS, as long as no config says what it shall be (3.4.2-5).
    async fn live_rule(&self, snapshot: &Snapshot) -> Option<LiveRule> {
        let cell = snapshot.cell.valid().filter(|_| !snapshot.has_config())?;
        let Ok(okra_api::cell::EntryPoint::Alb(alb)) = cell.spec.entry_point() else { return None };
        let listener: ListenerArn = alb.listener_arn.parse().ok()?;
        let rule = alb.listener.and_then(|listener| listener.rule).unwrap_or_default();
        let priority = u32::try_from(rule.effective_priority()).ok()?;
        match find_rule(self.context.load_balancers.as_ref(), &listener, priority).await {
            Ok(found) => found.map(|rule| LiveRule { entries: entries(&rule) }),
            // The load balancer controller says so on the config, once there is one.
            Err(error) if error.meaning == Meaning::Absent => None,
            Err(error) => {
                self.miss(format!("the live rule cannot be read: {error}"));
                None
            }
        }
    }
}

async fn find_rule(
    load_balancers: &dyn LoadBalancers,
    listener: &ListenerArn,
    priority: u32,
) -> Result<Option<Rule>, okra_aws::AwsError> {
    let rules = load_balancers.rules(listener).await?;
    Ok(rules.into_iter().find(|rule| rule.priority == RulePriority::Number(priority)))
}

fn entries(rule: &Rule) -> Vec<ConfigEntry> {
    let groups = rule.forward().map(|forward| forward.target_groups.as_slice()).unwrap_or_default();
    groups
        .iter()
        .map(|group| ConfigEntry {
            name: group.arn.name().to_owned(),
            arn: group.arn.as_str().to_owned(),
            weight: group.weight.unwrap_or(WEIGHT_OF_SINGLE),
        })
        .collect()
}
