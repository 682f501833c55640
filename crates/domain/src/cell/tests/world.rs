//! A small world for tests: a Cell, its objects and a load balancer in
//! memory. Plans are carried out write by write, so that a test can stop in
//! between.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};
use serde_json::json;

use crate::cell::*;
use crate::{Phase, Reason, RolloutId, ServedVersion, Version, Weight};

/// The account and region of all target groups.
const ARN: &str = "arn:aws:elasticloadbalancing:eu-west-1:123456789012:targetgroup";

/// A Cell and everything it sees.
#[derive(Clone, Debug)]
pub(crate) struct World {
    pub observed: Observed,
    pub now: Timestamp,
    /// Healthy targets per target group once attached; 2 where not named.
    pub health: BTreeMap<String, u32>,
    /// Set: the load balancer reports health, and 0 for what is not attached.
    pub reports_health: bool,
}

/// `a1` is of 1.0.0, `b1` of 2.0.0, and so on.
pub(crate) fn version_of(name: &str) -> Version {
    let letter = name.bytes().next().expect("a name");
    Version::new(u64::from(letter - b'a') + 1, 0, 0)
}

pub(crate) fn v(major: u64) -> Version {
    Version::new(major, 0, 0)
}

pub(crate) fn served(major: u64) -> Option<ServedVersion> {
    Some(ServedVersion::Known(v(major)))
}

pub(crate) fn arn(name: &str) -> String {
    format!("{ARN}/{name}/0123456789abcdef")
}

pub(crate) fn group(name: &str) -> TargetGroup {
    TargetGroup {
        name: name.to_owned(),
        arn: arn(name).parse(),
        version: Ok(version_of(name)),
        selected: true,
        deleting: false,
        created_at: Some(start() - SignedDuration::from_hours(1)),
        healthy_targets: Some(2),
        registered_targets: Some(2),
        cluster: Some(format!("cluster-{name}")),
        retirement: None,
    }
}

pub(crate) fn start() -> Timestamp {
    "2026-11-21T10:00:00Z".parse().expect("a timestamp")
}

pub(crate) fn listener(priority: u32) -> ListenerPart {
    ListenerPart { value: json!({"listener": {"rule": {"priority": priority}}}), stickiness_seconds: None }
}

pub(crate) fn canary(steps: Vec<Step>) -> Steps {
    Steps::canary(steps, Some(WeightMode::Absolute), WeightMode::Absolute)
}

pub(crate) fn analysis() -> Step {
    Step::Analysis(json!({"templates": [{"templateName": "errors"}]}))
}

/// `[20, analysis, 40]`, the steps of the table in 3.4.2.
pub(crate) fn table_steps() -> Steps {
    canary(vec![Step::SetWeight(20), analysis(), Step::SetWeight(40)])
}

impl World {
    /// A Cell without target groups; nothing settles unless a test says so.
    pub(crate) fn new(replicas: u32, steps: Steps) -> Self {
        let spec =
            Spec { listener: Some(listener(10)), replicas, steps, settle_seconds: 0, ..Spec::default() };
        let cell = CellIdentity {
            namespace: "default".into(),
            name: "web".into(),
            uid: "uid-web".into(),
            generation: 1,
            deleting: false,
        };
        let observed = Observed {
            cell,
            spec,
            status: Status::default(),
            target_groups: Vec::new(),
            config: None,
            live_rule: None,
            blocklist: Vec::new(),
            components: Vec::new(),
            workloads: Vec::new(),
            command: None,
            incomplete: Vec::new(),
        };
        Self { observed, now: start(), health: BTreeMap::new(), reports_health: false }
    }

    /// The situation of a table row: stable recorded, config confirmed.
    pub(crate) fn serving(
        replicas: u32,
        steps: Steps,
        stable: u64,
        config: &[(&str, Weight)],
        known: &[&str],
    ) -> Self {
        let mut world = Self::new(replicas, steps);
        world.know(known);
        world.configure(config);
        world.observed.status.stable_version = served(stable);
        world
    }

