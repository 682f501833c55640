//! The definitions of other projects (Argo Rollouts, Karmada, AWS Load Balancer Controller), as they publish them: they
//! install unchanged, and their objects behave as their schemas say (spec/apiserver.md 13.1).
//!
//! The files are not part of this repository; they lie in `../shared/data/crds` beside the checkout, or where
//! `OKRA_CRDS` says. Whoever names a folder must have all of them there. A checkout without them can test nothing of
//! this, and says so on the terminal, past the harness that keeps the words of tests that pass.

use std::io::Write as _;
use std::path::{Path, PathBuf};

use http::{Method, Request, StatusCode};
use kube::Client;
use kube::client::Body;
use serde_json::{Value, json};

use crate::common::{DEFINITIONS, established, get, metadata, patch, post, server};

/// The projects, and how many definitions their files hold: 27 in all.
const PROJECTS: [(&str, usize); 3] =
    [("argo-rollouts", 4), ("aws-load-balancer-controller", 4), ("karmada", 19)];

/// Says something that is heard although the test passes.
fn tell(line: &str) {
    drop(writeln!(std::io::stderr(), "{line}"));
}

fn folder() -> Option<PathBuf> {
    let named = std::env::var_os("OKRA_CRDS").map(PathBuf::from);
    if let Some(folder) = &named {
        assert!(folder.is_dir(), "OKRA_CRDS names {}, which is no folder", folder.display());
    }
    let beside = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data/crds");
    let folder = named.unwrap_or(beside);
    if folder.is_dir() {
        return Some(folder);
    }
    tell(&format!(
        "NOT TESTED: the definitions of Argo Rollouts, Karmada and the AWS Load Balancer Controller; there is no {}, \
         and OKRA_CRDS names no other folder",
        folder.display()
    ));
    None
}

/// The YAML documents of a project's files, in order of their names.
fn documents(folder: &Path, project: &str) -> Vec<String> {
    let known = PROJECTS.iter().find(|(name, _)| *name == project).expect("a project of the list");
    let entries = std::fs::read_dir(folder.join(project)).expect("a folder for each project");
    let mut files: Vec<PathBuf> = entries.map(|entry| entry.expect("a readable entry").path()).collect();
    files.sort();
    let mut documents = Vec::new();
    for file in files {
        let text = std::fs::read_to_string(&file).expect("a readable file");
        let parts = text.split("\n---").map(|part| part.trim_start_matches("---").trim());
        documents.extend(parts.filter(|part| part.contains("kind:")).map(|part| format!("{part}\n")));
    }
    assert_eq!(documents.len(), known.1, "definitions of {project} in {}", folder.display());
    documents
}

fn all_documents(folder: &Path) -> Vec<String> {
    let all: Vec<String> = PROJECTS.iter().flat_map(|(project, _)| documents(folder, project)).collect();
    tell(&format!("{} definitions of {} projects from {}", all.len(), PROJECTS.len(), folder.display()));
    all
}

/// Sends YAML; returns status, body and the warnings.
async fn send_yaml(
    client: &Client,
    method: Method,
    path: &str,
    media: &str,
    body: String,
) -> (StatusCode, Value, usize) {
    let request = Request::builder().method(method).uri(path).header("content-type", media);
    let request = request.body(Body::from(body.into_bytes())).expect("a request");
    let response = client.send(request).await.expect("an answer");
    let (status, warnings) = (response.status(), response.headers().get_all("warning").iter().count());
    let bytes = response.into_body().collect_bytes().await.expect("a whole body");
    (status, serde_json::from_slice(&bytes).expect("a JSON answer"), warnings)
}

/// Installs all definitions of one project and waits until they are served.
async fn install(client: &Client, project: &str) -> bool {
    let Some(folder) = folder() else { return false };
    let mut names = Vec::new();
    for document in documents(&folder, project) {
        let (status, answer, _) =
            send_yaml(client, Method::POST, DEFINITIONS, "application/yaml", document).await;
        assert_eq!(status, StatusCode::CREATED, "{answer}");
        names.push(metadata(&answer, "name").to_owned());
    }
    for name in names {
        established(client, &name).await;
    }
    true
}

