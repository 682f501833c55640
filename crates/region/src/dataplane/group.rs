//! A target group as the control sees it: who is in it, and how they are.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use tokio_util::sync::CancellationToken;

use super::health::{CheckOutcome, HealthReason, TargetHealth, TargetState, Verdict};
use super::routing::{GroupHandle, GroupRoute};
use super::statistics::Hosts;
use super::target::TargetHandle;
use super::topology::{Target, TargetGroup};

/// One target group.
#[derive(Debug)]
pub(super) struct Group {
    pub(super) handle: Arc<GroupHandle>,
    spec: Arc<TargetGroup>,
    /// Whether a rule names it.
    attached: bool,
    members: BTreeMap<Target, Member>,
}

/// One target of a group, registered or leaving.
#[derive(Debug)]
struct Member {
    handle: Arc<TargetHandle>,
    standing: Standing,
    /// Tells results and delays of this standing from those of an earlier one.
    epoch: u64,
    /// Ends the checks, or the wait for the end of the delay.
    task: CancellationToken,
}

/// Where a target stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Standing {
    /// No rule names the group.
    Unused,
    /// Checked.
    Checked(Verdict),
    /// In use, with checks off.
    Unchecked,
    /// Deregistered, finishing.
    Draining,
}

/// Something to do for a target: begun by the shell, answered with the ticket.
#[derive(Debug)]
pub(super) struct Job {
    pub(super) ticket: Ticket,
    pub(super) kind: JobKind,
    pub(super) spec: Arc<TargetGroup>,
    /// Cancelled when the result is not wanted any more.
    pub(super) token: CancellationToken,
}

/// What to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum JobKind {
    /// Check now, and again at every interval.
    Check,
    /// Wait for the deregistration delay.
    Drain,
}

/// Which standing of which target a result belongs to.
#[derive(Debug, Clone)]
pub(super) struct Ticket {
    pub(super) group: String,
    pub(super) target: Target,
    epoch: u64,
}

impl Group {
    /// A group without members.
    pub(super) fn new(spec: TargetGroup) -> Self {
        let spec = TargetGroup { targets: Vec::new(), ..spec };
        Self {
            handle: Arc::new(GroupHandle::new(&spec.arn)),
            spec: Arc::new(spec),
            attached: false,
            members: BTreeMap::new(),
        }
    }

    /// Takes on a specification. What stays keeps its verdict, connections and
    /// counters. Returns what has to be begun.
    pub(super) fn update(&mut self, spec: TargetGroup, attached: bool, epochs: &mut u64) -> Vec<Job> {
        let was = std::mem::replace(&mut self.spec, Arc::new(spec));
        let checks_changed = was.health_check != self.spec.health_check;
        let use_changed = std::mem::replace(&mut self.attached, attached) != attached;
        let wanted: BTreeSet<Target> = self.spec.targets.iter().copied().collect();
        let mut jobs = Vec::new();
        let known: Vec<Target> = self.members.keys().copied().collect();
        for gone in known.iter().filter(|target| !wanted.contains(target)) {
            jobs.extend(self.deregister(*gone, epochs));
        }
        for target in &wanted {
            let draining =
                self.members.get(target).is_some_and(|member| member.standing == Standing::Draining);
            let known = self.members.contains_key(target) && !draining;
            if !known || use_changed {
                jobs.extend(self.enter(*target, epochs));
            } else if checks_changed {
                jobs.extend(self.restart_checks(*target, epochs));
            }
        }
        jobs
    }

    /// A target becomes a member, or begins anew as one.
    fn enter(&mut self, target: Target, epochs: &mut u64) -> Option<Job> {
        let standing = match (self.attached, self.spec.health_check.enabled) {
            (false, _) => Standing::Unused,
            (true, false) => Standing::Unchecked,
            (true, true) => Standing::Checked(Verdict::new()),
        };
        let handle = match self.members.get(&target) {
            Some(member) => {
                member.handle.pool().reopen();
                Arc::clone(&member.handle)
            }
            None => Arc::new(TargetHandle::new(&self.spec.arn, target)),
        };
        self.stand(target, handle, standing, epochs)
    }

    /// New settings: the verdict stays, the next check is at once.
    fn restart_checks(&mut self, target: Target, epochs: &mut u64) -> Option<Job> {
        let member = self.members.get(&target)?;
        let standing = match (member.standing, self.spec.health_check.enabled) {
            (Standing::Checked(_), false) => Standing::Unchecked,
            (Standing::Unchecked, true) => Standing::Checked(Verdict::new()),
            (unchanged, _) => unchanged,
        };
        let handle = Arc::clone(&member.handle);
        self.stand(target, handle, standing, epochs)
    }

    /// A target leaves: by draining if it was in use, else at once.
    fn deregister(&mut self, target: Target, epochs: &mut u64) -> Option<Job> {
        let member = self.members.get(&target)?;
        member.handle.pool().close();
        if member.standing == Standing::Draining && self.attached {
            return None;
        }
        if member.standing == Standing::Unused || !self.attached {
            self.remove(target);
            return None;
        }
        let handle = Arc::clone(&member.handle);
        self.stand(target, handle, Standing::Draining, epochs)
    }

