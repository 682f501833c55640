//! What the member clusters say, by watch: one task a cluster keeps its
//! bindings, so that a new TargetGroupBinding is known within the time of one
//! event, and one dead cluster holds up nobody (H-57).

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures::stream::{BoxStream, SelectAll};
use futures::{StreamExt as _, TryStreamExt as _};
use k8s_openapi::api::core::v1::Secret;
use kube::core::{ApiResource, DynamicObject};
use kube::runtime::watcher::{self, Event, watcher};
use kube::{Api, Client, ResourceExt as _};
use okra_api::foreign::cluster_secret::ClusterSecret;
use okra_api::foreign::target_group_binding;
use tokio::sync::Notify;
use tokio_util::sync::{CancellationToken, DropGuard};

use super::plan::{Binding, Unreachable};
use crate::Context;
use crate::chain::chain;
use crate::failure::Retries;

/// First wait before an unreachable cluster is tried again.
const RETRY_FIRST: Duration = Duration::from_secs(1);
/// Longest such wait, where the sync period is not shorter: a cluster that
/// comes back, or lets okra in, is seen within one of them (SC-12).
const RETRY_LONGEST: Duration = Duration::from_secs(60);
/// Wait before a list that is empty where bindings were known is believed
/// (`spec/okra.md` 3.2.5-1).
const EMPTY_CONFIRMED_AFTER: Duration = Duration::from_secs(10);

/// What one cluster said last; `None` until it has said anything.
type View = Arc<Mutex<Option<Result<Vec<Binding>, Unreachable>>>>;

/// Watches of all member clusters in use.
pub struct Members {
    context: Context,
    watched: Mutex<BTreeMap<Key, Watched>>,
    changed: Arc<Notify>,
}

/// Namespace and name of a cluster secret.
type Key = (String, String);

struct Watched {
    /// The credentials that the watch was begun with.
    secret_version: Option<String>,
    view: View,
    /// Ends the watch with this entry.
    _stop: DropGuard,
}

impl Members {
    /// No cluster is watched yet.
    pub fn new(context: Context) -> Self {
        Self { context, watched: Mutex::default(), changed: Arc::default() }
    }

    /// Completes when any cluster has said something new.
    pub async fn changed(&self) {
        self.changed.notified().await;
    }

    /// What a cluster said last. Begins to watch it at the first call, and
    /// anew when its secret has changed; `None` until it has answered.
    pub fn bindings(&self, secret: &Secret) -> Option<Result<Vec<Binding>, Unreachable>> {
        let key = (secret.namespace().unwrap_or_default(), secret.name_any());
        let mut watched = self.watched.lock().unwrap_or_else(PoisonError::into_inner);
        let entry =
            watched.get(&key).filter(|entry| entry.secret_version == secret.metadata.resource_version);
        let view = match entry {
            Some(entry) => entry.view.clone(),
            None => {
                // What the old login has seen stays true until the new one has looked.
                let known = watched.get(&key).and_then(|entry| read(&entry.view));
                let entry = self.begin(secret, known);
                let view = entry.view.clone();
                watched.insert(key, entry);
                view
            }
        };
        read(&view)
    }

    /// Ends the watches of clusters that no set selects any more.
    pub fn keep_only(&self, namespace: &str, names: &dyn Fn(&str) -> bool) {
        let mut watched = self.watched.lock().unwrap_or_else(PoisonError::into_inner);
        watched.retain(|(own, name), _| own != namespace || names(name));
    }

    fn begin(&self, secret: &Secret, known: Option<Result<Vec<Binding>, Unreachable>>) -> Watched {
        let stop = CancellationToken::new();
        let view: View = Arc::new(Mutex::new(known));
        let watch = Watch {
            context: self.context.clone(),
            secret: secret.clone(),
            view: view.clone(),
            changed: self.changed.clone(),
        };
        let ended = stop.clone();
        tokio::spawn(async move { ended.run_until_cancelled(watch.run()).await });
        Watched { secret_version: secret.metadata.resource_version.clone(), view, _stop: stop.drop_guard() }
    }
}

fn read(view: &View) -> Option<Result<Vec<Binding>, Unreachable>> {
    view.lock().unwrap_or_else(PoisonError::into_inner).clone()
}

