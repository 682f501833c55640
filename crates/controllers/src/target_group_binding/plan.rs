//! Which targets to register and deregister (`spec/okra.md` 2.4): a pure
//! function of what is wanted, what is registered, and what okra registered.

use std::collections::{BTreeMap, BTreeSet};

use okra_aws::{Target, TargetHealth, TargetState};

/// Targets of one group (`spec/aws.md` 1.12). Beyond it AWS refuses, and with
/// it a controller that tries again for ever.
pub const TARGETS_MAX: usize = 1000;

/// Reason by which AWS says that a target is none (`spec/aws.md` 1.7).
const NOT_REGISTERED: &str = "Target.NotRegistered";

/// What one entry of the spec asks for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Entry {
    /// Name of the entry.
    pub name: String,
    /// Its targets, as far as they are known.
    pub targets: BTreeSet<Target>,
    /// The clusters that they are of.
    pub clusters: BTreeSet<String>,
    /// Why not all of them are known: then those that the entry has stay.
    pub unknown: Option<String>,
}

/// Everything that a plan depends on.
#[derive(Clone, Debug)]
pub struct Observed<'a> {
    /// What the spec asks for; empty when the binding goes.
    pub entries: &'a [Entry],
    /// Targets by entry, as the last status has them.
    pub before: &'a BTreeMap<String, BTreeSet<Target>>,
    /// Targets that okra registered for this binding.
    pub own: &'a BTreeSet<Target>,
    /// Targets that other bindings have in the same group.
    pub others: &'a BTreeSet<Target>,
    /// What AWS reports.
    pub live: &'a [TargetHealth],
}

/// What to do.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Plan {
    /// To be registered, after they are written down as okra's own.
    pub register: BTreeSet<Target>,
    /// To be deregistered.
    pub deregister: BTreeSet<Target>,
    /// Okra's own once that is done. Those that drain count until they are gone.
    pub own: BTreeSet<Target>,
    /// Own targets that are wanted no more but serve, while none that is
    /// wanted is healthy: they wait.
    pub waiting: BTreeSet<Target>,
    /// Wanted targets that are healthy.
    pub healthy: usize,
    /// Own targets that drain.
    pub draining: usize,
    /// Registered targets by entry.
    pub registered: BTreeMap<String, BTreeSet<Target>>,
}

/// Plans the group.
///
/// # Errors
/// How many targets there would be, when the group cannot hold them.
pub fn plan(observed: &Observed<'_>) -> Result<Plan, usize> {
    let live = states(observed.live);
    let stays = |target: &&Target| live.get(*target).is_some_and(|state| !is_leaving(state));
    let wanted: BTreeSet<Target> =
        observed.entries.iter().flat_map(|entry| &entry.targets).cloned().collect();
    let kept: BTreeSet<&Target> = observed
        .entries
        .iter()
        .filter(|entry| entry.unknown.is_some())
        .filter_map(|entry| observed.before.get(&entry.name))
        .flatten()
        .collect();
    let register: BTreeSet<Target> = wanted.iter().filter(|target| !stays(target)).cloned().collect();
    let registered = live.keys().filter(stays).count();
    if registered + register.len() > TARGETS_MAX {
        return Err(registered + register.len());
    }
    let healthy = wanted.iter().filter(|target| live.get(target) == Some(&&TargetState::Healthy)).count();
    let unwanted = observed.own.iter().filter(|target| {
        !wanted.contains(target)
            && !kept.contains(target)
            && !observed.others.contains(target)
            && stays(target)
    });
    // Whoever serves goes on until somebody else does, unless nobody shall.
    let serves = |target: &Target| live.get(target) == Some(&&TargetState::Healthy);
    let nobody_else = healthy == 0 && !observed.entries.is_empty();
    let (waiting, deregister): (BTreeSet<Target>, BTreeSet<Target>) =
        unwanted.cloned().partition(|target| nobody_else && serves(target));
    let own = observed.own.iter().filter(|target| live.contains_key(target) || wanted.contains(target));
    let draining =
        observed.own.iter().filter(|target| live.get(target).is_some_and(|state| is_leaving(state)));
    let of_entry = |entry: &Entry| {
        let known = if entry.unknown.is_some() { observed.before.get(&entry.name) } else { None };
        let all = entry.targets.iter().chain(known.into_iter().flatten());
        let present = |target: &&Target| stays(target) || register.contains(*target);
        (entry.name.clone(), all.filter(present).cloned().collect())
    };
    Ok(Plan {
        own: own.chain(&register).cloned().collect(),
        draining: draining.count(),
        registered: observed.entries.iter().map(of_entry).collect(),
        register,
        deregister,
        waiting,
        healthy,
    })
}

/// Targets and their states. AWS always says the port; without one the target
/// cannot be told from another, and counts as nobody's.
fn states(live: &[TargetHealth]) -> BTreeMap<Target, &TargetState> {
    let target = |health: &TargetHealth| Some(Target { id: health.id.clone(), port: health.port? });
    let is_in = |health: &&TargetHealth| health.reason.as_deref() != Some(NOT_REGISTERED);
    live.iter().filter(is_in).filter_map(|health| Some((target(health)?, &health.state))).collect()
}

