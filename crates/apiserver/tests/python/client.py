"""The official Python client against a server: every call as a program makes it.

Run with KUBECONFIG set. Each function is one story; the first that is not as
it should be ends the run with its traceback.
"""

import base64
import json
import threading

from kubernetes import client, config, dynamic, watch
from kubernetes.client.rest import ApiException

NAMESPACE = "default"


def refused(code, reason, call, *arguments, **options):
    """The Status of a call that must fail."""
    try:
        call(*arguments, **options)
    except ApiException as error:
        status = json.loads(error.body)
        assert (error.status, status["reason"]) == (code, reason), status
        return status
    raise AssertionError(f"{call.__name__} should have been refused")


def config_map(name, data):
    return client.V1ConfigMap(metadata=client.V1ObjectMeta(name=name, labels={"set": "p"}), data=data)


def crud():
    core = client.CoreV1Api()
    made = core.create_namespaced_config_map(NAMESPACE, config_map("a", {"x": "1"}))
    assert made.metadata.uid and made.metadata.creation_timestamp.tzinfo is not None
    status = refused(409, "AlreadyExists", core.create_namespaced_config_map, NAMESPACE, config_map("a", {}))
    assert status["details"] == {"name": "a", "kind": "configmaps"}, status
    made.data = {"x": "2"}
    replaced = core.replace_namespaced_config_map("a", NAMESPACE, made)
    assert replaced.metadata.resource_version != made.metadata.resource_version
    refused(409, "Conflict", core.replace_namespaced_config_map, "a", NAMESPACE, made)
    assert core.read_namespaced_config_map("a", NAMESPACE).data == {"x": "2"}
    listed = core.list_namespaced_config_map(NAMESPACE, label_selector="set=p", limit=1)
    assert [item.metadata.name for item in listed.items] == ["a"]
    assert core.list_namespaced_pod(NAMESPACE).items == []
    gone = core.delete_namespaced_config_map("a", NAMESPACE)
    assert gone.status == "Success" and gone.details.kind == "configmaps"
    refused(404, "NotFound", core.read_namespaced_config_map, "a", NAMESPACE)


def pages():
    core = client.CoreV1Api()
    for number in range(5):
        core.create_namespaced_config_map(NAMESPACE, config_map(f"page-{number}", {}))
    names, token = [], None
    while True:
        page = core.list_namespaced_config_map(NAMESPACE, label_selector="set=p", limit=2, _continue=token)
        names += [item.metadata.name for item in page.items]
        token = page.metadata._continue
        if not token:
            break
    assert names == [f"page-{number}" for number in range(5)], names
    removed = core.delete_collection_namespaced_config_map(NAMESPACE, label_selector="set=p")
    assert removed.kind in ("ConfigMapList", "Status") or len(removed.items) == 5
    assert core.list_namespaced_config_map(NAMESPACE, label_selector="set=p").items == []


def patches():
    core, apps = client.CoreV1Api(), client.AppsV1Api()
    core.create_namespaced_config_map(NAMESPACE, config_map("p", {"x": "1", "y": "2"}))
    merged = core.patch_namespaced_config_map("p", NAMESPACE, {"data": {"y": None, "z": "3"}})
    assert merged.data == {"x": "1", "z": "3"}, merged.data
    steps = [{"op": "replace", "path": "/data/x", "value": "9"}]
    assert core.patch_namespaced_config_map("p", NAMESPACE, steps).data["x"] == "9"
    container = {"name": "c", "image": "nginx:1", "ports": [{"containerPort": 80}]}
    labels = {"app": "web"}
    web = {
        "metadata": {"name": "web"},
        "spec": {
            "replicas": 2,
            "selector": {"matchLabels": labels},
            "template": {"metadata": {"labels": labels}, "spec": {"containers": [container]}},
        },
    }
    made = apps.create_namespaced_deployment(NAMESPACE, web)
    assert made.spec.strategy.rolling_update.max_surge == "25%"
    change = {"spec": {"template": {"spec": {"containers": [{"name": "c", "image": "nginx:2"}]}}}}
    patched = apps.patch_namespaced_deployment("web", NAMESPACE, change)
    assert patched.spec.template.spec.containers[0].ports[0].container_port == 80
    scale = apps.patch_namespaced_deployment_scale("web", NAMESPACE, {"spec": {"replicas": 3}})
    assert (scale.kind, scale.spec.replicas, scale.status.selector) == ("Scale", 3, "app=web")
    apps.delete_namespaced_deployment("web", NAMESPACE, propagation_policy="Foreground")


def watches():
    core, seen = client.CoreV1Api(), []
    start = core.list_namespaced_config_map(NAMESPACE).metadata.resource_version

    def change():
        core.create_namespaced_config_map(NAMESPACE, config_map("w", {"x": "1"}))
        core.patch_namespaced_config_map("w", NAMESPACE, {"data": {"x": "2"}})
        core.delete_namespaced_config_map("w", NAMESPACE)

    changing = threading.Thread(target=change)
    changing.start()
    stream = watch.Watch().stream(
        core.list_namespaced_config_map, NAMESPACE, resource_version=start, timeout_seconds=20
    )
    for event in stream:
        seen.append((event["type"], event["object"].metadata.name, event["object"].data["x"]))
        if event["type"] == "DELETED":
            break
    changing.join()
    assert seen == [("ADDED", "w", "1"), ("MODIFIED", "w", "2"), ("DELETED", "w", "2")], seen
    try:
        for _ in watch.Watch().stream(
            core.list_namespaced_config_map, NAMESPACE, resource_version="1", timeout_seconds=1
        ):
            break
    except ApiException as error:
        assert error.status == 410, error