/// The watch of one cluster.
struct Watch {
    context: Context,
    secret: Secret,
    view: View,
    changed: Arc<Notify>,
}

impl Watch {
    /// Each connection begins with a list, so that "reachable" always means
    /// "all bindings are known".
    async fn run(self) {
        let longest = RETRY_LONGEST.min(self.context.settings.sync_period);
        let mut retries = Retries::new(RETRY_FIRST, longest);
        loop {
            let begun = self.context.clock.monotonic();
            let failure = match self.connect().await {
                Ok(streams) => self.follow(streams).await,
                Err(unreachable) => unreachable,
            };
            self.publish(Err(failure));
            let wait = retries.after(self.context.clock.monotonic() - begun);
            self.context.clock.sleep(self.context.entropy.jitter(wait, 0.2)).await;
        }
    }

    fn publish(&self, news: Result<Vec<Binding>, Unreachable>) {
        let mut view = self.view.lock().unwrap_or_else(PoisonError::into_inner);
        if view.as_ref() != Some(&news) {
            *view = Some(news);
            drop(view);
            self.changed.notify_one();
        }
    }

    /// A stream for each group in which the cluster serves the kind.
    async fn connect(&self) -> Result<Streams, Unreachable> {
        let told = |message: String| Unreachable { message };
        let cluster = ClusterSecret::from_secret(&self.secret).map_err(|error| told(error.to_string()))?;
        let client = self.context.members.client(&cluster).await.map_err(|error| told(chain(&error)))?;
        let mut streams = Streams::default();
        for resource in target_group_binding::api_resources() {
            let served = match serves(&client, &resource).await {
                Ok(served) => served,
                Err(error) => return Err(told(self.explain(&cluster, &error).await)),
            };
            if served {
                let group = streams.groups;
                let api: Api<DynamicObject> = Api::all_with(client.clone(), &resource);
                let events = watcher(api, watcher::Config::default());
                streams.events.push(events.map_ok(move |event| (group, event)).boxed());
                streams.groups += 1;
            }
        }
        if streams.groups == 0 {
            return Err(told("the cluster does not serve TargetGroupBinding".to_owned()));
        }
        Ok(streams)
    }

    /// A refused login comes with the command that grants access (SC-12).
    async fn explain(&self, cluster: &ClusterSecret, error: &kube::Error) -> String {
        let text = chain(error);
        let denied = matches!(error, kube::Error::Api(status) if status.code == 403 || status.code == 401);
        let Some(aws) = cluster.config.aws_auth_config.as_ref().filter(|_| denied) else { return text };
        let principal = self.context.members.principal(cluster).await;
        let principal = principal.unwrap_or_else(|| "ARN_OF_OKRAS_ROLE".to_owned());
        let region = cluster.region.as_ref().map(|region| format!(" --region {region}")).unwrap_or_default();
        // With an entry it is the group that must be allowed to read.
        let bound = match error {
            kube::Error::Api(status) if status.code == 403 => {
                "; the group okra:reader must be bound to a ClusterRole that may list targetgroupbindings"
            }
            _ => "",
        };
        format!(
            "{text}; to let okra in: aws eks create-access-entry --cluster-name {} --principal-arn {principal} \
             --kubernetes-groups okra:reader{region}{bound}",
            aws.cluster_name
        )
    }

    async fn follow(&self, mut streams: Streams) -> Unreachable {
        let mut seen = Seen::new(streams.groups);
        while let Some(event) = streams.events.next().await {
            match event {
                Ok((group, event)) => seen.take(group, event),
                Err(error) => return Unreachable { message: chain(&error) },
            }
            let Some(bindings) = seen.complete() else { continue };
            if bindings.is_empty()
                && matches!(read(&self.view), Some(Ok(known)) if !known.is_empty())
                && seen.relisted
            {
                // Perhaps a server that has lost its data: it must say so twice.
                self.context.clock.sleep(EMPTY_CONFIRMED_AFTER).await;
                match self.connect().await {
                    Ok(again) => streams = again,
                    Err(unreachable) => return unreachable,
                }
                seen = Seen::new(streams.groups);
                seen.confirmed_empty = true;
                continue;
            }
            self.publish(Ok(bindings));
        }
        Unreachable { message: "the watch ended".to_owned() }
    }
}