/// Whether a target is on its way out, or never was in.
fn is_leaving(state: &TargetState) -> bool {
    matches!(state, TargetState::Draining)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn target(id: &str) -> Target {
        Target { id: id.to_owned(), port: 80 }
    }

    fn targets(ids: &[&str]) -> BTreeSet<Target> {
        ids.iter().map(|id| target(id)).collect()
    }

    fn live(states: &[(&str, TargetState)]) -> Vec<TargetHealth> {
        let health = |(id, state): &(&str, TargetState)| TargetHealth {
            id: (*id).to_owned(),
            port: Some(80),
            state: state.clone(),
            reason: None,
            zonal_shift: false,
        };
        states.iter().map(health).collect()
    }

    fn entry(ids: &[&str]) -> Entry {
        Entry { name: "web".to_owned(), targets: targets(ids), ..Entry::default() }
    }

    fn run(entries: &[Entry], own: &[&str], live: &[TargetHealth]) -> Plan {
        let before = BTreeMap::from([("web".to_owned(), targets(own))]);
        let (own, others) = (targets(own), BTreeSet::new());
        plan(&Observed { entries, before: &before, own: &own, others: &others, live }).unwrap()
    }

    use TargetState::{Draining, Healthy, Initial, Unhealthy};

    #[test]
    fn what_is_missing_is_registered_and_what_is_there_is_left_alone() {
        let plan = run(&[entry(&["a", "b"])], &[], &live(&[("a", Healthy), ("x", Healthy)]));
        assert_eq!((plan.register, plan.deregister), (targets(&["b"]), targets(&[])));
        assert_eq!(plan.own, targets(&["b"]), "what others registered is theirs");
        assert_eq!((plan.healthy, &plan.registered["web"]), (1, &targets(&["a", "b"])));
    }

    #[test]
    fn only_what_okra_registered_is_ever_deregistered() {
        let all = live(&[("a", Healthy), ("b", Healthy), ("x", Healthy)]);
        let plan = run(&[entry(&["a"])], &["a", "b"], &all);
        assert_eq!(plan.deregister, targets(&["b"]));
        assert_eq!(plan.own, targets(&["a", "b"]), "until it has drained");
    }

    #[test]
    fn what_drains_is_not_deregistered_again_and_is_forgotten_when_gone() {
        let plan = run(&[entry(&["a"])], &["a", "b"], &live(&[("a", Healthy), ("b", Draining)]));
        assert_eq!((plan.deregister.len(), plan.draining, plan.own), (0, 1, targets(&["a", "b"])));
        assert_eq!(run(&[entry(&["a"])], &["a", "b"], &live(&[("a", Healthy)])).own, targets(&["a"]));
    }

    #[test]
    fn what_drains_and_is_wanted_again_is_registered() {
        let plan = run(&[entry(&["a"])], &["a"], &live(&[("a", Draining)]));
        assert_eq!(plan.register, targets(&["a"]));
    }

    #[test]
    fn whoever_serves_goes_on_until_somebody_else_does() {
        let plan = run(
            &[entry(&["new"])],
            &["old", "ill"],
            &live(&[("old", Healthy), ("ill", Unhealthy), ("new", Initial)]),
        );
        assert_eq!((plan.waiting, plan.deregister), (targets(&["old"]), targets(&["ill"])));
        let plan = run(&[entry(&["new"])], &["old"], &live(&[("old", Healthy), ("new", Healthy)]));
        assert_eq!((plan.waiting.len(), plan.deregister), (0, targets(&["old"])));
        // A selector that suddenly selects nothing empties no group that serves.
        let plan = run(&[entry(&[])], &["old"], &live(&[("old", Healthy)]));
        assert_eq!((plan.waiting, plan.deregister.len()), (targets(&["old"]), 0));
    }

    #[test]
    fn a_binding_that_goes_takes_what_it_registered() {
        let plan = run(&[], &["a"], &live(&[("a", Healthy), ("x", Healthy)]));
        assert_eq!(plan.deregister, targets(&["a"]));
    }

    #[test]
    fn what_cannot_be_read_keeps_its_targets() {
        let silent = Entry { unknown: Some("connection refused".to_owned()), ..entry(&["c"]) };
        let plan = run(&[silent], &["a", "b"], &live(&[("a", Healthy), ("b", Healthy), ("c", Healthy)]));
        assert_eq!((plan.deregister.len(), &plan.registered["web"]), (0, &targets(&["a", "b", "c"])));
    }

    #[test]
    fn what_another_binding_wants_stays() {
        let (before, own, others) = (BTreeMap::new(), targets(&["a", "b"]), targets(&["a"]));
        let live = live(&[("a", Healthy), ("b", Healthy)]);
        let plan = plan(&Observed { entries: &[], before: &before, own: &own, others: &others, live: &live });
        assert_eq!(plan.unwrap().deregister, targets(&["b"]));
    }

    #[test]
    fn more_than_a_group_holds_is_refused_with_its_number() {
        let ids: Vec<String> = (0..TARGETS_MAX + 1).map(|n| format!("i-{n}")).collect();
        let ids: Vec<&str> = ids.iter().map(String::as_str).collect();
        let (before, none) = (BTreeMap::new(), BTreeSet::new());
        let entries = [entry(&ids)];
        let observed = Observed { entries: &entries, before: &before, own: &none, others: &none, live: &[] };
        assert_eq!(plan(&observed), Err(TARGETS_MAX + 1));
    }
}
