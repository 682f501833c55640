//! Sides: which target group stands where, and how healthy it is
//! (`spec/okra.md` 3.4.2, "Terms", rules 7 and 8).

use jiff::Timestamp;

use super::observed::TargetGroup;
use super::spec::StickyPolicy;
use super::status::Role;
use super::view::{Described, Entry, FRESH_SECONDS, Known, View};
use crate::version::{ServedVersion, Version};
use crate::weight::Weight;

/// How long no request must have come before a sticky entry may leave under
/// `sticky: UntilQuiet` (2.6.1).
const STICKY_QUIET_SECONDS: u64 = 300;

/// Where a target group stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Side {
    Stable,
    Canary,
    /// On no side: retired, draining, or of a third version.
    Off,
}

/// What stands behind an entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Backing {
    /// A known target group.
    Known,
    /// Found on the rule when the Cell began, described by nobody.
    Imported,
    /// An AWSTargetGroup that is illegal or no longer selected.
    Parked,
    /// Nothing any more: an orphan.
    Gone,
}

/// What is seen of its targets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Health {
    Healthy,
    Unhealthy,
    NotSeen,
}

/// A target group that is registered, or may become so.
#[derive(Clone, Debug)]
pub(super) struct Member<'a> {
    pub name: &'a str,
    pub arn: &'a str,
    pub version: ServedVersion,
    pub backing: Backing,
    pub side: Side,
    pub registered: bool,
    pub weight: Weight,
    /// Whether it may be given weight (3.4.2-7).
    pub ready: bool,
    pub health: Health,
    /// Since when AWS has shown no healthy target.
    pub unhealthy_since: Option<Timestamp>,
    /// When its weight fell to 0.
    pub since: Option<Timestamp>,
    pub group: Option<&'a TargetGroup>,
}

/// All members, in order of name.
#[derive(Clone, Debug)]
pub(super) struct Members<'a> {
    pub list: Vec<Member<'a>>,
}

impl<'a> Members<'a> {
    /// Members with the sides that these two versions make. Outside a rollout
    /// there is one side, and `canary` is absent.
    pub(super) fn new(view: &View<'a>, stable: Option<&ServedVersion>, canary: Option<&Version>) -> Self {
        let mut list: Vec<Member<'a>> =
            view.entries.iter().map(|entry| of_entry(view, entry, stable, canary)).collect();
        for known in &view.known {
            if !view.entries.iter().any(|entry| entry.arn == known.arn) {
                list.push(of_known(view, known, stable, canary));
            }
        }
        assign_unrecorded(&mut list, view, stable, canary);
        list.sort_by_key(|member| (member.name, member.arn));
        Self { list }
    }

    pub(super) fn on(&self, side: Side) -> impl Iterator<Item = &Member<'a>> {
        self.list.iter().filter(move |member| member.side == side)
    }

    /// Known target groups of a side.
    pub(super) fn known(&self, side: Side) -> impl Iterator<Item = &Member<'a>> {
        self.on(side).filter(|member| member.backing == Backing::Known)
    }

    pub(super) fn weight(&self, side: Side) -> Weight {
        self.on(side).map(|member| member.weight).sum()
    }

    /// Whether a side has anything that may hold weight.
    pub(super) fn is_manned(&self, side: Side) -> bool {
        self.on(side).any(|member| member.backing != Backing::Gone)
    }

    /// Whether a side's orphans all still have their AWSTargetGroup: such a
    /// side keeps its weights, for a mistyped label must not swap clusters
    /// (3.4.2-8).
    pub(super) fn is_frozen(&self, side: Side) -> bool {
        let serving =
            |backing: Backing| self.on(side).any(|member| member.backing == backing && member.weight > 0);
        serving(Backing::Parked) && !serving(Backing::Gone)
    }

    /// Whether a side could take over all traffic: one of its target groups is
    /// ready, or nothing outside of it is seen to serve (3.4.2-7, last part).
    pub(super) fn can_take_over(&self, side: Side) -> bool {
        let ready = self.known(side).any(|member| member.ready);
        let known = self.known(side).next().is_some();
        let serves_elsewhere = self
            .list
            .iter()
            .filter(|member| member.side != side && member.weight > 0)
            .any(|member| match member.backing {
                Backing::Known | Backing::Imported | Backing::Parked => member.health != Health::Unhealthy,
                Backing::Gone => member.health == Health::Healthy,
            });
        ready || !known || !serves_elsewhere
    }
}

