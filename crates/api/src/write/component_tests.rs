use okra_domain::cell::{Observed, Plan, PlannedEntry, Role, Status};
use okra_domain::{RolloutId, Version};
use serde_json::{Value, json};

use super::*;
use crate::folder::Folder;
use crate::observe::observe;

const LISTENER: &str = "arn:aws:elasticloadbalancing:eu-west-1:111122223333:listener/app/web/1/2";

fn now() -> Timestamp {
    "2026-11-21T15:00:00.5Z".parse().unwrap()
}

fn group(name: &str, version: &str) -> Value {
    json!({
        "apiVersion": "okra.mumo.co/v1alpha1", "kind": "AWSTargetGroup",
        "metadata": {"name": name, "labels": {
            "okra.mumo.co/version": version, "okra.mumo.co/target-group-binding-cluster": format!("cluster-{name}")}},
        "spec": {"arn": arn(name)},
    })
}

fn arn(name: &str) -> String {
    format!("arn:aws:elasticloadbalancing:eu-west-1:111122223333:targetgroup/{name}/1")
}

/// A Cell with this strategy at 20 percent of 2.0.0.
fn world(strategy: Value) -> (Cell, Observed, Plan) {
    let cell = json!({
        "apiVersion": "okra.mumo.co/v1alpha1", "kind": "Cell",
        "metadata": {"name": "web", "namespace": "ns", "uid": "u1"},
        "spec": {
            "ingress": {"awsApplicationLoadBalancer": {"listenerARN": LISTENER}},
            "updateStrategy": strategy,
        },
    });
    let folder = Folder::from_objects(vec![cell, group("a1", "1.0.0"), group("b1", "2.0.0")]);
    let cell = folder.cells[0].valid().unwrap().clone();
    let mut view = crate::offline::view(&folder, &folder.cells[0]);
    view.target_groups = folder.target_groups.iter().collect();
    let entry = |name: &str, version: Version, role: Role, weight: u32| PlannedEntry {
        name: name.to_owned(),
        arn: arn(name),
        version: version.into(),
        role,
        weight,
    };
    let plan = Plan {
        entries: vec![
            entry("a1", Version::new(1, 0, 0), Role::Stable, 80),
            entry("b1", Version::new(2, 0, 0), Role::Canary, 20),
        ],
        config: None,
        create: vec![],
        terminate: vec![],
        delete: vec![],
        block: vec![],
        unblock: vec![],
        retire: vec![],
        status: Status { desired_version: Some(Version::new(2, 0, 0).into()), ..Status::default() },
        status_first: false,
        reasons: vec![],
        warnings: vec![],
        wake_at: None,
        needs_fresh_view: false,
    };
    (cell, observe(&view), plan)
}

fn component(step: StepReference, body: NewComponentBody) -> NewComponent {
    NewComponent { name: "web-r1-x".to_owned(), rollout_id: RolloutId::recorded("r1"), step, body }
}

fn templates(spec: Value) -> Templates {
    let spec = serde_json::from_value(spec).unwrap();
    Templates { namespaced: [("t".to_owned(), spec)].into(), ..Templates::default() }
}

fn made(
    strategy: Value,
    templates: &Templates,
    sets: &BTreeMap<String, Value>,
    component: &NewComponent,
) -> Result<Value, ComponentError> {
    let (cell, observed, plan) = world(strategy);
    let context = ComponentContext {
        cell: &cell,
        observed: &observed,
        plan: &plan,
        now: now(),
        templates,
        replica_sets: sets,
    };
    new_object(&context, component).map(|object| match object {
        NewObject::Pause(object) => serde_json::to_value(object).unwrap(),
        NewObject::AnalysisRun(object) => serde_json::to_value(object).unwrap(),
        NewObject::Experiment(object) => serde_json::to_value(object).unwrap(),
    })
}

fn pause(expires_at: Option<Timestamp>) -> Value {
    let component = component(StepReference::Index(1), NewComponentBody::Pause { expires_at });
    made(json!({}), &Templates::default(), &BTreeMap::new(), &component).unwrap()
}

fn run(strategy: Value, templates: &Templates, step: StepReference) -> Result<Value, ComponentError> {
    made(strategy, templates, &BTreeMap::new(), &component(step, NewComponentBody::AnalysisRun))
}

