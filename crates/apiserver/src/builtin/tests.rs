use super::{NameRule, by_plural, event, kinds, validate_metadata};
use serde_json::{Value, json};

fn kind(group: &str, plural: &str) -> &'static super::BuiltinKind {
    by_plural(group, "v1", plural).unwrap()
}

fn made(group: &str, plural: &str, mut object: Value) -> Value {
    kind(group, plural).default(&mut object, None);
    object
}

fn faults(group: &str, plural: &str, object: &Value, old: Option<&Value>) -> Vec<String> {
    kind(group, plural).validate(object, old).iter().map(ToString::to_string).collect()
}

fn deployment() -> Value {
    json!({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "d"}, "spec": {
        "selector": {"matchLabels": {"a": "b"}},
        "template": {"metadata": {"labels": {"a": "b"}, "creationTimestamp": null},
            "spec": {"containers": [{"name": "c", "image": "nginx", "ports": [{"containerPort": 80}],
                "readinessProbe": {"httpGet": {"port": 80}}}], "volumes": [{"name": "v", "secret": {"secretName": "s"}}]}}}})
}

#[test]
fn every_kind_has_a_schema_and_its_names() {
    for kind in kinds() {
        let schema = kind.schema();
        assert!(schema.property("metadata").is_some(), "{}", kind.kind);
        assert_eq!(kind.singular, kind.kind.to_lowercase());
        assert_eq!(kind.status && kind.stored, kind.status, "{}", kind.kind);
        let twins = kinds().iter().filter(|other| (other.group, other.plural) == (kind.group, kind.plural));
        assert_eq!(twins.count(), 1, "{}", kind.plural);
    }
}

#[test]
fn a_deployment_gets_upstreams_defaults() {
    let made = made("apps", "deployments", deployment());
    let expected = json!({
        "selector": {"matchLabels": {"a": "b"}},
        "template": {"metadata": {"labels": {"a": "b"}}, "spec": {
            "containers": [{"name": "c", "image": "nginx",
                "ports": [{"containerPort": 80, "protocol": "TCP"}],
                "readinessProbe": {"httpGet": {"port": 80, "path": "/", "scheme": "HTTP"}, "failureThreshold": 3,
                    "periodSeconds": 10, "successThreshold": 1, "timeoutSeconds": 1},
                "resources": {}, "terminationMessagePath": "/dev/termination-log", "terminationMessagePolicy": "File",
                "imagePullPolicy": "Always"}],
            "volumes": [{"name": "v", "secret": {"secretName": "s", "defaultMode": 420}}],
            "dnsPolicy": "ClusterFirst", "restartPolicy": "Always", "schedulerName": "default-scheduler",
            "securityContext": {}, "terminationGracePeriodSeconds": 30}},
        "progressDeadlineSeconds": 600, "replicas": 1, "revisionHistoryLimit": 10,
        "strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxUnavailable": "25%", "maxSurge": "25%"}},
    });
    assert_eq!(made["spec"], expected);
    assert!(faults("apps", "deployments", &made, None).is_empty());
    let mut again = made.clone();
    kind("apps", "deployments").default(&mut again, Some(&made));
    assert_eq!(again, made, "defaulting twice changes nothing");
}

#[test]
fn tags_decide_the_pull_policy() {
    for (image, policy) in [
        ("nginx", "Always"),
        ("nginx:latest", "Always"),
        ("nginx:1.27", "IfNotPresent"),
        ("reg:5000/nginx", "Always"),
        ("nginx@sha256:abc", "IfNotPresent"),
    ] {
        let pod = json!({"spec": {"containers": [{"name": "c", "image": image}]}});
        assert_eq!(made("", "pods", pod)["spec"]["containers"][0]["imagePullPolicy"], policy, "{image}");
    }
}

#[test]
fn deployments_are_refused_with_upstreams_words() {
    let good = made("apps", "deployments", deployment());
    let mut other = good.clone();
    other["spec"]["selector"] = json!({"matchLabels": {"x": "y"}});
    assert_eq!(
        faults("apps", "deployments", &other, Some(&good)),
        [
            "spec.template.metadata.labels: Invalid value: {\"a\":\"b\"}: `selector` does not match template `labels`",
            "spec.selector: Invalid value: {\"matchLabels\":{\"x\":\"y\"}}: field is immutable"
        ]
    );
    let empty = made("apps", "deployments", json!({"metadata": {"name": "d"}}));
    assert_eq!(
        faults("apps", "deployments", &empty, None),
        ["spec.selector: Required value", "spec.template.spec.containers: Required value"]
    );
    let mut never = good;
    never["spec"]["template"]["spec"]["restartPolicy"] = json!("Never");
    never["spec"]["replicas"] = json!(-1);
    assert_eq!(
        faults("apps", "deployments", &never, None),
        [
            "spec.replicas: Invalid value: -1: must be greater than or equal to 0",
            "spec.template.spec.restartPolicy: Unsupported value: \"Never\": supported values: \"Always\""
        ]
    );
}

