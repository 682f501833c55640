//! Slots: a forward action holds five target groups, and retired entries make
//! room for those that are needed (`spec/okra.md` 3.4.2, invariants;
//! `spec/aws.md` 1.2).

use jiff::Timestamp;

use super::sides::{Backing, Drain, Member, Members, Side, drain};
use super::spec::StickyPolicy;
use super::view::View;
use super::weights::serves_on;

/// Target groups of one forward action; a fixed quota of ELBv2.
pub const SLOTS: usize = 5;

/// What fits.
#[derive(Clone, Debug, Default)]
pub(super) struct Room {
    /// Whether unregistered members of the joining sides may enter.
    joins: bool,
    joining: Vec<Side>,
    /// Whether a registered member at 0 may be given weight.
    raises: bool,
    drops: Vec<String>,
    /// More members than slots, whatever is dropped.
    pub too_many: Option<usize>,
    /// Someone waits for a slot until an entry has drained.
    pub waits_for_drain: Option<Drain>,
}

/// How urgently room is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Urgency {
    /// An entry that still drains makes the others wait.
    Patient,
    /// Rollback, fail-over, failure, creation: draining entries leave too.
    Urgent,
    /// Nobody may enter or rise: `spec.paused`, drift.
    Still,
}

impl Room {
    /// Whether this unregistered member may enter.
    pub(super) fn admits(&self, member: &Member<'_>) -> bool {
        self.joins && self.joining.contains(&member.side)
    }

    /// Whether a member at 0 may be given weight.
    pub(super) fn admits_weight(&self) -> bool {
        self.raises
    }

    /// Whether this entry leaves to make room.
    pub(super) fn drops(&self, member: &Member<'_>) -> bool {
        self.drops.iter().any(|arn| arn == member.arn)
    }
}

/// Makes room for the members of the `joining` sides: drained entries leave
/// first, then the lowest version, then by name. Under `sticky: Remove` every
/// entry of a sticky rule leaves when it has no weight.
pub(super) fn make_room(view: &View<'_>, members: &Members<'_>, joining: &[Side], urgency: Urgency) -> Room {
    let mut room = Room { joining: joining.to_vec(), raises: urgency != Urgency::Still, ..Room::default() };
    let staying = |member: &&Member<'_>| {
        member.registered && (member.backing != Backing::Gone || serves_on(members, member))
    };
    let joiners = members
        .list
        .iter()
        .filter(|member| {
            !member.registered && member.backing == Backing::Known && joining.contains(&member.side)
        })
        .count();
    let needed = members.list.iter().filter(staying).filter(|member| member.side != Side::Off).count();
    if needed + joiners > SLOTS {
        room.too_many = Some(needed + joiners);
    }
    if urgency == Urgency::Still || room.too_many.is_some() {
        return room;
    }
    let mut retired: Vec<(Drain, &Member<'_>)> = members
        .list
        .iter()
        .filter(staying)
        .filter(|member| member.side == Side::Off)
        .map(|member| (drain(view, member), member))
        .collect();
    let surplus = (needed + joiners + retired.len()).saturating_sub(SLOTS);
    retired.sort_by_key(|(drain, member)| {
        (*drain != Drain::Done, member.weight > 0, &member.version, member.name)
    });
    let leave_at_0 = view.spec.sticky == StickyPolicy::Remove && view.sticky_seconds().is_some();
    let leaving = if leave_at_0 { retired.len() } else { surplus };
    let drained = retired.iter().filter(|(drain, _)| *drain == Drain::Done).count();
    let missing = if leave_at_0 { 0 } else { surplus.saturating_sub(drained) };
    if missing > 0 && urgency == Urgency::Patient && joiners > 0 {
        let drains: Vec<Drain> = retired.iter().map(|(drain, _)| *drain).collect();
        room.waits_for_drain = Some(Drain::Until(end_of_drain(&drains, missing)));
        return room;
    }
    room.joins = true;
    room.drops = retired.iter().take(leaving).map(|(_, member)| member.arn.to_owned()).collect();
    room
}

/// When so many of these have drained; unknown if requests still come.
fn end_of_drain(drains: &[Drain], count: usize) -> Option<Timestamp> {
    let ends = drains.iter().filter_map(|drain| match drain {
        Drain::Until(until) => *until,
        Drain::Done => None,
    });
    let mut ends: Vec<Timestamp> = ends.collect();
    ends.sort_unstable();
    ends.get(count.checked_sub(1)?).copied()
}
