use okra_api::cluster_set::AwsEksClusters;
use okra_api::names::{ANNOTATION_CLUSTER_STATUS, FIELD_MANAGER, LABEL_CLUSTER_SET};
use okra_aws::{ClusterDescription, ClusterStatus, Region, Scope};
use serde_json::{Value, json};

use super::super::candidate::{is_selected, of_eks};
use super::*;

const APART: Duration = Duration::from_secs(15);

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(second).unwrap()
}

fn found(second: i64) -> Evidence {
    Evidence::Complete { at: at(second), apart: APART }
}

fn eks_in(region: &str, name: &str, status: ClusterStatus) -> Candidate {
    let description = ClusterDescription {
        name: name.into(),
        arn: format!("arn:aws:eks:{region}:123456789012:cluster/{name}"),
        status,
        endpoint: Some(format!("https://{name}.{region}")),
        certificate_authority: Some("Q0E=".into()),
        version: Some("1.36".into()),
        created: None,
        tags: [("role".to_owned(), "web".to_owned())].into(),
    };
    assert!(is_selected(&AwsEksClusters::default(), &description));
    of_eks(&Scope::own(Region::new(region)), &description)
}

fn eks(name: &str) -> Candidate {
    eks_in("eu-west-1", name, ClusterStatus::Active)
}

/// A management API of one namespace and one set.
struct World {
    spec: ClusterSetSpec,
    others: BTreeSet<String>,
    secrets: Vec<Secret>,
    missing: Vec<MissingCluster>,
}

impl World {
    fn new(spec: Value) -> Self {
        let spec = serde_json::from_value(spec).unwrap();
        Self { spec, others: BTreeSet::new(), secrets: Vec::new(), missing: Vec::new() }
    }

    fn plan(&self, candidates: &[Candidate], evidence: Evidence) -> Plan {
        let owner = Owner::Uid("u1".to_owned());
        plan(&Observed {
            asker: Asker { name: "web", uid: "u1", others: &self.others },
            spec: &self.spec,
            namespace: "argocd",
            owner: &owner,
            candidates,
            secrets: &self.secrets,
            missing: &self.missing,
            evidence,
        })
    }

    /// Plans and carries the plan out.
    fn pass(&mut self, candidates: &[Candidate], evidence: Evidence) -> Plan {
        let plan = self.plan(candidates, evidence);
        for write in &plan.writes {
            self.secrets.retain(|secret| secret.name_any() != write.secret.name_any());
            self.secrets.push(stored(&write.secret));
        }
        self.secrets.retain(|secret| !plan.deletes.contains(&secret.name_any()));
        self.missing.clone_from(&plan.missing);
        plan
    }

    fn names(&self) -> Vec<String> {
        let mut names: Vec<String> = self.secrets.iter().map(ResourceExt::name_any).collect();
        names.sort();
        names
    }

    fn put(&mut self, name: &str, server: &str, labels: Value) {
        let secret = json!({
            "metadata": {"name": name, "namespace": "argocd", "labels": labels},
            "stringData": {"server": server},
        });
        self.secrets.push(serde_json::from_value(secret).unwrap());
    }
}

/// The secret as an API server keeps it after okra has applied it.
fn stored(secret: &Secret) -> Secret {
    let fields = |map: &Value| -> Value {
        map.as_object().into_iter().flatten().map(|(key, _)| (format!("f:{key}"), json!({}))).collect()
    };
    let value = serde_json::to_value(secret).unwrap();
    let metadata = &value["metadata"];
    let owned = json!({
        "f:data": fields(&value["data"]), "f:type": {},
        "f:metadata": {"f:labels": fields(&metadata["labels"]), "f:annotations": fields(&metadata["annotations"])},
    });
    let mut stored = value;
    stored["metadata"]["managedFields"] =
        json!([{"manager": FIELD_MANAGER, "operation": "Apply", "fieldsV1": owned}]);
    serde_json::from_value(stored).unwrap()
}

fn argo() -> Value {
    json!({LABEL_SECRET_TYPE: SECRET_TYPE_CLUSTER})
}

#[test]
fn a_second_pass_writes_nothing() {
    let mut world = World::new(json!({}));
    let clusters = [eks("c1"), eks("c2")];
    assert_eq!(world.pass(&clusters, found(0)).writes.len(), 2);
    let second = world.pass(&clusters, found(30));
    assert_eq!((second.writes, second.held, second.clusters), (vec![], 2, vec!["c1".into(), "c2".into()]));
}

#[test]
fn h_52_a_changed_endpoint_is_written() {
    let mut world = World::new(json!({}));
    world.pass(&[eks("c1")], found(0));
    let mut moved = eks("c1");
    let State::Ready(access) = &mut moved.state else { panic!() };
    access.server = "https://other".to_owned();
    let plan = world.pass(&[moved], found(30));
    assert_eq!((plan.writes.len(), plan.writes[0].adopts), (1, false));
    assert_eq!(server_of(&world.secrets[0]).as_deref(), Some("https://other"));
}

