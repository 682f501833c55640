//! A plan in the making: what the rules decide one after another, brought
//! together at the end into writes and a whole status.

use jiff::Timestamp;

use super::commands::{self, Command};
use super::components::Sweep;
use super::conditions::{self, Findings};
use super::observed::{Config, Overwrite, Ownership};
use super::plan::{Block, ConfigWrite, Explanation, NewComponent, Plan, PlannedEntry};
use super::sides::{Backing, Member, Members, Side};
use super::slots::SLOTS;
use super::spec::ListenerPart;
use super::status::{Role, RolloutKind, Status, StatusWeight};
use super::view::View;
use super::walk::Stop;
use super::weights::{self, Weights};
use crate::phase::Phase;
use crate::reason::Reason;
use crate::version::Version;
use crate::weight::Weight;

/// Between a sentence of the message and the next.
const NOTE: &str = "; ";

/// A plan in the making.
pub(super) struct Draft<'v, 'a> {
    pub view: &'v View<'a>,
    pub status: Status,
    pub members: Members<'a>,
    pub weights: Weights,
    /// Failure, abort, rollback, fail-over: it may overwrite drift and is not
    /// held by `spec.paused`.
    pub safety: bool,
    /// The id of a drift that may be overwritten now.
    pub overwrite: Option<String>,
    /// Nothing at all is written to the config.
    pub hands_off: bool,
    pub findings: Findings,
    pub reasons: Vec<Explanation>,
    pub warnings: Vec<String>,
    pub create: Vec<NewComponent>,
    pub sweep: Sweep,
    pub block: Vec<Block>,
    pub unblock: Vec<Version>,
    pub retire: Vec<String>,
    /// What the message of a Cell at rest says besides.
    pub notes: Vec<String>,
    /// Whether it goes on saying what it said, where there is nothing new.
    pub notes_stay: bool,
    pub status_first: bool,
    pub needs_fresh_view: bool,
    wake_at: Option<Timestamp>,
    answered: bool,
}

impl<'v, 'a> Draft<'v, 'a> {
    /// A plan that keeps everything as it is.
    pub(super) fn new(view: &'v View<'a>) -> Self {
        let members = Members::new(view, view.status.stable_version.as_ref(), None);
        Self {
            view,
            status: view.status.clone(),
            weights: weights::present(&members),
            members,
            safety: false,
            overwrite: None,
            hands_off: false,
            findings: Findings::default(),
            reasons: Vec::new(),
            warnings: Vec::new(),
            create: Vec::new(),
            sweep: Sweep::default(),
            block: Vec::new(),
            unblock: Vec::new(),
            retire: Vec::new(),
            notes: Vec::new(),
            notes_stay: false,
            status_first: false,
            needs_fresh_view: false,
            wake_at: None,
            answered: false,
        }
    }

    /// Adds a reason; the first one is also that of the status.
    pub(super) fn explain(&mut self, reason: Reason, message: impl Into<String>, next: impl Into<String>) {
        self.reasons.push(Explanation { reason, message: message.into(), next: next.into() });
    }

    /// Adds the reason, the phase and the wake-up of a wait.
    pub(super) fn stop(&mut self, stop: &Stop) {
        self.status.phase = Some(stop.phase);
        self.explain(stop.reason, stop.message.clone(), stop.next.clone());
        if let Some(until) = stop.until {
            self.wake(until);
        }
    }

    /// Plans again at this time, or earlier.
    pub(super) fn wake(&mut self, at: Timestamp) {
        self.wake_at = Some(self.wake_at.map_or(at, |present| present.min(at)));
    }

    /// Answers the command, once.
    pub(super) fn answer(&mut self, command: &Command, done: bool, message: impl Into<String>) {
        if !self.answered {
            commands::answer(&mut self.status, command, done, message, self.view.now);
            self.answered = true;
        }
    }

    pub(super) fn is_answered(&self) -> bool {
        self.answered
    }

    /// Takes members and their planned weights over.
    pub(super) fn set_weights(&mut self, members: Members<'a>, weights: Weights) {
        self.members = members;
        self.weights = weights;
    }

    /// Members whose present weights stay.
    pub(super) fn keep_weights(&mut self, members: Members<'a>) {
        let weights = weights::present(&members);
        self.set_weights(members, weights);
    }

    /// Whether the planned weights are those that the config holds.
    pub(super) fn is_steady(&self) -> bool {
        self.weights == weights::present(&self.members)
    }

    /// Whether an entry that holds weight leaves because its target group is gone.
    pub(super) fn orphan_leaves(&self) -> bool {
        self.members
            .list
            .iter()
            .zip(&self.weights)
            .any(|(member, weight)| member.backing == Backing::Gone && member.weight > 0 && weight.is_none())
    }

