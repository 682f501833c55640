//! What Cells want to know of their member clusters and of CloudWatch, kept
//! by one task for each question: a pass over a Cell takes the last answer and
//! never waits, so that a dead cluster holds up no rollback (H-57). A new
//! answer wakes the Cell.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures::StreamExt as _;
use futures::channel::mpsc::UnboundedSender;
use jiff::Timestamp;
use k8s_openapi::api::core::v1::Secret;
use kube::core::{ApiResource, DynamicObject, GroupVersionKind};
use kube::runtime::reflector::ObjectRef;
use kube::runtime::watcher::{self, Event, watcher};
use kube::{Api, Client, ResourceExt as _};
use okra_api::Lenient;
use okra_api::cell::Cell;
use okra_aws::{Region, Scope};
use okra_domain::TargetGroupArn;
use okra_domain::cell::WorkloadReference;
use tokio_util::sync::{CancellationToken, DropGuard};

use super::jobs::Jobs;
use super::quiet::{self, Traffic};
use super::readiness::{Readiness, readiness, resource_of};
use crate::Context;
use crate::chain::chain;
use crate::failure::Retries;
use crate::members::client_of;

/// First wait before a question is asked again that could not be answered.
const RETRY_FIRST: Duration = Duration::from_secs(1);
/// Longest such wait.
const RETRY_LONGEST: Duration = Duration::from_secs(60);

/// Namespace and name of a Cell.
pub type CellKey = (String, String);

/// One thing that a Cell wants to know.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Question {
    /// Whether a workload of a member cluster is ready.
    Workload {
        /// Name of the cluster's secret.
        cluster: String,
        /// Kind, namespace, name.
        workload: (String, String, String),
    },
    /// How many Jobs and Pods of a member cluster are not finished.
    Unfinished {
        /// Name of the cluster's secret.
        cluster: String,
        /// Namespace in the member cluster.
        namespace: String,
        /// Label selector.
        selector: String,
    },
    /// Since when a target group has had no request.
    Quiet {
        /// Value of the metric dimension `LoadBalancer`.
        load_balancer: String,
        /// The target group.
        target_group: TargetGroupArn,
        /// How long no request must come, in seconds.
        quiet_seconds: u64,
    },
}

impl Question {
    fn cluster(&self) -> Option<&str> {
        match self {
            Self::Workload { cluster, .. } | Self::Unfinished { cluster, .. } => Some(cluster),
            Self::Quiet { .. } => None,
        }
    }
}

/// What is known.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// Of a workload.
    Workload(Readiness),
    /// The Jobs and Pods of a gate.
    Jobs(Jobs),
    /// No request since.
    QuietSince(Timestamp),
    /// The cluster or CloudWatch did not say.
    Unknown(String),
}

/// All questions of all Cells.
pub struct Lookout {
    context: Context,
    asked: Mutex<BTreeMap<(CellKey, Question), Asked>>,
    wake: UnboundedSender<ObjectRef<Lenient<Cell>>>,
}

struct Asked {
    /// The credentials that it was begun with.
    secret_version: Option<String>,
    answer: Arc<Mutex<Option<Answer>>>,
    /// Ends the task with this entry.
    _stop: DropGuard,
}

impl Lookout {
    /// No question is asked yet; Cells with news are sent to `wake`.
    pub fn new(context: Context, wake: UnboundedSender<ObjectRef<Lenient<Cell>>>) -> Self {
        Self { context, asked: Mutex::default(), wake }
    }