#[test]
fn a_label_that_the_template_names_no_more_is_a_change() {
    let mut world = World::new(json!({"template": {"metadata": {"labels": {"service": "web"}}}}));
    world.pass(&[eks("c1")], found(0));
    world.spec.template = Default::default();
    assert_eq!(world.pass(&[eks("c1")], found(30)).writes.len(), 1);
    assert_eq!(world.pass(&[eks("c1")], found(60)).writes.len(), 0);
}

#[test]
fn h_51_a_cluster_goes_only_after_two_complete_discoveries() {
    let mut world = World::new(json!({}));
    world.pass(&[eks("c1"), eks("c2")], found(0));
    let first = world.pass(&[eks("c1")], found(30));
    assert_eq!((first.deletes.len(), first.missing[0].since), (0, Some(at(30))));
    // The same discovery again, one that failed, and one too soon after prove nothing.
    for evidence in [Evidence::None, found(30), found(31)] {
        let plan = world.pass(&[eks("c1")], evidence);
        assert_eq!((plan.deletes.len(), plan.missing.len()), (0, 1), "{evidence:?}");
    }
    let second = world.pass(&[eks("c1")], found(60));
    assert_eq!((second.deletes, second.missing, second.held), (vec!["c2".to_owned()], vec![], 1));
}

#[test]
fn a_cluster_that_is_found_again_begins_anew() {
    let mut world = World::new(json!({}));
    world.pass(&[eks("c1"), eks("c2")], found(0));
    world.pass(&[eks("c1")], found(30));
    assert_eq!(world.pass(&[eks("c1"), eks("c2")], found(60)).missing, vec![]);
    assert_eq!(world.pass(&[eks("c1")], found(90)).deletes.len(), 0);
    assert_eq!(world.pass(&[eks("c1")], found(120)).deletes.len(), 1);
}

#[test]
fn h_51_never_all_at_once() {
    let mut world = World::new(json!({}));
    world.pass(&[eks("c1"), eks("c2"), eks("c3")], found(0));
    for second in [30, 60, 90] {
        let plan = world.pass(&[], found(second));
        assert_eq!(plan.deletes.len(), 0);
        assert_eq!(plan.refusal.is_some(), second > 30);
    }
    assert_eq!(world.names(), ["c1", "c2", "c3"]);
    let refusal = world.plan(&[], found(120)).refusal.unwrap();
    assert_eq!((refusal.held, refusal.limit, refusal.secrets.len()), (3, 2, 3));
    world.spec.max_deletion_percent = Some(100);
    assert_eq!(world.pass(&[], found(150)).deletes.len(), 3, "by somebody's word");
}

#[test]
fn the_only_cluster_may_go_and_a_share_may_be_named() {
    let mut world = World::new(json!({}));
    world.pass(&[eks("c1")], found(0));
    world.pass(&[], found(30));
    assert_eq!(world.pass(&[], found(60)).deletes, ["c1"]);

    let mut world = World::new(json!({"maxDeletionPercent": 25}));
    let all = [eks("c1"), eks("c2"), eks("c3"), eks("c4")];
    world.pass(&all, found(0));
    world.pass(&all[2..], found(30));
    assert_eq!(world.pass(&all[2..], found(60)).refusal.unwrap().limit, 1);
    assert_eq!(world.pass(&all[1..], found(90)).deletes, ["c1"]);
}

#[test]
fn h_51_secrets_of_others_stay_whatever_their_labels() {
    let mut world = World::new(json!({"template": {"metadata": {"labels": {"service": "web"}}}}));
    world.put("by-hand", "https://hand", json!({LABEL_SECRET_TYPE: "cluster", "service": "web"}));
    world.put("others", "https://others", json!({LABEL_SECRET_TYPE: "cluster", LABEL_CLUSTER_SET: "api"}));
    world.put("marked", "https://marked", json!({LABEL_SECRET_TYPE: "cluster", LABEL_CLUSTER_SET: "web"}));
    for second in [0, 30, 60, 90] {
        world.pass(&[eks("c1")], found(second));
    }
    assert_eq!(world.names(), ["by-hand", "c1", "marked", "others"]);
}

#[test]
fn a_secret_without_the_marker_is_adopted_only_for_the_same_server() {
    let mut world = World::new(json!({}));
    world.put("c1", "https://c1.eu-west-1/", argo());
    world.put("c2", "https://elsewhere", argo());
    let plan = world.pass(&[eks("c1"), eks("c2")], found(0));
    assert_eq!((plan.writes.len(), plan.writes[0].adopts), (1, true));
    assert_eq!(plan.left_out[0].reason, CONFLICT);
    assert!(plan.left_out[0].message.contains("https://elsewhere"), "{:?}", plan.left_out);
    assert_eq!(world.plan(&[eks("c1"), eks("c2")], found(30)).writes, vec![]);
}

