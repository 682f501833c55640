//! Bad days: what AWS does to its callers now and then, on request
//! (`spec/okra.md` 8).
//!
//! Each kind has a rate, the share of the calls it concerns that it befalls.
//! Faults lie between the caller and the services: the state is what it would
//! be without them, but for calls that were never carried out.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use crate::clock::Chance;
use crate::wire::{Fault, Members, Value};

/// How long a call hangs: longer than callers wait for an answer.
pub(crate) const HANG: Duration = Duration::from_secs(60);
/// How long after a change a stale read shows what was before it.
pub(crate) const STALE: Duration = Duration::from_secs(5);

/// A kind of fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum FaultKind {
    /// The call is refused for its rate.
    Throttle,
    /// The service fails, and the call is not carried out.
    Error,
    /// No answer comes, and the call is not carried out.
    TimeoutBefore,
    /// No answer comes, though the call is carried out.
    TimeoutAfter,
    /// A read shows what was before the last change.
    StaleRead,
    /// A page holds a single entry and a marker.
    PartialPage,
    /// All targets of a group look unhealthy.
    Flap,
    /// What is asked for by name is not found.
    Vanish,
}

impl FaultKind {
    /// All kinds, in the order in which they are drawn.
    pub const ALL: [Self; 8] = [
        Self::Throttle,
        Self::Error,
        Self::TimeoutBefore,
        Self::TimeoutAfter,
        Self::StaleRead,
        Self::PartialPage,
        Self::Flap,
        Self::Vanish,
    ];

    /// The word for it, as `timeout-before`.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Throttle => "throttle",
            Self::Error => "error",
            Self::TimeoutBefore => "timeout-before",
            Self::TimeoutAfter => "timeout-after",
            Self::StaleRead => "stale-read",
            Self::PartialPage => "partial-page",
            Self::Flap => "flap",
            Self::Vanish => "vanish",
        }
    }

    /// Whether it can befall a call.
    fn concerns(self, action: &str, input: &Members) -> bool {
        let reads = ["Describe", "List", "Get"].iter().any(|word| action.starts_with(word));
        match self {
            Self::Throttle | Self::Error | Self::TimeoutBefore | Self::TimeoutAfter => true,
            Self::StaleRead => reads,
            Self::PartialPage => page_size(action).is_some(),
            Self::Flap => action == "DescribeTargetHealth",
            Self::Vanish => not_found(action, input).is_some(),
        }
    }
}

impl fmt::Display for FaultKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
}

impl FromStr for FaultKind {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let found = Self::ALL.into_iter().find(|kind| kind.word() == text);
        found.ok_or_else(|| {
            format!("no fault is named {text:?}; use one of {}", Self::ALL.map(Self::word).join(", "))
        })
    }
}

/// A kind and its rate: `throttle=0.1`; without a rate every call is meant.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct FaultRate {
    /// The kind.
    pub kind: FaultKind,
    /// The share of calls, from 0 to 1.
    pub rate: f64,
}

impl FaultRate {
    /// A kind with this rate.
    ///
    /// # Errors
    /// When the rate is no share.
    pub fn new(kind: FaultKind, rate: f64) -> Result<Self, String> {
        if (0.0..=1.0).contains(&rate) {
            Ok(Self { kind, rate })
        } else {
            Err(format!("the rate of {kind} must be between 0 and 1, not {rate}"))
        }
    }
}

impl fmt::Display for FaultRate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}={}", self.kind, self.rate)
    }
}

impl FromStr for FaultRate {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (kind, rate) = match text.split_once('=') {
            None => (text, 1.0),
            Some((kind, rate)) => (
                kind,
                rate.parse().map_err(|_| format!("{rate:?} is no rate; write 0.1 for one call of ten"))?,
            ),
        };
        Self::new(kind.parse()?, rate)
    }
}

/// The faults in force.
#[derive(Debug, Default)]
pub(crate) struct Faults(Mutex<BTreeMap<FaultKind, f64>>);

impl Faults {
    pub(crate) fn new(rates: &[FaultRate]) -> Self {
        let faults = Self::default();
        rates.iter().for_each(|rate| faults.set(*rate));
        faults
    }

    /// From now on; a rate of 0 ends a fault.
    pub(crate) fn set(&self, FaultRate { kind, rate }: FaultRate) {
        let mut rates = self.rates();
        if rate > 0.0 {
            rates.insert(kind, rate)
        } else {
            rates.remove(&kind)
        };
    }

    pub(crate) fn clear(&self) {
        self.rates().clear();
    }

    pub(crate) fn in_force(&self) -> Vec<FaultRate> {
        self.rates().iter().map(|(kind, rate)| FaultRate { kind: *kind, rate: *rate }).collect()
    }

    /// The fault that befalls a call, if one does.
    pub(crate) fn draw(&self, chance: &dyn Chance, action: &str, input: &Members) -> Option<FaultKind> {
        let rates = self.rates();
        let befalls = |(kind, rate): &(&FaultKind, &f64)| {
            // 53 bits are all that a float between 0 and 1 holds.
            kind.concerns(action, input) && ((chance.next_u64() >> 11) as f64) < **rate * (1u64 << 53) as f64
        };
        rates.iter().find(befalls).map(|(kind, _)| *kind)
    }