    /// Orphans that hold weight until their heirs are healthy.
    pub(super) fn serving_orphans(&self) -> Vec<&'a str> {
        let serving =
            self.planned().filter(|(member, weight)| member.backing == Backing::Gone && *weight > 0);
        serving.map(|(member, _)| member.name).collect()
    }

    /// While a human is awaited nothing moves but what left (2.6.2b).
    pub(super) fn hold_still(&mut self) {
        if !self.safety && !self.orphan_leaves() {
            self.weights = weights::present(&self.members);
        }
    }

    /// The finished plan.
    pub(super) fn finish(mut self) -> Plan {
        self.check();
        self.explain_findings();
        self.mark_fallen();
        let entries = self.entries();
        let config = self.config_write(&entries);
        self.status.observed_generation = Some(self.view.observed.cell.generation);
        if !self.hands_off || self.status.weights.is_empty() {
            self.status.weights = self.status_weights();
        }
        if let Some(first) = self.reasons.first() {
            self.status.reason = Some(first.reason);
            self.status.message = sentence(first);
        } else {
            self.status.reason = None;
            let rest = at_rest(&self.status, &entries);
            self.status.message = with_notes(rest, &self.notes, self.notes_stay, &self.view.status.message);
        }
        self.status.conditions = conditions::conditions(self.view, &self.findings, &self.status);
        // It moves only together with another field, or every pass wakes the next.
        if self.status != *self.view.status || self.status.last_sync_time.is_none() {
            self.status.last_sync_time = Some(self.view.now);
        }
        let mut delete = self.sweep.delete;
        delete.sort();
        delete.dedup();
        let mut terminate = self.sweep.terminate;
        terminate.sort();
        terminate.retain(|run| !delete.contains(run));
        terminate.dedup();
        Plan {
            entries,
            config,
            create: self.create,
            terminate,
            delete,
            block: self.block,
            unblock: self.unblock,
            retire: self.retire,
            status: self.status,
            status_first: self.status_first,
            reasons: self.reasons,
            warnings: self.warnings,
            wake_at: self.wake_at.filter(|at| *at > self.view.now),
            needs_fresh_view: self.needs_fresh_view,
        }
    }

    /// A canary that loses weight does not get it back under the same id,
    /// whatever rule took it.
    fn mark_fallen(&mut self) {
        let Some(rollout) =
            self.status.rollout.as_ref().filter(|rollout| rollout.kind == RolloutKind::Rollout)
        else {
            return;
        };
        let of_canary = |member: &Member<'_>| member.version.is(&rollout.version);
        let before: Weight =
            self.members.list.iter().filter(|member| of_canary(member)).map(|member| member.weight).sum();
        let after: Weight =
            self.planned().filter(|(member, _)| of_canary(member)).map(|(_, weight)| weight).sum();
        if after < before
            && let Some(rollout) = &mut self.status.rollout
        {
            rollout.kind = RolloutKind::Withdrawal;
        }
    }

    /// Every finding is also a reason, after those that were given.
    fn explain_findings(&mut self) {
        let findings = self.findings.clone();
        let serving_on = self.serving_orphans();
        let serving_on = (!serving_on.is_empty() && !self.hands_off).then(|| {
            let names = serving_on.join(", ");
            (Reason::WaitingForHealth, format!("{names} are gone but serve on until their heirs are healthy"))
        });
        let found = [
            serving_on,
            findings.degraded,
            findings.paused,
            findings.drift.map(|message| (Reason::Drift, message)),
            findings.version_blocked.map(|message| (Reason::VersionBlocked, message)),
            findings.waiting_for_replicas.map(|message| (Reason::WaitingForReplicas, message)),
            (!self.view.illegal.is_empty())
                .then(|| (Reason::InvalidTargetGroup, self.view.illegal.join("; "))),
        ];
        for (reason, message) in found.into_iter().flatten() {
            if !self.reasons.iter().any(|given| given.reason == reason) {
                self.explain(reason, message, "");
            }
        }
    }

    /// The invariants that every write must keep (3.4.2); a plan that would
    /// break one keeps the present weights instead.
    fn check(&mut self) {
        if self.is_steady() {
            return;
        }
        let sum: Weight = self.weights.iter().flatten().sum();
        let count = self.weights.iter().flatten().count();
        if sum != self.view.total || count > SLOTS {
            debug_assert!(false, "planned {count} entries with the sum {sum}");
            self.warnings
                .push(format!("planned {count} entries with the sum {sum}: the weights were left alone"));
            self.weights = weights::present(&self.members);
        }
    }

    fn planned(&self) -> impl Iterator<Item = (&Member<'a>, Weight)> {
        self.members
            .list
            .iter()
            .zip(&self.weights)
            .filter_map(|(member, weight)| weight.map(|weight| (member, weight)))
    }

    fn entries(&self) -> Vec<PlannedEntry> {
        self.planned()
            .map(|(member, weight)| PlannedEntry {
                name: member.name.to_owned(),
                arn: member.arn.to_owned(),
                version: member.version.clone(),
                role: role(member),
                weight,
            })
            .collect()
    }

    fn status_weights(&self) -> Vec<StatusWeight> {
        self.planned()
            .map(|(member, weight)| StatusWeight {
                name: member.name.to_owned(),
                arn: member.arn.to_owned(),
                version: Some(member.version.clone()),
                role: Some(role(member)),
                weight,
                since: match (weight, member.weight) {
                    (0, 0) => member.since,
                    (0, _) => Some(self.view.now),
                    _ => None,
                },
            })
            .collect()
    }

    /// The config's spec, if it must change.
    fn config_write(&self, entries: &[PlannedEntry]) -> Option<ConfigWrite> {
        if self.hands_off || entries.is_empty() {
            return None;
        }
        let config = self.view.config();
        let listener = self.listener(config)?;
        let moves = config.is_none_or(|config| differs(config, entries));
        let write = ConfigWrite {
            create: config.is_none(),
            take_ownership: config.is_none_or(|config| config.ownership == Ownership::Adoptable),
            listener,
            entries: entries.to_vec(),
            overwrite: self.planned_overwrite(config, moves),
            deletion_policy: self.view.spec.deletion_policy,
        };
        let Some(config) = config else { return Some(write) };
        let changed = moves
            || write.take_ownership
            || write.listener.value != config.listener.value
            || write.overwrite != config.overwrite
            || (write.deletion_policy != config.deletion_policy && self.view.spec.errors.is_empty());
        changed.then_some(write)
    }

    /// The Cell's listener part; an invalid spec changes nothing (2.6.1).
    fn listener(&self, config: Option<&Config>) -> Option<ListenerPart> {
        match (&self.view.spec.listener, config) {
            (Some(listener), _) if self.view.spec.errors.is_empty() => Some(listener.clone()),
            (_, Some(config)) => Some(config.listener.clone()),
            (listener, None) => listener.clone(),
        }
    }

    /// What may be overwritten on AWS (2.6.2b): anything for safety's sake,
    /// until that is confirmed; else the drift that a human let go.
    fn planned_overwrite(&self, config: Option<&Config>, moves: bool) -> Option<Overwrite> {
        let present = config.and_then(|config| config.overwrite.clone());
        if let Some(id) = &self.overwrite {
            return Some(Overwrite::Drift(id.clone()));
        }
        let in_the_way = moves || super::drift::pending(self.view).is_some();
        if in_the_way && (self.safety || self.orphan_leaves()) {
            return Some(Overwrite::Always);
        }
        let confirmed = super::confirm::confirmation(config).is_confirmed();
        match present {
            Some(Overwrite::Always) if confirmed || moves => None,
            Some(Overwrite::Drift(_)) if moves => None,
            present => present,
        }
    }
}