#[test]
fn h_78_a_pause_carries_qualified_labels_and_its_owner() {
    assert_eq!(
        pause(Some(now())),
        json!({
            "apiVersion": "okra.mumo.co/v1alpha1", "kind": "Pause",
            "metadata": {
                "name": "web-r1-x", "namespace": "ns",
                "labels": {
                    "okra.mumo.co/cell": "web", "okra.mumo.co/rollout-id": "r1", "okra.mumo.co/step-index": "1",
                },
                "ownerReferences": [{"apiVersion": "okra.mumo.co/v1alpha1", "kind": "Cell", "name": "web",
                    "uid": "u1", "controller": true, "blockOwnerDeletion": true}],
            },
            "spec": {"expireTime": "2026-11-21T15:00:00.5Z"},
        })
    );
    assert_eq!(pause(None)["spec"], json!({"indefinite": true}));
}

#[test]
fn a_run_knows_its_side_and_the_version_it_judges() {
    let metric = json!({"name": "m", "interval": "1m", "count": 3, "provider": {"web": {
        "url": "http://x/{{args.okra.canary.targetGroup}}/{{args.version}}"}}});
    let templates = templates(
        json!({"metrics": [metric], "args": [{"name": "version"}, {"name": "limit", "value": "1"}]}),
    );
    let strategy = json!({"canary": {"steps": [{"setWeight": 20}, {"analysis": {
        "templates": [{"templateName": "t"}],
        "args": [{"name": "version", "valueFrom": {"fieldRef": {"fieldPath": "status.desiredVersion"}}}],
        "analysisRunMetadata": {"labels": {"team": "a", "okra.mumo.co/cell": "forged"}, "annotations": {"n": "1"}},
        "cluster": "canary",
    }}]}});
    let run = run(strategy, &templates, StepReference::Index(1)).unwrap();
    assert_eq!(
        run["metadata"]["labels"],
        json!({
            "okra.mumo.co/cell": "web", "okra.mumo.co/rollout-id": "r1", "okra.mumo.co/step-index": "1",
            "argo-rollouts.argoproj.io/controller-instance-id": "okra", "team": "a",
        })
    );
    assert_eq!(run["metadata"]["annotations"], json!({"n": "1", "okra.mumo.co/cluster": "cluster-b1"}));
    assert_eq!(
        run["spec"],
        json!({"metrics": [metric], "args": [
            {"name": "version", "value": "2.0.0"}, {"name": "limit", "value": "1"},
            {"name": "okra.canary.targetGroup", "value": "targetgroup/b1/1"},
        ]})
    );
}

