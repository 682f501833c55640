//! Clients of the SDK, one set for each region and role.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use aws_config::identity::IdentityCache;
use aws_config::retry::RetryConfig;
use aws_config::sts::AssumeRoleProvider;
use aws_config::timeout::TimeoutConfig;
use aws_config::{BehaviorVersion, SdkConfig};
use aws_credential_types::provider::SharedCredentialsProvider;
use aws_types::service_config::ServiceConfigKey;

use super::credentials::{TemporaryOnly, is_loopback, of_key, of_profile};
use super::settings::{SdkSettings, StaticKeys};
use crate::{Region, Scope};

/// Time for TCP and TLS. AWS answers within one; more means a black hole.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);
/// Time for one request. Read-back has 10 seconds in all (`spec/aws.md` 1.6),
/// so that a slow answer leaves time for a second look.
const ATTEMPT_TIMEOUT: Duration = Duration::from_secs(5);
/// Assumed roles are renewed this long before they end (`spec/aws.md` 3.6).
const RENEW_BEFORE_END: Duration = Duration::from_secs(5 * 60);
/// Name of okra's sessions in CloudTrail.
const SESSION_NAME: &str = "okra";
/// Regions times roles. Beyond this the clients are made anew: more than any
/// fleet has, and few enough that a loop over made-up roles eats no memory.
const SCOPES_MAX: usize = 512;

/// Services that okra calls, by the id that names their endpoint variables.
const SERVICES: [&str; 4] = ["Elastic Load Balancing v2", "EKS", "CloudWatch", "STS"];
const STS: &str = SERVICES[3];

/// Clients for one region and role.
pub(super) struct ScopedClients {
    pub(super) load_balancing: aws_sdk_elasticloadbalancingv2::Client,
    pub(super) eks: aws_sdk_eks::Client,
    pub(super) cloudwatch: aws_sdk_cloudwatch::Client,
    pub(super) sts: aws_sdk_sts::Client,
    /// For signing by hand; asks the role each time.
    pub(super) credentials: Option<SharedCredentialsProvider>,
}

/// Makes clients and keeps them.
pub(super) struct Clients {
    base: SdkConfig,
    static_keys: StaticKeys,
    by_scope: Mutex<BTreeMap<Scope, Arc<ScopedClients>>>,
}

impl Clients {
    /// Reads environment and profile files.
    pub(super) async fn load(settings: SdkSettings) -> Self {
        let timeouts = TimeoutConfig::builder()
            .connect_timeout(CONNECT_TIMEOUT)
            .operation_attempt_timeout(ATTEMPT_TIMEOUT)
            .build();
        // Attempts are ours to make (sdk::call): each one is counted, and
        // each write asks its gate first.
        let mut loader = aws_config::defaults(BehaviorVersion::latest())
            .retry_config(RetryConfig::disabled())
            .timeout_config(timeouts)
            .identity_cache(identity_cache());
        if let Some(url) = &settings.endpoint_url {
            loader = loader.endpoint_url(url);
        }
        if let Some(region) = &settings.region {
            loader = loader.region(sdk_region(region));
        }
        if let Some(profile) = &settings.forced_profile {
            loader = loader.profile_name(profile).credentials_provider(of_profile(profile));
        }
        if let Some(key) = &settings.access_key {
            loader = loader.credentials_provider(of_key(key));
        }
        let base = guarded(loader.load().await, settings.static_keys);
        Self { base, static_keys: settings.static_keys, by_scope: Mutex::default() }
    }

    /// The region of settings, environment or profile.
    pub(super) fn default_region(&self) -> Option<Region> {
        self.base.region().map(|region| Region::new(region.as_ref()))
    }

    /// Where STS answers, if not at AWS's own address.
    pub(super) fn sts_endpoint(&self) -> Option<String> {
        endpoint_of(&self.base, STS)
    }

    /// Clients for a region and role, made at their first use.
    pub(super) async fn get(&self, scope: &Scope) -> Arc<ScopedClients> {
        if let Some(clients) = self.kept().get(scope) {
            return clients.clone();
        }
        let clients = Arc::new(self.make(scope).await);
        let mut kept = self.kept();
        if kept.len() >= SCOPES_MAX {
            kept.clear();
        }
        kept.entry(scope.clone()).or_insert(clients).clone()
    }

    /// Forgets what is cached for a region and role, credentials included.
    pub(super) fn forget(&self, scope: &Scope) {
        self.kept().remove(scope);
    }

    /// The credentials of a profile, or of the role that it may assume. What
    /// holds for okra's own static keys holds for those of a profile.
    pub(super) async fn of_profile(&self, profile: &str, scope: &Scope) -> Option<SharedCredentialsProvider> {
        let config = self.base.to_builder().credentials_provider(of_profile(profile)).build();
        let config = scoped(&guarded(config, self.static_keys), scope).await;
        config.credentials_provider()
    }