#[test]
fn a_server_is_not_described_twice() {
    let mut world = World::new(json!({}));
    world.put("cluster-10.0.0.1", "https://c1.eu-west-1", argo());
    let plan = world.pass(&[eks("c1")], found(0));
    assert_eq!((plan.writes.len(), plan.left_out[0].reason.as_str()), (0, CONFLICT));
}

#[test]
fn h_59_clusters_of_one_name_in_two_regions_are_told_apart() {
    let mut world = World::new(json!({}));
    let both =
        [eks_in("eu-west-1", "c1", ClusterStatus::Active), eks_in("us-east-1", "c1", ClusterStatus::Active)];
    world.pass(&both, found(0));
    let names = world.names();
    assert_eq!((names.len(), names[0].as_str()), (2, "c1"));
    assert!(names[1].starts_with("c1-"), "{names:?}");
    // Names stay with their clusters, also when the first one goes.
    world.pass(&both[1..], found(30));
    world.pass(&both[1..], found(60));
    assert_eq!(world.names(), names[1..]);
    assert_eq!(world.pass(&both[1..], found(90)).writes, vec![]);
}

#[test]
fn a_name_that_another_set_holds_for_another_server_is_avoided() {
    let mut world = World::new(json!({}));
    world.put("c1", "https://elsewhere", json!({LABEL_SECRET_TYPE: "cluster", LABEL_CLUSTER_SET: "api"}));
    assert!(world.pass(&[eks("c1")], found(0)).left_out.is_empty());
    assert!(world.names()[1].starts_with("c1-"));

    let mut world = World::new(json!({}));
    world.put("c1", "https://c1.eu-west-1", json!({LABEL_SECRET_TYPE: "cluster", LABEL_CLUSTER_SET: "api"}));
    let plan = world.pass(&[eks("c1")], found(0));
    assert!(plan.left_out[0].message.contains("ClusterSet api"), "{:?}", plan.left_out);
}

#[test]
fn a_cluster_being_deleted_is_marked_at_once_and_freed_when_it_is_back() {
    let mut world = World::new(json!({}));
    world.pass(&[eks("c1")], found(0));
    let going = [eks_in("eu-west-1", "c1", ClusterStatus::Deleting)];
    let plan = world.pass(&going, Evidence::None);
    let mark = |secret: &Secret| secret.annotations().get(ANNOTATION_CLUSTER_STATUS).cloned();
    assert_eq!(mark(&world.secrets[0]).as_deref(), Some("DELETING"));
    assert_eq!((plan.left_out[0].reason.as_str(), plan.deletes.len()), (CLUSTER_DELETING, 0));
    assert_eq!(world.pass(&going, found(30)).writes, vec![]);
    world.pass(&[eks("c1")], found(60));
    assert_eq!(mark(&world.secrets[0]), None);
}

#[test]
fn h_08_a_cluster_that_is_made_has_no_secret_yet_and_one_that_failed_keeps_its_own() {
    let mut world = World::new(json!({}));
    let plan = world.pass(&[eks_in("eu-west-1", "c1", ClusterStatus::Creating)], found(0));
    assert_eq!((plan.writes.len(), plan.left_out[0].reason.as_str()), (0, "NotReady"));
    world.pass(&[eks("c1")], found(30));
    for second in [60, 90, 120] {
        let plan = world.pass(&[eks_in("eu-west-1", "c1", ClusterStatus::Failed)], found(second));
        assert_eq!((plan.deletes.len(), plan.missing.len()), (0, 0));
    }
}

#[test]
fn h_58_a_bad_template_stops_one_cluster_and_not_the_set() {
    let mut world = World::new(json!({"template": {"metadata": {"labels": {"site": "{{.tags.site}}"}}}}));
    let mut with = eks("c2");
    with.facts.tags.insert("site".to_owned(), "north".to_owned());
    let plan = world.pass(&[eks("c1"), with], found(0));
    assert_eq!((plan.writes.len(), plan.left_out[0].name.as_str()), (1, "c1"));
    assert_eq!(plan.left_out[0].reason, INVALID_TEMPLATE);
}

#[test]
fn the_order_of_sources_and_secrets_changes_nothing() {
    let mut world = World::new(json!({}));
    world.put("c3", "https://elsewhere", argo());
    world.pass(&[eks("c1"), eks("c2")], found(0));
    let candidates = [eks("c2"), eks("c3"), eks_in("us-east-1", "c2", ClusterStatus::Active)];
    let forward = world.plan(&candidates, found(30));
    world.secrets.reverse();
    let backward: Vec<Candidate> = candidates.into_iter().rev().collect();
    assert_eq!(world.plan(&backward, found(30)), forward);
}
