use okra_domain::cell::{
    CommandObservation, ComponentKind, ComponentPhase, ConfigPhase, Overwrite, Ownership, Step,
    StepReference, Verb,
};
use serde_json::{Value, json};

use super::*;
use crate::folder::Folder;

const ARN: &str = "arn:aws:elasticloadbalancing:eu-west-1:111122223333:targetgroup/";

fn spec(spec: Value) -> Spec {
    let mut full = json!({"ingress": {"awsApplicationLoadBalancer": {"listenerARN": "l"}}});
    full.as_object_mut().unwrap().extend(spec.as_object().unwrap().clone());
    domain_spec(&serde_json::from_value(full).unwrap(), WeightMode::Absolute)
}

fn errors(value: Value) -> Vec<String> {
    spec(value).errors.iter().map(ToString::to_string).collect()
}

fn canary(steps: Value) -> Value {
    json!({"updateStrategy": {"type": "Canary", "canary": {"steps": steps}}})
}

fn steps(value: Value) -> Vec<Step> {
    spec(value).steps.iter().cloned().collect()
}

#[test]
fn an_empty_spec_has_the_defaults_of_the_specification() {
    let spec = spec(json!({}));
    let listener = spec.listener.clone();
    assert_eq!(spec, Spec { listener, ..Spec::default() });
}

/// `spec/okra.md` 2.6.1, "Invalid are".
#[test]
fn everything_invalid_is_named_with_value_and_place() {
    let step = "spec.updateStrategy.canary.steps[0]";
    let rows: Vec<(Value, String)> = vec![
        (json!({"replicas": 0}), "spec.replicas: 0 is below 1".into()),
        (json!({"ingress": {}}), "spec.ingress: spec.ingress.awsApplicationLoadBalancer is missing".into()),
        (
            json!({"ingress": {"type": "Envoy"}}),
            "spec.ingress.type: spec.ingress.type \"Envoy\" is unknown: use AWSApplicationLoadBalancer or \
             AWSNetworkLoadBalancer"
                .into(),
        ),
        (json!({"version": "latest"}), "spec.version: version \"latest\": \"latest\" is not a number below 2^64".into()),
        (
            canary(json!([{}])),
            format!("{step}: a step has exactly one of setWeight, stepWeight, pause, analysis and experiment, this one has 0"),
        ),
        (
            canary(json!([{"setWeight": 1, "pause": {}}])),
            format!("{step}: a step has exactly one of setWeight, stepWeight, pause, analysis and experiment, this one has 2"),
        ),
        (canary(json!([{"setCanaryScale": {}}])), format!("{step}: setCanaryScale has no meaning for a Cell")),
        (
            canary(json!([{"pause": {"duration": "soon"}}])),
            format!(
                "{step}.pause.duration: \"soon\" is no duration: seconds, or numbers with h, m, s, ms, us or ns, \
                 such as 1h30m"
            ),
        ),
        (
            canary(json!([{"pause": {"duration": -1}}])),
            format!("{step}.pause.duration: duration \"-1\" is negative"),
        ),
        (
            canary(json!([{"analysis": {}}])),
            format!("{step}.analysis: an analysis needs templates or checks"),
        ),
        (
            canary(json!([{"analysis": {"checks": [{"name": "a", "successRate": {}}]}}])),
            format!("{step}.analysis.checks: check 'a' needs min or max"),
        ),
        (
            canary(json!([{"analysis": {"templates": [{"templateName": "t"}], "args": [
                {"name": "a", "valueFrom": {"podTemplateHashValue": "Latest"}}]}}])),
            format!("{step}.analysis.args[0].valueFrom.podTemplateHashValue: has no meaning for a Cell"),
        ),
        (
            json!({"updateStrategy": {"canary": {"analysis": {}}}}),
            "spec.updateStrategy.canary.analysis: an analysis needs templates or checks".into(),
        ),
        (
            json!({"updateStrategy": {"canary": {"steps": [{"setWeight": 1}], "ramp": {"stepWeight": 5, "interval": "1m"}}}}),
            "spec.updateStrategy.canary: ramp and steps are both set: set one of them".into(),
        ),
        (
            json!({"updateStrategy": {"type": "Recreate"}}),
            "spec.updateStrategy.type: \"Recreate\" is unknown: use Canary or BlueGreen".into(),
        ),
        (
            json!({"updateStrategy": {"supersede": "Never"}}),
            "spec.updateStrategy.supersede: \"Never\" is no supersede policy; known are Restart, Finish".into(),
        ),
        (
            json!({"updateStrategy": {"weightTotal": 10}}),
            "spec.updateStrategy.weightTotal: weightTotal 10 is neither 100 nor 1000".into(),
        ),
        (
            json!({"updateStrategy": {"settleSeconds": -1}}),
            "spec.updateStrategy.settleSeconds: -1 is not within 0 and 316224000".into(),
        ),
        (
            json!({"driftPolicy": "Ignore"}),
            "spec.driftPolicy: \"Ignore\" is no drift policy; known are Report, Restore, RestoreAutomatically".into(),
        ),
    ];
    for (value, expected) in rows {
        assert_eq!(errors(value.clone()), [expected], "{value}");
    }
}