    async fn make(&self, scope: &Scope) -> ScopedClients {
        let config = scoped(&self.base, scope).await;
        ScopedClients {
            load_balancing: aws_sdk_elasticloadbalancingv2::Client::new(&config),
            eks: aws_sdk_eks::Client::new(&config),
            cloudwatch: aws_sdk_cloudwatch::Client::new(&config),
            sts: aws_sdk_sts::Client::new(&config),
            credentials: config.credentials_provider(),
        }
    }

    fn kept(&self) -> std::sync::MutexGuard<'_, BTreeMap<Scope, Arc<ScopedClients>>> {
        self.by_scope.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The configuration for a region, with the credentials of a role if one is named.
async fn scoped(base: &SdkConfig, scope: &Scope) -> SdkConfig {
    let config = base.to_builder().region(sdk_region(&scope.region)).identity_cache(identity_cache()).build();
    let Some(role) = &scope.role else { return config };
    let session = role.session_name.as_deref().unwrap_or(SESSION_NAME);
    let mut provider = AssumeRoleProvider::builder(&role.arn).session_name(session).configure(&config);
    if let Some(external_id) = &role.external_id {
        provider = provider.external_id(external_id);
    }
    let provider = SharedCredentialsProvider::new(provider.build().await);
    config.to_builder().credentials_provider(provider).build()
}

fn identity_cache() -> aws_sdk_sts::config::SharedIdentityCache {
    IdentityCache::lazy().buffer_time(RENEW_BEFORE_END).build()
}

fn sdk_region(region: &Region) -> aws_config::Region {
    aws_config::Region::new(region.as_str().to_owned())
}

/// Puts the guard before the credentials, unless static keys may be used.
fn guarded(config: SdkConfig, static_keys: StaticKeys) -> SdkConfig {
    let all_loopback =
        SERVICES.iter().all(|service| endpoint_of(&config, service).is_some_and(|url| is_loopback(&url)));
    if static_keys == StaticKeys::Allowed || all_loopback {
        return config;
    }
    let Some(inner) = config.credentials_provider() else { return config };
    let guard = SharedCredentialsProvider::new(TemporaryOnly::new(inner));
    config.to_builder().credentials_provider(guard).build()
}

/// The endpoint set for a service, by the SDK's own rules: what the program
/// sets, then the service's variable or profile key, then the common one.
fn endpoint_of(config: &SdkConfig, service: &str) -> Option<String> {
    let common = config.endpoint_url().map(str::to_owned);
    if config.get_origin("endpoint_url").is_client_config() {
        return common;
    }
    let key = ServiceConfigKey::builder()
        .service_id(service)
        .env("AWS_ENDPOINT_URL")
        .profile("endpoint_url")
        .build()
        .expect("all three parts of the key are set");
    config.service_config().and_then(|services| services.load_config(key)).or(common)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sdk::Budget;

    fn settings(endpoint_url: Option<&str>, static_keys: StaticKeys) -> SdkSettings {
        SdkSettings {
            endpoint_url: endpoint_url.map(str::to_owned),
            region: Some(Region::new("eu-west-1")),
            forced_profile: None,
            access_key: None,
            static_keys,
            budget: Budget::Off,
        }
    }

    async fn is_guarded(endpoint_url: Option<&str>, static_keys: StaticKeys) -> bool {
        let clients = Clients::load(settings(endpoint_url, static_keys)).await;
        format!("{:?}", clients.base.credentials_provider()).contains("TemporaryOnly")
    }

    #[tokio::test]
    async fn static_keys_need_a_word_or_loopback() {
        assert!(is_guarded(Some("https://aws.example.com"), StaticKeys::LoopbackOnly).await);
        assert!(!is_guarded(Some("http://127.0.0.1:4566"), StaticKeys::LoopbackOnly).await);
        assert!(!is_guarded(Some("https://aws.example.com"), StaticKeys::Allowed).await);
    }

    #[tokio::test]
    async fn clients_are_kept_until_forgotten() {
        let clients = Clients::load(settings(Some("http://127.0.0.1:1"), StaticKeys::LoopbackOnly)).await;
        let scope = Scope::own(Region::new("eu-west-1"));
        let first = clients.get(&scope).await;
        assert!(Arc::ptr_eq(&first, &clients.get(&scope).await));
        clients.forget(&scope);
        assert!(!Arc::ptr_eq(&first, &clients.get(&scope).await));
        assert_eq!(clients.sts_endpoint().as_deref(), Some("http://127.0.0.1:1"));
        assert_eq!(clients.default_region(), Some(Region::new("eu-west-1")));
    }
}
