//! TLS, credentials, rights and restarts (spec/apiserver.md 2, 16, 19).

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use http::StatusCode;
use k8s_openapi::api::core::v1::ConfigMap;
use kube::api::{Api, ListParams, PostParams};
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::{Client, Config};
use okra_apiserver::{Options, Server, Serving, Storage, User};
use serde_json::json;
use tokio::io::AsyncReadExt;
use tokio::net::TcpListener;

use crate::common::{CONFIG_MAPS, PATIENCE, config_map, delete, get, post, server};
use crate::support::clock::ManualClock;
use crate::support::door::{self, Door, Identity, Lines};
use crate::watches::{Watch, told};

async fn serve(options: Options) -> (Server, Serving, String) {
    let server = Server::open(options).await.unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let serving = server.serve(listener).await.unwrap();
    let endpoint = format!("https://{}", serving.local_address());
    let kubeconfig = server.kubeconfig(&endpoint, "test");
    (server, serving, kubeconfig)
}

async fn config(kubeconfig: &str) -> Config {
    drop(rustls::crypto::aws_lc_rs::default_provider().install_default());
    let kubeconfig = Kubeconfig::from_yaml(kubeconfig).unwrap();
    Config::from_custom_kubeconfig(kubeconfig, &KubeConfigOptions::default()).await.unwrap()
}

async fn client(kubeconfig: &str) -> Client {
    Client::try_from(config(kubeconfig).await).unwrap()
}

/// A client that shows no certificate, only a token if there is one.
async fn with_token(kubeconfig: &str, token: Option<&str>) -> Client {
    let mut config = config(kubeconfig).await;
    config.auth_info = kube::config::AuthInfo { token: token.map(Into::into), ..Default::default() };
    Client::try_from(config).unwrap()
}

#[tokio::test]
async fn a_client_certificate_opens_the_door() {
    let (server, _serving, kubeconfig) = serve(Options::new(Storage::Memory)).await;
    let maps: Api<ConfigMap> = Api::default_namespaced(client(&kubeconfig).await);
    let map: ConfigMap = serde_json::from_value(config_map("a", json!({}))).unwrap();
    maps.create(&PostParams::default(), &map).await.unwrap();
    assert!(!maps.list(&ListParams::default()).await.unwrap().items.is_empty());
    server.shutdown().await;
}

#[tokio::test]
async fn hc_50_nobody_gets_in_without_credentials() {
    let options = Options { admin_token: Some("geheim".into()), ..Options::new(Storage::Memory) };
    let (_server, _serving, kubeconfig) = serve(options).await;
    let nobody = with_token(&kubeconfig, None).await;
    let (status, answer) = get(&nobody, CONFIG_MAPS).await;
    assert_eq!((status, &answer["reason"]), (StatusCode::UNAUTHORIZED, &json!("Unauthorized")));
    for open in ["/healthz", "/livez", "/readyz", "/version"] {
        assert_eq!(get(&nobody, open).await.0, StatusCode::OK, "{open}");
    }
    let wrong = with_token(&kubeconfig, Some("other")).await;
    assert_eq!(get(&wrong, "/version").await.0, StatusCode::UNAUTHORIZED);
    let right = with_token(&kubeconfig, Some("geheim")).await;
    assert_eq!(get(&right, CONFIG_MAPS).await.0, StatusCode::OK);
}

#[tokio::test]
async fn a_certificate_of_another_authority_is_refused_with_an_answer() {
    let (_server, _serving, kubeconfig) = serve(Options::new(Storage::Memory)).await;
    let (_other, _serving_other, foreign) = serve(Options::new(Storage::Memory)).await;
    let mut mixed = config(&kubeconfig).await;
    mixed.auth_info = config(&foreign).await.auth_info;
    let client = Client::try_from(mixed).unwrap();
    assert_eq!(get(&client, CONFIG_MAPS).await.0, StatusCode::UNAUTHORIZED);
}