#[test]
fn steps_are_read_in_every_spelling() {
    let value = canary(json!([
        {"setWeight": 20}, {"pause": {"duration": "1h30m"}}, {"stepWeight": 10}, {"pause": {"duration": 10}},
        {"pause": {"duration": "10"}}, {"pause": {}}, {"pause": {"duration": "1500ms"}},
    ]));
    assert_eq!(
        steps(value),
        [
            Step::SetWeight(20),
            Step::Pause(Some(5400)),
            Step::StepWeight(10),
            Step::Pause(Some(10)),
            Step::Pause(Some(10)),
            Step::Pause(None),
            Step::Pause(Some(1)),
        ]
    );
    let blue_green = json!({"updateStrategy": {"blueGreen": {"steps": [{"pause": {}}, {"promote": {}}]}}});
    assert_eq!(steps(blue_green), [Step::Pause(None), Step::Promote]);
    let ramp = json!({"updateStrategy": {"canary": {"ramp": {"stepWeight": 50, "interval": "1m"}}}});
    assert_eq!(steps(ramp), [Step::SetWeight(50), Step::Pause(Some(60))]);
}

#[test]
fn h_03_a_strategy_without_a_canary_block_has_no_steps_and_is_valid() {
    for strategy in [json!({}), json!({"type": "Canary"}), json!({"type": "BlueGreen"}), json!({"type": ""})]
    {
        let spec = spec(json!({"updateStrategy": strategy}));
        assert_eq!((spec.errors.len(), spec.steps.len()), (0, 0), "{strategy}");
    }
}

/// A whole neighbourhood of the Cell `web`, as manifests.
fn folder(objects: &[Value]) -> Folder {
    let cell = json!({
        "apiVersion": "okra.mumo.co/v1alpha1", "kind": "Cell",
        "metadata": {"name": "web", "uid": "u1", "generation": 4, "annotations": {
            "okra.mumo.co/command": "{\"id\":\"c1\",\"verb\":\"Promote\",\"step\":2}"}},
        "spec": {"ingress": {"awsApplicationLoadBalancer": {
            "listenerARN": "l", "targetGroupSelector": {"matchLabels": {"role": "web"}, "versionLabels": ["v1", "v2"]},
            "listener": {"rule": {"hosts": ["a"], "forward": {"targetGroups": []}}}}}},
    });
    Folder::from_objects([&[cell], objects].concat())
}

fn object(kind: &str, metadata: Value, rest: Value) -> Value {
    let group = if ["AnalysisRun", "Experiment"].contains(&kind) { "argoproj.io" } else { "okra.mumo.co" };
    let mut object = json!({"apiVersion": format!("{group}/v1alpha1"), "kind": kind, "metadata": metadata});
    object.as_object_mut().unwrap().extend(rest.as_object().unwrap().clone());
    object
}

