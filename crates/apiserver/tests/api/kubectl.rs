//! The real kubectl against a real listener.

use std::io::Write;
use std::process::{Output, Stdio};

use okra_apiserver::{Options, Server, Serving, Storage};
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::net::TcpListener;
use tokio::process::{Child, Command};

use crate::common::{PATIENCE, config_map, gizmo, gizmo_definition};

struct Kubectl {
    folder: tempfile::TempDir,
    _serving: Serving,
    _server: Server,
}

impl Kubectl {
    async fn start() -> Self {
        let options = Options { simulate_workloads: true, ..Options::new(Storage::Memory) };
        let server = Server::open(options).await.unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let serving = server.serve(listener).await.unwrap();
        let folder = tempfile::tempdir().unwrap();
        let endpoint = format!("https://{}", serving.local_address());
        std::fs::write(folder.path().join("kubeconfig"), server.kubeconfig(&endpoint, "test")).unwrap();
        Self { folder, _serving: serving, _server: server }
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new("kubectl");
        command
            .args(arguments)
            .env("KUBECONFIG", self.folder.path().join("kubeconfig"))
            .env("HOME", self.folder.path())
            .current_dir(self.folder.path())
            .stdin(Stdio::null())
            .kill_on_drop(true);
        command
    }

    async fn run(&self, arguments: &[&str]) -> Output {
        let output = self.command(arguments).output();
        tokio::time::timeout(PATIENCE, output).await.expect("kubectl ends").expect("kubectl is installed")
    }

    /// Standard output of a command that must succeed.
    async fn ok(&self, arguments: &[&str]) -> String {
        let output = self.run(arguments).await;
        let error = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "kubectl {arguments:?}: {error}");
        String::from_utf8(output.stdout).unwrap()
    }

    /// Standard error of a command that must fail.
    async fn fails(&self, arguments: &[&str]) -> String {
        let output = self.run(arguments).await;
        assert!(!output.status.success(), "kubectl {arguments:?} should fail");
        String::from_utf8(output.stderr).unwrap()
    }

    fn file(&self, name: &str, value: &Value) -> String {
        let path = self.folder.path().join(name);
        let mut file = std::fs::File::create(&path).unwrap();
        file.write_all(value.to_string().as_bytes()).unwrap();
        path.display().to_string()
    }

    async fn with_gizmos() -> Self {
        let kubectl = Self::start().await;
        let file = kubectl.file("crd.yaml", &gizmo_definition());
        kubectl.ok(&["create", "-f", &file]).await;
        kubectl.ok(&["wait", "--for=condition=Established", "crd/gizmos.example.com", "--timeout=10s"]).await;
        kubectl
    }
}

fn columns(line: &str) -> Vec<&str> {
    line.split_whitespace().collect()
}

#[tokio::test]
async fn discovery_and_schemas() {
    let kubectl = Kubectl::with_gizmos().await;
    let resources = kubectl.ok(&["api-resources"]).await;
    let gizmos = resources.lines().find(|line| line.starts_with("gizmos")).expect("gizmos are listed");
    assert_eq!(columns(gizmos), ["gizmos", "gz", "example.com/v1", "true", "Gizmo"]);
    for kind in ["configmaps", "deployments", "leases", "events", "roles"] {
        assert!(resources.lines().any(|line| line.starts_with(kind)), "{kind}");
    }
    let versions = kubectl.ok(&["api-versions"]).await;
    assert!(
        versions.lines().any(|line| line == "example.com/v1") && versions.lines().any(|line| line == "v1")
    );
    let explained = kubectl.ok(&["explain", "gizmo.spec"]).await;
    assert!(explained.contains("What is wanted.") && explained.contains("replicas"), "{explained}");
    let explained = kubectl.ok(&["explain", "configmap"]).await;
    assert!(explained.contains("KIND:       ConfigMap") && explained.contains("data"), "{explained}");
    assert!(kubectl.ok(&["version"]).await.contains("Server Version"));
    assert!(kubectl.ok(&["auth", "whoami"]).await.contains("admin"));
    assert_eq!(kubectl.ok(&["auth", "can-i", "create", "pods"]).await.trim(), "yes");
}

