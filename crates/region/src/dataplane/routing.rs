//! The compiled picture that requests read: immutable, replaced as a whole
//! whenever the topology or the health of a target changes.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use super::cookies::Subject;
use super::matching::{self, RequestView};
use super::statistics::Recorder;
use super::target::TargetHandle;
use super::topology::{Algorithm, Condition, FixedResponse, Redirect};

/// Everything that is served, by the address of the listener.
#[derive(Debug, Default)]
pub(super) struct Routing {
    pub(super) listeners: BTreeMap<SocketAddr, ListenerRoute>,
}

/// One listener.
#[derive(Debug)]
pub(super) struct ListenerRoute {
    pub(super) balancer: Arc<Recorder>,
    pub(super) idle_timeout: Duration,
    /// By priority.
    pub(super) rules: Vec<RuleRoute>,
    pub(super) default: ActionRoute,
}

impl ListenerRoute {
    /// The action of the first rule whose conditions hold.
    pub(super) fn action(&self, request: &RequestView<'_>) -> &ActionRoute {
        let holds = |rule: &&RuleRoute| rule.conditions.iter().all(|one| matching::holds(one, request));
        self.rules.iter().find(holds).map_or(&self.default, |rule| &rule.action)
    }
}

/// One rule.
#[derive(Debug)]
pub(super) struct RuleRoute {
    pub(super) conditions: Vec<Condition>,
    pub(super) action: ActionRoute,
}

/// What a rule does.
#[derive(Debug)]
pub(super) enum ActionRoute {
    Forward(ForwardRoute),
    Fixed(FixedResponse),
    Redirect(Redirect),
}

/// A choice among groups.
#[derive(Debug)]
pub(super) struct ForwardRoute {
    pub(super) groups: Vec<(Arc<GroupRoute>, u32)>,
    pub(super) stickiness: Option<Duration>,
}

impl ForwardRoute {
    /// The group for a number drawn at random: each gets its weight's share of
    /// all numbers. `None` if no group has a weight.
    pub(super) fn choose(&self, drawn: u64) -> Option<&Arc<GroupRoute>> {
        let total: u64 = self.groups.iter().map(|(_, weight)| u64::from(*weight)).sum();
        let mut point = drawn.checked_rem(total)?;
        self.groups.iter().find_map(|(group, weight)| match point.checked_sub(u64::from(*weight)) {
            Some(rest) => {
                point = rest;
                None
            }
            None => Some(group),
        })
    }

    /// The group that a cookie names, whatever its weight and health: a cookie
    /// holds as long as the action has the group (`spec/aws.md` 1.4).
    pub(super) fn named(&self, cookie: Subject) -> Option<&Arc<GroupRoute>> {
        self.groups.iter().map(|(group, _)| group).find(|group| group.handle.cookie == cookie)
    }
}

/// What lives as long as a group does.
#[derive(Debug)]
pub(super) struct GroupHandle {
    pub(super) recorder: Recorder,
    cookie: Subject,
    next: AtomicUsize,
}

impl GroupHandle {
    pub(super) fn new(arn: &str) -> Self {
        Self {
            recorder: Recorder::new(),
            cookie: Subject::new(&format!("group {arn}")),
            next: AtomicUsize::new(0),
        }
    }

    /// What a cookie that stays with this group names.
    pub(super) fn cookie(&self) -> Subject {
        self.cookie
    }
}

/// The targets of a group that may be sent to.
#[derive(Debug)]
pub(super) struct GroupRoute {
    pub(super) handle: Arc<GroupHandle>,
    pub(super) algorithm: Algorithm,
    pub(super) lb_cookie: Option<Duration>,
    /// The healthy targets, or all of them when none is.
    pub(super) candidates: Vec<Arc<TargetHandle>>,
    /// Whether the candidates are sent to although none is healthy.
    pub(super) fail_open: bool,
}

impl GroupRoute {
    /// A group without targets.
    pub(super) fn empty(arn: &str) -> Self {
        Self {
            handle: Arc::new(GroupHandle::new(arn)),
            algorithm: Algorithm::RoundRobin,
            lb_cookie: None,
            candidates: Vec::new(),
            fail_open: false,
        }
    }

    /// The next target by the group's algorithm. With one to avoid, another if
    /// there is one, and nobody's turn passes. `None` if the group has no target.
    pub(super) fn choose(&self, avoid: Option<&Arc<TargetHandle>>) -> Option<&Arc<TargetHandle>> {
        let count = self.candidates.len();
        let turn = usize::from(avoid.is_none());
        let first = self.handle.next.fetch_add(turn, Ordering::Relaxed).checked_rem(count)?;
        let avoided = |target: &Arc<TargetHandle>| avoid.is_some_and(|other| Arc::ptr_eq(target, other));
        let in_turn = (0..count).map(|step| &self.candidates[(first + step) % count]);
        match self.algorithm {
            Algorithm::RoundRobin => {
                let mut in_turn = in_turn.filter(|target| !avoided(target));
                in_turn.next().or(Some(&self.candidates[first]))
            }
            Algorithm::LeastOutstandingRequests => {
                in_turn.min_by_key(|target| (avoided(target), target.outstanding()))
            }
        }
    }