    fn rates(&self) -> std::sync::MutexGuard<'_, BTreeMap<FaultKind, f64>> {
        // Every change is whole, whoever panics beside it.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// How EKS and the others say that there are too many calls.
pub(crate) fn throttled(is_eks: bool) -> Fault {
    let code = if is_eks { "ThrottlingException" } else { "Throttling" };
    Fault::new(code, "Rate exceeded").status(if is_eks { 429 } else { 400 })
}

/// A failure of the service, and what a call that hung is answered at last.
pub(crate) fn unavailable() -> Fault {
    Fault::new("ServiceUnavailable", "The service is unavailable, by a fault that was asked for").status(503)
}

/// The member that says how long a page is.
fn page_size(action: &str) -> Option<&'static str> {
    match action {
        "DescribeLoadBalancers" | "DescribeListeners" | "DescribeRules" | "DescribeTargetGroups" => {
            Some("PageSize")
        }
        "ListClusters" => Some("maxResults"),
        _ => None,
    }
}

/// The same call, for pages of one entry.
pub(crate) fn with_short_pages(action: &str, mut input: Members) -> Members {
    if let Some(member) = page_size(action) {
        input.0.retain(|(name, _)| name != member);
        input = input.with(member, Value::Int(1));
    }
    input
}

/// What is said of a thing that is asked for by name and is not there.
pub(crate) fn not_found(action: &str, input: &Members) -> Option<Fault> {
    let (members, code): (&[&str], &'static str) = match action {
        "DescribeRules" => (&["RuleArns"], "RuleNotFound"),
        "DescribeListeners" => (&["ListenerArns"], "ListenerNotFound"),
        "DescribeLoadBalancers" => (&["LoadBalancerArns", "Names"], "LoadBalancerNotFound"),
        "DescribeTargetGroups" => (&["TargetGroupArns", "Names"], "TargetGroupNotFound"),
        "DescribeTargetHealth" => (&["TargetGroupArn"], "TargetGroupNotFound"),
        "DescribeCluster" => (&["name"], "ResourceNotFoundException"),
        _ => return None,
    };
    let asked = members.iter().any(|member| input.get(member).is_some());
    let status = if code == "ResourceNotFoundException" { 404 } else { 400 };
    asked.then(|| Fault::new(code, "It is not found, by a fault that was asked for").status(status))
}

/// The answer of DescribeTargetHealth with every target unhealthy.
pub(crate) fn unhealthy(mut output: Members) -> Members {
    let health = Members::new()
        .with("State", "unhealthy")
        .with("Reason", "Target.FailedHealthChecks")
        .with("Description", "Health checks failed, by a fault that was asked for");
    let descriptions = output.0.iter_mut().filter(|(name, _)| name == "TargetHealthDescriptions");
    for (_, value) in descriptions {
        let Value::List(targets) = value else { continue };
        for target in targets {
            let Value::Structure(target) = target else { continue };
            target.0.retain(|(name, _)| name != "TargetHealth");
            target.0.push(("TargetHealth".into(), Value::Structure(health.clone())));
        }
    }
    output
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::SeededChance;

    fn drawn(
        rates: &[&str],
        action: &str,
        input: &Members,
        calls: usize,
    ) -> BTreeMap<Option<FaultKind>, usize> {
        let rates: Vec<FaultRate> = rates.iter().map(|text| text.parse().unwrap()).collect();
        let (faults, chance) = (Faults::new(&rates), SeededChance::new(7));
        let mut counts = BTreeMap::new();
        for _ in 0..calls {
            *counts.entry(faults.draw(&chance, action, input)).or_insert(0) += 1;
        }
        counts
    }

    #[test]
    fn a_rate_is_a_share_of_the_calls_that_it_concerns() {
        let none = Members::new();
        let counts = drawn(&["throttle=0.1"], "ModifyRule", &none, 10_000);
        let hit = counts[&Some(FaultKind::Throttle)];
        assert!((800..1200).contains(&hit), "{hit} of 10000");
        assert_eq!(
            drawn(&["error"], "ModifyRule", &none, 10),
            BTreeMap::from([(Some(FaultKind::Error), 10)])
        );
        for kind in ["stale-read", "partial-page", "flap", "vanish"] {
            assert_eq!(drawn(&[kind], "ModifyRule", &none, 10), BTreeMap::from([(None, 10)]), "{kind}");
        }
        let named = Members::new().with("RuleArns", Value::List(vec![]));
        assert_eq!(
            drawn(&["vanish"], "DescribeRules", &named, 1),
            BTreeMap::from([(Some(FaultKind::Vanish), 1)])
        );
        assert_eq!(drawn(&["vanish"], "DescribeRules", &none, 1), BTreeMap::from([(None, 1)]));
    }

    #[test]
    fn rates_are_read_and_written_alike() {
        for text in ["throttle=0.25", "timeout-after=1"] {
            assert_eq!(text.parse::<FaultRate>().unwrap().to_string(), text);
        }
        assert_eq!("flap".parse::<FaultRate>().unwrap().rate, 1.0);
        assert!("storm".parse::<FaultRate>().unwrap_err().contains("use one of throttle, error,"));
        assert!("flap=2".parse::<FaultRate>().is_err() && "flap=x".parse::<FaultRate>().is_err());
        assert!(FaultRate::new(FaultKind::Flap, f64::NAN).is_err());
        let faults = Faults::new(&["flap".parse().unwrap()]);
        faults.set("flap=0".parse().unwrap());
        assert_eq!(faults.in_force(), []);
    }
}