#[tokio::test]
async fn all_definitions_install_unchanged_and_without_a_warning() {
    let Some(folder) = folder() else { return };
    let (_server, client) = server().await;
    let mut names = Vec::new();
    for document in all_documents(&folder) {
        let (status, answer, warnings) =
            send_yaml(&client, Method::POST, DEFINITIONS, "application/yaml", document).await;
        assert_eq!((status, warnings), (StatusCode::CREATED, 0), "{answer}");
        names.push(metadata(&answer, "name").to_owned());
    }
    for name in names {
        established(&client, &name).await;
    }
}

#[tokio::test]
async fn all_definitions_can_be_applied_and_a_second_time_changes_nothing() {
    let Some(folder) = folder() else { return };
    let (_server, client) = server().await;
    for document in all_documents(&folder) {
        let name = document.lines().find_map(|line| line.strip_prefix("  name: ")).expect("a name").trim();
        let path = format!("{DEFINITIONS}/{name}?fieldManager=kubectl");
        let apply = "application/apply-patch+yaml";
        let (status, answer, warnings) =
            send_yaml(&client, Method::PATCH, &path, apply, document.clone()).await;
        assert_eq!((status, warnings), (StatusCode::CREATED, 0), "{answer}");
        established(&client, name).await;
        let (_, before) = get(&client, &format!("{DEFINITIONS}/{name}")).await;
        let (status, after, _) = send_yaml(&client, Method::PATCH, &path, apply, document.clone()).await;
        assert_eq!(status, StatusCode::OK, "{after}");
        assert_eq!(metadata(&after, "resourceVersion"), metadata(&before, "resourceVersion"), "{name}");
    }
}

