//! What a Cell has to know beside its objects: which questions it asks of its
//! member clusters and of CloudWatch, and what the answers mean to the
//! planner. Pure.

use std::collections::{BTreeMap, BTreeSet};

use okra_api::cell::{Cell, JobGate};
use okra_domain::cell::{Observed, RetirementObservation, TargetGroup, Workload};
use okra_domain::{ListenerArn, ServedVersion};

use super::lookout::{Answer, Question};

/// What is read of the cluster secrets of a namespace.
#[derive(Clone, Debug, Default)]
pub struct Secrets {
    /// Their versions, by name.
    pub versions: BTreeMap<String, Option<String>>,
    /// Those of clusters that EKS is deleting.
    pub leaving: BTreeSet<String>,
    /// Those that bear the mark of retirement.
    pub retired: BTreeSet<String>,
}

/// The questions of a Cell, with what they are asked for.
#[derive(Clone, Debug, Default)]
pub struct Questions {
    workloads: BTreeMap<Question, Workload>,
    /// By name of AWSTargetGroup.
    retirement: BTreeMap<String, Vec<Question>>,
    marked: BTreeSet<String>,
}

impl Questions {
    /// Of a Cell as it was observed. A cluster that is being deleted is not
    /// asked any more (SC-33).
    pub fn of(cell: &Cell, observed: &Observed, secrets: &Secrets) -> Self {
        let mut questions = Self::default();
        let asked = observed.target_groups.iter().filter(|group| group.selected && !group.deleting);
        for group in asked {
            let Some(cluster) = group.cluster.as_deref().filter(|name| !secrets.leaving.contains(*name))
            else {
                continue;
            };
            if is_other(group, observed.status.stable_version.as_ref()) {
                questions.add_workloads(cluster, observed);
            }
            if is_let_go(group, observed) {
                questions.add_retirement(cell, group, cluster, observed, secrets);
            }
        }
        questions
    }

    fn add_workloads(&mut self, cluster: &str, observed: &Observed) {
        for workload in &observed.spec.readiness.workloads {
            let question = Question::Workload {
                cluster: cluster.to_owned(),
                workload: (workload.kind.clone(), workload.namespace.clone(), workload.name.clone()),
            };
            let unseen = Workload {
                cluster: cluster.to_owned(),
                workload: workload.clone(),
                ready: false,
                message: String::new(),
            };
            self.workloads.insert(question, unseen);
        }
    }

    fn add_retirement(
        &mut self,
        cell: &Cell,
        group: &TargetGroup,
        cluster: &str,
        observed: &Observed,
        secrets: &Secrets,
    ) {
        if secrets.retired.contains(cluster) {
            self.marked.insert(group.name.clone());
            self.retirement.insert(group.name.clone(), vec![]);
            return;
        }
        let Some(quiet) = quiet_of(cell, group, observed) else { return };
        let gates = cell.spec.retirement_gates.iter().flat_map(|gates| &gates.jobs);
        let jobs = gates.map(|gate| unfinished(cluster, gate));
        self.retirement.insert(group.name.clone(), std::iter::once(quiet).chain(jobs).collect());
    }

    /// Whether a cluster may yet be let go: one that is marked already asks nothing.
    pub fn await_retirement(&self) -> bool {
        self.retirement.values().any(|questions| !questions.is_empty())
    }

    /// All of them.
    pub fn all(&self) -> BTreeSet<Question> {
        self.workloads.keys().chain(self.retirement.values().flatten()).cloned().collect()
    }

    /// Readiness of the workloads that were seen.
    pub fn workloads(&self, answers: &BTreeMap<Question, Answer>) -> Vec<Workload> {
        let told = self.workloads.iter().filter_map(|(question, unseen)| {
            let (ready, message) = match answers.get(question)? {
                Answer::Workload(readiness) => (readiness.ready, readiness.message.clone()),
                Answer::Unknown(message) => (false, message.clone()),
                Answer::Jobs(_) | Answer::QuietSince(_) => return None,
            };
            Some(Workload { ready, message, ..unseen.clone() })
        });
        told.collect()
    }

