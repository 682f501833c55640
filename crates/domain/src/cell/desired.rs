//! Which version shall serve (`spec/okra.md` 3.4.2, rules 3 and 4).

use super::running::Running;
use super::spec::Supersede;
use super::view::{Described, View};
use crate::reason::Reason;
use crate::version::{ServedVersion, Version};

/// The choice, and what would have come first.
#[derive(Clone, Debug, Default)]
pub(super) struct Desired {
    /// `None` when nothing can be served.
    pub version: Option<Version>,
    /// The pin cannot be followed: no weight moves between versions (rule 4).
    pub held_by_pin: bool,
    /// Versions that would come first but are incomplete or blocked.
    pub passed_over: Vec<PassedOver>,
    /// What a human should know about the choice.
    pub warning: Option<String>,
}

/// A version that would come first, but cannot.
#[derive(Clone, Debug)]
pub(super) struct PassedOver {
    pub reason: Reason,
    pub message: String,
}

/// Who may be chosen.
pub(super) struct Choice<'v, 'a> {
    pub view: &'v View<'a>,
    pub stable: Option<&'v ServedVersion>,
    pub running: Option<&'v Running>,
    /// A blocked version that counts as free: `Retry` takes it off the list.
    pub unblocked: Option<&'v Version>,
}

impl Choice<'_, '_> {
    /// The first match of rule 3.
    pub(super) fn desired(&self) -> Desired {
        let Some(pin) = &self.view.spec.pin else { return self.unpinned() };
        match self.refusal_of_pin(pin) {
            None => {
                Desired { version: Some(pin.clone()), warning: self.pin_warning(pin), ..Desired::default() }
            }
            // Rules 7 and 8 go on: with nothing but orphans serving, a
            // complete set takes over whatever the pin says.
            Some(passed_over) => {
                let mut desired = match (self.view.serves(), self.only_orphans_serve()) {
                    (false, _) => Desired::default(),
                    (true, true) => self.unpinned(),
                    (true, false) => self.present(),
                };
                desired.passed_over = vec![passed_over];
                desired
            }
        }
    }

    /// What goes on while the pin cannot be followed. A canary that is blocked,
    /// withdrawn, or of which nothing is left, goes back all the same; a
    /// takeover that has all weight already comes to its end.
    fn present(&self) -> Desired {
        let of =
            |version: Option<Version>, held_by_pin| Desired { version, held_by_pin, ..Desired::default() };
        let stable = self.stable.and_then(|stable| stable.known().cloned());
        match self.running {
            Some(running) if self.may_run_on(running) => of(Some(running.version().clone()), true),
            Some(running) if running.moved_by_steps() => of(stable, false),
            Some(running) if self.view.serves_alone(&ServedVersion::Known(running.version().clone())) => {
                of(Some(running.version().clone()), false)
            }
            _ => of(stable, true),
        }
    }

    fn refusal_of_pin(&self, pin: &Version) -> Option<PassedOver> {
        let is_stable = self.stable.is_some_and(|stable| stable.is(pin));
        let forward = self.stable.is_none_or(|stable| *stable < ServedVersion::Known(pin.clone()));
        if let Some(cause) = self.blocked(pin).filter(|_| forward && !is_stable) {
            return Some(PassedOver {
                reason: Reason::VersionBlocked,
                message: format!("spec.version {pin} is blocked and newer than what serves: {cause}"),
            });
        }
        let alive = is_stable && self.is_present(pin);
        (!self.view.is_complete(pin) && !alive).then(|| self.incomplete(pin))
    }

    fn pin_warning(&self, pin: &Version) -> Option<String> {
        let cause = self.blocked(pin)?;
        Some(format!(
            "spec.version {pin} is blocked ({cause}), and followed because it does not roll forward"
        ))
    }