#[test]
fn other_workloads_get_their_defaults() {
    let set = made("apps", "statefulsets", deployment());
    assert_eq!(
        set["spec"]["updateStrategy"],
        json!({"type": "RollingUpdate", "rollingUpdate": {"partition": 0}})
    );
    assert_eq!(
        set["spec"]["persistentVolumeClaimRetentionPolicy"],
        json!({"whenDeleted": "Retain", "whenScaled": "Retain"})
    );
    assert_eq!(set["spec"]["serviceName"], "");
    let daemon = made("apps", "daemonsets", deployment());
    assert_eq!(
        daemon["spec"]["updateStrategy"]["rollingUpdate"],
        json!({"maxUnavailable": 1, "maxSurge": 0})
    );
    assert!(daemon["spec"].get("replicas").is_none());
}

#[test]
fn a_job_selects_its_pods_by_uid() {
    let job = json!({"metadata": {"name": "j", "uid": "u-1"}, "spec": {"template": {"spec": {
        "restartPolicy": "Never", "containers": [{"name": "c", "image": "i:1"}]}}}});
    let job = made("batch", "jobs", job);
    let spec = &job["spec"];
    assert_eq!(
        (&spec["parallelism"], &spec["completions"], &spec["backoffLimit"]),
        (&json!(1), &json!(1), &json!(6))
    );
    assert_eq!(spec["selector"], json!({"matchLabels": {"batch.kubernetes.io/controller-uid": "u-1"}}));
    let labels = &spec["template"]["metadata"]["labels"];
    assert_eq!(labels["batch.kubernetes.io/job-name"], "j");
    assert_eq!(labels["controller-uid"], "u-1");
    assert!(faults("batch", "jobs", &job, None).is_empty());
    let bare = json!({"metadata": {"name": "j", "uid": "u-1"}, "spec": {"template": {"spec": {
        "restartPolicy": "Never", "containers": [{"name": "c", "image": "i:1"}]}}}});
    let mut replaced = bare;
    kind("batch", "jobs").default(&mut replaced, Some(&job));
    assert_eq!(faults("batch", "jobs", &replaced, Some(&job)), Vec::<String>::new());
    let always = made(
        "batch",
        "jobs",
        json!({"metadata": {"name": "j"}, "spec": {"template": {"spec": {
        "containers": [{"name": "c", "image": "i"}]}}}}),
    );
    assert_eq!(
        faults("batch", "jobs", &always, None),
        ["spec.template.spec.restartPolicy: Required value: valid values: \"OnFailure\", \"Never\""]
    );
}

#[test]
fn h_39_string_data_is_merged_and_never_stored() {
    let secret = json!({"data": {"a": "YQ=="}, "stringData": {"a": "z", "b": "b"}});
    let secret = made("", "secrets", secret);
    assert_eq!(secret["data"], json!({"a": "eg==", "b": "Yg=="}));
    assert!(secret.get("stringData").is_none());
    assert_eq!(secret["type"], "Opaque");
}

#[test]
fn secrets_and_config_maps_check_their_keys_and_freeze() {
    let tls = json!({"type": "kubernetes.io/tls", "data": {"a b": "YQ=="}});
    let found = faults("", "secrets", &tls, None);
    assert!(found[0].starts_with("data[a b]: Invalid value: \"a b\": a valid config key"), "{found:?}");
    assert!(found.contains(&"data[tls.crt]: Required value".to_owned()));
    let old = json!({"type": "Opaque", "immutable": true, "data": {"a": "YQ=="}});
    let new = json!({"type": "x", "data": {"a": "Yg=="}});
    assert_eq!(
        faults("", "secrets", &new, Some(&old)),
        [
            "type: Invalid value: \"x\": field is immutable",
            "immutable: Forbidden: field is immutable when `immutable` is set",
            "data: Forbidden: field is immutable when `immutable` is set"
        ]
    );
    let both = json!({"data": {"a": "1"}, "binaryData": {"a": "YQ=="}});
    assert_eq!(
        faults("", "configmaps", &both, None),
        ["data[a]: Invalid value: \"a\": duplicate of key present in binaryData"]
    );
    let big = json!({"data": {"a": "x".repeat(1024 * 1024 + 1)}});
    assert_eq!(faults("", "configmaps", &big, None), ["[]: Too long: may not be more than 1048576 bytes"]);
    let docker = json!({"type": "kubernetes.io/dockerconfigjson", "data": {".dockerconfigjson": "c2VjcmV0"}});
    let found = faults("", "secrets", &docker, None);
    assert!(found[0].contains("<secret contents redacted>") && !found[0].contains("secret\""), "{found:?}");
}