    /// What is known about retirement. `weighted` are the ARNs to which
    /// another config gives weight.
    pub fn retirement(
        &self,
        answers: &BTreeMap<Question, Answer>,
        observed: &Observed,
        weighted: &BTreeSet<String>,
    ) -> BTreeMap<String, RetirementObservation> {
        let arn = |name: &str| {
            let group = observed.target_groups.iter().find(|group| group.name == name)?;
            Some(group.arn.as_ref().ok()?.as_str().to_owned())
        };
        let told = self.retirement.iter().map(|(name, questions)| {
            let known = questions.iter().map(|question| answers.get(question));
            let observation = RetirementObservation {
                quiet_since: known.clone().find_map(|answer| match answer {
                    Some(Answer::QuietSince(since)) => Some(*since),
                    _ => None,
                }),
                unfinished_jobs: unfinished_jobs(questions, answers),
                notes: notes(questions, answers),
                weight_elsewhere: arn(name).is_none_or(|arn| weighted.contains(&arn)),
                marked: self.marked.contains(name),
            };
            (name.clone(), observation)
        });
        told.collect()
    }
}

/// The sum over all gates; unknown as long as one of them is.
fn unfinished_jobs(questions: &[Question], answers: &BTreeMap<Question, Answer>) -> Option<u32> {
    let gates = questions.iter().filter(|question| matches!(question, Question::Unfinished { .. }));
    gates
        .map(|question| match answers.get(question) {
            Some(Answer::Jobs(jobs)) => Some(jobs.unfinished),
            _ => None,
        })
        .try_fold(0u32, |sum, count| Some(sum.saturating_add(count?)))
}

/// What people should know of the jobs of all gates.
fn notes(questions: &[Question], answers: &BTreeMap<Question, Answer>) -> Vec<String> {
    let gates = questions.iter().filter(|question| matches!(question, Question::Unfinished { .. }));
    let told = gates.flat_map(|question| match answers.get(question) {
        Some(Answer::Jobs(jobs)) => jobs.notes.clone(),
        Some(Answer::Unknown(message)) => vec![format!("its jobs are not known: {message}")],
        _ => Vec::new(),
    });
    told.collect()
}

/// Whether a group has another version than serves.
fn is_other(group: &TargetGroup, stable: Option<&ServedVersion>) -> bool {
    let served = stable.and_then(ServedVersion::known);
    group.version.as_ref().is_ok_and(|version| served != Some(version))
}

/// Whether a group is of an older version than serves, and without weight.
fn is_let_go(group: &TargetGroup, observed: &Observed) -> bool {
    let status = &observed.status;
    let Some(stable) = status.stable_version.as_ref().and_then(ServedVersion::known) else { return false };
    let (Ok(version), Ok(arn)) = (&group.version, &group.arn) else { return false };
    let weighted = status.weights.iter().any(|entry| entry.arn == arn.as_str() && entry.weight > 0);
    version < stable && !weighted && status.rollout.is_none()
}

fn quiet_of(cell: &Cell, group: &TargetGroup, observed: &Observed) -> Option<Question> {
    let listener: ListenerArn = cell.spec.entry_point().ok()?.listener_arn().parse().ok()?;
    Some(Question::Quiet {
        load_balancer: listener.load_balancer().dimension().to_owned(),
        target_group: group.arn.as_ref().ok()?.clone(),
        quiet_seconds: observed.spec.retirement.quiet_seconds,
    })
}

fn unfinished(cluster: &str, gate: &JobGate) -> Question {
    let pairs: Vec<String> = gate.match_labels.iter().map(|(key, value)| format!("{key}={value}")).collect();
    Question::Unfinished {
        cluster: cluster.to_owned(),
        namespace: gate.namespace.clone(),
        selector: pairs.join(","),
    }
}