/// What a watch tells, with the place of its group.
type WatchResult = Result<(usize, Event<DynamicObject>), watcher::Error>;

#[derive(Default)]
struct Streams {
    events: SelectAll<BoxStream<'static, WatchResult>>,
    groups: usize,
}

/// Whether a cluster serves the kind in this group, and lets okra list it. A
/// group that is not served is told by discovery, which is open to everybody:
/// asked for its objects, a cluster would say `Forbidden`.
async fn serves(client: &Client, resource: &ApiResource) -> Result<bool, kube::Error> {
    match client.list_api_group_resources(&resource.api_version).await {
        Ok(served) if !served.resources.iter().any(|one| one.name == resource.plural) => return Ok(false),
        Err(kube::Error::Api(status)) if status.code == 404 => return Ok(false),
        // Discovery may be closed to okra all the same; the list below decides.
        _ => {}
    }
    let api: Api<DynamicObject> = Api::all_with(client.clone(), resource);
    match api.list_metadata(&kube::api::ListParams::default().limit(1)).await {
        Ok(_) => Ok(true),
        Err(kube::Error::Api(status)) if status.code == 404 => Ok(false),
        Err(error) => Err(error),
    }
}

/// The bindings of each group, as the watch has told them.
struct Seen {
    groups: Vec<Group>,
    /// Whether the last event ended a list.
    relisted: bool,
    /// An empty list was seen before this connection, and believed.
    confirmed_empty: bool,
}

#[derive(Default)]
struct Group {
    listed: bool,
    bindings: BTreeMap<(String, String), Binding>,
}

impl Seen {
    fn new(groups: usize) -> Self {
        Self {
            groups: (0..groups).map(|_| Group::default()).collect(),
            relisted: false,
            confirmed_empty: false,
        }
    }

    fn take(&mut self, group: usize, event: Event<DynamicObject>) {
        let group = &mut self.groups[group];
        self.relisted = false;
        match event {
            Event::Init => *group = Group::default(),
            Event::InitApply(object) | Event::Apply(object) => {
                let key = (object.namespace().unwrap_or_default(), object.name_any());
                group.bindings.insert(key, binding(&object));
            }
            Event::Delete(object) => {
                group.bindings.remove(&(object.namespace().unwrap_or_default(), object.name_any()));
            }
            Event::InitDone => {
                group.listed = true;
                self.relisted = !self.confirmed_empty;
            }
        }
    }

    /// All bindings, once every group is listed.
    fn complete(&self) -> Option<Vec<Binding>> {
        if !self.groups.iter().all(|group| group.listed) {
            return None;
        }
        let all: BTreeMap<_, _> = self.groups.iter().flat_map(|group| &group.bindings).collect();
        Some(all.into_values().cloned().collect())
    }
}

fn binding(object: &DynamicObject) -> Binding {
    Binding {
        namespace: object.namespace().unwrap_or_default(),
        name: object.name_any(),
        labels: object.labels().clone(),
        arn: object.data["spec"]["targetGroupARN"].as_str().filter(|arn| !arn.is_empty()).map(str::to_owned),
        deleting: object.metadata.deletion_timestamp.is_some(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn object(name: &str, arn: Option<&str>) -> DynamicObject {
        let metadata = json!({"name": name, "namespace": "default", "labels": {"role": "web"}});
        serde_json::from_value(json!({"metadata": metadata, "spec": {"targetGroupARN": arn}})).unwrap()
    }

    #[test]
    fn nothing_is_known_until_every_group_is_listed() {
        let mut seen = Seen::new(2);
        for event in [Event::Init, Event::InitApply(object("a", Some("arn:a"))), Event::InitDone] {
            seen.take(0, event);
        }
        assert_eq!(seen.complete(), None);
        seen.take(1, Event::Init);
        seen.take(1, Event::InitDone);
        assert_eq!(seen.complete().map(|bindings| bindings.len()), Some(1));
        seen.take(1, Event::Apply(object("b", None)));
        seen.take(0, Event::Delete(object("a", None)));
        let bindings = seen.complete().unwrap();
        assert_eq!((bindings[0].name.as_str(), &bindings[0].arn), ("b", &None));
        assert!(!seen.relisted, "a deletion is no empty list");
    }
}
