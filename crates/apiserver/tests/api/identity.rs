//! Accounts, tokens, gathered roles, and what the server writes down
//! (spec/apiserver.md 16, 18).

use std::io::Read;
use std::sync::{Arc, Mutex};

use http::{Method, Request, StatusCode};
use kube::Client;
use kube::client::Body;
use okra_apiserver::{AuditLog, Options, Server, Storage, User};
use serde_json::{Value, json};

use crate::common::{CONFIG_MAPS, config_map, delete, get, post, send, server, until};

const ACCOUNTS: &str = "/api/v1/namespaces/default/serviceaccounts";
const RBAC: &str = "/apis/rbac.authorization.k8s.io/v1";
const TOKEN_REVIEWS: &str = "/apis/authentication.k8s.io/v1/tokenreviews";

fn account(name: &str) -> Value {
    json!({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": name}})
}

fn as_user(server: &Server, name: &str) -> Client {
    Client::new(server.in_process().acting_as(User { name: name.into(), ..User::default() }), "default")
}

async fn token(client: &Client, spec: Value) -> (StatusCode, Value) {
    let request = json!({"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": spec});
    post(client, &format!("{ACCOUNTS}/robot/token"), &request).await
}

async fn review(client: &Client, spec: Value) -> Value {
    let review = json!({"apiVersion": "authentication.k8s.io/v1", "kind": "TokenReview", "spec": spec});
    let (status, answer) = post(client, TOKEN_REVIEWS, &review).await;
    assert_eq!(status, StatusCode::CREATED, "{answer}");
    answer["status"].clone()
}

#[tokio::test]
async fn a_token_is_good_for_its_audience_and_as_long_as_its_account_lives() {
    let (_server, client) = server().await;
    post(&client, ACCOUNTS, &account("robot")).await;
    let (status, request) = token(&client, json!({"audiences": ["vault"]})).await;
    assert_eq!(status, StatusCode::CREATED, "{request}");
    assert_eq!(request["spec"]["expirationSeconds"], 3600);
    let text = request["status"]["token"].as_str().expect("a token").to_owned();
    let known = review(&client, json!({"token": text, "audiences": ["vault", "other"]})).await;
    assert_eq!((&known["authenticated"], &known["audiences"]), (&json!(true), &json!(["vault"])));
    assert_eq!(known["user"]["username"], "system:serviceaccount:default:robot");
    let unknown = json!({"user": {}, "error": "invalid bearer token"});
    assert_eq!(review(&client, json!({"token": text})).await, unknown, "it is not meant for this server");
    delete(&client, &format!("{ACCOUNTS}/robot")).await;
    // An account of the same name is another account.
    post(&client, ACCOUNTS, &account("robot")).await;
    assert_eq!(review(&client, json!({"token": text, "audiences": ["vault"]})).await, unknown);
}

#[tokio::test]
async fn a_bound_token_dies_with_what_it_is_bound_to() {
    let (_server, client) = server().await;
    post(&client, ACCOUNTS, &account("robot")).await;
    let secrets = "/api/v1/namespaces/default/secrets";
    let secret = json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "s"}});
    post(&client, secrets, &secret).await;
    let bound = json!({"boundObjectRef": {"apiVersion": "v1", "kind": "Secret", "name": "s"}});
    let (_, request) = token(&client, bound.clone()).await;
    let text = request["status"]["token"].as_str().expect("a token").to_owned();
    assert_eq!(review(&client, json!({"token": text})).await["authenticated"], true);
    delete(&client, &format!("{secrets}/s")).await;
    assert_eq!(review(&client, json!({"token": text})).await["error"], "invalid bearer token");
    assert_eq!(token(&client, bound).await.0, StatusCode::NOT_FOUND);
    let odd = json!({"boundObjectRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "d"}});
    let (status, answer) = token(&client, odd).await;
    assert_eq!(status, StatusCode::BAD_REQUEST, "{answer}");
}

#[tokio::test]
async fn a_role_offered_by_label_is_gathered_and_taken_back() {
    let (server, client) = server().await;
    let mut role = json!({
        "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRole",
        "metadata": {"name": "nodes", "labels": {"rbac.authorization.k8s.io/aggregate-to-view": "true"}},
        "rules": [{"apiGroups": [""], "resources": ["nodes"], "verbs": ["list"]}],
    });
    let binding = json!({
        "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRoleBinding", "metadata": {"name": "bob"},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "view"},
        "subjects": [{"kind": "User", "name": "bob"}],
    });
    post(&client, &format!("{RBAC}/clusterrolebindings"), &binding).await;
    let bob = as_user(&server, "bob");
    assert_eq!(get(&bob, "/api/v1/configmaps").await.0, StatusCode::OK);
    assert_eq!(get(&bob, "/api/v1/nodes").await.0, StatusCode::FORBIDDEN);
    post(&client, &format!("{RBAC}/clusterroles"), &role).await;
    until(&bob, "/api/v1/nodes", |status, _| status == StatusCode::OK).await;
    role["metadata"]["labels"] = json!({});
    let body = role.to_string();
    let headers = [("content-type", "application/json")];
    send(&client, Method::PUT, &format!("{RBAC}/clusterroles/nodes"), &headers, body).await;
    until(&bob, "/api/v1/nodes", |status, _| status == StatusCode::FORBIDDEN).await;
}

