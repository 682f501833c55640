//! Who gets how much: a plan's weights for every member
//! (`spec/okra.md` 3.4.1 and 3.4.2, rules 7 to 9).

use super::sides::{Backing, Health, Member, Members, Side};
use super::slots::Room;
use crate::weight::{self, Weight};

/// How the total is split between the sides. Stable gets what the others leave.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Split {
    /// Weight of the canary side.
    pub canary: Weight,
    /// What is on no side.
    pub off: Off,
    /// The side whose every member gets weight, seen healthy or not: its
    /// gates were judged already, or a human said so.
    pub force: Option<Side>,
    /// Whether a side on which nothing can take its share gives it to the
    /// other one. Not in a failure: the failed version never gains.
    pub yields: bool,
}

/// What becomes of entries that are on no side.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Off {
    /// They lose their weight.
    Zero,
    /// They keep it: no weight moves between versions.
    Keep,
}

/// Planned weight of each member, in the order of the members; `None` is not
/// registered.
pub(super) type Weights = Vec<Option<Weight>>;

/// Present weights: what a plan that changes nothing holds.
pub(super) fn present(members: &Members<'_>) -> Weights {
    members.list.iter().map(|member| member.registered.then_some(member.weight)).collect()
}

/// Weights for this split. `None` when nothing is there to hold them: then
/// the load balancer stays as it is (3.4.2-3, -8).
pub(super) fn divide(members: &Members<'_>, total: Weight, split: Split, room: &Room) -> Option<Weights> {
    let mut weights: Weights = vec![None; members.list.len()];
    let kept = plan_off(members, split.off, room, &mut weights);
    let for_sides = total.checked_sub(kept)?;
    let (stable_manned, canary_manned) = (members.is_manned(Side::Stable), members.is_manned(Side::Canary));
    let canary = match (stable_manned, canary_manned) {
        (true, true) => yielded(members, for_sides, split),
        (true, false) => 0,
        (false, true) => for_sides,
        (false, false) => return None,
    };
    for (side, side_total) in [(Side::Stable, for_sides - canary), (Side::Canary, canary)] {
        plan_side(members, side, side_total, split.force == Some(side), room, &mut weights)?;
    }
    let sum: Weight = weights.iter().flatten().sum();
    (sum == total).then_some(weights)
}

/// The canary's weight, if both sides can take their share; else all goes to
/// the one that can. No weight goes to what is not seen healthy while
/// something healthy serves.
fn yielded(members: &Members<'_>, for_sides: Weight, split: Split) -> Weight {
    let canary = split.canary.min(for_sides);
    let stable = for_sides - canary;
    let fails =
        |side: Side, share: Weight| share > 0 && split.force != Some(side) && !can_take(members, side);
    let (stable_fails, canary_fails) = (fails(Side::Stable, stable), fails(Side::Canary, canary));
    match (stable_fails, canary_fails) {
        (false, true) if split.yields && can_take(members, Side::Stable) => 0,
        (true, false) if split.yields && canary > 0 && can_take(members, Side::Canary) => for_sides,
        _ => canary,
    }
}

/// Whether a side has someone who serves already or may begin to.
fn can_take(members: &Members<'_>, side: Side) -> bool {
    members.on(side).any(|member| match member.backing {
        Backing::Known => member.ready || member.weight > 0,
        Backing::Imported | Backing::Parked => member.weight > 0,
        Backing::Gone => serves_on(members, member),
    })
}

/// An orphan whose targets AWS still shows healthy serves on while those who
/// are to take its share are not ready (3.4.2-7: "until then those that serve
/// keep theirs"). With nobody there to wait for it leaves at once.
pub(super) fn serves_on(members: &Members<'_>, orphan: &Member<'_>) -> bool {
    let serves = orphan.backing == Backing::Gone && orphan.weight > 0 && orphan.health == Health::Healthy;
    let mut heirs = members.known(orphan.side).peekable();
    serves
        && orphan.side != Side::Off
        && heirs.peek().is_some()
        && heirs.all(|heir| !heir.ready && heir.weight == 0)
}

/// Entries on no side; returns the weight they keep.
fn plan_off(members: &Members<'_>, off: Off, room: &Room, weights: &mut Weights) -> Weight {
    let mut kept = 0;
    for (index, member) in members.list.iter().enumerate() {
        let stays = member.side == Side::Off && member.registered && member.backing != Backing::Gone;
        let must_stay = off == Off::Keep && member.weight > 0;
        if stays && (must_stay || !room.drops(member)) {
            let weight = if off == Off::Keep { member.weight } else { 0 };
            weights[index] = Some(weight);
            kept += weight;
        }
    }
    kept
}