    fn remove(&mut self, target: Target) {
        if let Some(member) = self.members.remove(&target) {
            member.task.cancel();
            member.handle.pool().close();
        }
    }

    /// Ends what ran for the target's last standing and begins the new one.
    fn stand(
        &mut self,
        target: Target,
        handle: Arc<TargetHandle>,
        standing: Standing,
        epochs: &mut u64,
    ) -> Option<Job> {
        *epochs += 1;
        let (epoch, token) = (*epochs, CancellationToken::new());
        let member = Member { handle, standing, epoch, task: token.clone() };
        if let Some(last) = self.members.insert(target, member) {
            last.task.cancel();
        }
        let kind = match standing {
            Standing::Checked(_) => JobKind::Check,
            Standing::Draining => JobKind::Drain,
            Standing::Unused | Standing::Unchecked => return None,
        };
        let ticket = Ticket { group: self.spec.arn.clone(), target, epoch };
        Some(Job { ticket, kind, spec: Arc::clone(&self.spec), token })
    }

    /// Takes in a check result; says whether anything visible changed.
    pub(super) fn observe(&mut self, ticket: &Ticket, outcome: CheckOutcome) -> bool {
        match self.members.get_mut(&ticket.target) {
            Some(Member { standing: Standing::Checked(verdict), epoch, .. }) if *epoch == ticket.epoch => {
                verdict.observe(&self.spec.health_check, outcome)
            }
            _ => false,
        }
    }

    /// The delay of a leaving target is over: it is gone, and what it has not
    /// finished is cut.
    pub(super) fn expire(&mut self, ticket: &Ticket) -> bool {
        let expired = self
            .members
            .get(&ticket.target)
            .is_some_and(|member| member.standing == Standing::Draining && member.epoch == ticket.epoch);
        if expired && let Some(member) = self.members.remove(&ticket.target) {
            member.handle.expire();
        }
        expired
    }

    /// Ends everything that runs for the group.
    pub(super) fn close(&mut self) {
        for target in self.members.keys().copied().collect::<Vec<_>>() {
            self.remove(target);
        }
    }

    /// Health of all members, by address and port.
    pub(super) fn health(&self) -> Vec<TargetHealth> {
        let tell = |(target, member): (&Target, &Member)| match member.standing {
            Standing::Unused => TargetHealth::new(*target, TargetState::Unused, HealthReason::NotInUse),
            Standing::Checked(verdict) => verdict.describe(*target),
            Standing::Unchecked => {
                TargetHealth::new(*target, TargetState::Unavailable, HealthReason::HealthCheckDisabled)
            }
            Standing::Draining => {
                TargetHealth::new(*target, TargetState::Draining, HealthReason::DeregistrationInProgress)
            }
        };
        self.members.iter().map(tell).collect()
    }

    /// Healthy and unhealthy members, while they are checked.
    pub(super) fn hosts(&self) -> Option<Hosts> {
        if !self.attached || !self.spec.health_check.enabled {
            return None;
        }
        let count = |is: fn(&Verdict) -> bool| self.verdicts().filter(|verdict| is(verdict)).count() as u64;
        Some(Hosts { healthy: count(Verdict::is_healthy), unhealthy: count(Verdict::is_unhealthy) })
    }

    fn verdicts(&self) -> impl Iterator<Item = &Verdict> {
        self.members.values().filter_map(|member| match &member.standing {
            Standing::Checked(verdict) => Some(verdict),
            _ => None,
        })
    }

    /// Closes pooled connections that have ended or were not used for long.
    pub(super) fn targets(&self) -> impl Iterator<Item = &Arc<TargetHandle>> {
        self.members.values().map(|member| &member.handle)
    }

    /// What requests see: the healthy members, or, when none is, all that are
    /// registered (`spec/aws.md` 1.3: fail-open).
    pub(super) fn route(&self) -> GroupRoute {
        let healthy = |standing: &Standing| match standing {
            Standing::Checked(verdict) => verdict.is_healthy(),
            Standing::Unchecked => true,
            Standing::Unused | Standing::Draining => false,
        };
        let registered = |standing: &Standing| matches!(standing, Standing::Checked(_) | Standing::Unchecked);
        let with = |fits: &dyn Fn(&Standing) -> bool| -> Vec<Arc<TargetHandle>> {
            let members = self.members.values().filter(|member| fits(&member.standing));
            members.map(|member| Arc::clone(&member.handle)).collect()
        };
        let best = with(&healthy);
        let fail_open = best.is_empty();
        GroupRoute {
            handle: Arc::clone(&self.handle),
            algorithm: self.spec.algorithm,
            lb_cookie: self.spec.lb_cookie,
            candidates: if fail_open { with(&registered) } else { best },
            fail_open,
        }
    }
}