    /// Replaces the AWSTargetGroups.
    pub(crate) fn know(&mut self, names: &[&str]) {
        self.observed.target_groups = names.iter().map(|name| group(name)).collect();
    }

    pub(crate) fn add(&mut self, name: &str) {
        self.observed.target_groups.push(group(name));
    }

    pub(crate) fn remove(&mut self, name: &str) {
        self.observed.target_groups.retain(|group| group.name != name);
    }

    pub(crate) fn group_mut(&mut self, name: &str) -> &mut TargetGroup {
        self.observed.target_groups.iter_mut().find(|group| group.name == name).expect("a known target group")
    }

    /// A config of the Cell with these weights, confirmed by AWS.
    pub(crate) fn configure(&mut self, entries: &[(&str, Weight)]) {
        let entries = entries
            .iter()
            .map(|(name, weight)| ConfigEntry { name: (*name).to_owned(), arn: arn(name), weight: *weight })
            .collect();
        self.observed.config = Some(Config {
            ownership: Ownership::Owned,
            generation: 1,
            listener: listener(10),
            entries,
            overwrite: None,
            deletion_policy: DeletionPolicy::Retain,
            status: ConfigStatus::default(),
        });
        self.confirm();
    }

    pub(crate) fn config(&mut self) -> &mut Config {
        self.observed.config.as_mut().expect("a config")
    }

    /// The rollout to `major` stands at `index`.
    pub(crate) fn rolling(mut self, major: u64, index: usize) -> Self {
        let status = &mut self.observed.status;
        status.desired_version = served(major);
        status.rollout_id = Some(RolloutId::recorded("r1"));
        status.current_step_index = Some(index);
        status.phase = Some(Phase::Progressing);
        self
    }

    pub(crate) fn spec(mut self, change: impl FnOnce(&mut Spec)) -> Self {
        change(&mut self.observed.spec);
        self
    }

    pub(crate) fn block(&mut self, major: u64) {
        self.observed.blocklist.push(BlockedVersion { version: v(major), cause: "bad".into() });
    }

    pub(crate) fn wait(&mut self, seconds: i64) {
        self.now += SignedDuration::from_secs(seconds);
    }

    pub(crate) fn plan(&self) -> Plan {
        plan(&self.observed, self.now)
    }

    /// Plans and carries the whole plan out.
    pub(crate) fn pass(&mut self) -> Plan {
        let plan = self.plan();
        self.carry_out(&plan, usize::MAX);
        plan
    }

    /// Plans, carries out and lets AWS confirm, until nothing is written.
    pub(crate) fn run(&mut self) -> Plan {
        for _ in 0..50 {
            let plan = self.plan();
            if plan.is_idle(&self.observed.status) && self.is_confirmed() {
                return plan;
            }
            self.carry_out(&plan, usize::MAX);
            self.confirm();
        }
        panic!("no rest within 50 passes: {:#?}", self.plan());
    }

    fn is_confirmed(&self) -> bool {
        self.observed.config.as_ref().is_none_or(|config| {
            config.status.observed_generation == Some(config.generation) || config.status.drift.is_some()
        })
    }