#[test]
fn null_in_a_map_of_texts_is_the_empty_text() {
    let map = made("", "configmaps", json!({"metadata": {"creationTimestamp": null}, "data": {"a": null}}));
    assert_eq!(map, json!({"metadata": {}, "data": {"a": ""}}));
}

#[test]
fn a_namespace_carries_its_name_and_finalizer() {
    let namespace = made("", "namespaces", json!({"metadata": {"name": "n"}}));
    assert_eq!(namespace["metadata"]["labels"], json!({"kubernetes.io/metadata.name": "n"}));
    assert_eq!(namespace["spec"], json!({"finalizers": ["kubernetes"]}));
    assert_eq!(namespace["status"], json!({"phase": "Active"}));
    let mut changed =
        json!({"metadata": {"name": "n", "labels": {"kubernetes.io/metadata.name": "x"}}, "spec": {}});
    kind("", "namespaces").default(&mut changed, Some(&namespace));
    assert_eq!(changed["metadata"]["labels"]["kubernetes.io/metadata.name"], "n");
    assert_eq!(changed["spec"], namespace["spec"]);
}

#[test]
fn services_default_and_keep_their_address() {
    let service = json!({"spec": {"selector": {"a": "b"}, "ports": [{"port": 80}]}});
    let mut service = made("", "services", service);
    assert!(super::needs_cluster_ip(&service));
    service["spec"]["clusterIP"] = json!("10.0.0.1");
    service["spec"]["clusterIPs"] = json!(["10.0.0.1"]);
    assert_eq!(
        service["spec"],
        json!({"selector": {"a": "b"}, "ports": [{"port": 80, "protocol": "TCP", "targetPort": 80}],
            "type": "ClusterIP", "sessionAffinity": "None", "ipFamilies": ["IPv4"], "ipFamilyPolicy": "SingleStack",
            "internalTrafficPolicy": "Cluster", "clusterIP": "10.0.0.1", "clusterIPs": ["10.0.0.1"]})
    );
    assert_eq!(service["status"], json!({"loadBalancer": {}}));
    let mut replaced = json!({"spec": {"ports": [{"port": 81}]}});
    kind("", "services").default(&mut replaced, Some(&service));
    assert_eq!(replaced["spec"]["clusterIP"], "10.0.0.1");
    let mut moved = service.clone();
    moved["spec"]["clusterIP"] = json!("10.0.0.99");
    assert_eq!(
        faults("", "services", &moved, Some(&service)),
        ["spec.clusterIPs[0]: Invalid value: [\"10.0.0.99\"]: may not change once set"]
    );
    let nameless = made("", "services", json!({"spec": {"ports": [{"port": 1}, {"port": 2, "name": "b"}]}}));
    assert_eq!(faults("", "services", &nameless, None), ["spec.ports[0].name: Required value"]);
    let none = made("", "services", json!({"spec": {}}));
    assert_eq!(faults("", "services", &none, None), ["spec.ports: Required value"]);
    let headless = made("", "services", json!({"spec": {"clusterIP": "None"}}));
    assert!(faults("", "services", &headless, None).is_empty());
    assert_eq!(headless["spec"]["ipFamilyPolicy"], "RequireDualStack");
}

#[test]
fn leases_count_from_one() {
    let lease = json!({"spec": {"leaseDurationSeconds": 0, "leaseTransitions": -1, "holderIdentity": ""}});
    assert_eq!(
        faults("coordination.k8s.io", "leases", &lease, None),
        [
            "spec.leaseDurationSeconds: Invalid value: 0: must be greater than 0",
            "spec.leaseTransitions: Invalid value: -1: must be greater than or equal to 0"
        ]
    );
    assert_eq!(
        made("coordination.k8s.io", "leases", lease.clone()),
        lease,
        "no defaults, an empty holder stays"
    );
}

