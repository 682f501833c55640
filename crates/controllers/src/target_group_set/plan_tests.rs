use std::collections::{BTreeMap, BTreeSet};

use serde_json::json;

use super::*;

const ARN: &str = "arn:aws:elasticloadbalancing:us-east-1:123456789012:targetgroup/web/0123456789abcdef";

fn arn(name: &str) -> String {
    ARN.replace("/web/", &format!("/{name}/"))
}

fn spec(value: serde_json::Value) -> AWSTargetGroupSetSpec {
    serde_json::from_value(value).unwrap()
}

fn any() -> AWSTargetGroupSetSpec {
    spec(json!({"generators": [{"awseks": {}}]}))
}

fn binding(name: &str, arn: &str) -> Binding {
    Binding { namespace: "default".into(), name: name.into(), arn: Some(arn.into()), ..Binding::default() }
}

fn cluster(name: &str, bindings: Vec<Binding>) -> Cluster {
    Cluster { name: name.into(), labels: BTreeMap::new(), facts: facts(name), bindings: Ok(bindings) }
}

fn silent(name: &str) -> Cluster {
    let bindings = Err(Unreachable { message: "connection refused".into() });
    Cluster { name: name.into(), labels: BTreeMap::new(), facts: facts(name), bindings }
}

fn facts(name: &str) -> ClusterFacts {
    ClusterFacts {
        name: name.into(),
        region: "us-east-1".into(),
        account_id: "123456789012".into(),
        tags: [("site".to_owned(), format!("{name}-site"))].into(),
        ..ClusterFacts::default()
    }
}

fn owner() -> OwnerReference {
    OwnerReference { name: "web".into(), uid: "u1".into(), ..OwnerReference::default() }
}

fn run(spec: &AWSTargetGroupSetSpec, clusters: Vec<Cluster>, existing: &[AWSTargetGroup]) -> Plan {
    let known_clusters: BTreeSet<String> = clusters.iter().map(|cluster| cluster.name.clone()).collect();
    let owner = owner();
    plan(&Observed {
        set: "web",
        namespace: "default",
        owner: &owner,
        spec,
        clusters,
        existing,
        known_clusters,
    })
}

/// The object as an API server keeps it after okra has applied it.
fn object(desired: &Desired) -> AWSTargetGroup {
    let keys: serde_json::Value = desired
        .labels
        .keys()
        .map(|key| (format!("f:{key}"), json!({})))
        .collect::<serde_json::Map<_, _>>()
        .into();
    let fields = json!({"f:spec": {"f:arn": {}}, "f:metadata": {"f:labels": keys}});
    let metadata = json!({
        "name": desired.name, "namespace": "default", "labels": desired.labels, "ownerReferences": [owner()],
        "managedFields": [{"manager": "okra", "operation": "Apply", "fieldsV1": fields}],
    });
    let status = json!({"healthyTargets": 1});
    let object = json!({"metadata": metadata, "spec": {"arn": desired.arn}, "status": status});
    serde_json::from_value(object).unwrap()
}

#[test]
fn h_53_equal_bindings_of_two_clusters_give_two_objects() {
    let plan = run(
        &any(),
        vec![cluster("c1", vec![binding("web", &arn("a"))]), cluster("c2", vec![binding("web", &arn("b"))])],
        &[],
    );
    let names: Vec<&str> = plan.apply.iter().map(|desired| desired.name.as_str()).collect();
    assert_eq!(names, ["c1-default-web", "c2-default-web"]);
    assert_eq!(plan.apply[0].labels[LABEL_BINDING_CLUSTER], "c1");
    assert_eq!(plan.held, 2);
}

#[test]
fn a_second_pass_writes_nothing() {
    let clusters = vec![cluster("c1", vec![binding("web", &arn("a"))])];
    let first = run(&any(), clusters.clone(), &[]);
    let existing: Vec<AWSTargetGroup> = first.apply.iter().map(object).collect();
    let second = run(&any(), clusters, &existing);
    assert_eq!((second.apply, second.delete, second.held), (vec![], vec![], 1));
}

#[test]
fn h_54_only_own_objects_of_reachable_clusters_go() {
    let first = run(
        &any(),
        vec![cluster("c1", vec![binding("web", &arn("a"))]), cluster("c2", vec![binding("web", &arn("b"))])],
        &[],
    );
    let mut existing: Vec<AWSTargetGroup> = first.apply.iter().map(object).collect();
    let by_hand = json!({"metadata": {"name": "mine", "labels": {"role": "web"}}, "spec": {"arn": arn("c")}});
    existing.push(serde_json::from_value(by_hand).unwrap());
    let plan = run(&any(), vec![cluster("c1", vec![]), silent("c2")], &existing);
    assert_eq!(plan.delete, ["c1-default-web"]);
    assert_eq!(plan.unreachable["c2"], "connection refused");
    assert_eq!(plan.held, 1);
}