/// One kind: an object that is accepted, what the schema adds to it, and changes that make it wrong.
struct Case {
    path: &'static str,
    api_version: &'static str,
    kind: &'static str,
    spec: Value,
    defaults: Vec<(&'static str, Value)>,
    /// Where the change is, what stands there then (null: nothing), the reason, the field and a part of the message.
    faults: Vec<(&'static str, Value, &'static str, &'static str, &'static str)>,
}

impl Case {
    fn object(&self, name: &str, spec: &Value) -> Value {
        json!({"apiVersion": self.api_version, "kind": self.kind, "metadata": {"name": name}, "spec": spec})
    }
}

/// Puts a value at a JSON pointer, or takes away what is there.
fn change(spec: &mut Value, pointer: &str, value: &Value) {
    let (parent, last) = pointer.rsplit_once('/').expect("a pointer");
    let parent = spec.pointer_mut(parent).expect("the parent is there");
    match parent {
        Value::Object(fields) if value.is_null() => drop(fields.shift_remove(last)),
        Value::Object(fields) => drop(fields.insert(last.to_owned(), value.clone())),
        Value::Array(items) => items[last.parse::<usize>().expect("a position")] = value.clone(),
        _ => panic!("{pointer} leads nowhere"),
    }
}

async fn check(client: &Client, case: &Case) {
    let (status, created) = post(client, case.path, &case.object("good", &case.spec)).await;
    assert_eq!(status, StatusCode::CREATED, "{}: {created}", case.kind);
    for (pointer, value) in &case.defaults {
        assert_eq!(created["spec"].pointer(pointer), Some(value), "{}: {pointer}", case.kind);
    }
    for (pointer, value, reason, field, text) in &case.faults {
        let mut spec = case.spec.clone();
        change(&mut spec, pointer, value);
        let (status, answer) = post(client, case.path, &case.object("bad", &spec)).await;
        assert_eq!(
            status,
            StatusCode::UNPROCESSABLE_ENTITY,
            "{} with {pointer}={value}: {answer}",
            case.kind
        );
        assert_eq!(answer["reason"], "Invalid");
        let causes = answer["details"]["causes"].as_array().expect("causes");
        let found = causes.iter().any(|cause| {
            cause["reason"] == *reason
                && cause["field"] == *field
                && cause["message"].as_str().is_some_and(|message| message.contains(text))
        });
        assert!(
            found,
            "{} with {pointer}={value}: no {reason} at {field} with {text:?} in {answer}",
            case.kind
        );
    }
}

fn aws_cases() -> Vec<Case> {
    let ports = "spec.listeners[0].portRanges[0]";
    let endpoint = "spec.listeners[0].endpointGroups[0].endpoints[0]";
    vec![
        Case {
            path: "/apis/aga.k8s.aws/v1beta1/namespaces/default/globalaccelerators",
            api_version: "aga.k8s.aws/v1beta1",
            kind: "GlobalAccelerator",
            spec: json!({"name": "front", "listeners": [{
                "protocol": "TCP",
                "portRanges": [{"fromPort": 80, "toPort": 443}],
                "endpointGroups": [{"region": "eu-west-1", "endpoints": [{"type": "Service", "name": "web"}]}],
            }]}),
            defaults: vec![
                ("/ipAddressType", json!("IPV4")),
                ("/listeners/0/clientAffinity", json!("NONE")),
                ("/listeners/0/endpointGroups/0/trafficDialPercentage", json!(100)),
                ("/listeners/0/endpointGroups/0/endpoints/0/weight", json!(128)),
                ("/listeners/0/endpointGroups/0/endpoints/0/clientIPPreservationEnabled", json!(true)),
            ],
            faults: vec![
                (
                    "/listeners/0/portRanges/0/fromPort",
                    json!(8080),
                    "FieldValueInvalid",
                    ports,
                    "Invalid value: FromPort must be less than or equal to ToPort",
                ),
                (
                    "/listeners/0/endpointGroups/0/endpoints/0",
                    json!({"type": "EndpointID", "name": "x"}),
                    "FieldValueInvalid",
                    endpoint,
                    "endpointID is required and name must not be set when type is EndpointID",
                ),
                (
                    "/listeners/0/endpointGroups/0/endpoints/0",
                    json!({"type": "Ingress"}),
                    "FieldValueInvalid",
                    endpoint,
                    "name is required and endpointID must not be set",
                ),
                (
                    "/listeners/0/endpointGroups/0/endpoints/0/type",
                    Value::Null,
                    "FieldValueRequired",
                    "spec.listeners[0].endpointGroups[0].endpoints[0].type",
                    "Required value",
                ),
                (
                    "/listeners/0/endpointGroups/0/endpoints/0/weight",
                    json!("heavy"),
                    "FieldValueTypeInvalid",
                    "spec.listeners[0].endpointGroups[0].endpoints[0].weight",
                    "must be of type integer: \"string\"",
                ),
                (
                    "/ipAddressType",
                    json!("IPV9"),
                    "FieldValueNotSupported",
                    "spec.ipAddressType",
                    "supported values: \"IPV4\", \"DUAL_STACK\"",
                ),
                (
                    "/listeners/0/portRanges",
                    json!([]),
                    "FieldValueInvalid",
                    "spec.listeners[0].portRanges",
                    "should have at least 1 items",
                ),
                (
                    "/listeners/0/portRanges/0/fromPort",
                    json!(0),
                    "FieldValueInvalid",
                    "spec.listeners[0].portRanges[0].fromPort",
                    "should be greater than or equal to 1",
                ),
                (
                    "/name",
                    json!("a b"),
                    "FieldValueInvalid",
                    "spec.name",
                    "should match '^[a-zA-Z0-9_-]{1,64}$'",
                ),
                (
                    "/name",
                    json!("x".repeat(65)),
                    "FieldValueTooLong",
                    "spec.name",
                    "may not be more than 64 bytes",
                ),
                (
                    "/ipAddresses",
                    json!(["1", "2", "3"]),
                    "FieldValueTooMany",
                    "spec.ipAddresses",
                    "at most 2 items",
                ),
            ],
        },
        Case {
            path: "/apis/elbv2.k8s.aws/v1beta1/ingressclassparams",
            api_version: "elbv2.k8s.aws/v1beta1",
            kind: "IngressClassParams",
            spec: json!({"scheme": "internal", "subnets": {"ids": ["x-subnet-0af"]}}),
            defaults: vec![],
            faults: vec![
                (
                    "/PrefixListsIDs",
                    json!(["b"]),
                    "FieldValueInvalid",
                    "spec",
                    "cannot specify both 'prefixListsIDs' and 'PrefixListsIDs' fields",
                ),
                (
                    "/subnets/ids/0",
                    json!("net-1"),
                    "FieldValueInvalid",
                    "spec.subnets.ids[0]",
                    "should match",
                ),
                ("/scheme", json!("open"), "FieldValueNotSupported", "spec.scheme", "internet-facing"),
                ("/group", json!({}), "FieldValueRequired", "spec.group.name", "Required value"),
            ],
        },
        Case {
            path: "/apis/elbv2.k8s.aws/v1beta1/namespaces/default/targetgroupbindings",
            api_version: "elbv2.k8s.aws/v1beta1",
            kind: "TargetGroupBinding",
            spec: json!({"serviceRef": {"name": "web", "port": "http"}, "targetType": "ip"}),
            defaults: vec![],
            faults: vec![
                ("/serviceRef", Value::Null, "FieldValueRequired", "spec.serviceRef", "Required value"),
                (
                    "/serviceRef/port",
                    json!(1.5),
                    "FieldValueTypeInvalid",
                    "spec.serviceRef.port",
                    "integer,string",
                ),
                (
                    "/targetType",
                    json!("pod"),
                    "FieldValueNotSupported",
                    "spec.targetType",
                    "\"instance\", \"ip\"",
                ),
                (
                    "/networking",
                    json!({"ingress": [{"from": []}]}),
                    "FieldValueRequired",
                    "spec.networking.ingress[0].ports",
                    "Required value",
                ),
            ],
        },
    ]
}

#[tokio::test]
async fn objects_of_the_aws_load_balancer_controller_behave() {
    let (_server, client) = server().await;
    if !install(&client, "aws-load-balancer-controller").await {
        return;
    }
    let mut cases = aws_cases();
    // Both spellings at once break the rule; one of them must be there before.
    cases[1].spec["prefixListsIDs"] = json!(["a"]);
    for case in &cases {
        check(&client, case).await;
    }
    let path = "/apis/elbv2.k8s.aws/v1beta1/namespaces/default/targetgroupbindings/good";
    let status = json!({"status": {"observedGeneration": 1}, "spec": {"targetType": "instance"}});
    let (code, object) = patch(&client, &format!("{path}/status"), "merge-patch+json", &status).await;
    assert_eq!(code, StatusCode::OK, "{object}");
    assert_eq!(
        (&object["status"]["observedGeneration"], &object["spec"]["targetType"]),
        (&json!(1), &json!("ip"))
    );
    let newer = json!({"spec": {"vpcID": "vpc-1"}});
    let (_, object) = patch(&client, path, "merge-patch+json", &newer).await;
    assert_eq!((&object["spec"]["vpcID"], &object["metadata"]["generation"]), (&json!("vpc-1"), &json!(2)));
    let (_, older) = get(&client, &path.replace("v1beta1", "v1alpha1")).await;
    assert_eq!(older["apiVersion"], "elbv2.k8s.aws/v1alpha1");
    assert_eq!((older["spec"].get("vpcID"), &older["spec"]["targetType"]), (None, &json!("ip")));
    assert_eq!(
        get(&client, path).await.1["spec"]["vpcID"],
        "vpc-1",
        "an older version hides, it does not remove"
    );
}

fn karmada_cases() -> Vec<Case> {
    vec![
        Case {
            path: "/apis/policy.karmada.io/v1alpha1/namespaces/default/propagationpolicies",
            api_version: "policy.karmada.io/v1alpha1",
            kind: "PropagationPolicy",
            spec: json!({
                "resourceSelectors": [{"apiVersion": "apps/v1", "kind": "Deployment"}],
                "placement": {"replicaScheduling": {}, "clusterAffinities": [{"affinityName": "near"}]},
                "failover": {"cluster": {}},
            }),
            defaults: vec![
                ("/conflictResolution", json!("Abort")),
                ("/preemption", json!("Never")),
                ("/priority", json!(0)),
                ("/schedulerName", json!("default-scheduler")),
                ("/placement/replicaScheduling/replicaSchedulingType", json!("Divided")),
                ("/failover/cluster/purgeMode", json!("Gracefully")),
            ],
            faults: vec![
                (
                    "/resourceSelectors",
                    json!([]),
                    "FieldValueInvalid",
                    "spec.resourceSelectors",
                    "at least 1 items",
                ),
                (
                    "/resourceSelectors/0/kind",
                    Value::Null,
                    "FieldValueRequired",
                    "spec.resourceSelectors[0].kind",
                    "Required value",
                ),
                (
                    "/placement/clusterAffinities/0/affinityName",
                    json!(""),
                    "FieldValueInvalid",
                    "spec.placement.clusterAffinities[0].affinityName",
                    "should be at least 1 chars long",
                ),
                (
                    "/conflictResolution",
                    json!("Fight"),
                    "FieldValueNotSupported",
                    "spec.conflictResolution",
                    "Overwrite",
                ),
                (
                    "/failover/application",
                    json!({}),
                    "FieldValueRequired",
                    "spec.failover.application.decisionConditions",
                    "Required value",
                ),
                (
                    "/priority",
                    json!(2_147_483_648_i64),
                    "FieldValueInvalid",
                    "<nil>",
                    "type integer with format int32",
                ),
            ],
        },
        Case {
            path: "/apis/autoscaling.karmada.io/v1alpha1/namespaces/default/cronfederatedhpas",
            api_version: "autoscaling.karmada.io/v1alpha1",
            kind: "CronFederatedHPA",
            spec: json!({
                "scaleTargetRef": {"kind": "Deployment", "name": "web"},
                "rules": [{"name": "night", "schedule": "0 22 * * *"}],
            }),
            defaults: vec![
                ("/rules/0/suspend", json!(false)),
                ("/rules/0/failedHistoryLimit", json!(3)),
                ("/rules/0/successfulHistoryLimit", json!(3)),
            ],
            faults: vec![
                (
                    "/rules/0/failedHistoryLimit",
                    json!(33),
                    "FieldValueInvalid",
                    "spec.rules[0].failedHistoryLimit",
                    "should be less than or equal to 32",
                ),
                ("/rules", Value::Null, "FieldValueRequired", "spec.rules", "Required value"),
            ],
        },
    ]
}

#[tokio::test]
async fn objects_of_karmada_behave() {
    let (_server, client) = server().await;
    if !install(&client, "karmada").await {
        return;
    }
    for case in &karmada_cases() {
        check(&client, case).await;
    }
    // What a Work carries is nobody's business but its own.
    let manifest = json!({"apiVersion": "x/v1", "kind": "Y", "metadata": {"name": "n"}, "free": {"deep": [1, {"a": null}]}});
    let work = json!({"apiVersion": "work.karmada.io/v1alpha1", "kind": "Work", "metadata": {"name": "w"},
        "spec": {"workload": {"manifests": [manifest]}, "unknown": true}});
    let path = "/apis/work.karmada.io/v1alpha1/namespaces/default/works";
    let (code, object) = post(&client, path, &work).await;
    assert_eq!(code, StatusCode::CREATED, "{object}");
    assert_eq!(object["spec"], json!({"workload": {"manifests": [manifest]}}));
    two_managers_share_a_list(&client).await;
}

/// Conditions of a status by type, applied by two controllers (spec/apiserver.md 12.4).
async fn two_managers_share_a_list(client: &Client) {
    let condition = |kind: &str, status: &str| json!({"type": kind, "status": status, "reason": "R", "message": "", "lastTransitionTime": "2026-01-01T00:00:00Z"});
    let export = |conditions: Value| {
        json!({"apiVersion": "multicluster.x-k8s.io/v1alpha1", "kind": "ServiceExport", "metadata": {"name": "e"},
            "status": {"conditions": conditions}})
    };
    let path = "/apis/multicluster.x-k8s.io/v1alpha1/namespaces/default/serviceexports";
    post(
        client,
        path,
        &json!({"apiVersion": "multicluster.x-k8s.io/v1alpha1", "kind": "ServiceExport",
        "metadata": {"name": "e"}}),
    )
    .await;
    let apply = async |manager: &str, conditions: Value| {
        let path = format!("{path}/e/status?fieldManager={manager}");
        patch(client, &path, "apply-patch+yaml", &export(conditions)).await
    };
    let (code, _) = apply("a", json!([condition("Valid", "True")])).await;
    assert_eq!(code, StatusCode::OK);
    let (code, both) = apply("b", json!([condition("Conflict", "False")])).await;
    assert_eq!(code, StatusCode::OK, "{both}");
    let types = |object: &Value| -> Vec<String> {
        let conditions = object["status"]["conditions"].as_array().into_iter().flatten();
        conditions.map(|condition| condition["type"].as_str().unwrap().to_owned()).collect()
    };
    assert_eq!(types(&both), ["Valid", "Conflict"]);
    let (code, answer) =
        apply("b", json!([condition("Conflict", "False"), condition("Valid", "False")])).await;
    assert_eq!(code, StatusCode::CONFLICT, "{answer}");
    let cause = &answer["details"]["causes"][0];
    assert_eq!(cause["field"], ".status.conditions[type=\"Valid\"].status");
    assert_eq!(cause["message"], "conflict with \"a\" with subresource \"status\"");
    let (_, less) = apply("a", json!([])).await;
    assert_eq!(types(&less), ["Conflict"], "an applier takes its own items away, and no others");
}

#[tokio::test]
async fn objects_of_argo_rollouts_behave() {
    let (_server, client) = server().await;
    if !install(&client, "argo-rollouts").await {
        return;
    }
    let datadog = json!({"name": "errors", "count": "3", "failureLimit": 1,
        "provider": {"datadog": {"query": "sum:errors"}}});
    let template = Case {
        path: "/apis/argoproj.io/v1alpha1/namespaces/default/analysistemplates",
        api_version: "argoproj.io/v1alpha1",
        kind: "AnalysisTemplate",
        spec: json!({"args": [{"name": "service"}], "metrics": [datadog]}),
        defaults: vec![
            ("/metrics/0/provider/datadog/apiVersion", json!("v1")),
            ("/metrics/0/provider/datadog/interval", json!("5m")),
            ("/metrics/0/provider/datadog/requestTimeout", json!("10s")),
        ],
        faults: vec![
            ("/metrics/0/name", Value::Null, "FieldValueRequired", "spec.metrics[0].name", "Required value"),
            (
                "/metrics/0/count",
                json!(true),
                "FieldValueTypeInvalid",
                "spec.metrics[0].count",
                "integer,string",
            ),
            (
                "/metrics",
                json!("all"),
                "FieldValueTypeInvalid",
                "spec.metrics",
                "must be of type array: \"string\"",
            ),
            (
                "/metrics/0/provider",
                json!({"web": {}}),
                "FieldValueRequired",
                "spec.metrics[0].provider.web.url",
                "Required value",
            ),
        ],
    };
    check(&client, &template).await;
    let cluster = "/apis/argoproj.io/v1alpha1/clusteranalysistemplates";
    let mut object = template.object("everywhere", &template.spec);
    object["kind"] = json!("ClusterAnalysisTemplate");
    assert_eq!(post(&client, cluster, &object).await.0, StatusCode::CREATED);
    // Argo's definitions have no status subresource: status is a field like any other.
    let run = json!({"apiVersion": "argoproj.io/v1alpha1", "kind": "AnalysisRun", "metadata": {"name": "r"},
        "spec": {"metrics": [datadog]}, "status": {"phase": "Running"}});
    let path = "/apis/argoproj.io/v1alpha1/namespaces/default/analysisruns";
    let (_, created) = post(&client, path, &run).await;
    assert_eq!(
        (&created["status"]["phase"], &created["metadata"]["generation"]),
        (&json!("Running"), &json!(1))
    );
    let done = json!({"status": {"phase": "Successful"}});
    let (_, object) = patch(&client, &format!("{path}/r"), "merge-patch+json", &done).await;
    assert_eq!(
        (&object["status"]["phase"], &object["metadata"]["generation"]),
        (&json!("Successful"), &json!(2))
    );
    let (code, _) = patch(&client, &format!("{path}/r/status"), "merge-patch+json", &done).await;
    assert_eq!(code, StatusCode::NOT_FOUND);
    let experiment = json!({"apiVersion": "argoproj.io/v1alpha1", "kind": "Experiment", "metadata": {"name": "e"},
        "spec": {"templates": [{"name": "a", "selector": {}, "template": {"spec": {"containers": [
            {"name": "c", "image": "i", "ports": [{"containerPort": 80}], "resources": {"limits": {"cpu": 1}}}]}}}]}});
    let path = "/apis/argoproj.io/v1alpha1/namespaces/default/experiments";
    let (code, object) = post(&client, path, &experiment).await;
    assert_eq!(code, StatusCode::CREATED, "{object}");
    let container = &object["spec"]["templates"][0]["template"]["spec"]["containers"][0];
    assert_eq!(container["ports"][0]["protocol"], "TCP", "a default inside a list inside a list");
}