    /// Rule 3 (b) to (d).
    fn unpinned(&self) -> Desired {
        let mut passed_over = Vec::new();
        if let Some(running) = self.running.filter(|_| self.view.spec.supersede == Supersede::Finish)
            && self.may_run_on(running)
        {
            return Desired { version: Some(running.version().clone()), ..Desired::default() };
        }
        let above = |version: &Version| {
            self.stable.is_none_or(|stable| *stable < ServedVersion::Known(version.clone()))
        };
        let candidates = self.candidates();
        for version in candidates.iter().filter(|version| above(version)) {
            let runs_on =
                self.running.is_some_and(|running| running.version() == version && self.may_run_on(running));
            if let Some(cause) = self.blocked(version) {
                let message = format!("version {version} is blocked: {cause}");
                passed_over.push(PassedOver { reason: Reason::VersionBlocked, message });
            } else if runs_on || self.view.is_complete(version) {
                return Desired { version: Some(version.clone()), passed_over, ..Desired::default() };
            } else {
                passed_over.push(self.incomplete(version));
            }
        }
        let stable = self.stable.and_then(ServedVersion::known).filter(|stable| self.is_present(stable));
        let failover = || {
            let free = candidates.iter().filter(|version| self.blocked(version).is_none());
            free.filter(|version| self.view.is_complete(version)).max().cloned()
        };
        let version = stable.cloned().or_else(|| if self.unknown_serves() { None } else { failover() });
        Desired { version, passed_over, ..Desired::default() }
    }

    /// Versions with a known target group, and the running one, greatest first.
    fn candidates(&self) -> Vec<Version> {
        let mut versions: Vec<Version> = self.view.versions().into_iter().cloned().collect();
        if let Some(running) = self.running.map(Running::version).filter(|running| self.is_present(running)) {
            versions.push(running.clone());
        }
        versions.sort_unstable();
        versions.dedup();
        versions.reverse();
        versions
    }

    fn blocked(&self, version: &Version) -> Option<&str> {
        if self.unblocked == Some(version) { None } else { self.view.blocked(version) }
    }

    /// The version of a running rollout counts as complete while it has a
    /// known target group.
    fn may_run_on(&self, running: &Running) -> bool {
        running.is_rollout()
            && self.is_present(running.version())
            && self.blocked(running.version()).is_none()
    }

    /// Whether a version has a known target group, or one that serves and
    /// whose AWSTargetGroup is only illegal or no longer selected (rule 8).
    fn is_present(&self, version: &Version) -> bool {
        self.view.count(version) > 0
            || self.view.entries.iter().any(|entry| {
                matches!(entry.described, Described::Parked(_))
                    && entry.weight > 0
                    && self.is_of(entry, version)
            })
    }

    fn is_of(&self, entry: &super::view::Entry<'_>, version: &Version) -> bool {
        match entry.version() {
            ServedVersion::Known(known) => known == *version,
            // Nothing is recorded: it serves, so it is of what serves.
            ServedVersion::Unknown => self.stable.is_some_and(|stable| stable.is(version)),
        }
    }

    /// Imported target groups serve as the stable version `unknown`.
    fn unknown_serves(&self) -> bool {
        self.stable == Some(&ServedVersion::Unknown)
            && self.view.entries.iter().any(|entry| entry.never_described() && entry.weight > 0)
    }

    fn only_orphans_serve(&self) -> bool {
        !self.unknown_serves()
            && self
                .view
                .entries
                .iter()
                .filter(|entry| entry.weight > 0)
                .all(|entry| matches!(entry.described, Described::Nobody))
    }

    fn incomplete(&self, version: &Version) -> PassedOver {
        let (count, replicas) = (self.view.count(version), self.view.replicas());
        let of_version = self.view.known.iter().filter(|known| known.version == version);
        let names: Vec<&str> = of_version.map(|known| known.group.name.as_str()).collect();
        let listed = if names.is_empty() { String::new() } else { format!(" ({})", names.join(", ")) };
        PassedOver {
            reason: Reason::WaitingForReplicas,
            message: format!("version {version} has {count} of {replicas} target groups{listed}"),
        }
    }
}
