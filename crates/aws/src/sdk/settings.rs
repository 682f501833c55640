//! What an operator can set about the way to AWS.

use crate::Region;
use crate::sdk::Budget;

/// Whether long-lived access keys are accepted.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum StaticKeys {
    /// Only where all endpoints are loopback (design, section 5).
    #[default]
    LoopbackOnly,
    /// Everywhere, by the operator's word.
    Allowed,
}

/// A long-lived access key.
#[derive(Clone, PartialEq, Eq)]
pub struct AccessKey {
    /// Its id.
    pub id: String,
    /// Its secret, never printed.
    pub secret: String,
}

impl std::fmt::Debug for AccessKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("AccessKey").field("id", &self.id).finish_non_exhaustive()
    }
}

/// How okra reaches AWS. What is not set here comes from the SDK's default
/// chain: environment, profile files, web identity, container or pod
/// identity, instance profile.
#[derive(Clone, Debug)]
pub struct SdkSettings {
    /// One endpoint for all services, over those of environment and profile.
    pub endpoint_url: Option<String>,
    /// The default region, over that of environment and profile.
    pub region: Option<Region>,
    /// A profile that wins over keys in the environment.
    pub forced_profile: Option<String>,
    /// Keys that win over everything; local mode knows those of its region.
    pub access_key: Option<AccessKey>,
    /// Whether long-lived keys are accepted.
    pub static_keys: StaticKeys,
    /// How many calls okra allows itself.
    pub budget: Budget,
}

impl SdkSettings {
    /// Everything from the default chain, with the budget of `spec/aws.md` 1.10.
    pub fn from_default_chain() -> Self {
        Self {
            endpoint_url: None,
            region: None,
            forced_profile: None,
            access_key: None,
            static_keys: StaticKeys::LoopbackOnly,
            budget: Budget::Shared,
        }
    }

    /// The profile that `FORCE_AWS_PROFILE=true` makes win over keys in the
    /// environment (`spec/okra.md` 3.6), from a look-up of variables.
    pub fn forced_profile(variable: impl Fn(&str) -> Option<String>) -> Option<String> {
        let forced = variable("FORCE_AWS_PROFILE")?.eq_ignore_ascii_case("true");
        let profile = variable("AWS_PROFILE").filter(|profile| !profile.is_empty());
        if forced { profile } else { None }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_profile_wins_only_when_it_is_forced() {
        let with = |force: Option<&str>, profile: Option<&str>| {
            SdkSettings::forced_profile(|name| match name {
                "FORCE_AWS_PROFILE" => force.map(str::to_owned),
                "AWS_PROFILE" => profile.map(str::to_owned),
                _ => None,
            })
        };
        assert_eq!(with(Some("true"), Some("prod")).as_deref(), Some("prod"));
        assert_eq!(with(Some("false"), Some("prod")), None);
        assert_eq!(with(None, Some("prod")), None);
        assert_eq!(with(Some("true"), Some("")), None);
        assert_eq!(with(Some("true"), None), None);
    }
}
