//! Argo CD cluster secrets: how a member cluster is reached
//! (`spec/okra.md` 3.1). Credentials never reach a log: [`std::fmt::Debug`]
//! shows which are there, not what they are.

use std::collections::BTreeMap;
use std::fmt;

use k8s_openapi::ByteString;
use k8s_openapi::api::core::v1::Secret;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::names::{ANNOTATION_EXTERNAL_ID, ANNOTATION_REGION, LABEL_SECRET_TYPE, SECRET_TYPE_CLUSTER};

/// The API of the cluster that Argo CD itself runs in.
pub const IN_CLUSTER_SERVER: &str = "https://kubernetes.default.svc";

/// A member cluster as its secret describes it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ClusterSecret {
    /// Name of the cluster in Argo CD.
    pub name: String,
    /// Address of its API, without a trailing slash.
    pub server: String,
    /// Credentials.
    pub config: ClusterConfig,
    /// Namespaces that may be managed; empty for all.
    pub namespaces: Vec<String>,
    /// Whether cluster-scoped objects may be managed when `namespaces` is set.
    pub cluster_resources: bool,
    /// Argo CD project.
    pub project: Option<String>,
    /// Argo CD shard.
    pub shard: Option<String>,
    /// Region in which its EKS token is signed, where the address does not
    /// tell it. An annotation: Argo CD knows no such key.
    pub region: Option<String>,
    /// What its role demands as `sts:ExternalId`. An annotation too.
    pub external_id: Option<String>,
}

/// Credentials, as the `config` key holds them in JSON.
#[derive(Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ClusterConfig {
    /// Tokens of an EKS cluster.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub aws_auth_config: Option<AwsAuthConfig>,
    /// A command that prints credentials; carried out only by opt-in (H-64).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub exec_provider_config: Option<ExecProviderConfig>,
    /// Basic authentication.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub username: Option<String>,
    /// Basic authentication.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub password: Option<String>,
    /// Bearer token.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bearer_token: Option<String>,
    /// TLS.
    #[serde(default)]
    pub tls_client_config: TlsClientConfig,
}

/// Tokens of an EKS cluster.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct AwsAuthConfig {
    /// Name of the EKS cluster.
    #[serde(default)]
    pub cluster_name: String,
    /// Role to assume first.
    #[serde(rename = "roleARN", skip_serializing_if = "Option::is_none")]
    pub role_arn: Option<String>,
    /// AWS profile.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub profile: Option<String>,
}

/// A command that prints credentials.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ExecProviderConfig {
    /// The command.
    #[serde(default)]
    pub command: String,
    /// Its arguments.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub args: Vec<String>,
    /// Its environment.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub env: BTreeMap<String, String>,
    /// Version of the exec protocol.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub api_version: Option<String>,
    /// How to get the command.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub install_hint: Option<String>,
}

/// TLS towards the cluster's API; data in base64 of PEM.
#[derive(Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct TlsClientConfig {
    /// Accept any certificate.
    #[serde(default)]
    pub insecure: bool,
    /// Name that the certificate must carry.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub server_name: Option<String>,
    /// Certificate authority.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ca_data: Option<String>,
    /// Client certificate.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cert_data: Option<String>,
    /// Client key.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub key_data: Option<String>,
}

fn shown(secret: Option<&String>) -> &'static str {
    if secret.is_some() { "set" } else { "unset" }
}

impl fmt::Debug for ClusterConfig {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("ClusterConfig")
            .field("aws_auth_config", &self.aws_auth_config)
            .field("exec_provider_config", &self.exec_provider_config.as_ref().map(|exec| &exec.command))
            .field("username", &self.username)
            .field("password", &shown(self.password.as_ref()))
            .field("bearer_token", &shown(self.bearer_token.as_ref()))
            .field("tls_client_config", &self.tls_client_config)
            .finish()
    }
}

impl fmt::Debug for TlsClientConfig {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("TlsClientConfig")
            .field("insecure", &self.insecure)
            .field("server_name", &self.server_name)
            .field("ca_data", &shown(self.ca_data.as_ref()))
            .field("cert_data", &shown(self.cert_data.as_ref()))
            .field("key_data", &shown(self.key_data.as_ref()))
            .finish()
    }
}

