//! Which addresses a measurement may connect to (`spec/analysis.md` 4.0).

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::str::FromStr;

use thiserror::Error;

/// A range of addresses such as `127.0.0.0/8`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Network {
    address: IpAddr,
    prefix: u8,
}

/// A text that is no range of addresses.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{0:?} is no range of addresses such as 127.0.0.0/8")]
pub struct InvalidNetwork(String);

impl Network {
    const fn v4(octets: [u8; 4], prefix: u8) -> Self {
        Self { address: IpAddr::V4(Ipv4Addr::new(octets[0], octets[1], octets[2], octets[3])), prefix }
    }

    const fn v6(segments: [u16; 8], prefix: u8) -> Self {
        let [a, b, c, d, e, f, g, h] = segments;
        Self { address: IpAddr::V6(Ipv6Addr::new(a, b, c, d, e, f, g, h)), prefix }
    }

    /// Whether an address lies in the range.
    pub fn contains(&self, address: IpAddr) -> bool {
        match (self.address, address) {
            (IpAddr::V4(own), IpAddr::V4(other)) => {
                let apart = own.to_bits() ^ other.to_bits();
                apart.checked_shr(32 - u32::from(self.prefix)).unwrap_or(0) == 0
            }
            (IpAddr::V6(own), IpAddr::V6(other)) => {
                let apart = own.to_bits() ^ other.to_bits();
                apart.checked_shr(128 - u32::from(self.prefix)).unwrap_or(0) == 0
            }
            _ => false,
        }
    }
}

impl FromStr for Network {
    type Err = InvalidNetwork;

    /// Reads `ADDRESS/PREFIX`, or an address alone.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let invalid = || InvalidNetwork(text.to_owned());
        let (address, prefix) =
            text.split_once('/').map_or((text, None), |(left, right)| (left, Some(right)));
        let address: IpAddr = address.parse().map_err(|_| invalid())?;
        let longest = if address.is_ipv4() { 32 } else { 128 };
        let prefix = prefix.map_or(Ok(longest), |prefix| prefix.parse().map_err(|_| invalid()))?;
        if prefix > longest { Err(invalid()) } else { Ok(Self { address, prefix }) }
    }
}

impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.address, self.prefix)
    }
}

/// Ranges where nothing that a template may name has its place: this machine, its links, metadata
/// services, groups, and what is no address of one host.
const FORBIDDEN: [(Network, &str); 18] = [
    (Network::v4([0, 0, 0, 0], 8), "unspecified"),
    (Network::v4([127, 0, 0, 0], 8), "loopback"),
    (Network::v4([169, 254, 0, 0], 16), "link-local"),
    (Network::v4([100, 100, 100, 200], 32), "a metadata service"),
    (Network::v4([168, 63, 129, 16], 32), "a metadata service"),
    (Network::v4([192, 0, 0, 0], 24), "reserved"),
    (Network::v4([192, 88, 99, 0], 24), "reserved"),
    (Network::v4([224, 0, 0, 0], 4), "multicast"),
    (Network::v4([240, 0, 0, 0], 4), "reserved"),
    (Network::v6([0, 0, 0, 0, 0, 0, 0, 0], 128), "unspecified"),
    (Network::v6([0, 0, 0, 0, 0, 0, 0, 1], 128), "loopback"),
    (Network::v6([0xfd00, 0xec2, 0, 0, 0, 0, 0, 0], 32), "a metadata service"),
    (Network::v6([0xfe80, 0, 0, 0, 0, 0, 0, 0], 10), "link-local"),
    (Network::v6([0xfec0, 0, 0, 0, 0, 0, 0, 0], 10), "link-local"),
    (Network::v6([0xff00, 0, 0, 0, 0, 0, 0, 0], 8), "multicast"),
    (Network::v6([0x100, 0, 0, 0, 0, 0, 0, 0], 64), "reserved"),
    (Network::v6([0, 0, 0, 0, 0, 0, 0, 0], 96), "reserved"),
    (Network::v6([0x2001, 0, 0, 0, 0, 0, 0, 0], 32), "a tunnel"),
];

/// Ranges inside an organisation. A template may name them, a foreign server's redirect may not.
const PRIVATE: [Network; 6] = [
    Network::v4([10, 0, 0, 0], 8),
    Network::v4([172, 16, 0, 0], 12),
    Network::v4([192, 168, 0, 0], 16),
    Network::v4([100, 64, 0, 0], 10),
    Network::v4([198, 18, 0, 0], 15),
    Network::v6([0xfc00, 0, 0, 0, 0, 0, 0, 0], 7),
];

/// Prefixes of addresses that carry one of the older kind: mapped, translated, 6to4; with the bit
/// at which it begins.
const CARRIERS: [(Network, u32); 5] = [
    (Network::v6([0, 0, 0, 0, 0xffff, 0, 0, 0], 96), 96),
    (Network::v6([0, 0, 0, 0, 0, 0xffff, 0, 0], 96), 96),
    (Network::v6([0x64, 0xff9b, 0, 0, 0, 0, 0, 0], 96), 96),
    (Network::v6([0x64, 0xff9b, 1, 0, 0, 0, 0, 0], 96), 96),
    (Network::v6([0x2002, 0, 0, 0, 0, 0, 0, 0], 16), 16),
];

/// How okra came to an address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Origin {
    /// The template names it.
    Template,
    /// A server sent okra there.
    Redirect,
}