    /// The last answers to these questions of a Cell, and no others: what it
    /// asked before and does not any more is given up. `secrets` are the
    /// versions of the cluster secrets; a changed one is logged in with anew.
    pub fn ask(
        &self,
        cell: &CellKey,
        questions: &BTreeSet<Question>,
        secrets: &BTreeMap<String, Option<String>>,
    ) -> BTreeMap<Question, Answer> {
        let mut asked = self.asked.lock().unwrap_or_else(PoisonError::into_inner);
        asked.retain(|(of, question), _| of != cell || questions.contains(question));
        let mut answers = BTreeMap::new();
        for question in questions {
            let version = question.cluster().and_then(|cluster| secrets.get(cluster).cloned().flatten());
            let key = (cell.clone(), question.clone());
            if asked.get(&key).is_none_or(|known| known.secret_version != version) {
                asked.insert(key.clone(), self.begin(cell, question, version));
            }
            let answer = &asked[&key].answer;
            let answer = answer.lock().unwrap_or_else(PoisonError::into_inner).clone();
            answers.extend(answer.map(|answer| (question.clone(), answer)));
        }
        answers
    }

    /// Whether a question has no answer yet.
    pub fn is_waiting(&self) -> bool {
        let asked = self.asked.lock().unwrap_or_else(PoisonError::into_inner);
        asked.values().any(|one| one.answer.lock().unwrap_or_else(PoisonError::into_inner).is_none())
    }

    /// Gives up everything that a Cell asked.
    pub fn forget(&self, cell: &CellKey) {
        let mut asked = self.asked.lock().unwrap_or_else(PoisonError::into_inner);
        asked.retain(|(of, _), _| of != cell);
    }

    fn begin(&self, cell: &CellKey, question: &Question, secret_version: Option<String>) -> Asked {
        let stop = CancellationToken::new();
        let answer = Arc::default();
        let task = Task {
            context: self.context.clone(),
            namespace: cell.0.clone(),
            question: question.clone(),
            answer: Arc::clone(&answer),
            cell: ObjectRef::new(&cell.1).within(&cell.0),
            wake: self.wake.clone(),
        };
        let ended = stop.clone();
        tokio::spawn(async move { ended.run_until_cancelled(task.run()).await });
        Asked { secret_version, answer, _stop: stop.drop_guard() }
    }
}

/// Answers one question until it is stopped.
struct Task {
    context: Context,
    namespace: String,
    question: Question,
    answer: Arc<Mutex<Option<Answer>>>,
    cell: ObjectRef<Lenient<Cell>>,
    wake: UnboundedSender<ObjectRef<Lenient<Cell>>>,
}

impl Task {
    async fn run(self) {
        let mut retries = Retries::new(RETRY_FIRST, RETRY_LONGEST);
        loop {
            let begun = self.context.clock.monotonic();
            let failure = match &self.question {
                Question::Workload { cluster, workload } => self.follow_workload(cluster, workload).await,
                Question::Unfinished { cluster, namespace, selector } => {
                    self.follow_jobs(cluster, namespace, selector).await
                }
                Question::Quiet { load_balancer, target_group, quiet_seconds } => {
                    self.follow_traffic(load_balancer, target_group, *quiet_seconds).await
                }
            };
            tracing::debug!(cell = %self.cell, question = ?self.question, failure, "a question is asked again");
            self.publish(Answer::Unknown(failure));
            let wait = retries.after(self.context.clock.monotonic() - begun);
            self.context.clock.sleep(self.context.entropy.jitter(wait, 0.2)).await;
        }
    }

    fn publish(&self, news: Answer) {
        let mut answer = self.answer.lock().unwrap_or_else(PoisonError::into_inner);
        if answer.as_ref() == Some(&news) {
            return;
        }
        *answer = Some(news);
        drop(answer);
        // Without a receiver the controller has ended, and this task ends with it.
        let _ = self.wake.unbounded_send(self.cell.clone());
    }

    async fn client(&self, cluster: &str) -> Result<Client, String> {
        let secrets: Api<Secret> = self.context.namespaced(&self.namespace);
        let secret = secrets.get(cluster).await.map_err(|error| chain(&error))?;
        client_of(&self.context, &secret).await
    }

