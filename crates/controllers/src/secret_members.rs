//! Member clusters by what their Argo CD cluster secret says (`spec/okra.md`
//! 3.2.2): EKS tokens are signed in this process and renew themselves; a
//! command that a secret names is run only by the operator's word (H-64).

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use futures::future::BoxFuture;
use http::{HeaderValue, Request, header};
use kube::client::{Body, ClientBuilder};
use kube::config::{AuthInfo, ExecConfig};
use kube::{Client, Config};
use okra_api::foreign::cluster_secret::{AwsAuthConfig, ClusterSecret, ExecProviderConfig, TlsClientConfig};
use okra_aws::{ClusterTokens, Region, Role, Scope};
use tower::BoxError;
use tower::buffer::BufferLayer;
use tower::filter::AsyncFilterLayer;

use crate::members::{MemberClients, MemberError};

/// Time for TCP and TLS to a member's API: a dead cluster is known within this.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// Requests to one member that may wait for its connection: one a kind watched, and room.
const REQUESTS_MAX: usize = 64;

/// Makes clients from cluster secrets.
pub struct SecretMembers {
    /// The cluster that okra runs in.
    management: Client,
    tokens: Arc<dyn ClusterTokens>,
    /// For clusters whose address does not name their region.
    region: Option<Region>,
    allow_exec: bool,
}

impl SecretMembers {
    /// `allow_exec` is the operator's word for login commands.
    pub fn new(
        management: Client,
        tokens: Arc<dyn ClusterTokens>,
        region: Option<Region>,
        allow_exec: bool,
    ) -> Self {
        Self { management, tokens, region, allow_exec }
    }

    fn scope(&self, cluster: &ClusterSecret, aws: &AwsAuthConfig) -> Result<Scope, MemberError> {
        let server = &cluster.server;
        let named = cluster.region.clone().map(Region::new).or_else(|| region_of(server));
        let region = named.or_else(|| self.region.clone());
        let region = region.ok_or_else(|| MemberError::RegionUnknown { server: server.clone() })?;
        let external_id = cluster.external_id.clone();
        let role = aws.role_arn.clone().map(|arn| Role { external_id, ..Role::new(arn) });
        Ok(Scope { region, role })
    }

    fn login(&self, cluster: &ClusterSecret) -> Result<AuthInfo, MemberError> {
        let config = &cluster.config;
        let tls = &config.tls_client_config;
        let mut login = AuthInfo {
            client_certificate_data: tls.cert_data.clone(),
            client_key_data: tls.key_data.clone().map(Into::into),
            ..AuthInfo::default()
        };
        if config.aws_auth_config.is_some() {
            return Ok(login);
        }
        if let Some(exec) = &config.exec_provider_config {
            if !self.allow_exec {
                return Err(MemberError::ExecNotAllowed { command: exec.command.clone() });
            }
            login.exec = Some(exec_config(exec));
            return Ok(login);
        }
        login.username.clone_from(&config.username);
        login.password = config.password.clone().map(Into::into);
        login.token = config.bearer_token.clone().map(Into::into);
        Ok(login)
    }
}

#[async_trait]
impl MemberClients for SecretMembers {
    async fn client(&self, cluster: &ClusterSecret) -> Result<Client, MemberError> {
        if cluster.is_in_cluster() {
            return Ok(self.management.clone());
        }
        let address = || MemberError::Address { server: cluster.server.clone() };
        let mut config = Config::new(cluster.server.parse().map_err(|_| address())?);
        let tls = &cluster.config.tls_client_config;
        config.root_cert = authority(tls)?;
        config.accept_invalid_certs = tls.insecure;
        config.tls_server_name.clone_from(&tls.server_name);
        config.connect_timeout = Some(CONNECT_TIMEOUT);
        config.auth_info = self.login(cluster)?;
        let builder =
            ClientBuilder::try_from(config).map_err(|error| MemberError::Client(Box::new(error)))?;
        let Some(aws) = &cluster.config.aws_auth_config else { return Ok(builder.build()) };
        let login = TokenLogin {
            tokens: self.tokens.clone(),
            scope: self.scope(cluster, aws)?,
            cluster: aws.cluster_name.clone(),
        };
        let layer = AsyncFilterLayer::new(move |request| login.clone().sign(request));
        // The filter wants a service that can be shared between requests.
        Ok(builder.with_layer(&BufferLayer::new(REQUESTS_MAX)).with_layer(&layer).build())
    }

    async fn principal(&self, cluster: &ClusterSecret) -> Option<String> {
        let aws = cluster.config.aws_auth_config.as_ref()?;
        let scope = self.scope(cluster, aws).ok()?;
        self.tokens.principal(&scope).await.ok()
    }
}

/// Puts a valid token on every request; the tokens are kept and renewed by
/// whoever signs them.
#[derive(Clone)]
struct TokenLogin {
    tokens: Arc<dyn ClusterTokens>,
    scope: Scope,
    cluster: String,
}

impl TokenLogin {
    fn sign(self, mut request: Request<Body>) -> BoxFuture<'static, Result<Request<Body>, BoxError>> {
        Box::pin(async move {
            let token = self.tokens.cluster_token(&self.scope, &self.cluster).await?;
            let mut value = HeaderValue::try_from(format!("Bearer {}", token.token))?;
            value.set_sensitive(true);
            request.headers_mut().insert(header::AUTHORIZATION, value);
            Ok(request)
        })
    }
}