#[test]
fn bindings_keep_their_role() {
    let binding =
        json!({"subjects": [{"kind": "User", "name": "u"}], "roleRef": {"kind": "Role", "name": "r"}});
    let binding = made("rbac.authorization.k8s.io", "rolebindings", binding);
    assert_eq!(binding["subjects"][0]["apiGroup"], "rbac.authorization.k8s.io");
    let mut other = binding.clone();
    other["roleRef"]["name"] = json!("s");
    assert_eq!(
        faults("rbac.authorization.k8s.io", "rolebindings", &other, Some(&binding)),
        [
            "roleRef: Invalid value: {\"APIGroup\":\"rbac.authorization.k8s.io\",\"Kind\":\"Role\",\"Name\":\"s\"}: cannot change roleRef"
        ]
    );
}

#[test]
fn h_55_an_event_has_two_shapes() {
    let core = json!({"apiVersion": "v1", "kind": "Event", "metadata": {"name": "e", "namespace": "n"},
        "involvedObject": {"kind": "Pod", "name": "p", "namespace": "n"}, "message": "m", "count": 2});
    let new = event::to_new(&core);
    assert_eq!(new["apiVersion"], "events.k8s.io/v1");
    assert_eq!(
        (&new["regarding"]["name"], &new["note"], &new["deprecatedCount"]),
        (&json!("p"), &json!("m"), &json!(2))
    );
    let back = event::to_core(&new);
    assert_eq!(back["involvedObject"], core["involvedObject"]);
    assert_eq!(back["firstTimestamp"], Value::Null);
    assert_eq!(back["source"], json!({}));
    assert_eq!(event::to_core(&back), back);
    let mut wrong = core;
    wrong["involvedObject"]["namespace"] = json!("zz");
    assert_eq!(
        faults("", "events", &wrong, None),
        ["involvedObject.namespace: Invalid value: \"zz\": does not match event.namespace"]
    );
}

#[test]
fn field_labels_are_checked_in_upstreams_words() {
    let text =
        |group: &str, plural: &str| kind(group, plural).check_field_label("spec.x").unwrap_err().to_string();
    assert_eq!(
        text("", "configmaps"),
        "\"spec.x\" is not a known field selector: only \"metadata.name\", \"metadata.namespace\""
    );
    assert_eq!(text("", "pods"), "field label not supported: spec.x");
    assert_eq!(text("batch", "jobs"), "field label \"spec.x\" not supported for Job");
    assert!(kind("", "namespaces").check_field_label("metadata.namespace").is_err());
    let event = json!({"source": {"component": "c"}});
    assert_eq!(kind("", "events").field_value(&event, "source"), "c");
    assert_eq!(kind("batch", "jobs").field_value(&json!({}), "status.successful"), "0");
}

#[test]
fn h_31_metadata_follows_its_rules() {
    let check = |metadata: Value, old: Option<Value>| -> Vec<String> {
        let old = old.map(|old| json!({"metadata": old}));
        let found =
            validate_metadata(&json!({"metadata": metadata}), old.as_ref(), NameRule::Subdomain, false);
        found.iter().map(ToString::to_string).collect()
    };
    assert_eq!(check(json!({}), None), ["metadata.name: Required value: name or generateName is required"]);
    assert!(
        check(json!({"name": "A"}), None)[0]
            .starts_with("metadata.name: Invalid value: \"A\": a lowercase RFC 1123")
    );
    assert!(
        check(json!({"name": "a", "labels": {"k": "-"}}), None)[0]
            .starts_with("metadata.labels: Invalid value: \"-\"")
    );
    let big = json!({"name": "a", "annotations": {"k": "x".repeat(262_144)}});
    assert_eq!(check(big, None), ["metadata.annotations: Too long: may not be more than 262144 bytes"]);
    let owner = json!({"name": "a", "ownerReferences": [{"apiVersion": "v1", "kind": "Event", "name": "e", "uid": ""}]});
    let found = check(owner, None);
    assert_eq!(found[0], "metadata.ownerReferences.uid: Invalid value: \"\": must not be empty");
    assert!(found[1].ends_with("/v1, Kind=Event is disallowed from being an owner"));
    assert_eq!(check(json!({"name": "a", "finalizers": ["x"]}), None).len(), 1);
    let deleting = json!({"name": "a", "deletionTimestamp": "t", "finalizers": ["a/b"]});
    let more = json!({"name": "a", "deletionTimestamp": "t", "finalizers": ["a/b", "x.y/z"]});
    assert_eq!(
        check(more, Some(deleting.clone())),
        [
            "metadata.finalizers: Forbidden: no new finalizers can be added if the object is being deleted, found new finalizers []string{\"x.y/z\"}"
        ]
    );
    let other = json!({"name": "a", "deletionTimestamp": "u"});
    assert_eq!(
        check(other, Some(deleting)),
        ["metadata.deletionTimestamp: Invalid value: \"u\": field is immutable"]
    );
}