fn owned(name: &str, labels: Value) -> Value {
    let owner = json!({"apiVersion": "okra.mumo.co/v1alpha1", "kind": "Cell", "name": "web", "uid": "u1"});
    json!({"name": name, "labels": labels, "ownerReferences": [owner]})
}

fn observed(objects: &[Value]) -> Observed {
    let folder = folder(objects);
    observe(&crate::offline::view(&folder, &folder.cells[0]))
}

#[test]
fn h_60_target_groups_are_read_one_by_one() {
    let arn = format!("{ARN}a1/1");
    let group = |name: &str, labels: Value, spec: Value| {
        object("AWSTargetGroup", json!({"name": name, "labels": labels}), json!({"spec": spec}))
    };
    let observed = observed(&[
        group("a", json!({"role": "web", "v1": "", "v2": "v1"}), json!({"arn": arn})),
        group("b", json!({"role": "api", "v1": "2.0.0"}), json!({"arn": arn})),
        group("c", json!({"role": "web", "v1": "new"}), json!({"arn": "arn:aws:s3:::bucket"})),
        group("d", json!({"role": "web"}), json!({"arn": 7})),
    ]);
    let [a, b, c, d] = &observed.target_groups[..] else { panic!("four groups") };
    assert_eq!((a.selected, a.version.as_ref().unwrap().to_string().as_str()), (true, "1.0.0"));
    assert_eq!(a.arn.as_ref().unwrap().as_str(), arn);
    assert!(!b.selected);
    assert!(c.arn.is_err() && matches!(c.version, Err(okra_domain::cell::VersionIssue::Unreadable { .. })));
    assert!(d.arn.is_err());
    assert_eq!(d.version.as_ref().unwrap_err().to_string(), "none of the version labels v1, v2 is set");
    assert!(observed.incomplete.is_empty());
}

#[test]
fn h_49_a_config_belongs_to_the_cell_or_consents_or_is_foreign() {
    let ownership = |metadata: Value| {
        let config = object("AWSApplicationLoadBalancerConfig", metadata, json!({"spec": {}}));
        observed(&[config]).config.unwrap().ownership
    };
    assert_eq!(ownership(owned("web", json!({}))), Ownership::Owned);
    assert_eq!(ownership(json!({"name": "web"})), Ownership::Foreign);
    let consenting = json!({"name": "web", "annotations": {"okra.mumo.co/adopt": "true"}});
    assert_eq!(ownership(consenting), Ownership::Adoptable);
    let namesake = json!({"name": "web", "ownerReferences": [
        {"apiVersion": "okra.mumo.co/v1alpha1", "kind": "Cell", "name": "web", "uid": "u0"}]});
    assert_eq!(ownership(namesake), Ownership::Foreign);
}

#[test]
fn a_config_is_read_in_both_spellings_and_compared_by_meaning() {
    let nested = json!({"listenerARN": "l", "overwrite": "d1", "listener": {"rule": {
        "priority": 100, "hosts": ["a"], "forward": {"targetGroups": [{"name": "x", "arn": "t", "weight": 7}]}}}});
    let flat = json!({"listenerARN": "l", "overwrite": "d1", "listener": {"rule": {"priority": 0, "hosts": ["a"]}},
        "forwardTargetGroups": [{"name": "x", "arn": "t", "weight": 7}]});
    let status = json!({"phase": "Updated", "observedGeneration": 2, "weightsSince": "2026-11-21T15:00:00Z",
        "targetGroups": [{"name": "x", "arn": "t", "weight": 7, "healthyTargets": 0,
            "unhealthySince": "2026-11-21T15:00:01Z"}],
        "drift": {"id": "d1", "targetGroups": [{"arn": "t", "weight": 1}]}});
    let config = |spec: &Value| {
        let rest = json!({"spec": spec, "status": status});
        observed(&[object("AWSApplicationLoadBalancerConfig", owned("web", json!({})), rest)])
    };
    let seen = config(&nested);
    assert_eq!(seen.config, config(&flat).config);
    let config = seen.config.unwrap();
    assert_eq!(Some(&config.listener), seen.spec.listener.as_ref());
    assert_eq!((config.entries[0].name.as_str(), config.entries[0].weight), ("x", 7));
    assert_eq!(config.overwrite, Some(Overwrite::Drift("d1".to_owned())));
    assert_eq!(config.status.phase, Some(ConfigPhase::Updated));
    assert_eq!(config.status.target_groups[0].healthy_targets, Some(0));
    assert_eq!(config.status.drift.unwrap().target_groups[0].weight, 1);
}