    /// Carries out at most `limit` writes in the order that `Plan` states.
    /// True when that was all.
    pub(crate) fn carry_out(&mut self, plan: &Plan, limit: usize) -> bool {
        let mut left = limit;
        let mut may_write = || {
            let may = left > 0;
            left = left.saturating_sub(1);
            may
        };
        for version in &plan.unblock {
            if !may_write() {
                return false;
            }
            self.observed.blocklist.retain(|item| item.version != *version);
        }
        if plan.status_first {
            if !may_write() {
                return false;
            }
            self.observed.status = plan.status.clone();
        }
        if let Some(write) = &plan.config {
            if !may_write() {
                return false;
            }
            self.write_config(write);
        }
        for component in &plan.create {
            if !may_write() {
                return false;
            }
            self.create(component);
        }
        for name in plan.terminate.iter().chain(&plan.delete) {
            if !may_write() {
                return false;
            }
            let delete = plan.delete.contains(name);
            for component in
                self.observed.components.iter_mut().filter(|component| component.name == name.name)
            {
                component.terminating = true;
            }
            self.observed.components.retain(|component| !delete || component.name != name.name);
        }
        for block in &plan.block {
            if !may_write() {
                return false;
            }
            if !self.observed.blocklist.iter().any(|item| item.version == block.version) {
                self.observed
                    .blocklist
                    .push(BlockedVersion { version: block.version.clone(), cause: block.message.clone() });
            }
        }
        if !plan.status_first && plan.status != self.observed.status {
            if !may_write() {
                return false;
            }
            self.observed.status = plan.status.clone();
        }
        true
    }

    fn write_config(&mut self, write: &ConfigWrite) {
        let entries = write
            .entries
            .iter()
            .map(|entry| ConfigEntry {
                name: entry.name.clone(),
                arn: entry.arn.clone(),
                weight: entry.weight,
            })
            .collect();
        let before = self.observed.config.take();
        assert_eq!(before.is_none(), write.create);
        self.observed.config = Some(Config {
            ownership: Ownership::Owned,
            generation: before.as_ref().map_or(1, |before| before.generation + 1),
            listener: write.listener.clone(),
            entries,
            overwrite: write.overwrite.clone(),
            deletion_policy: write.deletion_policy,
            status: before.map(|before| before.status).unwrap_or_default(),
        });
    }

    fn create(&mut self, new: &NewComponent) {
        if self.observed.components.iter().any(|component| component.name == new.name) {
            return;
        }
        let (expires_at, indefinite) = match new.body {
            NewComponentBody::Pause { expires_at } => (expires_at, expires_at.is_none()),
            NewComponentBody::AnalysisRun | NewComponentBody::Experiment => (None, false),
        };
        self.observed.components.push(Component {
            expires_at,
            indefinite,
            rollout_id: Some(new.rollout_id.clone()),
            created_at: Some(self.now),
            ..component(new.kind(), &new.name, new.step)
        });
    }

    /// The load balancer controller: AWS takes the config over and shows it.
    pub(crate) fn confirm(&mut self) {
        let now = self.now;
        let Some(config) = self.observed.config.as_mut() else { return };
        if let Some(drift) = &config.status.drift {
            let released = match &config.overwrite {
                Some(Overwrite::Always) => true,
                Some(Overwrite::Drift(id)) => *id == drift.id,
                None => false,
            };
            if !released {
                return;
            }
            config.status.drift = None;
        }
        let shown: Vec<(String, Weight)> =
            config.status.target_groups.iter().map(|group| (group.arn.clone(), group.weight)).collect();
        let asked: Vec<(String, Weight)> =
            config.entries.iter().map(|entry| (entry.arn.clone(), entry.weight)).collect();
        if shown != asked {
            config.status.weights_since = Some(now);
        }
        let before = std::mem::take(&mut config.status.target_groups);
        config.status.target_groups = config
            .entries
            .iter()
            .map(|entry| {
                let healthy = self.health.get(&entry.name).copied().unwrap_or(2);
                let since = before
                    .iter()
                    .find(|group| group.arn == entry.arn)
                    .and_then(|group| group.unhealthy_since);
                ReportedTargetGroup {
                    arn: entry.arn.clone(),
                    weight: entry.weight,
                    healthy_targets: Some(healthy),
                    unhealthy_since: (healthy == 0).then(|| since.unwrap_or(now)),
                }
            })
            .collect();
        config.status.phase = Some(ConfigPhase::Updated);
        config.status.observed_generation = Some(config.generation);
        if self.reports_health {
            self.report_health();
        }
    }

