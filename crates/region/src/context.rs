//! What a handler may know besides the state and the request.

use std::net::SocketAddr;

use jiff::Timestamp;

use crate::clock::Chance;
use crate::dataplane::{self, DataPlane};
use crate::identity::Principal;
use crate::options::Options;

/// The surroundings of one call.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Context<'a> {
    pub(crate) options: &'a Options,
    pub(crate) now: Timestamp,
    pub(crate) caller: &'a Principal,
    pub(crate) dataplane: &'a DataPlane,
}

impl Context<'_> {
    pub(crate) fn region(&self) -> &str {
        &self.options.region
    }

    pub(crate) fn account(&self) -> &str {
        &self.options.account
    }

    /// Sixteen hexadecimal digits, as in the ARNs of load balancers.
    pub(crate) fn new_id(&self) -> String {
        new_id(self.options.chance.as_ref())
    }

    /// Takes a port for a listener, so that nobody else gets it before the
    /// data plane serves it.
    pub(crate) fn take_port(&self, preferred: &[u16]) -> std::io::Result<SocketAddr> {
        let (socket, address) = dataplane::bind(preferred)?;
        self.dataplane.adopt(socket)?;
        Ok(address)
    }
}

/// Sixteen hexadecimal digits.
pub(crate) fn new_id(chance: &dyn Chance) -> String {
    format!("{:016x}", chance.next_u64())
}
