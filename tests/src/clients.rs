//! Other people's programs, where `make test` has put them.

use std::ffi::OsString;

fn named(variable: &str, otherwise: &str) -> OsString {
    std::env::var_os(variable).filter(|value| !value.is_empty()).unwrap_or_else(|| otherwise.into())
}

/// kubectl.
pub fn kubectl() -> OsString {
    named("OKRA_KUBECTL", "kubectl")
}

/// The `aws` command.
pub fn aws() -> OsString {
    named("OKRA_AWS", "aws")
}

/// redis-server.
pub fn redis() -> OsString {
    named("OKRA_REDIS", "redis-server")
}

/// Prometheus.
pub fn prometheus() -> OsString {
    named("OKRA_PROMETHEUS", "prometheus")
}

/// A Python with boto3 and the Redis client.
pub fn python() -> OsString {
    named("OKRA_PYTHON", "python3")
}
