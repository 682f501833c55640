//! What every request works with, and the request itself.

use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use http::Method;
use jiff::Timestamp;
use tokio_util::sync::CancellationToken;

use crate::audit::AuditLog;
use crate::auth::{Authenticator, User};
use crate::clock::{Chance, Clock};
use crate::http::accept::Form;
use crate::http::path::ResourcePath;
use crate::http::query::Query;
use crate::kinds::Kinds;
use crate::limits::{Limits, Room};
use crate::metrics::Metrics;
use crate::store::Store;

/// The parts of a running server.
pub(crate) struct Api {
    pub(crate) store: Store,
    pub(crate) kinds: Kinds,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) chance: Arc<dyn Chance>,
    pub(crate) authenticator: Authenticator,
    /// The certificate authority, as PEM, that clients inside find in a ConfigMap.
    pub(crate) certificate_authority: String,
    pub(crate) limits: Limits,
    pub(crate) metrics: Arc<Metrics>,
    pub(crate) audit_log: Option<Arc<dyn AuditLog>>,
    /// Cancelled when the server begins to stop: watches and controllers end.
    pub(crate) stopping: CancellationToken,
}

/// One request about objects, read and authenticated.
pub(crate) struct Call {
    pub(crate) user: User,
    pub(crate) method: Method,
    pub(crate) path: ResourcePath,
    pub(crate) query: Query,
    pub(crate) form: Form,
    /// Media type of the body, without parameters.
    pub(crate) media: String,
    pub(crate) user_agent: String,
    pub(crate) body: Bytes,
    /// What the body takes of the limits, for as long as the request lasts.
    pub(crate) _room: Room,
    /// The token that proved who calls, if one did.
    pub(crate) token: Option<String>,
    pub(crate) warnings: Warnings,
}

/// Warnings collected for the answer's headers.
#[derive(Default)]
pub(crate) struct Warnings(Mutex<Vec<String>>);

impl Warnings {
    pub(crate) fn add(&self, warning: impl Into<String>) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(warning.into());
    }

    pub(crate) fn take(&self) -> Vec<String> {
        std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Api {
    /// Now, as objects carry it: RFC 3339 with seconds.
    pub(crate) fn time(&self) -> String {
        seconds(self.clock.now())
    }

    /// A random UUID, version 4.
    pub(crate) fn uuid(&self) -> String {
        let mut bytes = [0u8; 16];
        self.chance.fill(&mut bytes);
        bytes[6] = (bytes[6] & 0x0f) | 0x40;
        bytes[8] = (bytes[8] & 0x3f) | 0x80;
        let number = u128::from_be_bytes(bytes);
        format!(
            "{:08x}-{:04x}-{:04x}-{:04x}-{:012x}",
            number >> 96,
            number >> 80 & 0xffff,
            number >> 64 & 0xffff,
            number >> 48 & 0xffff,
            number & 0xffff_ffff_ffff
        )
    }
}

/// RFC 3339 in UTC with whole seconds.
pub(crate) fn seconds(time: Timestamp) -> String {
    time.strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}