#[test]
fn h_36_only_components_of_this_cell_are_seen() {
    let labels = json!({"okra.mumo.co/rollout-id": "r1", "okra.mumo.co/step-index": "1"});
    let background = json!({"okra.mumo.co/rollout-id": "r1", "okra.mumo.co/step-index": "bg"});
    let run_status = json!({"phase": "Failed", "metricResults": [
        {"name": "good", "phase": "Successful", "measurements": [{"value": "1"}]},
        {"name": "bad", "phase": "Failed", "message": "failed (2) > failureLimit (1)",
         "measurements": [{"value": "7"}, {"value": "9"}]}]});
    let endless = json!({"metrics": [{"name": "m", "interval": "1m"}], "terminate": true});
    let observed = observed(&[
        object(
            "Pause",
            owned("p", labels.clone()),
            json!({"spec": {"expireTime": "2026-11-21T15:00:00Z"},
            "status": {"phase": "Started"}}),
        ),
        object(
            "Pause",
            json!({"name": "q", "labels": labels, "ownerReferences": [
            {"apiVersion": "okra.mumo.co/v1alpha1", "kind": "Cell", "name": "other", "uid": "u2"}]}),
            json!({"spec": {}}),
        ),
        object("Pause", json!({"name": "r", "labels": {"cell": "web"}}), json!({"spec": {}})),
        object("AnalysisRun", owned("a", background), json!({"spec": endless, "status": run_status})),
        object("Experiment", owned("e", json!({})), json!({"spec": {}, "status": {"phase": "Inconclusive"}})),
    ]);
    let names: Vec<&str> = observed.components.iter().map(|component| component.name.as_str()).collect();
    assert_eq!(names, ["p", "a", "e"]);
    let [pause, run, experiment] = &observed.components[..] else { panic!("three components") };
    assert_eq!(
        (pause.kind, pause.phase, pause.step),
        (ComponentKind::Pause, ComponentPhase::Running, Some(StepReference::Index(1)))
    );
    assert_eq!(pause.rollout_id.as_ref().unwrap().as_str(), "r1");
    assert_eq!((run.phase, run.step), (ComponentPhase::Failed, Some(StepReference::Background)));
    assert_eq!(run.message, "metric \"bad\": failed (2) > failureLimit (1)");
    assert_eq!((run.value.as_deref(), run.endless, run.terminating), (Some("9"), true, true));
    assert_eq!((experiment.phase, experiment.step), (ComponentPhase::Inconclusive, None));
}

#[test]
fn a_run_that_a_user_stopped_is_no_evidence_of_health() {
    let phase_of = |annotations: Value, status: Value| {
        let mut metadata =
            owned("a", json!({"okra.mumo.co/rollout-id": "r1", "okra.mumo.co/step-index": "1"}));
        metadata["annotations"] = annotations;
        let run = json!({"spec": {"metrics": [], "terminate": true}, "status": status});
        let run = observed(&[object("AnalysisRun", metadata, run)]).components.remove(0);
        (run.phase, run.message)
    };
    let stopped = |by: &str| json!({"phase": "Successful", "message": "Run Terminated", "terminatedBy": by});
    let by_user = phase_of(json!({}), stopped("User"));
    assert_eq!(by_user, (ComponentPhase::Inconclusive, "it was stopped by a user".to_owned()));
    let by_rollout = phase_of(json!({"okra.mumo.co/terminated-by": "User"}), stopped("User"));
    assert_eq!(by_rollout.0, ComponentPhase::Successful, "somebody has passed the step");
    let ended = phase_of(json!({}), json!({"phase": "Successful"}));
    assert_eq!(ended.0, ComponentPhase::Successful);
    let failed = json!({"phase": "Failed", "terminatedBy": "SiblingFailed"});
    assert_eq!(phase_of(json!({}), failed).0, ComponentPhase::Failed);
}