def tokens():
    core, rbac = client.CoreV1Api(), client.RbacAuthorizationV1Api()
    account = {"metadata": {"name": "robot"}}
    core.create_namespaced_service_account(NAMESPACE, account)
    issued = core.create_namespaced_service_account_token("robot", NAMESPACE, {"spec": {}})
    claims = issued.status.token.split(".")[1]
    claims = json.loads(base64.urlsafe_b64decode(claims + "=" * (-len(claims) % 4)))
    assert claims["sub"] == "system:serviceaccount:default:robot", claims
    assert claims["exp"] - claims["iat"] == 3600, claims
    own = client.Configuration.get_default_copy()
    own.cert_file = own.key_file = None
    own.api_key = {"BearerToken": issued.status.token}
    own.api_key_prefix = {"BearerToken": "Bearer"}
    robot = client.ApiClient(own)
    me = client.AuthenticationV1Api(robot).create_self_subject_review({})
    assert me.status.user_info.username == "system:serviceaccount:default:robot"
    refused(403, "Forbidden", client.CoreV1Api(robot).list_namespaced_pod, NAMESPACE)
    binding = {
        "metadata": {"name": "robot"},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "view"},
        "subjects": [{"kind": "ServiceAccount", "name": "robot", "namespace": NAMESPACE}],
    }
    rbac.create_namespaced_role_binding(NAMESPACE, binding)
    assert client.CoreV1Api(robot).list_namespaced_pod(NAMESPACE).items == []
    review = client.AuthenticationV1Api().create_token_review({"spec": {"token": issued.status.token}})
    assert review.status.authenticated and review.status.user.uid, review
    asked = {"spec": {"user": "jane", "resourceAttributes": {"verb": "get", "resource": "pods"}}}
    answer = client.AuthorizationV1Api().create_subject_access_review(asked)
    assert answer.status.allowed is False
    core.delete_namespaced_service_account("robot", NAMESPACE)
    refused(401, "Unauthorized", client.CoreV1Api(robot).list_namespaced_pod, NAMESPACE)


def custom_resources():
    schema = {
        "type": "object",
        "properties": {
            "spec": {"type": "object", "properties": {"size": {"type": "integer", "default": 3}}},
            "status": {"type": "object", "properties": {"phase": {"type": "string"}}},
        },
    }
    definition = {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": "widgets.example.com"},
        "spec": {
            "group": "example.com",
            "scope": "Namespaced",
            "names": {"plural": "widgets", "kind": "Widget"},
            "versions": [
                {
                    "name": "v1",
                    "served": True,
                    "storage": True,
                    "subresources": {"status": {}},
                    "schema": {"openAPIV3Schema": schema},
                }
            ],
        },
    }
    extensions = client.ApiextensionsV1Api()
    extensions.create_custom_resource_definition(definition)
    waiting = watch.Watch().stream(
        extensions.list_custom_resource_definition,
        field_selector="metadata.name=widgets.example.com",
        timeout_seconds=20,
    )
    for event in waiting:
        conditions = event["object"].status.conditions or []
        if any(found.type == "Established" and found.status == "True" for found in conditions):
            break
    place = ("example.com", "v1", NAMESPACE, "widgets")
    objects = client.CustomObjectsApi()
    made = objects.create_namespaced_custom_object(
        *place, {"apiVersion": "example.com/v1", "kind": "Widget", "metadata": {"name": "w"}, "spec": {}}
    )
    assert made["spec"] == {"size": 3}, made
    objects.patch_namespaced_custom_object_status(*place, "w", {"status": {"phase": "Ready"}})
    found = objects.get_namespaced_custom_object(*place, "w")
    assert found["status"] == {"phase": "Ready"} and found["metadata"]["generation"] == 1, found
    refused(422, "Invalid", objects.patch_namespaced_custom_object, *place, "w", {"spec": {"size": "x"}})
    # The dynamic client reads discovery, and applies.
    widgets = dynamic.DynamicClient(client.ApiClient()).resources.get(
        api_version="example.com/v1", kind="Widget"
    )
    body = {"apiVersion": "example.com/v1", "kind": "Widget", "metadata": {"name": "w"}, "spec": {"size": 5}}
    applied = widgets.server_side_apply(body, name="w", namespace=NAMESPACE, field_manager="python", force_conflicts=True)
    assert applied.spec.size == 5
    assert any(entry.operation == "Apply" for entry in applied.metadata.managedFields)
    extensions.delete_custom_resource_definition("widgets.example.com")


def errors():
    core = client.CoreV1Api()
    bad = {"metadata": {"name": "UPPER"}}
    status = refused(422, "Invalid", core.create_namespaced_config_map, NAMESPACE, bad)
    assert status["details"]["causes"][0]["field"] == "metadata.name", status
    refused(404, "NotFound", core.create_namespaced_config_map, "nowhere", config_map("a", {}))
    refused(400, "BadRequest", core.list_namespaced_config_map, NAMESPACE, field_selector="spec.x=1")
    refused(405, "MethodNotAllowed", core.read_namespaced_pod_log, *running_pod())
    version = client.VersionApi().get_code()
    assert version.major == "1" and int(version.minor) >= 33, version
    groups = [group.name for group in client.ApisApi().get_api_versions().groups]
    assert "apps" in groups and "rbac.authorization.k8s.io" in groups, groups


def running_pod():
    body = {"metadata": {"name": "p"}, "spec": {"containers": [{"name": "c", "image": "busybox"}]}}
    made = client.CoreV1Api().create_namespaced_pod(NAMESPACE, body)
    assert made.status.phase == "Pending" and made.spec.service_account_name == "default"
    return "p", NAMESPACE


if __name__ == "__main__":
    config.load_kube_config()
    for story in (crud, pages, patches, watches, tokens, custom_resources, errors):
        story()
        print(story.__name__, flush=True)