#[test]
fn fields_that_a_foreign_definition_prunes_travel_in_an_annotation() {
    let metric = json!({"name": "m", "noData": "Fail", "provider": {"web": {}}});
    let templates = templates(json!({"metrics": [metric]}));
    let strategy = json!({"canary": {"analysis": {"templates": [{"templateName": "t"}], "cluster": "edge"}}});
    let run = run(strategy, &templates, StepReference::Background).unwrap();
    let expected =
        json!({"okra.mumo.co/cluster": "edge", "okra.mumo.co/metrics": r#"{"m":{"noData":"Fail"}}"#});
    assert_eq!(run["metadata"]["annotations"], expected);
}

#[test]
fn with_argo_rollouts_as_executor_a_run_is_left_unmarked() {
    let templates = templates(json!({"metrics": [{"name": "m", "provider": {}}]}));
    let strategy = json!({"canary": {"analysis": {"templates": [{"templateName": "t"}]}}});
    let (cell, mut observed, plan) = world(strategy);
    observed.spec.executor = Executor::ArgoRollouts;
    let context = ComponentContext {
        cell: &cell,
        observed: &observed,
        plan: &plan,
        now: now(),
        templates: &templates,
        replica_sets: &BTreeMap::new(),
    };
    let background = component(StepReference::Background, NewComponentBody::AnalysisRun);
    let NewObject::AnalysisRun(run) = new_object(&context, &background).unwrap() else { panic!("a run") };
    assert!(!run.metadata.labels.unwrap().contains_key(LABEL_CONTROLLER_INSTANCE_ID));
}

#[test]
fn u_06_checks_become_metrics_of_the_canary() {
    let check = json!({"name": "ok", "successRate": {}, "min": 99});
    let strategy = json!({"blueGreen": {"steps": [{"analysis": {"checks": [check]}}]}});
    let run = run(strategy, &Templates::default(), StepReference::Index(0)).unwrap();
    let query = &run["spec"]["metrics"][0]["provider"]["cloudWatch"]["metricDataQueries"][0];
    assert_eq!(
        query["metricStat"]["metric"]["dimensions"],
        json!([{"name": "LoadBalancer", "value": "app/web/1"}, {"name": "TargetGroup", "value": "targetgroup/b1/1"}])
    );
}

#[test]
fn what_cannot_be_made_names_its_cause_and_ends_the_attempt() {
    let step = |analysis: Value| json!({"canary": {"steps": [{"analysis": analysis}]}});
    let reference = json!({"templates": [{"templateName": "t"}]});
    let endless = templates(json!({"metrics": [{"name": "m", "interval": "1m"}]}));
    let open = templates(json!({"metrics": [{"name": "m"}], "args": [{"name": "a"}]}));
    let rows = [
        (
            step(reference.clone()),
            Templates::default(),
            "the analysis templates cannot be merged: AnalysisTemplate 't' not found",
        ),
        (
            step(reference.clone()),
            endless.clone(),
            "metric 'm' has an interval and no count: a step that waits for it would never end",
        ),
        (step(reference.clone()), open, "the analysis arguments cannot be resolved: args.a was not resolved"),
        (json!({}), Templates::default(), "step 0 of the Cell does not say what to create"),
    ];
    let component = component(StepReference::Index(0), NewComponentBody::AnalysisRun);
    for (strategy, templates, expected) in rows {
        let error = run(strategy, &templates, StepReference::Index(0)).unwrap_err();
        let failed = failed_component(&component, "u1", &error, now());
        assert_eq!((failed.message.as_str(), failed.phase), (expected, ComponentPhase::Error));
    }
    let background = json!({"canary": {"analysis": reference}});
    assert!(run(background, &endless, StepReference::Background).is_ok());
}

#[test]
fn h_43_an_experiment_copies_the_pods_of_its_replica_sets() {
    let set = json!({
        "metadata": {"name": "web-v2"},
        "spec": {"replicas": 0, "selector": {"matchLabels": {"app": "web"}},
            "template": {"metadata": {"labels": {"app": "web"}}, "spec": {"containers": [{"name": "c", "image": "i", "unheardOf": 1}]}}},
    });
    let strategy = json!({"canary": {"steps": [{"experiment": {
        "duration": "5m",
        "templates": [{"name": "new", "specRef": "web-v2", "replicas": 2, "minReadySeconds": 3,
            "metadata": {"labels": {"trial": "yes"}}}],
        "analyses": [{"name": "a", "templateName": "t", "clusterScope": true, "requiredForCompletion": true,
            "args": [{"name": "cell", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}}]}],
    }}]}});
    let component = component(StepReference::Index(0), NewComponentBody::Experiment);
    let (cell, ..) = world(strategy.clone());
    assert_eq!(replica_sets_needed(&cell, &component), ["web-v2"]);
    let missing = made(strategy.clone(), &Templates::default(), &BTreeMap::new(), &component).unwrap_err();
    assert_eq!(missing.to_string(), "ReplicaSet 'web-v2' not found");
    let sets = [("web-v2".to_owned(), set)].into();
    let experiment = made(strategy, &Templates::default(), &sets, &component).unwrap();
    assert_eq!(
        experiment["spec"],
        json!({
            "duration": "5m",
            "templates": [{"name": "new", "replicas": 2, "minReadySeconds": 3,
                "selector": {"matchLabels": {"app": "web"}},
                "template": {"metadata": {"labels": {"app": "web", "trial": "yes"}},
                    "spec": {"containers": [{"name": "c", "image": "i", "unheardOf": 1}]}}}],
            "analyses": [{"name": "a", "templateName": "t", "clusterScope": true, "requiredForCompletion": true,
                "args": [{"name": "cell", "value": "web"}]}],
        })
    );
}
