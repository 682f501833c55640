//! What the data plane shall serve: the whole picture, handed over at once.
//!
//! These are plain values with AWS's own words. They say nothing of health,
//! connections or counters: the data plane keeps those for whatever stays.

use std::net::{IpAddr, SocketAddr};
use std::ops::RangeInclusive;
use std::str::FromStr;
use std::time::Duration;

/// Everything that is served.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Topology {
    /// Load balancers with their listeners and rules.
    pub load_balancers: Vec<LoadBalancer>,
    /// Target groups. One that no rule names is not health-checked, as on AWS
    /// (`spec/aws.md` 1.6).
    pub target_groups: Vec<TargetGroup>,
}

/// One load balancer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LoadBalancer {
    /// ARN; names its statistics.
    pub arn: String,
    /// `idle_timeout.timeout_seconds`: a client connection without a byte for
    /// this long is closed, a target that is silent for this long is a 504.
    pub idle_timeout: Duration,
    /// Listeners.
    pub listeners: Vec<Listener>,
}

/// One listener.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listener {
    /// ARN; connections stay while it stays.
    pub arn: String,
    /// Where it listens, already chosen (see [`super::bind`]).
    pub address: SocketAddr,
    /// Rules, evaluated by ascending priority.
    pub rules: Vec<Rule>,
    /// What happens to a request that no rule matches.
    pub default_action: Action,
}

/// One rule: all conditions must hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rule {
    /// 1 to 50000, lowest first.
    pub priority: u32,
    /// All of them must hold; none means always.
    pub conditions: Vec<Condition>,
    /// What happens then.
    pub action: Action,
}

/// One condition: one of its values must match (`spec/aws.md` 1.5). In
/// patterns `*` stands for any text and `?` for one character.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Condition {
    /// `host-header`, without regard to case and port.
    HostHeader(Vec<String>),
    /// `path-pattern`, with regard to case, without the query.
    PathPattern(Vec<String>),
    /// `http-header`, without regard to case.
    HttpHeader {
        /// Name of the header, no pattern.
        name: String,
        /// Patterns of its value.
        values: Vec<String>,
    },
    /// `http-request-method`, exact.
    HttpRequestMethod(Vec<String>),
    /// `query-string`, without regard to case.
    QueryString(Vec<QueryPair>),
    /// `source-ip`: the address of the connection, not `X-Forwarded-For`.
    SourceIp(Vec<Cidr>),
}

/// One pair of a query string.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct QueryPair {
    /// Pattern of the key; `None` matches any.
    pub key: Option<String>,
    /// Pattern of the value.
    pub value: String,
}

/// What a rule does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Action {
    /// To one of the target groups, by weight.
    Forward(Forward),
    /// An answer of the load balancer itself.
    FixedResponse(FixedResponse),
    /// Elsewhere.
    Redirect(Redirect),
}

/// `forward`.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Forward {
    /// The groups with their weights, 0 to 999, relative to each other.
    pub groups: Vec<WeightedGroup>,
    /// Target group stickiness, if enabled: how long a client stays.
    pub stickiness: Option<Duration>,
}

/// One group of a forward action.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WeightedGroup {
    /// ARN of the target group.
    pub arn: String,
    /// 0 gets no new clients.
    pub weight: u32,
}

/// `fixed-response`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FixedResponse {
    /// Status code, 2XX, 4XX or 5XX.
    pub status: u16,
    /// `Content-Type`.
    pub content_type: Option<String>,
    /// Body.
    pub body: String,
}

/// `redirect`. Each part may hold `#{protocol}`, `#{host}`, `#{port}`,
/// `#{path}` (without its leading slash) and `#{query}`, which stand for the
/// request's own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Redirect {
    /// 301 or 302.
    pub status: u16,
    /// `HTTP`, `HTTPS` or `#{protocol}`.
    pub protocol: String,
    /// Host, default `#{host}`.
    pub host: String,
    /// Port, default `#{port}`.
    pub port: String,
    /// Path with its leading slash, default `/#{path}`.
    pub path: String,
    /// Query without question mark, default `#{query}`.
    pub query: String,
}

/// One target group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TargetGroup {
    /// ARN; health, connections and counters stay while it stays.
    pub arn: String,
    /// How its targets are spoken to.
    pub protocol: Protocol,
    /// How its targets are checked.
    pub health_check: HealthCheck,
    /// `deregistration_delay.timeout_seconds`: how long a target that leaves
    /// finishes what it has begun.
    pub deregistration_delay: Duration,
    /// `load_balancing.algorithm.type`.
    pub algorithm: Algorithm,
    /// Target stickiness of type `lb_cookie`, if enabled: how long.
    pub lb_cookie: Option<Duration>,
    /// Registered targets.
    pub targets: Vec<Target>,
}

/// How targets are spoken to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Protocol {
    /// HTTP/1.1 in the clear, the only one: targets are on loopback.
    Http,
}

/// How a target is chosen within a group.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Algorithm {
    /// `round_robin`.
    #[default]
    RoundRobin,
    /// `least_outstanding_requests`.
    LeastOutstandingRequests,
}

/// One target: an address on which it serves.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Target {
    /// Address.
    pub ip: IpAddr,
    /// Port.
    pub port: u16,
}

impl Target {
    /// Where it serves.
    pub fn address(self) -> SocketAddr {
        SocketAddr::new(self.ip, self.port)
    }
}

