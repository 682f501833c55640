//! Kubeconfigs: the login that tools of Kubernetes write for people, read as
//! the login of a member cluster (`spec/aws.md` 8, SC-13).
//!
//! Only what is inside counts. A path leads to a file of somebody else's
//! machine and is refused by its name.

use std::collections::BTreeMap;

use serde::Deserialize;
use thiserror::Error;

use super::cluster_secret::{ClusterConfig, ClusterSecret, ExecProviderConfig, TlsClientConfig};

/// A kubeconfig does not describe a cluster. Never shows a value of it.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum KubeconfigError {
    /// Not YAML of the shape of a kubeconfig.
    #[error("it is not a kubeconfig")]
    Shape,
    /// The context that is in use is not in it.
    #[error("it has no {what} {name:?}")]
    Missing {
        /// `context`, `cluster` or `user`.
        what: &'static str,
        /// The name that is looked for.
        name: String,
    },
    /// No address.
    #[error("its cluster {0:?} has no server")]
    NoServer(String),
    /// A field that leads out of the kubeconfig.
    #[error("{0} leads out of the kubeconfig: put the data itself into it")]
    Outside(&'static str),
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
struct Kubeconfig {
    #[serde(default)]
    current_context: Option<String>,
    #[serde(default)]
    contexts: Vec<NamedContext>,
    #[serde(default)]
    clusters: Vec<NamedCluster>,
    #[serde(default)]
    users: Vec<NamedUser>,
}

#[derive(Deserialize)]
struct NamedContext {
    name: String,
    context: Context,
}

#[derive(Deserialize)]
struct Context {
    cluster: String,
    #[serde(default)]
    user: String,
}

#[derive(Deserialize)]
struct NamedCluster {
    name: String,
    cluster: Cluster,
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
struct Cluster {
    server: Option<String>,
    certificate_authority: Option<String>,
    certificate_authority_data: Option<String>,
    insecure_skip_tls_verify: Option<bool>,
    tls_server_name: Option<String>,
    proxy_url: Option<String>,
}

#[derive(Deserialize)]
struct NamedUser {
    name: String,
    user: User,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "kebab-case")]
struct User {
    token: Option<String>,
    #[serde(rename = "tokenFile")]
    token_file: Option<String>,
    client_certificate: Option<String>,
    client_certificate_data: Option<String>,
    client_key: Option<String>,
    client_key_data: Option<String>,
    username: Option<String>,
    password: Option<String>,
    auth_provider: Option<serde_json::Value>,
    exec: Option<Exec>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Exec {
    command: String,
    args: Option<Vec<String>>,
    env: Option<Vec<Variable>>,
    api_version: Option<String>,
    install_hint: Option<String>,
}

#[derive(Deserialize)]
struct Variable {
    name: String,
    value: String,
}

/// The cluster of the context in use, under the name `name`. Without
/// `current-context` a kubeconfig with a single context means that one.
///
/// # Errors
/// When it is no kubeconfig, lacks a part, or leads out of itself.
pub fn read(name: &str, text: &str) -> Result<ClusterSecret, KubeconfigError> {
    let kubeconfig: Kubeconfig = serde_saphyr::from_str(text).map_err(|_| KubeconfigError::Shape)?;
    let context = context_in_use(&kubeconfig)?;
    let missing = |what, name: &str| KubeconfigError::Missing { what, name: name.to_owned() };
    let cluster = kubeconfig.clusters.into_iter().find(|one| one.name == context.cluster);
    let cluster = cluster.ok_or_else(|| missing("cluster", &context.cluster))?.cluster;
    let user = match context.user.as_str() {
        "" => User::default(),
        wanted => {
            let found = kubeconfig.users.into_iter().find(|one| one.name == wanted);
            found.ok_or_else(|| missing("user", wanted))?.user
        }
    };
    refuse_outside(&cluster, &user)?;
    let server = cluster.server.filter(|server| !server.is_empty());
    let server = server.ok_or(KubeconfigError::NoServer(context.cluster))?;
    Ok(ClusterSecret {
        name: name.to_owned(),
        server: server.trim_end_matches('/').to_owned(),
        config: ClusterConfig {
            aws_auth_config: None,
            exec_provider_config: user.exec.map(exec),
            username: user.username,
            password: user.password,
            bearer_token: user.token,
            tls_client_config: TlsClientConfig {
                insecure: cluster.insecure_skip_tls_verify.unwrap_or(false),
                server_name: cluster.tls_server_name,
                ca_data: cluster.certificate_authority_data,
                cert_data: user.client_certificate_data,
                key_data: user.client_key_data,
            },
        },
        ..ClusterSecret::default()
    })
}

fn context_in_use(kubeconfig: &Kubeconfig) -> Result<Context, KubeconfigError> {
    let wanted = kubeconfig.current_context.as_deref().filter(|name| !name.is_empty());
    let found = match (wanted, kubeconfig.contexts.as_slice()) {
        (None, [only]) => Some(only),
        (wanted, contexts) => contexts.iter().find(|one| Some(one.name.as_str()) == wanted),
    };
    let found = found.ok_or_else(|| KubeconfigError::Missing {
        what: "context",
        name: wanted.unwrap_or_default().to_owned(),
    })?;
    Ok(Context { cluster: found.context.cluster.clone(), user: found.context.user.clone() })
}

fn refuse_outside(cluster: &Cluster, user: &User) -> Result<(), KubeconfigError> {
    let outside = [
        ("certificate-authority", cluster.certificate_authority.is_some()),
        ("proxy-url", cluster.proxy_url.is_some()),
        ("client-certificate", user.client_certificate.is_some()),
        ("client-key", user.client_key.is_some()),
        ("tokenFile", user.token_file.is_some()),
        ("auth-provider", user.auth_provider.is_some()),
    ];
    match outside.into_iter().find(|(_, present)| *present) {
        Some((field, _)) => Err(KubeconfigError::Outside(field)),
        None => Ok(()),
    }
}

fn exec(exec: Exec) -> ExecProviderConfig {
    let env: BTreeMap<String, String> =
        exec.env.into_iter().flatten().map(|variable| (variable.name, variable.value)).collect();
    ExecProviderConfig {
        command: exec.command,
        args: exec.args.unwrap_or_default(),
        env,
        api_version: exec.api_version,
        install_hint: exec.install_hint,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KUBECONFIG: &str = r#"
apiVersion: v1
kind: Config
current-context: admin@edge
contexts:
- name: other
  context: {cluster: other, user: admin}
- name: admin@edge
  context: {cluster: edge, user: admin, namespace: web}
clusters:
- name: other
  cluster: {server: "https://other"}
- name: edge
  cluster:
    server: https://edge.example.com:6443/
    certificate-authority-data: Q0E=
users:
- name: admin
  user:
    client-certificate-data: Q0VSVA==
    client-key-data: S0VZ
"#;

    #[test]
    fn the_context_in_use_is_read() {
        let cluster = read("edge", KUBECONFIG).unwrap();
        assert_eq!(
            (cluster.name.as_str(), cluster.server.as_str()),
            ("edge", "https://edge.example.com:6443")
        );
        let tls = &cluster.config.tls_client_config;
        assert_eq!(tls.ca_data.as_deref(), Some("Q0E="));
        assert_eq!((tls.cert_data.as_deref(), tls.key_data.as_deref()), (Some("Q0VSVA=="), Some("S0VZ")));
    }

    #[test]
    fn what_is_missing_or_leads_outside_is_named_and_no_value_is_shown() {
        let error = |text: &str| read("edge", text).unwrap_err().to_string();
        assert_eq!(error("not a kubeconfig"), "it is not a kubeconfig");
        assert_eq!(error(&KUBECONFIG.replace("user: admin,", "user: nobody,")), "it has no user \"nobody\"");
        assert_eq!(error(&KUBECONFIG.replace("current-context: admin@edge", "")), "it has no context \"\"");
        let path = KUBECONFIG.replace("client-key-data: S0VZ", "client-key: /home/me/key");
        assert_eq!(error(&path), "client-key leads out of the kubeconfig: put the data itself into it");
        assert!(!error("users: hush").contains("hush"));
    }

    #[test]
    fn a_single_context_needs_no_word_and_a_command_is_kept_for_the_operator_to_allow() {
        let text = "clusters: [{name: c, cluster: {server: 'https://c'}}]\n\
                    contexts: [{name: x, context: {cluster: c, user: u}}]\n\
                    users: [{name: u, user: {exec: {command: login, args: [a], env: [{name: K, value: v}]}}}]";
        let cluster = read("c", text).unwrap();
        let exec = cluster.config.exec_provider_config.unwrap();
        assert_eq!(
            (exec.command.as_str(), exec.args, exec.env["K"].as_str()),
            ("login", vec!["a".to_owned()], "v")
        );
    }
}