#[tokio::test]
async fn metrics_count_what_was_asked_and_need_a_right() {
    let (server, client) = server().await;
    get(&client, CONFIG_MAPS).await;
    get(&client, "/api/v1/nonsense-1").await;
    let (status, text) = get(&client, "/metrics").await;
    assert_eq!(status, StatusCode::OK);
    let text = text.as_str().expect("metrics are text");
    let counted = |line: &str| text.lines().any(|found| found.starts_with(line));
    assert!(
        counted(
            "apiserver_request_total{verb=\"list\",group=\"\",version=\"v1\",resource=\"configmaps\",subresource=\"\",code=\"200\"} 1"
        ),
        "{text}"
    );
    assert!(counted("apiserver_storage_objects{resource=\"namespaces\"} 4"), "{text}");
    assert!(!text.contains("nonsense"), "a caller cannot make a series");
    let (status, answer) = get(&as_user(&server, "bob"), "/metrics").await;
    assert_eq!(status, StatusCode::FORBIDDEN);
    assert_eq!(answer["message"], "forbidden: User \"bob\" cannot get path \"/metrics\"");
}

#[derive(Default)]
struct Lines(Mutex<Vec<Value>>);

impl AuditLog for Lines {
    fn record(&self, line: &str) {
        self.0.lock().unwrap().push(serde_json::from_str(line).expect("a line is JSON"));
    }
}

#[tokio::test]
async fn writes_and_reads_of_secrets_are_written_down_without_their_content() {
    let lines = Arc::new(Lines::default());
    let options = Options { audit_log: Some(lines.clone()), ..Options::new(Storage::Memory) };
    let server = Server::open(options).await.unwrap();
    let client = Client::new(server.in_process(), "default");
    post(&client, CONFIG_MAPS, &config_map("a", json!({"x": "hidden"}))).await;
    get(&client, &format!("{CONFIG_MAPS}/a")).await;
    let secrets = "/api/v1/namespaces/default/secrets";
    get(&client, &format!("{secrets}/s")).await;
    let headers = [("audit-id", "of-the-client")];
    send(&client, Method::DELETE, &format!("{CONFIG_MAPS}/a"), &headers, "").await;
    let lines = lines.0.lock().unwrap();
    let told: Vec<_> = lines
        .iter()
        .map(|line| {
            let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
            let object = &line["objectRef"];
            (text(&line["verb"]), text(&object["resource"]), text(&object["name"]), line["code"].as_u64())
        })
        .collect();
    let expected =
        [("create", "configmaps", "", 201), ("get", "secrets", "s", 404), ("delete", "configmaps", "a", 200)];
    let expected: Vec<_> = expected
        .map(|(verb, resource, name, code)| {
            (verb.to_owned(), resource.to_owned(), name.to_owned(), Some(code))
        })
        .to_vec();
    assert_eq!(told, expected);
    assert_eq!(lines[0]["user"]["username"], "admin");
    assert_eq!(lines[2]["auditID"], "of-the-client");
    assert!(!lines.iter().any(|line| line.to_string().contains("hidden")));
}

#[tokio::test]
async fn a_large_answer_is_packed_for_those_who_ask() {
    let (_server, client) = server().await;
    for name in ["a", "b", "c", "d"] {
        let large = config_map(name, json!({"x": "y".repeat(100_000)}));
        assert_eq!(post(&client, CONFIG_MAPS, &large).await.0, StatusCode::CREATED);
    }
    let request = Request::builder().uri(CONFIG_MAPS).header("accept-encoding", "gzip");
    let answer = client.send(request.body(Body::empty()).unwrap()).await.unwrap();
    assert_eq!(answer.headers()["content-encoding"], "gzip");
    let packed = answer.into_body().collect_bytes().await.unwrap();
    assert!(packed.len() < 10_000, "{} bytes", packed.len());
    let mut text = String::new();
    flate2::read::GzDecoder::new(&packed[..]).read_to_string(&mut text).unwrap();
    let list: Value = serde_json::from_str(&text).unwrap();
    assert_eq!(list["items"].as_array().map(Vec::len), Some(5), "four and the certificate authority");
    let request = Request::builder().uri(CONFIG_MAPS).body(Body::empty()).unwrap();
    assert!(!client.send(request).await.unwrap().headers().contains_key("content-encoding"));
}

#[tokio::test]
async fn a_pod_is_bound_and_evicted() {
    let (_server, client) = server().await;
    let pods = "/api/v1/namespaces/default/pods";
    until(&client, &format!("{ACCOUNTS}/default"), |status, _| status == StatusCode::OK).await;
    let pod = json!({
        "apiVersion": "v1", "kind": "Pod", "metadata": {"name": "p"},
        "spec": {"containers": [{"name": "c", "image": "i"}]},
    });
    let (status, made) = post(&client, pods, &pod).await;
    assert_eq!(status, StatusCode::CREATED, "{made}");
    let binding = json!({
        "apiVersion": "v1", "kind": "Binding", "metadata": {"name": "p"},
        "target": {"kind": "Node", "name": "n1"},
    });
    let bind = format!("{pods}/p/binding");
    assert_eq!(post(&client, &bind, &binding).await.0, StatusCode::CREATED);
    assert_eq!(get(&client, &format!("{pods}/p")).await.1["spec"]["nodeName"], "n1");
    assert_eq!(post(&client, &bind, &binding).await.0, StatusCode::CONFLICT, "it is bound already");
    let eviction = json!({"apiVersion": "policy/v1", "kind": "Eviction", "metadata": {"name": "p"}});
    let (status, answer) = post(&client, &format!("{pods}/p/eviction"), &eviction).await;
    assert_eq!((status, &answer["status"]), (StatusCode::CREATED, &json!("Success")), "{answer}");
    assert_eq!(get(&client, &format!("{pods}/p")).await.0, StatusCode::NOT_FOUND);
    let (status, answer) = get(&client, &format!("{pods}/p/log")).await;
    assert_eq!((status, &answer["reason"]), (StatusCode::METHOD_NOT_ALLOWED, &json!("MethodNotAllowed")));
}