fn side_of(version: &ServedVersion, stable: Option<&ServedVersion>, canary: Option<&Version>) -> Side {
    if canary.is_some_and(|canary| version.is(canary)) {
        Side::Canary
    } else if stable == Some(version) {
        Side::Stable
    } else {
        Side::Off
    }
}

fn of_known<'a>(
    view: &View<'a>,
    known: &Known<'a>,
    stable: Option<&ServedVersion>,
    canary: Option<&Version>,
) -> Member<'a> {
    let version = ServedVersion::Known(known.version.clone());
    Member {
        name: &known.group.name,
        arn: known.arn,
        side: side_of(&version, stable, canary),
        version,
        backing: Backing::Known,
        registered: false,
        weight: 0,
        ready: is_ready(view, known),
        health: health(view, known.arn, Some(known.group)),
        unhealthy_since: None,
        since: None,
        group: Some(known.group),
    }
}

fn of_entry<'a>(
    view: &View<'a>,
    entry: &Entry<'a>,
    stable: Option<&ServedVersion>,
    canary: Option<&Version>,
) -> Member<'a> {
    let version = entry.version();
    let (backing, side, group) = match entry.described {
        Described::Known(known) => (Backing::Known, side_of(&version, stable, canary), Some(known.group)),
        // With an invalid spec the selector may be gone too: what was recorded
        // as stable stays a refuge (2.6.1).
        Described::Parked(group) if !view.spec.errors.is_empty() => {
            (Backing::Imported, side_of(&version, stable, canary), Some(group))
        }
        Described::Parked(group) => (Backing::Parked, side_of(&version, stable, canary), Some(group)),
        Described::Nobody if is_imported(view, entry) && serves_as(view, stable) => {
            (Backing::Imported, Side::Stable, None)
        }
        Described::Nobody if keeps_draining(view, entry) => (Backing::Imported, Side::Off, None),
        Described::Nobody => (Backing::Gone, side_of(&version, stable, canary), None),
    };
    Member {
        name: entry.name,
        arn: entry.arn,
        version,
        backing,
        side,
        registered: true,
        weight: entry.weight,
        ready: match entry.described {
            Described::Known(known) => is_ready(view, &known),
            Described::Parked(_) | Described::Nobody => false,
        },
        health: health(view, entry.arn, group),
        unhealthy_since: view.report(entry.arn).and_then(|report| report.unhealthy_since),
        since: entry.recorded.filter(|_| entry.weight == 0).and_then(|recorded| recorded.since),
        group,
    }
}

/// Target groups of the rule that no AWSTargetGroup describes count as stable
/// of unknown version until the first rollout has finished (3.4.2-5).
fn is_imported(view: &View<'_>, entry: &Entry<'_>) -> bool {
    let recorded_stable = entry.recorded.is_some_and(|recorded| {
        recorded.version == Some(ServedVersion::Unknown) && recorded.role == Some(Role::Stable)
    });
    let stable_is_unknown =
        matches!(view.status.stable_version, None | Some(ServedVersion::Unknown)) && entry.recorded.is_none();
    entry.never_described() && (recorded_stable || stable_is_unknown)
}

/// Whether this stable side is the one that was recorded, not one that takes
/// its place.
fn serves_as(view: &View<'_>, stable: Option<&ServedVersion>) -> bool {
    let recorded = view.status.stable_version.as_ref();
    recorded.is_none() || recorded == stable
}

/// An undescribed entry that loses its weight stays for its drain time and no
/// longer: there is no AWSTargetGroup for it to come back with.
fn keeps_draining(view: &View<'_>, entry: &Entry<'_>) -> bool {
    if is_imported(view, entry) {
        return true;
    }
    let since = entry.recorded.and_then(|recorded| recorded.since);
    entry.weight == 0
        && entry.never_described()
        && entry.recorded_role() == Some(Role::Draining)
        && since.is_some_and(|since| View::after(since, drain_seconds(view)) > view.now)
}

