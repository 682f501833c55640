//! What was observed, brought into the terms of the rules: known target
//! groups, registered entries and who describes them (`spec/okra.md` 3.4.2,
//! "Terms").

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};

use super::observed::{Config, ConfigEntry, Observed, ReportedTargetGroup, TargetGroup};
use super::spec::Spec;
use super::status::{Role, Status, StatusWeight};
use crate::version::{ServedVersion, Version};
use crate::weight::{self, Weight};

/// An AWSTargetGroup without status holds back its own weight this long after
/// it was created: nobody has asked AWS about its health yet (3.4.2-7).
pub(super) const FRESH_SECONDS: i64 = 30;

/// The observation in the terms of the rules.
pub(super) struct View<'a> {
    pub observed: &'a Observed,
    pub spec: &'a Spec,
    pub status: &'a Status,
    pub now: Timestamp,
    /// Sum of the weights of one action.
    pub total: Weight,
    /// One per ARN, in order of name.
    pub known: Vec<Known<'a>>,
    /// Selected objects that are left out, and why (3.4.2-1).
    pub illegal: Vec<String>,
    /// What the config (or, before there is one, the live rule) holds, one per
    /// ARN, in order of name.
    pub entries: Vec<Entry<'a>>,
}

/// A target group that takes part.
#[derive(Clone, Copy)]
pub(super) struct Known<'a> {
    pub group: &'a TargetGroup,
    pub arn: &'a str,
    pub version: &'a Version,
}

/// A registered target group.
pub(super) struct Entry<'a> {
    /// Name of its AWSTargetGroup, else the one in the config.
    pub name: &'a str,
    pub arn: &'a str,
    /// Scaled to the total.
    pub weight: Weight,
    pub described: Described<'a>,
    pub recorded: Option<&'a StatusWeight>,
}

/// Who describes a registered target group.
#[derive(Clone, Copy)]
pub(super) enum Described<'a> {
    /// A known target group.
    Known(Known<'a>),
    /// Its AWSTargetGroup is there, but illegal or no longer selected.
    Parked(&'a TargetGroup),
    /// Nobody.
    Nobody,
}

impl<'a> View<'a> {
    pub(super) fn new(observed: &'a Observed, now: Timestamp) -> Self {
        let total = observed.spec.weight_total.get();
        let (known, illegal) = known_groups(&observed.target_groups);
        let mut view = Self {
            observed,
            spec: &observed.spec,
            status: &observed.status,
            now,
            total,
            known,
            illegal,
            entries: Vec::new(),
        };
        view.entries = view.registered();
        view
    }

    pub(super) fn config(&self) -> Option<&'a Config> {
        self.observed.config.as_ref()
    }

    /// Entries of the config; a config without target groups counts as none,
    /// and then the live rule tells what serves (3.4.2-5).
    fn raw_entries(&self) -> &'a [ConfigEntry] {
        match (self.config(), &self.observed.live_rule) {
            (Some(config), _) if !config.entries.is_empty() => &config.entries,
            (_, Some(rule)) => &rule.entries,
            _ => &[],
        }
    }

    /// Merges entries of one ARN, names them, and scales them to the total.
    fn registered(&self) -> Vec<Entry<'a>> {
        let mut merged: BTreeMap<(&'a str, &'a str), Entry<'a>> = BTreeMap::new();
        for raw in self.raw_entries() {
            let described = self.describe(raw);
            let (name, arn) = match described {
                Described::Known(known) => (known.group.name.as_str(), known.arn),
                Described::Parked(group) => (group.name.as_str(), raw.arn.as_str()),
                Described::Nobody => (raw.name.as_str(), raw.arn.as_str()),
            };
            let key = if arn.is_empty() { (name, "") } else { ("", arn) };
            merged
                .entry(key)
                .and_modify(|entry| entry.weight = entry.weight.saturating_add(raw.weight))
                .or_insert_with(|| Entry {
                    name,
                    arn,
                    weight: raw.weight,
                    described,
                    recorded: self.status.weight_of(arn),
                });
        }
        let mut entries: Vec<Entry<'a>> = merged.into_values().collect();
        entries.sort_by_key(|entry| (entry.name, entry.arn));
        let weights: Vec<Weight> = entries.iter().map(|entry| entry.weight).collect();
        // A stored config may hold any number: its sum may exceed 32 bits.
        if weights.iter().map(|weight| u64::from(*weight)).sum::<u64>() != u64::from(self.total) {
            for (entry, scaled) in entries.iter_mut().zip(weight::scale(&weights, self.total)) {
                entry.weight = scaled;
            }
        }
        entries
    }

    /// By ARN; by name only when the entry has no ARN.
    fn describe(&self, raw: &ConfigEntry) -> Described<'a> {
        let known = self.known.iter().find(|known| {
            if raw.arn.is_empty() { known.group.name == raw.name } else { known.arn == raw.arn }
        });
        if let Some(known) = known {
            return Described::Known(*known);
        }
        let parked = self.observed.target_groups.iter().filter(|group| !group.deleting).filter(|group| {
            match &group.arn {
                Ok(arn) if !raw.arn.is_empty() => arn.as_str() == raw.arn,
                _ => group.name == raw.name,
            }
        });
        match parked.min_by_key(|group| group.name.as_str()) {
            Some(group) => Described::Parked(group),
            None => Described::Nobody,
        }
    }

    /// How many known target groups this version has.
    pub(super) fn count(&self, version: &Version) -> usize {
        self.known.iter().filter(|known| known.version == version).count()
    }

    /// Whether this version has a complete set (3.4.2, "Terms").
    pub(super) fn is_complete(&self, version: &Version) -> bool {
        self.count(version) >= self.replicas()
    }

    pub(super) fn replicas(&self) -> usize {
        usize::try_from(self.spec.replicas).unwrap_or(usize::MAX)
    }

    /// Versions with a known target group, greatest first.
    pub(super) fn versions(&self) -> Vec<&'a Version> {
        let mut versions: Vec<&Version> = self.known.iter().map(|known| known.version).collect();
        versions.sort_unstable();
        versions.dedup();
        versions.reverse();
        versions
    }

    /// Why this version is blocked, if it is.
    pub(super) fn blocked(&self, version: &Version) -> Option<&'a str> {
        let items = self.observed.blocklist.iter().filter(|item| item.version == *version);
        items.map(|item| item.cause.as_str()).min()
    }

    /// What AWS said about this target group, through the config.
    pub(super) fn report(&self, arn: &str) -> Option<&'a ReportedTargetGroup> {
        self.config()?.status.target_groups.iter().find(|report| report.arn == arn)
    }

    /// Whether some entry holds weight.
    pub(super) fn serves(&self) -> bool {
        self.entries.iter().any(|entry| entry.weight > 0)
    }

    /// Whether every entry that holds weight is of this version.
    pub(super) fn serves_alone(&self, version: &ServedVersion) -> bool {
        self.serves() && self.entries.iter().all(|entry| entry.weight == 0 || entry.version() == *version)
    }

    /// Duration of the group stickiness of the rule.
    pub(super) fn sticky_seconds(&self) -> Option<u64> {
        let of_cell = self.spec.listener.as_ref().and_then(|listener| listener.stickiness_seconds);
        of_cell.or_else(|| self.config().and_then(|config| config.listener.stickiness_seconds))
    }

    /// The time this many seconds after `start`, far in the future at worst.
    pub(super) fn after(start: Timestamp, seconds: u64) -> Timestamp {
        let seconds = i64::try_from(seconds).unwrap_or(i64::MAX);
        start.checked_add(SignedDuration::from_secs(seconds)).unwrap_or(Timestamp::MAX)
    }
}

