//! Which old clusters are let go (`spec/okra.md` 2.6.1, `retirementGates`).
//! okra never deletes a cluster; it marks that nothing holds it any more.

use jiff::Timestamp;

use super::sides::{Drain, Member, Members, Side, drain};
use super::view::View;
use crate::version::ServedVersion;

/// Clusters to mark, and when the next could be.
#[derive(Clone, Debug, Default)]
pub(super) struct Retirement {
    pub clusters: Vec<String>,
    pub next: Option<Timestamp>,
    /// What people should know of those that are not marked yet.
    pub notes: Vec<String>,
    /// Whether some are marked, of which nothing more is asked.
    pub some_marked: bool,
}

/// Judges the clusters of older versions: every target group of a cluster
/// must be drained, quiet, free of unfinished jobs and without weight in any Cell.
pub(super) fn retire(view: &View<'_>, members: &Members<'_>, stable: &ServedVersion) -> Retirement {
    let mut retirement = Retirement::default();
    let mut clusters: Vec<&str> = members.list.iter().filter_map(cluster).collect();
    clusters.sort_unstable();
    clusters.dedup();
    for name in clusters {
        let of_cluster: Vec<&Member<'_>> =
            members.list.iter().filter(|member| cluster(member) == Some(name)).collect();
        let old = of_cluster.iter().all(|member| member.side == Side::Off && member.version < *stable);
        let marked = of_cluster.iter().any(|member| observation(member).is_some_and(|seen| seen.marked));
        retirement.some_marked |= old && marked;
        if !old || marked {
            continue;
        }
        let mut said: Vec<&str> = of_cluster
            .iter()
            .filter_map(|member| observation(member))
            .flat_map(|seen| &seen.notes)
            .map(String::as_str)
            .collect();
        said.sort_unstable();
        said.dedup();
        if !said.is_empty() {
            retirement.notes.push(format!("cluster {name}: {}", said.join(", ")));
        }
        let due: Option<Vec<Timestamp>> = of_cluster.iter().map(|member| quiet_at(view, member)).collect();
        match due.and_then(|due| due.into_iter().max()) {
            Some(at) if at <= view.now => retirement.clusters.push(name.to_owned()),
            Some(at) => retirement.next = retirement.next.min(Some(at)).or(Some(at)),
            None => {}
        }
    }
    retirement
}

fn cluster<'a>(member: &Member<'a>) -> Option<&'a str> {
    member.group.and_then(|group| group.cluster.as_deref())
}

fn observation<'a>(member: &Member<'a>) -> Option<&'a super::observed::RetirementObservation> {
    member.group.and_then(|group| group.retirement.as_ref())
}

/// When this target group's gates hold, if time alone is missing.
fn quiet_at(view: &View<'_>, member: &Member<'_>) -> Option<Timestamp> {
    let seen = observation(member)?;
    let jobs_done = !view.spec.retirement.watches_jobs || seen.unfinished_jobs == Some(0);
    if member.weight > 0 || seen.weight_elsewhere || !jobs_done {
        return None;
    }
    let quiet = View::after(seen.quiet_since?, view.spec.retirement.quiet_seconds);
    match drain(view, member) {
        Drain::Done => Some(quiet),
        Drain::Until(until) => until.map(|until| until.max(quiet)),
    }
}