/// How targets are checked (`spec/aws.md` 1.7).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HealthCheck {
    /// Off only for groups that AWS lets switch it off.
    pub enabled: bool,
    /// Port to check; `None` is the target's own.
    pub port: Option<u16>,
    /// Path and query to ask for.
    pub path: String,
    /// Time from the start of one check to the start of the next.
    pub interval: Duration,
    /// An answer that takes longer is a failure.
    pub timeout: Duration,
    /// Passes in a row that make an unhealthy target healthy.
    pub healthy_threshold: u32,
    /// Failures in a row that make a target unhealthy.
    pub unhealthy_threshold: u32,
    /// Codes that pass.
    pub matcher: SuccessCodes,
}

impl Default for HealthCheck {
    /// AWS's defaults for an Application Load Balancer.
    fn default() -> Self {
        Self {
            enabled: true,
            port: None,
            path: "/".into(),
            interval: Duration::from_secs(30),
            timeout: Duration::from_secs(5),
            healthy_threshold: 5,
            unhealthy_threshold: 2,
            matcher: SuccessCodes::default(),
        }
    }
}

/// Status codes that pass a health check: `200`, `200,302`, `200-399`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SuccessCodes(Vec<RangeInclusive<u16>>);

impl SuccessCodes {
    /// Whether a code passes.
    pub fn contains(&self, code: u16) -> bool {
        self.0.iter().any(|range| range.contains(&code))
    }
}

impl Default for SuccessCodes {
    fn default() -> Self {
        Self(vec![200..=200])
    }
}

impl FromStr for SuccessCodes {
    type Err = TopologyError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let invalid = || TopologyError::SuccessCodes { text: text.to_owned() };
        let code = |part: &str| {
            let code = part.trim().parse::<u16>().map_err(|_| invalid())?;
            if (200..=599).contains(&code) { Ok(code) } else { Err(invalid()) }
        };
        let range = |part: &str| match part.split_once('-') {
            Some((first, last)) => Ok(code(first)?..=code(last)?),
            None => code(part).map(|code| code..=code),
        };
        let ranges: Vec<_> = text.split(',').map(range).collect::<Result<_, _>>()?;
        if ranges.iter().any(RangeInclusive::is_empty) {
            return Err(invalid());
        }
        Ok(Self(ranges))
    }
}

/// A block of addresses: `10.0.0.0/8`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cidr {
    network: IpAddr,
    prefix: u8,
}

impl Cidr {
    /// Whether the block holds an address; a block of one family holds none of
    /// the other.
    pub fn contains(&self, ip: IpAddr) -> bool {
        match (self.network, ip.to_canonical()) {
            (IpAddr::V4(network), IpAddr::V4(ip)) => {
                let mask = u32::MAX.checked_shl(32 - u32::from(self.prefix)).unwrap_or(0);
                network.to_bits() & mask == ip.to_bits() & mask
            }
            (IpAddr::V6(network), IpAddr::V6(ip)) => {
                let mask = u128::MAX.checked_shl(128 - u32::from(self.prefix)).unwrap_or(0);
                network.to_bits() & mask == ip.to_bits() & mask
            }
            _ => false,
        }
    }
}

impl FromStr for Cidr {
    type Err = TopologyError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let invalid = || TopologyError::Cidr { text: text.to_owned() };
        let (network, prefix) = text.split_once('/').ok_or_else(invalid)?;
        let network: IpAddr = network.parse().map_err(|_| invalid())?;
        let prefix: u8 = prefix.parse().map_err(|_| invalid())?;
        let longest = if network.is_ipv4() { 32 } else { 128 };
        if prefix > longest {
            return Err(invalid());
        }
        Ok(Self { network, prefix })
    }
}

/// Why a text is no part of a topology.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TopologyError {
    /// Not a list of status codes.
    #[error("{text:?} is no list of status codes between 200 and 599 such as 200,300-399")]
    SuccessCodes {
        /// The text.
        text: String,
    },
    /// Not a block of addresses.
    #[error("{text:?} is no CIDR block such as 10.0.0.0/8")]
    Cidr {
        /// The text.
        text: String,
    },
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn success_codes_are_codes_and_ranges() {
        let codes: SuccessCodes = "200,301-303".parse().unwrap();
        let passing: Vec<u16> = (199..306).filter(|code| codes.contains(*code)).collect();
        assert_eq!(passing, [200, 301, 302, 303]);
        for bad in ["", "abc", "199", "600", "300-200", "200,,201"] {
            assert!(bad.parse::<SuccessCodes>().is_err(), "{bad}");
        }
    }

    #[test]
    fn cidr_holds_its_own_family_only() {
        let block: Cidr = "10.1.0.0/16".parse().unwrap();
        assert!(block.contains("10.1.255.1".parse().unwrap()));
        assert!(!block.contains("10.2.0.1".parse().unwrap()));
        assert!(block.contains("::ffff:10.1.2.3".parse().unwrap()));
        assert!(!block.contains("::1".parse().unwrap()));
        let all: Cidr = "0.0.0.0/0".parse().unwrap();
        assert!(all.contains("203.0.113.9".parse().unwrap()));
        let one: Cidr = "::1/128".parse().unwrap();
        assert!(one.contains("::1".parse().unwrap()) && !one.contains("::2".parse().unwrap()));
        for bad in ["10.0.0.0", "10.0.0.0/33", "x/8", "::1/129"] {
            assert!(bad.parse::<Cidr>().is_err(), "{bad}");
        }
    }
}