/// A secret does not describe a cluster. Never shows a value of the secret.
#[derive(Debug, Error, PartialEq, Eq)]
pub enum ClusterSecretError {
    /// A key that must be there is not.
    #[error("cluster secret has no key {0:?}")]
    MissingKey(&'static str),
    /// A key does not hold text.
    #[error("cluster secret key {0:?} is not UTF-8")]
    NotText(&'static str),
    /// `config` is not JSON of the expected shape; the place, not the content.
    #[error("cluster secret key \"config\" is not of Argo CD's shape, at line {line} column {column}")]
    Config {
        /// Line in the JSON.
        line: usize,
        /// Column in the JSON.
        column: usize,
    },
}

impl ClusterSecret {
    /// Of an EKS cluster, by what EKS says of it: address and certificate
    /// authority. `role_arn` is the role that logs in, if not okra's own.
    pub fn of_eks(name: &str, endpoint: &str, authority: &str, role_arn: Option<String>) -> Self {
        let login = AwsAuthConfig { cluster_name: name.to_owned(), role_arn, ..AwsAuthConfig::default() };
        let tls = TlsClientConfig { ca_data: Some(authority.to_owned()), ..TlsClientConfig::default() };
        Self {
            name: name.to_owned(),
            server: endpoint.trim_end_matches('/').to_owned(),
            config: ClusterConfig {
                aws_auth_config: Some(login),
                tls_client_config: tls,
                ..ClusterConfig::default()
            },
            ..Self::default()
        }
    }

    /// Reads a secret.
    ///
    /// # Errors
    /// When `server` is missing or `config` is not of Argo CD's shape.
    pub fn from_secret(secret: &Secret) -> Result<Self, ClusterSecretError> {
        let server = text(secret, "server")?.ok_or(ClusterSecretError::MissingKey("server"))?;
        let config = match text(secret, "config")? {
            None => ClusterConfig::default(),
            Some(config) => serde_json::from_str(&config)
                .map_err(|error| ClusterSecretError::Config { line: error.line(), column: error.column() })?,
        };
        let namespaces = text(secret, "namespaces")?.unwrap_or_default();
        Ok(Self {
            name: text(secret, "name")?.or_else(|| secret.metadata.name.clone()).unwrap_or_default(),
            server: server.trim_end_matches('/').to_owned(),
            config,
            namespaces: namespaces
                .split(',')
                .map(str::trim)
                .filter(|part| !part.is_empty())
                .map(str::to_owned)
                .collect(),
            cluster_resources: text(secret, "clusterResources")?.as_deref() == Some("true"),
            project: text(secret, "project")?,
            shard: text(secret, "shard")?,
            region: annotation(secret, ANNOTATION_REGION),
            external_id: annotation(secret, ANNOTATION_EXTERNAL_ID),
        })
    }

    /// Whether the cluster is the one that okra runs in.
    pub fn is_in_cluster(&self) -> bool {
        self.server == IN_CLUSTER_SERVER
    }

    /// The secret to write, with Argo CD's label added to those of `metadata`.
    pub fn to_secret(&self, mut metadata: ObjectMeta) -> Secret {
        let config = serde_json::to_string(&self.config).expect("a cluster config holds only text and flags");
        let mut data = BTreeMap::from([
            ("name".to_owned(), self.name.clone()),
            ("server".to_owned(), self.server.clone()),
            ("config".to_owned(), config),
        ]);
        if !self.namespaces.is_empty() {
            data.insert("namespaces".to_owned(), self.namespaces.join(","));
            data.insert("clusterResources".to_owned(), self.cluster_resources.to_string());
        }
        let optional = [("project", &self.project), ("shard", &self.shard)];
        for (key, value) in optional.into_iter().filter_map(|(key, value)| Some((key, value.clone()?))) {
            data.insert(key.to_owned(), value);
        }
        metadata
            .labels
            .get_or_insert_default()
            .insert(LABEL_SECRET_TYPE.to_owned(), SECRET_TYPE_CLUSTER.to_owned());
        let notes = [(ANNOTATION_REGION, &self.region), (ANNOTATION_EXTERNAL_ID, &self.external_id)];
        for (key, value) in notes.into_iter().filter_map(|(key, value)| Some((key, value.clone()?))) {
            metadata.annotations.get_or_insert_default().insert(key.to_owned(), value);
        }
        Secret {
            metadata,
            type_: Some("Opaque".to_owned()),
            data: Some(data.into_iter().map(|(key, value)| (key, ByteString(value.into_bytes()))).collect()),
            ..Secret::default()
        }
    }
}

fn annotation(secret: &Secret, key: &str) -> Option<String> {
    secret.metadata.annotations.as_ref()?.get(key).filter(|value| !value.is_empty()).cloned()
}

/// A key of the secret, from `data` or, in manifests, from `stringData`.
fn text(secret: &Secret, key: &'static str) -> Result<Option<String>, ClusterSecretError> {
    if let Some(value) = secret.string_data.as_ref().and_then(|data| data.get(key)) {
        return Ok(Some(value.clone()));
    }
    let Some(value) = secret.data.as_ref().and_then(|data| data.get(key)) else { return Ok(None) };
    String::from_utf8(value.0.clone()).map(Some).map_err(|_| ClusterSecretError::NotText(key))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn secret(data: serde_json::Value) -> Secret {
        serde_json::from_value(json!({"metadata": {"name": "cdk1"}, "stringData": data})).unwrap()
    }

    #[test]
    fn argo_cds_shape_is_read() {
        let config = r#"{"awsAuthConfig":{"clusterName":"cdk1","roleARN":"arn:aws:iam::1:role/r"},
            "bearerToken":"t0ken","tlsClientConfig":{"insecure":false,"caData":"Q0E="},"other":1}"#;
        let secret = secret(json!({
            "name": "cdk1", "server": "https://example.eks.amazonaws.com/", "config": config,
            "namespaces": "a, b", "clusterResources": "true",
        }));
        let cluster = ClusterSecret::from_secret(&secret).unwrap();
        assert_eq!(cluster.server, "https://example.eks.amazonaws.com");
        assert_eq!(cluster.namespaces, ["a", "b"]);
        assert!(cluster.cluster_resources);
        let aws = cluster.config.aws_auth_config.as_ref().unwrap();
        assert_eq!(
            (aws.cluster_name.as_str(), aws.role_arn.as_deref()),
            ("cdk1", Some("arn:aws:iam::1:role/r"))
        );
        assert!(!format!("{cluster:?}").contains("t0ken"));
    }

    #[test]
    fn what_is_written_is_read_back() {
        let cluster = ClusterSecret {
            name: "cdk1".to_owned(),
            server: "https://127.0.0.1:1".to_owned(),
            config: ClusterConfig {
                aws_auth_config: Some(AwsAuthConfig {
                    cluster_name: "cdk1".to_owned(),
                    ..Default::default()
                }),
                tls_client_config: TlsClientConfig { ca_data: Some("Q0E=".to_owned()), ..Default::default() },
                ..Default::default()
            },
            namespaces: vec!["a".to_owned()],
            cluster_resources: true,
            project: Some("p".to_owned()),
            shard: None,
            region: Some("eu-west-1".to_owned()),
            external_id: Some("x-1".to_owned()),
        };
        let secret = cluster.to_secret(ObjectMeta { name: Some("cdk1".to_owned()), ..Default::default() });
        assert_eq!(secret.metadata.labels.as_ref().unwrap()[LABEL_SECRET_TYPE], SECRET_TYPE_CLUSTER);
        let config = String::from_utf8(secret.data.as_ref().unwrap()["config"].0.clone()).unwrap();
        assert_eq!(
            config,
            r#"{"awsAuthConfig":{"clusterName":"cdk1"},"tlsClientConfig":{"insecure":false,"caData":"Q0E="}}"#
        );
        assert_eq!(ClusterSecret::from_secret(&secret), Ok(cluster));
    }

    #[test]
    fn errors_never_show_the_secret() {
        let error =
            ClusterSecret::from_secret(&secret(json!({"server": "x", "config": "{\"bearerToken\": hush"})));
        let error = error.unwrap_err();
        assert!(matches!(error, ClusterSecretError::Config { .. }));
        assert!(!error.to_string().contains("hush"));
        let error = ClusterSecret::from_secret(&secret(json!({"name": "x"}))).unwrap_err();
        assert_eq!(error, ClusterSecretError::MissingKey("server"));
    }
}