#[test]
fn what_cannot_be_read_is_never_taken_for_absent() {
    let observed = observed(&[
        object("VersionBlocklist", json!({"name": "web"}), json!({"spec": {"items": "none"}})),
        object("AnalysisRun", owned("a", json!({})), json!({"spec": {"metrics": 1}})),
        object(
            "AWSApplicationLoadBalancerConfig",
            json!({"name": "web"}),
            json!({"spec": {"listenerARN": 1}}),
        ),
    ]);
    assert_eq!(observed.incomplete.len(), 3, "{:?}", observed.incomplete);
    assert!(observed.incomplete.iter().all(|cause| cause.contains("does not fit its kind: spec.")));
}

#[test]
fn h_47_blocked_versions_are_read_by_meaning() {
    let items = json!([{"version": "v2", "cause": "c"}, {"version": "junk", "cause": "c"}]);
    let observed =
        observed(&[object("VersionBlocklist", json!({"name": "web"}), json!({"spec": {"items": items}}))]);
    let versions: Vec<String> = observed.blocklist.iter().map(|item| item.version.to_string()).collect();
    assert_eq!(versions, ["2.0.0"]);
}

#[test]
fn a_command_is_read_or_reported() {
    let Some(CommandObservation::Command(command)) = observed(&[]).command else { panic!("a command") };
    assert_eq!((command.verb, command.step), (Ok(Verb::Promote), Some(2)));
    let malformed = |text: &str| {
        let annotations = [(crate::names::ANNOTATION_COMMAND.to_owned(), text.to_owned())].into();
        let metadata = ObjectMeta { annotations: Some(annotations), ..Default::default() };
        match command::observe_command(&metadata) {
            Some(CommandObservation::Malformed(message)) => message,
            other => panic!("{other:?}"),
        }
    };
    assert!(malformed("promote!").starts_with("annotation okra.mumo.co/command is not a command: "));
    assert_eq!(malformed(r#"{"id":"1","verb":"Abort","step":-1}"#), "step -1 is below 0");
    assert!(malformed(r#"{"id":"1","verb":"Abort","version":"x"}"#).contains("\"x\""));
}

#[test]
fn a_word_belongs_to_the_pin_that_it_came_with() {
    let word = |pin: &str| {
        let change = json!({"verb": "Rollback", "by": "ann", "reason": "slow", "version": "1.0.0"});
        let cell = json!({
            "metadata": {"name": "web", "annotations": {"okra.mumo.co/last-change": change.to_string()}},
            "spec": {"version": pin},
        });
        let mut folder = folder(&[]);
        folder.cells = vec![Lenient::from_value(cell)];
        observe(&crate::offline::view(&folder, &folder.cells[0])).spec.pin_word
    };
    assert_eq!(word("1.0.0"), Some(PinWord { by: Some("ann".into()), why: Some("slow".into()) }));
    assert_eq!(word("2.0.0"), None, "somebody else pinned it since");
}

#[test]
fn a_malformed_cell_keeps_its_status_and_says_what_is_wrong() {
    let mut folder = folder(&[]);
    let cell = json!({"metadata": {"name": "web"}, "spec": {"replicas": "two"}, "status": {"stableVersion": "1.0.0"}});
    folder.cells = vec![Lenient::from_value(cell)];
    let observed = observe(&crate::offline::view(&folder, &folder.cells[0]));
    assert_eq!(observed.spec.errors[0].field, "spec.replicas");
    assert_eq!(observed.status.stable_version.unwrap().to_string(), "1.0.0");
}