fn crd(change: impl FnOnce(&mut Value)) -> Value {
    let mut crd = json!({"metadata": {"name": "gizmos.example.com"}, "spec": {"group": "example.com",
        "scope": "Namespaced", "names": {"plural": "gizmos", "kind": "Gizmo"},
        "versions": [{"name": "v1", "served": true, "storage": true, "schema": {"openAPIV3Schema": {
            "type": "object", "properties": {"spec": {"type": "object", "properties": {"a": {"type": "string"}}}}}}}]}});
    change(&mut crd);
    made("apiextensions.k8s.io", "customresourcedefinitions", crd)
}

fn crd_faults(change: impl FnOnce(&mut Value)) -> Vec<String> {
    faults("apiextensions.k8s.io", "customresourcedefinitions", &crd(change), None)
}

#[test]
fn a_crd_names_itself() {
    let made = crd(|_| {});
    assert_eq!(
        made["spec"]["names"],
        json!({"plural": "gizmos", "kind": "Gizmo", "singular": "gizmo", "listKind": "GizmoList"})
    );
    assert_eq!(made["spec"]["conversion"], json!({"strategy": "None"}));
    assert_eq!(
        made["status"],
        json!({"conditions": null, "acceptedNames": {"plural": "", "kind": ""}, "storedVersions": ["v1"]})
    );
    assert!(crd_faults(|_| {}).is_empty());
}

#[test]
fn crds_are_refused_with_upstreams_words() {
    let one = |change: fn(&mut Value)| crd_faults(change);
    assert_eq!(
        one(|crd| crd["metadata"]["name"] = json!("N")),
        ["metadata.name: Invalid value: \"N\": must be spec.names.plural+\".\"+spec.group"]
    );
    assert_eq!(
        one(|crd| crd["spec"]["scope"] = json!("Foo")),
        ["spec.scope: Unsupported value: \"Foo\": supported values: \"Cluster\", \"Namespaced\""]
    );
    assert_eq!(
        one(|crd| crd["spec"]["versions"][0]["storage"] = json!(false)),
        ["spec.versions: Invalid value: [\"v1\"]: must have exactly one version marked as storage version"]
    );
    assert!(
        one(|crd| crd["spec"]["versions"][0]["schema"] = Value::Null)[0]
            .starts_with("spec.versions[0].schema.openAPIV3Schema: Required value")
    );
    assert_eq!(
        one(|crd| crd["spec"]["versions"][0]["additionalPrinterColumns"] =
            json!([{"name": "a", "type": "foo", "jsonPath": ".a"}])),
        [
            "spec.additionalPrinterColumns[0].type: Invalid value: \"foo\": must be one of boolean,date,integer,number,string"
        ]
    );
    assert_eq!(
        one(|crd| crd["spec"]["versions"][0]["selectableFields"] = json!([{"jsonPath": ".spec.zz"}])),
        [
            "spec.selectableFields[0].jsonPath: Invalid value: \".spec.zz\": is an invalid path: does not refer to a valid field"
        ]
    );
    assert_eq!(
        one(|crd| crd["spec"]["versions"][0]["subresources"] =
            json!({"scale": {"specReplicasPath": ".spec.replicas"}})),
        ["spec.subresources.scale.statusReplicasPath: Required value"]
    );
    assert_eq!(
        one(
            |crd| crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["spec"]["properties"]
                ["a"] = json!({})
        ),
        [
            "spec.validation.openAPIV3Schema.properties[spec].properties[a].type: Required value: must not be empty for specified object fields"
        ]
    );
}

#[test]
fn a_stored_version_stays_declared() {
    let old = crd(|_| {});
    let mut new = old.clone();
    new["spec"]["versions"][0]["name"] = json!("v2");
    let found = faults("apiextensions.k8s.io", "customresourcedefinitions", &new, Some(&old));
    assert!(
        found[0].starts_with(
            "status.storedVersions[0]: Invalid value: \"v1\": missing from spec.versions; v1 was"
        )
    );
}