#[test]
fn h_55_an_empty_selector_selects_every_cluster_and_one_that_selects_none_leaves_nothing_behind() {
    let clusters = vec![cluster("c1", vec![binding("web", &arn("a"))])];
    let first = run(&any(), clusters.clone(), &[]);
    assert_eq!(first.apply.len(), 1);
    let existing: Vec<AWSTargetGroup> = first.apply.iter().map(object).collect();
    let none =
        spec(json!({"generators": [{"awseks": {"clusterSelector": {"matchLabels": {"service": "x"}}}}]}));
    assert_eq!(run(&none, clusters, &existing).delete, ["c1-default-web"]);
}

#[test]
fn objects_of_a_cluster_whose_secret_is_gone_go() {
    let first = run(&any(), vec![cluster("c1", vec![binding("web", &arn("a"))])], &[]);
    let existing: Vec<AWSTargetGroup> = first.apply.iter().map(object).collect();
    assert_eq!(run(&any(), vec![], &existing).delete, ["c1-default-web"]);
}

#[test]
fn h_57_an_unreachable_cluster_does_not_stop_the_others() {
    let plan = run(&any(), vec![silent("c1"), cluster("c2", vec![binding("web", &arn("b"))])], &[]);
    assert_eq!(plan.apply.len(), 1);
    assert_eq!(plan.clusters, ["c1", "c2"]);
}

#[test]
fn bindings_without_a_target_group_arn_are_skipped_and_named() {
    let mut without = binding("a", "");
    without.arn = None;
    let wrong = binding("b", "arn:aws:iam::123456789012:role/x");
    let mut going = binding("c", &arn("c"));
    going.deleting = true;
    let plan = run(&any(), vec![cluster("c1", vec![without, wrong, going, binding("d", &arn("d"))])], &[]);
    assert_eq!(plan.apply.len(), 1);
    assert_eq!(plan.skipped.len(), 2, "{:?}", plan.skipped);
    assert!(plan.skipped[1].contains("role/x"));
}

#[test]
fn h_63_a_member_cannot_set_reserved_labels() {
    let mut bound = binding("web", &arn("a"));
    bound.labels = BTreeMap::from([
        ("role".into(), "web".into()),
        (LABEL_VERSION.into(), "1.0.0".into()),
        ("okra.mumo.co/awstargetgroupset".into(), "other".into()),
        ("argocd.argoproj.io/secret-type".into(), "cluster".into()),
    ]);
    let plan = run(&any(), vec![cluster("c1", vec![bound.clone()])], &[]);
    let labels = &plan.apply[0].labels;
    assert_eq!(labels["role"], "web");
    assert_eq!(labels[LABEL_VERSION], "1.0.0");
    assert_eq!(labels[LABEL_TARGET_GROUP_SET], "web");
    assert!(!labels.contains_key("argocd.argoproj.io/secret-type"));

    let strict = spec(json!({
        "generators": [{"awseks": {}}], "labelPolicy": "Strict", "allowedLabels": ["role", LABEL_VERSION],
    }));
    let plan = run(&strict, vec![cluster("c1", vec![bound])], &[]);
    assert_eq!(plan.apply[0].labels["role"], "web");
    assert!(!plan.apply[0].labels.contains_key(LABEL_VERSION), "a member cannot announce a version");
}

#[test]
fn the_version_comes_from_template_then_binding_then_cluster() {
    let mut bound = binding("web", &arn("a"));
    let mut one = cluster("c1", vec![bound.clone()]);
    one.labels.insert(LABEL_VERSION.into(), "3.0.0".into());
    assert_eq!(run(&any(), vec![one.clone()], &[]).apply[0].labels[LABEL_VERSION], "3.0.0");
    bound.labels.insert(LABEL_VERSION.into(), "2.0.0".into());
    one.bindings = Ok(vec![bound]);
    assert_eq!(run(&any(), vec![one.clone()], &[]).apply[0].labels[LABEL_VERSION], "2.0.0");
    let template = json!({"metadata": {"labels": {LABEL_VERSION: "1.0.0"}}});
    let spec = spec(json!({"generators": [{"awseks": {}}], "template": template}));
    assert_eq!(run(&spec, vec![one], &[]).apply[0].labels[LABEL_VERSION], "1.0.0");
}

#[test]
fn h_56_an_object_of_the_go_program_is_adopted_by_its_arn() {
    let legacy = json!({
        "metadata": {"name": "default-web", "labels": {LABEL_BINDING_CLUSTER: "", "role": "web"}},
        "spec": {"arn": arn("a")},
    });
    let existing: Vec<AWSTargetGroup> = vec![serde_json::from_value(legacy).unwrap()];
    let plan = run(&any(), vec![cluster("c1", vec![binding("web", &arn("a"))])], &existing);
    assert_eq!(plan.apply[0].name, "default-web");
    assert_eq!(plan.apply[0].labels[LABEL_BINDING_CLUSTER], "c1");
    let other = run(&any(), vec![cluster("c1", vec![binding("web", &arn("b"))])], &existing);
    assert_eq!(other.apply[0].name, "c1-default-web", "another ARN is another group");
}