#[tokio::test]
async fn rights_come_from_bindings() {
    let (server, admin) = server().await;
    let bob = User { name: "bob".into(), ..User::default() };
    let bob = Client::new(server.in_process().acting_as(bob), "default");
    let (status, answer) = get(&bob, CONFIG_MAPS).await;
    assert_eq!(status, StatusCode::FORBIDDEN);
    let text = "configmaps is forbidden: User \"bob\" cannot list resource \"configmaps\" in API group \"\" in \
                the namespace \"default\"";
    assert_eq!(answer["message"], text);
    let rbac = "/apis/rbac.authorization.k8s.io/v1/namespaces/default";
    let role = json!({
        "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "Role", "metadata": {"name": "reader"},
        "rules": [{"apiGroups": [""], "resources": ["configmaps"], "verbs": ["get", "list"]}],
    });
    let binding = json!({
        "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "RoleBinding", "metadata": {"name": "bob"},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "reader"},
        "subjects": [{"kind": "User", "name": "bob", "apiGroup": "rbac.authorization.k8s.io"}],
    });
    assert_eq!(post(&admin, &format!("{rbac}/roles"), &role).await.0, StatusCode::CREATED);
    assert_eq!(post(&admin, &format!("{rbac}/rolebindings"), &binding).await.0, StatusCode::CREATED);
    assert_eq!(get(&bob, CONFIG_MAPS).await.0, StatusCode::OK);
    assert_eq!(get(&bob, "/api/v1/configmaps").await.0, StatusCode::FORBIDDEN);
    assert_eq!(post(&bob, CONFIG_MAPS, &config_map("a", json!({}))).await.0, StatusCode::FORBIDDEN);
    let review = json!({
        "apiVersion": "authorization.k8s.io/v1", "kind": "SelfSubjectAccessReview",
        "spec": {"resourceAttributes": {"verb": "list", "resource": "configmaps", "namespace": "default"}},
    });
    let reviews = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews";
    let (status, answer) = post(&bob, reviews, &review).await;
    assert_eq!((status, &answer["status"]["allowed"]), (StatusCode::CREATED, &json!(true)), "{answer}");
}

async fn create(client: &Client, name: &str) -> ConfigMap {
    let maps: Api<ConfigMap> = Api::default_namespaced(client.clone());
    let map: ConfigMap = serde_json::from_value(config_map(name, json!({}))).unwrap();
    maps.create(&PostParams::default(), &map).await.unwrap()
}

async fn open(folder: &Path) -> (Server, Client) {
    let server = Server::open(Options::new(Storage::Directory(folder.to_owned()))).await.unwrap();
    let client = Client::new(server.in_process(), "default");
    (server, client)
}

#[tokio::test]
async fn a_restart_keeps_objects_revisions_definitions_and_trust() {
    let folder = tempfile::tempdir().unwrap();
    let (server, client) = open(folder.path()).await;
    crate::common::install_gizmos(&client).await;
    let first = create(&client, "a").await;
    let trust = server.certificate_authority_pem().to_owned();
    server.shutdown().await;

    let (server, client) = open(folder.path()).await;
    assert_eq!(server.certificate_authority_pem(), trust);
    let maps: Api<ConfigMap> = Api::default_namespaced(client.clone());
    let kept = maps.get("a").await.unwrap();
    assert_eq!(kept.metadata, first.metadata);
    let second = create(&client, "b").await;
    let revision = |map: &ConfigMap| map.metadata.resource_version.as_ref().unwrap().parse::<u64>().unwrap();
    assert!(revision(&second) > revision(&first));
    // Served from the first request on, without waiting.
    assert_eq!(get(&client, crate::common::GIZMOS).await.0, StatusCode::OK);
    server.shutdown().await;
}

#[tokio::test]
async fn a_listener_stops_while_the_server_goes_on() {
    let (server, serving, kubeconfig) = serve(Options::new(Storage::Memory)).await;
    create(&client(&kubeconfig).await, "a").await;
    serving.stop().await;
    let inside = Client::new(server.in_process(), "default");
    assert_eq!(get(&inside, &format!("{CONFIG_MAPS}/a")).await.0, StatusCode::OK);
    server.shutdown().await;
}

