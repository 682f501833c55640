//! TLS, credentials, rights and restarts (spec/apiserver.md 2, 16, 19).

use std::path::Path;

use http::StatusCode;
use k8s_openapi::api::core::v1::ConfigMap;
use kube::api::{Api, ListParams, PostParams};
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::{Client, Config};
use okra_apiserver::{Options, Server, Serving, Storage, User};
use serde_json::json;
use tokio::net::TcpListener;

use crate::common::{CONFIG_MAPS, config_map, get, post, server};

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