/// Whole seconds from `start` to `end`; 0 if it lies before.
pub(super) fn seconds_between(start: Timestamp, end: Timestamp) -> u64 {
    u64::try_from(end.duration_since(start).as_secs()).unwrap_or(0)
}

impl Entry<'_> {
    /// Its version: by its AWSTargetGroup, else as recorded, else unknown.
    pub(super) fn version(&self) -> ServedVersion {
        let described = match self.described {
            Described::Known(known) => Some(known.version),
            Described::Parked(group) => group.version.as_ref().ok(),
            Described::Nobody => None,
        };
        match (described, self.recorded) {
            (Some(version), _) => ServedVersion::Known(version.clone()),
            (None, Some(recorded)) => recorded.version.clone().unwrap_or(ServedVersion::Unknown),
            (None, None) => ServedVersion::Unknown,
        }
    }

    /// Whether it was found on the rule and nobody has ever described it.
    pub(super) fn never_described(&self) -> bool {
        let recorded = self.recorded.and_then(|recorded| recorded.version.as_ref());
        matches!(self.described, Described::Nobody) && !matches!(recorded, Some(ServedVersion::Known(_)))
    }

    pub(super) fn recorded_role(&self) -> Option<Role> {
        self.recorded.and_then(|recorded| recorded.role)
    }
}

/// Known target groups and the reasons why others are not (3.4.2-1).
fn known_groups(groups: &[TargetGroup]) -> (Vec<Known<'_>>, Vec<String>) {
    let mut present: Vec<&TargetGroup> =
        groups.iter().filter(|group| group.selected && !group.deleting).collect();
    present.sort_by_key(|group| group.name.as_str());
    let mut known: Vec<Known<'_>> = Vec::new();
    let mut illegal = Vec::new();
    for group in present {
        match (&group.arn, &group.version) {
            (Ok(arn), Ok(version)) => match known.iter().find(|other| other.arn == arn.as_str()) {
                None => known.push(Known { group, arn: arn.as_str(), version }),
                Some(first) if first.version == version => {}
                Some(first) => illegal.push(format!(
                    "{}: has the ARN of {}, but version {version} in place of {}",
                    group.name, first.group.name, first.version
                )),
            },
            (Err(error), _) => illegal.push(format!("{}: {error}", group.name)),
            (_, Err(issue)) => illegal.push(format!("{}: {}", group.name, issue_text(issue))),
        }
    }
    (known, illegal)
}

fn issue_text(issue: &super::observed::VersionIssue) -> String {
    match std::error::Error::source(issue) {
        Some(source) => format!("{issue}: {source}"),
        None => issue.to_string(),
    }
}