/// The region in `https://ID.gr7.REGION.eks.amazonaws.com`.
fn region_of(server: &str) -> Option<Region> {
    let host = server.split("://").nth(1)?.split(['/', ':']).next()?;
    let labels: Vec<&str> = host.split('.').collect();
    let eks = labels.iter().position(|label| *label == "eks")?;
    let is_aws = labels.get(eks + 1) == Some(&"amazonaws");
    let region = labels.get(eks.checked_sub(1)?)?;
    is_aws.then(|| Region::new(*region))
}

fn authority(tls: &TlsClientConfig) -> Result<Option<Vec<Vec<u8>>>, MemberError> {
    use rustls_pki_types::pem::PemObject as _;
    let Some(data) = tls.ca_data.as_deref().filter(|data| !data.is_empty()) else { return Ok(None) };
    let wrong = || MemberError::Certificate { field: "tlsClientConfig.caData" };
    let pem = STANDARD.decode(data).map_err(|_| wrong())?;
    let certificates = rustls_pki_types::CertificateDer::pem_slice_iter(&pem)
        .map(|certificate| certificate.map(|certificate| certificate.to_vec()))
        .collect::<Result<Vec<_>, _>>()
        .map_err(|_| wrong())?;
    if certificates.is_empty() { Err(wrong()) } else { Ok(Some(certificates)) }
}

fn exec_config(exec: &ExecProviderConfig) -> ExecConfig {
    let variable = |(name, value): (&String, &String)| {
        [("name".to_owned(), name.clone()), ("value".to_owned(), value.clone())].into_iter().collect()
    };
    ExecConfig {
        api_version: exec.api_version.clone(),
        command: Some(exec.command.clone()),
        args: Some(exec.args.clone()),
        env: Some(exec.env.iter().map(variable).collect()),
        install_hint: exec.install_hint.clone(),
        ..ExecConfig::default()
    }
}

#[cfg(test)]
mod tests {
    use okra_aws::{AwsError, ClusterToken};

    use super::*;

    #[test]
    fn the_region_is_read_from_the_address_of_an_eks_cluster() {
        let region = |server: &str| region_of(server).map(|region| region.as_str().to_owned());
        assert_eq!(region("https://ABC.gr7.eu-west-1.eks.amazonaws.com").as_deref(), Some("eu-west-1"));
        assert_eq!(
            region("https://ABC.yl4.cn-north-1.eks.amazonaws.com.cn:443/").as_deref(),
            Some("cn-north-1")
        );
        assert_eq!(region("https://127.0.0.1:6443"), None);
        assert_eq!(region("https://eks.example.com"), None);
    }

    #[test]
    fn an_authority_that_is_no_certificate_is_refused() {
        let tls =
            |data: &str| TlsClientConfig { ca_data: Some(data.to_owned()), ..TlsClientConfig::default() };
        assert!(matches!(authority(&tls("")), Ok(None)));
        assert!(authority(&tls("not base64!")).is_err());
        assert!(authority(&tls(&STANDARD.encode("no pem"))).is_err());
    }

    /// Tokens that nobody asks for.
    struct NoTokens;

    #[async_trait]
    impl ClusterTokens for NoTokens {
        async fn cluster_token(&self, _: &Scope, _: &str) -> Result<ClusterToken, AwsError> {
            unreachable!("the login is none of AWS")
        }

        async fn principal(&self, _: &Scope) -> Result<String, AwsError> {
            unreachable!("the login is none of AWS")
        }
    }

    /// A client of an API that nobody asks.
    fn management() -> Client {
        let nobody = tower::service_fn(|_: Request<Body>| async {
            Err::<http::Response<Body>, BoxError>("nobody answers".into())
        });
        Client::new(nobody, "default")
    }

    #[tokio::test]
    async fn h_64_a_login_command_is_run_by_the_operators_word_only() {
        let mut cluster =
            ClusterSecret { server: "https://127.0.0.1:1".to_owned(), ..ClusterSecret::default() };
        cluster.config.exec_provider_config =
            Some(ExecProviderConfig { command: "steal".to_owned(), ..ExecProviderConfig::default() });
        let members = |allow| SecretMembers::new(management(), Arc::new(NoTokens), None, allow);
        let refused = members(false).client(&cluster).await.err().map(|error| error.to_string());
        let told = "the login is the command \"steal\", which needs --allow-exec";
        assert_eq!(refused.as_deref(), Some(told));
        assert!(members(true).login(&cluster).is_ok_and(|login| login.exec.is_some()));
        assert_eq!(members(false).principal(&cluster).await, None);
    }

    #[tokio::test]
    async fn the_region_and_external_id_of_the_secret_win() {
        let members =
            SecretMembers::new(management(), Arc::new(NoTokens), Some(Region::new("us-east-1")), false);
        let mut cluster = ClusterSecret {
            server: "https://A.gr7.eu-west-1.eks.amazonaws.com".to_owned(),
            ..ClusterSecret::default()
        };
        let aws =
            AwsAuthConfig { role_arn: Some("arn:aws:iam::1:role/r".to_owned()), ..AwsAuthConfig::default() };
        assert_eq!(members.scope(&cluster, &aws).unwrap().region, Region::new("eu-west-1"));
        cluster.region = Some("eu-central-1".to_owned());
        cluster.external_id = Some("x-1".to_owned());
        let scope = members.scope(&cluster, &aws).unwrap();
        assert_eq!(scope.region, Region::new("eu-central-1"));
        assert_eq!(scope.role.unwrap().external_id.as_deref(), Some("x-1"));
    }
}