#[tokio::test]
async fn create_get_patch_scale_delete() {
    let kubectl = Kubectl::with_gizmos().await;
    kubectl.ok(&["create", "configmap", "m", "--from-literal=x=1"]).await;
    assert_eq!(kubectl.ok(&["get", "cm", "m", "-o", "jsonpath={.data.x}"]).await, "1");
    kubectl.ok(&["create", "namespace", "n"]).await;
    kubectl.ok(&["create", "secret", "generic", "s", "-n", "n", "--from-literal=p=q"]).await;
    assert_eq!(kubectl.ok(&["get", "secret", "s", "-n", "n", "-o", "jsonpath={.data.p}"]).await, "cQ==");
    kubectl.ok(&["label", "cm", "m", "a=b"]).await;
    kubectl.ok(&["annotate", "cm", "m", "c=d"]).await;
    kubectl.ok(&["patch", "cm", "m", "-p", r#"{"data":{"y":"2"}}"#]).await;
    assert_eq!(kubectl.ok(&["get", "cm", "-l", "a=b", "-o", "name"]).await.trim(), "configmap/m");

    let file = kubectl.file("g.json", &gizmo("g", json!({"replicas": 1})));
    kubectl.ok(&["create", "-f", &file]).await;
    let table = kubectl.ok(&["get", "gz"]).await;
    let lines: Vec<Vec<&str>> = table.lines().map(columns).collect();
    assert_eq!(lines, [vec!["NAME", "SIZE", "REPLICAS"], vec!["g", "small", "1"]]);
    let refused = kubectl.fails(&["patch", "gz", "g", "-p", r#"{"spec":{"size":"large"}}"#]).await;
    assert!(refused.contains("strategic-merge-patch+json is not supported"), "{refused}");
    kubectl.ok(&["patch", "gz", "g", "--type=merge", "-p", r#"{"spec":{"size":"large"}}"#]).await;
    kubectl
        .ok(&[
            "patch",
            "gz",
            "g",
            "--subresource=status",
            "--type=merge",
            "-p",
            r#"{"status":{"phase":"Ready"}}"#,
        ])
        .await;
    kubectl.ok(&["wait", "--for=jsonpath={.status.phase}=Ready", "gz/g", "--timeout=10s"]).await;
    kubectl.ok(&["scale", "gz/g", "--replicas=4"]).await;
    assert_eq!(
        kubectl.ok(&["get", "gz", "g", "-o", "jsonpath={.spec.size}{.spec.replicas}"]).await,
        "large4"
    );
    kubectl.ok(&["delete", "gz", "g"]).await;
    assert!(kubectl.fails(&["get", "gz", "g"]).await.contains("NotFound"));
    kubectl.ok(&["delete", "namespace", "n", "--timeout=15s"]).await;
    assert!(kubectl.fails(&["get", "ns", "n"]).await.contains("NotFound"));
}

#[tokio::test]
async fn apply_diff_and_edit() {
    let kubectl = Kubectl::with_gizmos().await;
    for object in [config_map("m", json!({"x": "1"})), gizmo("g", json!({"replicas": 1}))] {
        let file = kubectl.file("object.json", &object);
        assert!(kubectl.ok(&["apply", "-f", &file]).await.trim().ends_with("created"));
        assert!(kubectl.ok(&["apply", "-f", &file]).await.trim().ends_with("unchanged"));
        assert_eq!(kubectl.ok(&["diff", "-f", &file]).await, "");
        let mut changed = object.clone();
        changed["metadata"]["labels"] = json!({"a": "b"});
        let file = kubectl.file("object.json", &changed);
        assert_eq!(kubectl.run(&["diff", "-f", &file]).await.status.code(), Some(1));
        assert!(kubectl.ok(&["apply", "-f", &file]).await.trim().ends_with("configured"));
        kubectl.ok(&["apply", "--server-side", "--force-conflicts", "-f", &file]).await;
        assert_eq!(kubectl.ok(&["diff", "--server-side", "--force-conflicts", "-f", &file]).await, "");
    }
    let mut unknown = gizmo("g", json!({"replicas": 1}));
    unknown["spec"]["colour"] = json!("red");
    let file = kubectl.file("object.json", &unknown);
    assert!(kubectl.fails(&["apply", "-f", &file]).await.contains("unknown field \"spec.colour\""));
    let edit = kubectl
        .command(&["edit", "cm", "m"])
        .env("KUBE_EDITOR", "sed -i 's/x: \"1\"/x: \"2\"/'")
        .output()
        .await
        .unwrap();
    assert!(edit.status.success(), "{}", String::from_utf8_lossy(&edit.stderr));
    assert_eq!(kubectl.ok(&["get", "cm", "m", "-o", "jsonpath={.data.x}"]).await, "2");
}

async fn lines(child: &mut Child) -> tokio::io::Lines<BufReader<tokio::process::ChildStdout>> {
    BufReader::new(child.stdout.take().unwrap()).lines()
}

#[tokio::test]
async fn hc_13_get_watches_a_single_object_and_a_list() {
    let kubectl = Kubectl::with_gizmos().await;
    let file = kubectl.file("g.json", &gizmo("g", json!({"replicas": 1})));
    kubectl.ok(&["create", "-f", &file]).await;
    for arguments in [vec!["get", "gz", "g", "-w"], vec!["get", "gz", "-w"]] {
        let mut child = kubectl.command(&arguments).stdout(Stdio::piped()).spawn().unwrap();
        let mut lines = lines(&mut child).await;
        let mut next = async || {
            let line = tokio::time::timeout(PATIENCE, lines.next_line()).await.expect("a line in time");
            line.unwrap().expect("the watch goes on")
        };
        assert_eq!(columns(&next().await), ["NAME", "SIZE", "REPLICAS"]);
        assert_eq!(columns(&next().await)[..2], ["g", "small"]);
        kubectl.ok(&["patch", "gz", "g", "--type=merge", "-p", r#"{"spec":{"size":"large"}}"#]).await;
        assert_eq!(columns(&next().await)[..2], ["g", "large"]);
        kubectl.ok(&["patch", "gz", "g", "--type=merge", "-p", r#"{"spec":{"size":"small"}}"#]).await;
        assert_eq!(columns(&next().await)[..2], ["g", "small"]);
        child.kill().await.unwrap();
    }
}

#[tokio::test]
async fn simulated_workloads_become_ready() {
    let kubectl = Kubectl::start().await;
    kubectl.ok(&["create", "deployment", "web", "--image=nginx:1", "--replicas=2"]).await;
    kubectl.ok(&["rollout", "status", "deployment/web", "--timeout=15s"]).await;
    kubectl.ok(&["wait", "--for=condition=Available", "deployment/web", "--timeout=15s"]).await;
    kubectl.ok(&["scale", "deployment/web", "--replicas=3"]).await;
    kubectl
        .ok(&["wait", "--for=jsonpath={.status.readyReplicas}=3", "deployment/web", "--timeout=15s"])
        .await;
    kubectl.ok(&["set", "image", "deployment/web", "nginx=nginx:2"]).await;
    kubectl.ok(&["rollout", "status", "deployment/web", "--timeout=15s"]).await;
    kubectl.ok(&["create", "job", "once", "--image=busybox"]).await;
    kubectl.ok(&["wait", "--for=condition=Complete", "job/once", "--timeout=15s"]).await;
    kubectl.ok(&["delete", "deployment", "web"]).await;
}