    fn report_health(&mut self) {
        let attached: Vec<String> = self
            .observed
            .config
            .iter()
            .flat_map(|config| config.entries.iter().map(|entry| entry.arn.clone()))
            .collect();
        for group in &mut self.observed.target_groups {
            let is_attached =
                group.arn.as_ref().is_ok_and(|arn| attached.iter().any(|entry| entry == arn.as_str()));
            let healthy = self.health.get(&group.name).copied().unwrap_or(2);
            group.healthy_targets = Some(if is_attached { healthy } else { 0 });
        }
    }

    /// The analysis controller (or a human) gives every open run of this step
    /// its phase.
    pub(crate) fn judge(&mut self, step: StepReference, phase: ComponentPhase, message: &str) {
        let open = self.observed.components.iter_mut().filter(|component| {
            component.kind != ComponentKind::Pause
                && component.step == Some(step)
                && !component.phase.is_terminal()
        });
        let mut judged = 0;
        for component in open {
            component.phase = phase;
            component.message = message.to_owned();
            judged += 1;
        }
        assert!(judged > 0, "no open run at step {step}");
    }

    /// A command given now.
    pub(crate) fn command(&mut self, id: &str, verb: Verb) -> &mut Command {
        let command = Command {
            id: id.to_owned(),
            verb: Ok(verb),
            rollout_id: None,
            step: None,
            version: None,
            by: Some("alice".into()),
            reason: Some("because".into()),
            at: Some(self.now),
        };
        self.observed.command = Some(CommandObservation::Command(command));
        match &mut self.observed.command {
            Some(CommandObservation::Command(command)) => command,
            _ => unreachable!("just set"),
        }
    }

    /// Something else wrote these weights to AWS.
    pub(crate) fn drift(&mut self, id: &str, found: &[(&str, Weight)]) {
        let target_groups = found
            .iter()
            .map(|(name, weight)| ConfigEntry { name: String::new(), arn: arn(name), weight: *weight })
            .collect();
        let drift = Drift { id: id.to_owned(), seen_at: Some(self.now), target_groups };
        self.config().status.drift = Some(drift);
    }

    /// Weights of the config, without the zeros.
    pub(crate) fn weights(&self) -> Vec<(String, Weight)> {
        let config = self.observed.config.as_ref().expect("a config");
        let mut weights: Vec<(String, Weight)> =
            config.entries.iter().map(|entry| (entry.name.clone(), entry.weight)).collect();
        weights.retain(|(_, weight)| *weight > 0);
        weights
    }
}

/// A run of the Cell, pending.
pub(crate) fn component(kind: ComponentKind, name: &str, step: StepReference) -> Component {
    Component {
        kind,
        name: name.to_owned(),
        owner_uid: Some("uid-web".into()),
        rollout_id: Some(RolloutId::recorded("r1")),
        step: Some(step),
        deleting: false,
        phase: ComponentPhase::Pending,
        message: String::new(),
        value: None,
        created_at: Some(start()),
        expires_at: None,
        indefinite: false,
        endless: false,
        terminating: false,
    }
}

/// Planned weights, all of them.
pub(crate) fn all(plan: &Plan) -> Vec<(&str, Weight)> {
    plan.entries.iter().map(|entry| (entry.name.as_str(), entry.weight)).collect()
}

/// Planned weights without the zeros.
pub(crate) fn serving(plan: &Plan) -> Vec<(&str, Weight)> {
    all(plan).into_iter().filter(|(_, weight)| *weight > 0).collect()
}

/// The reasons of a plan.
pub(crate) fn reasons(plan: &Plan) -> Vec<Reason> {
    plan.reasons.iter().map(|reason| reason.reason).collect()
}

/// Whether a condition is `True`.
pub(crate) fn holds(plan: &Plan, kind: crate::ConditionType) -> bool {
    plan.status.condition(kind).is_some_and(|condition| condition.status)
}