/// Orphans and illegal objects with weight of which nothing is recorded: they
/// belong to the side that misses its members, else to the one whose entries
/// have about their weight.
fn assign_unrecorded(
    list: &mut [Member<'_>],
    view: &View<'_>,
    stable: Option<&ServedVersion>,
    canary: Option<&Version>,
) {
    let manned = |list: &[Member<'_>], side: Side| {
        list.iter().any(|member| member.side == side && member.backing != Backing::Gone && member.weight > 0)
    };
    let (stable_manned, canary_manned) = (manned(list, Side::Stable), manned(list, Side::Canary));
    let nearest = |list: &[Member<'_>], weight: Weight, side: Side| {
        let on_side = list.iter().filter(|member| member.side == side && member.registered);
        on_side.map(|member| member.weight.abs_diff(weight)).min().unwrap_or(Weight::MAX)
    };
    for index in 0..list.len() {
        let member = &list[index];
        let recorded = view.status.weight_of(member.arn).is_some();
        let unplaced =
            member.side == Side::Off && member.version == ServedVersion::Unknown && member.weight > 0;
        if recorded || !unplaced || matches!(member.backing, Backing::Known | Backing::Imported) {
            continue;
        }
        let of_canary = canary.filter(|_| match (stable_manned, canary_manned) {
            (true, false) => true,
            (false, true) => false,
            _ => nearest(list, member.weight, Side::Canary) < nearest(list, member.weight, Side::Stable),
        });
        // It is recorded with the version of its side, so that the next plan
        // does not have to guess.
        list[index].side = if of_canary.is_some() { Side::Canary } else { Side::Stable };
        list[index].version = match (of_canary, stable) {
            (Some(version), _) => ServedVersion::Known(version.clone()),
            (None, Some(stable)) => stable.clone(),
            (None, None) => ServedVersion::Unknown,
        };
    }
}

/// Whether a target group may be given weight (3.4.2-7): its AWSTargetGroup
/// does not say that nothing is healthy, and has had time to say so.
fn is_ready(view: &View<'_>, known: &Known<'_>) -> bool {
    match known.group.healthy_targets {
        Some(healthy) => healthy > 0,
        None => match view.report(known.arn).and_then(|report| report.healthy_targets) {
            Some(healthy) => healthy > 0,
            None => fresh_until(known.group).is_none_or(|until| until <= view.now),
        },
    }
}

/// Until when the absence of a status holds a target group back.
pub(super) fn fresh_until(group: &TargetGroup) -> Option<Timestamp> {
    let seconds = u64::try_from(FRESH_SECONDS).expect("a positive constant");
    group.created_at.map(|created| View::after(created, seconds))
}

fn health(view: &View<'_>, arn: &str, group: Option<&TargetGroup>) -> Health {
    let reported = view.report(arn).and_then(|report| report.healthy_targets);
    match group.and_then(|group| group.healthy_targets).or(reported) {
        Some(0) => Health::Unhealthy,
        Some(_) => Health::Healthy,
        None => Health::NotSeen,
    }
}

/// Least seconds at weight 0 (`drainSeconds`, at least the life of cookies).
fn drain_seconds(view: &View<'_>) -> u64 {
    let cookies = match view.spec.sticky {
        StickyPolicy::Wait => view.sticky_seconds().unwrap_or(0),
        StickyPolicy::Remove | StickyPolicy::UntilQuiet => 0,
    };
    view.spec.drain_seconds.max(cookies)
}

/// Whether an entry at (or about to go to) weight 0 still drains.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Drain {
    Done,
    /// Until then; unknown while requests still come.
    Until(Option<Timestamp>),
}

pub(super) fn drain(view: &View<'_>, member: &Member<'_>) -> Drain {
    if member.weight > 0 {
        return Drain::Until(Some(View::after(view.now, drain_seconds(view))));
    }
    // Without a record of when it fell to 0 nothing shows that it still drains.
    let Some(since) = member.since else { return Drain::Done };
    let drained = View::after(since, drain_seconds(view));
    if drained > view.now {
        return Drain::Until(Some(drained));
    }
    if view.spec.sticky == StickyPolicy::UntilQuiet && view.sticky_seconds().is_some() {
        let quiet_since = member
            .group
            .and_then(|group| group.retirement.as_ref())
            .and_then(|retirement| retirement.quiet_since);
        return match quiet_since.map(|quiet| View::after(quiet, STICKY_QUIET_SECONDS)) {
            Some(quiet) if quiet <= view.now => Drain::Done,
            until => Drain::Until(until),
        };
    }
    Drain::Done
}