    /// The target that a cookie names, while it may be sent to.
    pub(super) fn named(&self, cookie: Subject) -> Option<&Arc<TargetHandle>> {
        self.candidates.iter().find(|target| target.cookie() == cookie)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::{Chance, SeededChance};
    use crate::dataplane::target::InFlight;
    use crate::dataplane::topology::Target;

    fn group(arn: &str, targets: u16, algorithm: Algorithm) -> Arc<GroupRoute> {
        let target = |port| Arc::new(TargetHandle::new(arn, Target { ip: [127, 0, 0, 1].into(), port }));
        Arc::new(GroupRoute {
            handle: Arc::new(GroupHandle::new(arn)),
            algorithm,
            lb_cookie: None,
            candidates: (1..=targets).map(target).collect(),
            fail_open: false,
        })
    }

    fn forward(weights: &[u32]) -> ForwardRoute {
        let group =
            |(index, weight): (usize, &u32)| (group(&index.to_string(), 1, Algorithm::RoundRobin), *weight);
        ForwardRoute { groups: weights.iter().enumerate().map(group).collect(), stickiness: None }
    }

    fn shares(weights: &[u32], requests: u32) -> Vec<u32> {
        let (route, chance) = (forward(weights), SeededChance::new(2));
        let mut hits = vec![0; weights.len()];
        for _ in 0..requests {
            let chosen = route.choose(chance.next_u64()).unwrap();
            let place = route.groups.iter().position(|(group, _)| Arc::ptr_eq(group, chosen)).unwrap();
            hits[place] += 1;
        }
        hits
    }

    #[test]
    fn requests_are_shared_by_weight() {
        for weights in [&[90, 10][..], &[999, 1], &[1, 1, 1, 1], &[5, 5, 495, 495]] {
            let total: u32 = weights.iter().sum();
            for (weight, hits) in weights.iter().zip(shares(weights, 100_000)) {
                let expected = f64::from(*weight) / f64::from(total) * 100_000.0;
                let deviation = (f64::from(hits) - expected).abs() / expected.sqrt();
                assert!(deviation < 4.5, "{weights:?}: weight {weight} got {hits}, not {expected}");
            }
        }
    }

    #[test]
    fn weight_zero_gets_nothing_and_no_weight_no_group() {
        assert_eq!(shares(&[0, 7, 0], 1_000), [0, 1_000, 0]);
        assert!(forward(&[0, 0]).choose(5).is_none());
        assert!(forward(&[]).choose(5).is_none());
    }

    #[test]
    fn a_cookie_names_a_group_whatever_its_weight() {
        let route = forward(&[0, 100]);
        let first = &route.groups[0].0;
        assert!(route.named(first.handle.cookie()).is_some_and(|group| Arc::ptr_eq(group, first)));
        assert!(route.named(Subject::new("group gone")).is_none());
    }

    #[test]
    fn targets_take_turns() {
        let group = group("g", 3, Algorithm::RoundRobin);
        let ports: Vec<u16> = (0..6).map(|_| group.choose(None).unwrap().address().port()).collect();
        assert_eq!(ports, [1, 2, 3, 1, 2, 3]);
        let first = Arc::clone(&group.candidates[0]);
        for _ in 0..6 {
            assert_ne!(group.choose(Some(&first)).unwrap().address().port(), 1);
        }
    }

    #[test]
    fn the_only_target_is_taken_even_if_better_avoided() {
        for algorithm in [Algorithm::RoundRobin, Algorithm::LeastOutstandingRequests] {
            let group = group("g", 1, algorithm);
            assert!(group.choose(Some(&group.candidates[0])).is_some());
        }
        assert!(self::group("g", 0, Algorithm::RoundRobin).choose(None).is_none());
    }

    #[test]
    fn the_least_loaded_target_is_taken() {
        let group = group("g", 3, Algorithm::LeastOutstandingRequests);
        let _busy: Vec<InFlight> = [0, 0, 1, 2, 2]
            .iter()
            .map(|place| InFlight::new(Arc::clone(&group.candidates[*place])))
            .collect();
        for _ in 0..4 {
            assert_eq!(group.choose(None).unwrap().address().port(), 2);
        }
    }
}