/// An address that may not be connected to.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("address {address} is refused: {reason} (a range can be allowed with --metric-address-allow)")]
pub struct Refusal {
    /// The address.
    pub address: IpAddr,
    /// What it is.
    pub reason: &'static str,
}

/// Which addresses may be connected to: all but a few ranges, and of these the allowed ones.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AddressPolicy {
    allowed: Vec<Network>,
}

impl AddressPolicy {
    /// The default with exceptions.
    pub fn allowing(allowed: impl IntoIterator<Item = Network>) -> Self {
        Self { allowed: allowed.into_iter().collect() }
    }

    /// Checks an address after resolution, before it is dialled.
    ///
    /// # Errors
    ///
    /// If it lies in a refused range that is not allowed.
    pub fn check(&self, address: IpAddr, origin: Origin) -> Result<(), Refusal> {
        if self.allowed.iter().any(|network| network.contains(address)) {
            return Ok(());
        }
        let refused = |reason| Err(Refusal { address, reason });
        if let Some(carried) = carried(address) {
            return self.check(IpAddr::V4(carried), origin).or_else(|refusal| refused(refusal.reason));
        }
        if let Some((_, reason)) = FORBIDDEN.iter().find(|(network, _)| network.contains(address)) {
            return refused(reason);
        }
        if origin == Origin::Redirect && PRIVATE.iter().any(|network| network.contains(address)) {
            return refused("a private address as the target of a redirect");
        }
        Ok(())
    }
}

/// The older address that an address carries.
fn carried(address: IpAddr) -> Option<Ipv4Addr> {
    let IpAddr::V6(v6) = address else { return None };
    let (_, begin) = CARRIERS.iter().find(|(network, _)| network.contains(address))?;
    let bits = (v6.to_bits() << begin) >> 96;
    u32::try_from(bits).ok().map(Ipv4Addr::from_bits)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(address: &str, origin: Origin) -> bool {
        AddressPolicy::default().check(address.parse().unwrap(), origin).is_ok()
    }

    #[test]
    fn addresses_of_this_machine_and_of_metadata_services_are_refused() {
        let refused = [
            "0.0.0.0",
            "0.1.2.3",
            "127.0.0.1",
            "127.255.0.9",
            "169.254.169.254",
            "169.254.170.2",
            "169.254.170.23",
            "100.100.100.200",
            "168.63.129.16",
            "192.0.0.192",
            "224.0.0.1",
            "239.255.255.255",
            "240.0.0.1",
            "255.255.255.255",
            "::",
            "::1",
            "::7f00:1",
            "fe80::1",
            "fec0::1",
            "ff02::1",
            "fd00:ec2::254",
            "fd00:ec2::23",
            "::ffff:127.0.0.1",
            "::ffff:169.254.169.254",
            "::ffff:0:127.0.0.1",
            "64:ff9b::7f00:1",
            "64:ff9b::a9fe:a9fe",
            "64:ff9b:1::7f00:1",
            "2002:7f00:1::",
            "2002:a9fe:a9fe::1",
            "2001::1",
            "100::1",
        ];
        for address in refused {
            assert!(!check(address, Origin::Template), "{address}");
            assert!(!check(address, Origin::Redirect), "{address}");
        }
    }

    #[test]
    fn public_addresses_are_fine_and_private_ones_unless_a_redirect_leads_there() {
        for address in ["93.184.216.34", "2606:2800:220:1::1", "64:ff9b::5db8:d822", "::ffff:93.184.216.34"] {
            assert!(check(address, Origin::Template) && check(address, Origin::Redirect), "{address}");
        }
        let private = [
            "10.0.0.1",
            "172.16.0.1",
            "172.31.255.1",
            "192.168.1.1",
            "100.64.0.1",
            "fd12::1",
            "::ffff:10.0.0.1",
        ];
        for address in private {
            assert!(check(address, Origin::Template), "{address}");
            assert!(!check(address, Origin::Redirect), "{address}");
        }
        assert!(check("172.32.0.1", Origin::Redirect));
    }

    #[test]
    fn an_allowed_range_opens_exactly_itself() {
        let policy = AddressPolicy::allowing(["127.0.0.0/8".parse().unwrap(), "fe80::/10".parse().unwrap()]);
        let ok = |address: &str| policy.check(address.parse().unwrap(), Origin::Redirect).is_ok();
        assert!(ok("127.0.0.1") && ok("127.9.9.9") && ok("fe80::5") && ok("::ffff:127.0.0.1"));
        assert!(!ok("169.254.169.254") && !ok("::1") && !ok("10.0.0.1"));
        let all = AddressPolicy::allowing(["0.0.0.0/0".parse().unwrap()]);
        assert!(all.check("169.254.169.254".parse().unwrap(), Origin::Template).is_ok());
    }

    #[test]
    fn ranges_are_read_and_written() {
        for text in ["127.0.0.0/8", "0.0.0.0/0", "::/0", "fe80::/10", "10.0.0.1/32"] {
            assert_eq!(text.parse::<Network>().unwrap().to_string(), text);
        }
        assert_eq!("10.0.0.1".parse::<Network>().unwrap().to_string(), "10.0.0.1/32");
        for text in ["", "127.0.0.0/33", "::/129", "127.0.0/8", "127.0.0.0/-1", "localhost/8", "/8"] {
            assert!(text.parse::<Network>().is_err(), "{text}");
        }
    }
}