    /// Why it ended.
    async fn follow_workload(
        &self,
        cluster: &str,
        (kind, namespace, name): &(String, String, String),
    ) -> String {
        let reference =
            WorkloadReference { kind: kind.clone(), namespace: namespace.clone(), name: name.clone() };
        let client = match (resource_of(&reference), self.client(cluster).await) {
            (Ok(resource), Ok(client)) => Api::namespaced_with(client, namespace, &resource),
            (Err(message), _) | (_, Err(message)) => return message,
        };
        let config = watcher::Config::default().fields(&format!("metadata.name={name}"));
        self.follow(vec![(kind.as_str(), client, config)], |objects| {
            let found = objects.values().next();
            Answer::Workload(found.map_or_else(
                || Readiness::missing("it is not there"),
                |(kind, object)| readiness(kind, object),
            ))
        })
        .await
    }

    /// Why it ended.
    async fn follow_jobs(&self, cluster: &str, namespace: &str, selector: &str) -> String {
        let client = match self.client(cluster).await {
            Ok(client) => client,
            Err(message) => return message,
        };
        let config = || watcher::Config::default().labels(selector);
        let of = |group: &str, kind: &str, plural: &str| {
            let resource =
                ApiResource::from_gvk_with_plural(&GroupVersionKind::gvk(group, "v1", kind), plural);
            Api::namespaced_with(client.clone(), namespace, &resource)
        };
        let watches =
            vec![("Job", of("batch", "Job", "jobs"), config()), ("Pod", of("", "Pod", "pods"), config())];
        self.follow(watches, |objects| {
            Answer::Jobs(Jobs::of(objects.values().map(|(kind, object)| (*kind, object))))
        })
        .await
    }

    /// Follows some watches, and answers once all are listed.
    async fn follow(
        &self,
        watches: Vec<(&str, Api<DynamicObject>, watcher::Config)>,
        answer: impl Fn(&Objects<'_>) -> Answer,
    ) -> String {
        let mut unlisted: BTreeSet<&str> = watches.iter().map(|(kind, ..)| *kind).collect();
        let streams = watches
            .into_iter()
            .map(|(kind, api, config)| watcher(api, config).map(move |event| (kind, event)).boxed());
        let mut events = futures::stream::select_all(streams);
        let mut objects = Objects::new();
        while let Some((kind, event)) = events.next().await {
            match event {
                Ok(Event::Init) => objects.retain(|(of, _), _| *of != kind),
                Ok(Event::InitApply(object) | Event::Apply(object)) => {
                    objects.insert((kind, object.name_any()), (kind, object));
                }
                Ok(Event::Delete(object)) => {
                    objects.remove(&(kind, object.name_any()));
                }
                Ok(Event::InitDone) => {
                    unlisted.remove(kind);
                }
                Err(error) => return chain(&error),
            }
            if unlisted.is_empty() {
                self.publish(answer(&objects));
            }
        }
        "the watch ended".to_owned()
    }

    /// Why it ended.
    async fn follow_traffic(
        &self,
        load_balancer: &str,
        target_group: &TargetGroupArn,
        quiet_seconds: u64,
    ) -> String {
        let scope = Scope::own(Region::new(target_group.region()));
        let traffic = Traffic { load_balancer, target_group: target_group.dimension(), quiet_seconds };
        let mut known = None;
        loop {
            let delay = self.context.settings.metric_delay;
            let (window, queries) = traffic.query(self.context.clock.now(), delay);
            let series = match self.context.cloudwatch.query(&scope, window, &queries).await {
                Ok(series) => series,
                Err(error) => return error.to_string(),
            };
            match quiet::since(&series, window, known) {
                Ok(since) => {
                    known = Some(since);
                    self.publish(Answer::QuietSince(quiet::as_far_as_seen(since, delay)));
                }
                Err(message) => self.publish(Answer::Unknown(message)),
            }
            self.context.clock.sleep(self.context.entropy.jitter(quiet::PERIOD, 0.1)).await;
        }
    }
}

/// Objects of some kinds by kind and name.
type Objects<'a> = BTreeMap<(&'a str, String), (&'a str, DynamicObject)>;