/// One side: orphans leave, entries without a known target group never gain,
/// known ones share the rest. `None` when that leaves weight over.
fn plan_side(
    members: &Members<'_>,
    side: Side,
    total: Weight,
    force: bool,
    room: &Room,
    weights: &mut Weights,
) -> Option<()> {
    let on_side = |backing: Backing| {
        members
            .list
            .iter()
            .enumerate()
            .filter(move |(_, member)| member.side == side && member.backing == backing)
    };
    let knowns: Vec<(usize, &Member<'_>)> =
        on_side(Backing::Known).filter(|(_, member)| member.registered || room.admits(member)).collect();
    let orphans = if force { 0 } else { keep_orphans(members, side, total, weights) };
    let (total, side_now) = (total - orphans, members.weight(side) - orphans);
    let silent: Vec<(usize, &Member<'_>)> = on_side(Backing::Imported)
        .chain(on_side(Backing::Parked))
        .filter(|(_, member)| member.registered)
        .collect();
    let only_parked = knowns.is_empty() && on_side(Backing::Parked).next().is_some();
    if only_parked && total > silent.iter().map(|(_, member)| member.weight).sum() {
        return None;
    }
    let silent_weights = share_of_silent(&silent, total, side_now, knowns.is_empty());
    for ((index, _), weight) in silent.iter().zip(&silent_weights) {
        weights[*index] = Some(*weight);
    }
    let rest = total.checked_sub(silent_weights.iter().sum())?;
    if knowns.is_empty() {
        return (rest == 0).then_some(());
    }
    let candidates: Vec<Candidate> = knowns
        .iter()
        .map(|(_, member)| Candidate {
            weight: member.weight,
            ready: member.ready && (member.weight > 0 || room.admits_weight()),
        })
        .collect();
    for ((index, _), weight) in knowns.iter().zip(share_among(&candidates, rest, force)) {
        weights[*index] = Some(weight);
    }
    Some(())
}

/// Lets healthy orphans serve on; returns what they keep of the side's total.
fn keep_orphans(members: &Members<'_>, side: Side, total: Weight, weights: &mut Weights) -> Weight {
    let mut kept = 0;
    for (index, member) in members.list.iter().enumerate() {
        if member.side == side && serves_on(members, member) && kept + member.weight <= total {
            weights[index] = Some(member.weight);
            kept += member.weight;
        }
    }
    kept
}

/// Imported and parked entries keep their part of the side in proportion, and
/// never gain while known target groups could; alone they hold all of it.
fn share_of_silent(
    silent: &[(usize, &Member<'_>)],
    total: Weight,
    side_now: Weight,
    alone: bool,
) -> Vec<Weight> {
    let now: Vec<Weight> = silent.iter().map(|(_, member)| member.weight).collect();
    if now.is_empty() {
        return now;
    }
    let sum: Weight = now.iter().sum();
    if alone {
        return if sum == 0 { weight::share(total, now.len()) } else { weight::scale(&now, total) };
    }
    let proportional = |weight: Weight| match u64::from(weight) * u64::from(total) {
        _ if side_now == 0 => 0,
        product => Weight::try_from(product / u64::from(side_now)).unwrap_or(weight),
    };
    silent
        .iter()
        .map(|(_, member)| match member.backing {
            Backing::Imported => proportional(member.weight),
            _ => proportional(member.weight).min(member.weight),
        })
        .collect()
}

/// A known target group, as far as sharing looks at it.
#[derive(Clone, Copy, Debug)]
struct Candidate {
    weight: Weight,
    ready: bool,
}

/// Divides a side's total over its known target groups (3.4.2-7). One that is
/// not ready gets nothing new, but keeps what it has up to an equal share;
/// with nothing ready there is no waiting.
fn share_among(candidates: &[Candidate], total: Weight, force: bool) -> Vec<Weight> {
    let all: Vec<usize> = (0..candidates.len()).collect();
    let some = |wanted: &dyn Fn(&Candidate) -> bool| -> Vec<usize> {
        all.iter().copied().filter(|index| wanted(&candidates[*index])).collect()
    };
    let holders = some(&|candidate| !candidate.ready && candidate.weight > 0);
    let ready = some(&|candidate| candidate.ready);
    if force {
        return spread(candidates.len(), &all, total);
    }
    match (ready.is_empty(), holders.is_empty()) {
        (true, true) => return spread(candidates.len(), &all, total),
        (true, false) => return spread(candidates.len(), &holders, total),
        (false, _) => {}
    }
    let mut sharing: Vec<usize> = some(&|candidate| candidate.ready || candidate.weight > 0);
    let mut capped: Vec<usize> = Vec::new();
    loop {
        let kept: Weight = capped.iter().map(|index| candidates[*index].weight).sum();
        let mut weights = spread(candidates.len(), &sharing, total.saturating_sub(kept));
        let over: Vec<usize> = sharing
            .iter()
            .copied()
            .filter(|index| !candidates[*index].ready && weights[*index] > candidates[*index].weight)
            .collect();
        if over.is_empty() {
            for index in &capped {
                weights[*index] = candidates[*index].weight;
            }
            return weights;
        }
        sharing.retain(|index| !over.contains(index));
        capped.extend(over);
    }
}

/// Equal shares for the entries at `indexes`, 0 for the others.
fn spread(count: usize, indexes: &[usize], total: Weight) -> Vec<Weight> {
    let mut weights = vec![0; count];
    for (index, share) in indexes.iter().zip(weight::share(total, indexes.len())) {
        weights[*index] = share;
    }
    weights
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shares(candidates: &[(Weight, bool)], total: Weight) -> Vec<Weight> {
        let candidates: Vec<Candidate> =
            candidates.iter().map(|(weight, ready)| Candidate { weight: *weight, ready: *ready }).collect();
        share_among(&candidates, total, false)
    }

    #[test]
    fn one_that_is_not_ready_gains_nothing_and_keeps_what_it_has() {
        assert_eq!(shares(&[(100, true), (0, false)], 100), [100, 0]);
        assert_eq!(shares(&[(33, false), (33, true), (0, true)], 100), [33, 33, 34]);
        assert_eq!(shares(&[(33, false), (67, true)], 100), [33, 67]);
        assert_eq!(shares(&[(100, false), (0, true)], 100), [50, 50]);
        assert_eq!(shares(&[(0, true), (100, true)], 100), [50, 50]);
    }

    #[test]
    fn with_nothing_ready_there_is_no_waiting() {
        assert_eq!(shares(&[(0, false), (0, false)], 100), [50, 50]);
        assert_eq!(shares(&[(20, false), (0, false)], 100), [100, 0]);
    }
}
