//! The adapters, pointed at an endpoint of the test's own.

use std::sync::Arc;

use okra_aws::Region;
use okra_aws::sdk::{AccessKey, Budget, Sdk, SdkSettings, StaticKeys, Unobserved};
use okra_clock::{SystemClock, SystemEntropy};

/// Settings for such an endpoint.
pub(crate) fn settings(url: &str) -> SdkSettings {
    SdkSettings {
        endpoint_url: Some(url.to_owned()),
        region: Some(Region::new("eu-west-1")),
        forced_profile: None,
        access_key: Some(AccessKey { id: "test".to_owned(), secret: "test".to_owned() }),
        static_keys: StaticKeys::LoopbackOnly,
        budget: Budget::Off,
    }
}

/// The adapters with these settings.
pub(crate) async fn sdk(settings: SdkSettings) -> Sdk {
    let entropy = Arc::new(SystemEntropy::default());
    Sdk::load(settings, SystemClock::shared(), entropy, Arc::new(Unobserved)).await
}