#[tokio::test]
async fn a_watch_ends_when_its_token_is_withdrawn() {
    let clock = Arc::new(ManualClock::default());
    let options = Options { clock: clock.clone(), ..Options::new(Storage::Memory) };
    let (server, _serving, kubeconfig) = serve(options).await;
    let admin = Client::new(server.in_process(), "default");
    let rights = json!({
        "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRoleBinding",
        "metadata": {"name": "accounts"},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "view"},
        "subjects": [{"kind": "Group", "name": "system:serviceaccounts",
            "apiGroup": "rbac.authorization.k8s.io"}],
    });
    let bindings = "/apis/rbac.authorization.k8s.io/v1/clusterrolebindings";
    assert_eq!(post(&admin, bindings, &rights).await.0, StatusCode::CREATED);
    let accounts = "/api/v1/namespaces/default/serviceaccounts";
    let path = format!("{CONFIG_MAPS}?watch=true&labelSelector=told&timeoutSeconds=1000000");
    let mut watches = Vec::new();
    for name in ["goes", "stays"] {
        let account = json!({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": name}});
        assert_eq!(post(&admin, accounts, &account).await.0, StatusCode::CREATED);
        let request = json!({"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": {}});
        let (_, answer) = post(&admin, &format!("{accounts}/{name}/token"), &request).await;
        let token = answer["status"]["token"].as_str().expect("a token");
        let robot = with_token(&kubeconfig, Some(token)).await;
        watches.push(Watch::open(&robot, &path, "application/json").await);
    }
    let mut map = config_map("a", json!({}));
    map["metadata"]["labels"] = json!({"told": "yes"});
    post(&admin, CONFIG_MAPS, &map).await;
    for watch in &mut watches {
        assert_eq!(watch.told().await, told("ADDED", "a"));
    }
    delete(&admin, &format!("{accounts}/goes")).await;
    clock.advance(Duration::from_secs(61));
    assert_eq!(watches[0].next().await, None, "its account is gone");
    map["metadata"]["name"] = json!("b");
    post(&admin, CONFIG_MAPS, &map).await;
    assert_eq!(watches[1].told().await, told("ADDED", "b"));
    clock.advance(Duration::from_secs(3_600));
    assert_eq!(watches[1].next().await, None, "its hour is over");
    server.shutdown().await;
}

#[tokio::test]
async fn a_connection_that_asks_nothing_is_closed_and_one_that_watches_is_not() {
    let clock = Arc::new(ManualClock::default());
    let options = Options { clock: clock.clone(), ..Options::new(Storage::Memory) };
    let (server, serving, kubeconfig) = serve(options).await;
    let identity = Identity::from_kubeconfig(&kubeconfig);
    let mut door = Door::connect(serving.local_address(), &identity).await.unwrap();
    let path = format!("{CONFIG_MAPS}?watch=true&timeoutSeconds=1000000&labelSelector=told");
    let response = door.send(door::get(&path)).await.unwrap();
    let mut lines = Lines::new(response.into_body());
    let mut silent = door::silent(serving.local_address(), &identity).await.unwrap();
    let closed = async {
        let mut byte = [0];
        loop {
            // Its patience begins when the server first looks; that may be later than this.
            clock.advance(Duration::from_secs(91));
            tokio::select! {
                read = silent.read(&mut byte) => return read.unwrap_or(0),
                () = tokio::time::sleep(Duration::from_millis(5)) => {}
            }
        }
    };
    assert_eq!(tokio::time::timeout(PATIENCE, closed).await.expect("it is closed in time"), 0);
    let admin = Client::new(server.in_process(), "default");
    let mut map = config_map("a", json!({}));
    map["metadata"]["labels"] = json!({"told": "yes"});
    post(&admin, CONFIG_MAPS, &map).await;
    let line = tokio::time::timeout(PATIENCE, lines.next()).await.expect("in time").expect("it is open");
    assert!(line.is_some(), "the watch goes on");
    server.shutdown().await;
}