/// Whether the config's target groups are others than these. Names alone make
/// no difference: identity is the ARN.
fn differs(config: &Config, entries: &[PlannedEntry]) -> bool {
    let mut present: Vec<(&str, Weight)> =
        config.entries.iter().map(|entry| (entry.arn.as_str(), entry.weight)).collect();
    let mut planned: Vec<(&str, Weight)> =
        entries.iter().map(|entry| (entry.arn.as_str(), entry.weight)).collect();
    present.sort_unstable();
    planned.sort_unstable();
    present != planned
}

fn role(member: &Member<'_>) -> Role {
    match member.side {
        Side::Stable => Role::Stable,
        Side::Canary => Role::Canary,
        Side::Off => Role::Draining,
    }
}

/// One sentence for `status.message`.
fn sentence(explanation: &Explanation) -> String {
    if explanation.next.is_empty() {
        explanation.message.clone()
    } else {
        format!("{}; {}", explanation.message, explanation.next)
    }
}

/// What a Cell at rest says.
/// A sentence with notes behind it. `before` is the message so far: of a
/// cluster that was let go nothing new comes, and what failed in it is still
/// worth knowing.
fn with_notes(sentence: String, notes: &[String], stay: bool, before: &str) -> String {
    let said =
        before.strip_prefix(&sentence).filter(|said| stay && said.starts_with(NOTE) && !sentence.is_empty());
    match (notes, said) {
        ([], Some(said)) => sentence + said,
        ([], None) => sentence,
        _ if sentence.is_empty() => notes.join(NOTE),
        _ => format!("{sentence}{NOTE}{}", notes.join(NOTE)),
    }
}

fn at_rest(status: &Status, entries: &[PlannedEntry]) -> String {
    let serving = entries.iter().filter(|entry| entry.weight > 0).count();
    match (&status.stable_version, status.phase) {
        (Some(version), Some(Phase::Completed)) => {
            format!("version {version} serves on {serving} target groups")
        }
        _ => String::new(),
    }
}