#[test]
fn a_foreign_object_keeps_its_name() {
    let foreign = json!({"metadata": {"name": "c1-default-web"}, "spec": {"arn": arn("x")}});
    let existing: Vec<AWSTargetGroup> = vec![serde_json::from_value(foreign).unwrap()];
    let plan = run(&any(), vec![cluster("c1", vec![binding("web", &arn("a"))])], &existing);
    assert!(plan.apply.is_empty());
    assert!(plan.skipped[0].contains("belongs to somebody else"));
}

#[test]
fn selectors_choose_clusters_and_bindings() {
    let spec = spec(json!({"generators": [{"awseks": {
        "clusterSelector": {"matchLabels": {"service": "web"}}, "bindingSelector": {"matchLabels": {"role": "web"}},
    }}]}));
    let mut bound = binding("web", &arn("a"));
    bound.labels.insert("role".into(), "web".into());
    let mut one = cluster("c1", vec![bound, binding("other", &arn("b"))]);
    assert!(run(&spec, vec![one.clone()], &[]).apply.is_empty());
    one.labels.insert("service".into(), "web".into());
    assert_eq!(run(&spec, vec![one], &[]).apply.len(), 1);
}

#[test]
fn h_58_template_values_are_expanded_and_a_bad_one_stops_one_object() {
    let label = |template: &str| {
        spec(
            json!({"generators": [{"awseks": {}}], "template": {"metadata": {"labels": {"site": template}}}}),
        )
    };
    let clusters =
        vec![cluster("c1", vec![binding("web", &arn("a"))]), cluster("c2", vec![binding("web", &arn("b"))])];
    let plan = run(&label("{{.tags.site}}"), clusters.clone(), &[]);
    assert_eq!(plan.apply[1].labels["site"], "c2-site");
    let existing: Vec<AWSTargetGroup> = plan.apply.iter().map(object).collect();
    let mut one = clusters;
    one[0].facts.tags.clear();
    let plan = run(&label("{{.tags.site}}"), one, &existing);
    assert!(plan.skipped[0].contains(".tags.site is unknown"), "{:?}", plan.skipped);
    assert_eq!((plan.apply, plan.delete, plan.held), (vec![], vec![], 2), "the object that is there stays");
}

#[test]
fn a_label_that_the_binding_has_no_more_goes() {
    let mut bound = binding("web", &arn("a"));
    bound.labels.insert("role".into(), "web".into());
    let first = run(&any(), vec![cluster("c1", vec![bound.clone()])], &[]);
    let mut existing: Vec<AWSTargetGroup> = first.apply.iter().map(object).collect();
    existing[0].metadata.labels.get_or_insert_default().insert("by-hand".into(), "1".into());
    assert!(run(&any(), vec![cluster("c1", vec![bound.clone()])], &existing).apply.is_empty());
    bound.labels.clear();
    assert_eq!(run(&any(), vec![cluster("c1", vec![bound])], &existing).apply.len(), 1);
}

#[test]
fn h_54_the_marker_alone_makes_no_object_the_sets_own() {
    let by_hand = json!({
        "metadata": {"name": "mine", "labels": {LABEL_TARGET_GROUP_SET: "web", LABEL_BINDING_CLUSTER: "c1"}},
        "spec": {"arn": arn("c")},
    });
    let existing: Vec<AWSTargetGroup> = vec![serde_json::from_value(by_hand).unwrap()];
    assert_eq!(run(&any(), vec![cluster("c1", vec![])], &existing).delete, Vec::<String>::new());
}

#[test]
fn two_sets_do_not_fight_over_one_binding() {
    let first = run(&any(), vec![cluster("c1", vec![binding("web", &arn("a"))])], &[]);
    let mut existing: Vec<AWSTargetGroup> = first.apply.iter().map(object).collect();
    existing[0].metadata.labels.get_or_insert_default().insert(LABEL_TARGET_GROUP_SET.into(), "other".into());
    let plan = run(&any(), vec![cluster("c1", vec![binding("web", &arn("a"))])], &existing);
    assert_eq!((plan.apply, plan.delete), (vec![], vec![]));
    assert!(plan.skipped[0].contains("AWSTargetGroupSet other"), "{:?}", plan.skipped);
}

#[test]
fn h_63_under_strict_a_member_names_groups_of_its_own_region_and_account_only() {
    let strict = |accounts: serde_json::Value| {
        spec(json!({"generators": [{"awseks": {}}], "labelPolicy": "Strict", "allowedAccounts": accounts}))
    };
    let elsewhere = arn("a").replace("us-east-1", "eu-west-1");
    let foreign = arn("b").replace("123456789012", "210987654321");
    let bindings = vec![binding("a", &elsewhere), binding("b", &foreign), binding("c", &arn("c"))];
    let clusters = vec![cluster("c1", bindings)];
    let plan = run(&strict(json!([])), clusters.clone(), &[]);
    assert_eq!((plan.apply.len(), plan.skipped.len()), (1, 2), "{:?}", plan.skipped);
    assert_eq!(run(&strict(json!(["210987654321"])), clusters.clone(), &[]).apply.len(), 2);
    assert_eq!(run(&any(), clusters, &[]).apply.len(), 3);
}
