//! The garbage collector: objects whose owners are gone, owners that wait for
//! their dependents (spec/apiserver.md 10.3).
//!
//! The index only says where to look. Whether an owner is gone is read from the
//! store immediately before a delete, by uid, and the delete carries the
//! dependent's uid; owners of unknown kinds count as present.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;

use super::events::Notice;
use super::graph::{Graph, Node};
use super::{Change, complain};
use crate::api::Api;
use crate::http::status::ApiError;
use crate::kinds::{Kind, Registry};
use crate::object::Object;
use crate::store::{Outcome, Revision};
use crate::write::{DeleteOptions, FOREGROUND, ORPHAN, Policy};

/// Changes taken from the log at once.
const CHANGES_AT_ONCE: usize = 1_024;

/// How long an object is kept whose owner lives in another namespace: upstream
/// collects it at once, which is no kindness to somebody who mistyped.
const MISPLACED: Duration = Duration::from_secs(3_600);

struct Collector {
    api: Arc<Api>,
    graph: Graph,
    position: Revision,
    /// Objects to look at; ordered, so that a run can be repeated.
    due: BTreeSet<Node>,
    /// Objects whose owner lives elsewhere, and since when that is known. A
    /// restart begins to count anew.
    misplaced: BTreeMap<Node, Duration>,
}

pub(super) async fn run(api: Arc<Api>) {
    let mut changed = api.store.subscribe_all();
    let mut collector = Collector {
        api: api.clone(),
        graph: Graph::default(),
        position: 0,
        due: BTreeSet::new(),
        misplaced: BTreeMap::new(),
    };
    collector.rebuild();
    loop {
        changed.mark_unchanged();
        collector.follow();
        collector.work().await;
        if collector.position < api.store.revision() {
            continue;
        }
        tokio::select! {
            biased;
            () = api.stopping.cancelled() => return,
            result = changed.changed() => if result.is_err() { return },
            () = collector.next_misplaced() => collector.look_again(),
        }
    }
}

/// What is known of one owner reference.
enum Owner {
    Present,
    Absent,
    /// It lives in another namespace, where no reference leads.
    Elsewhere,
    /// It lives in a namespace and its dependent in none: no name leads there.
    OutOfReach,
    /// Its kind is not served.
    Unresolvable,
}

impl Collector {
    /// Reads the whole store; looks at everything that has an owner.
    fn rebuild(&mut self) {
        self.graph = Graph::default();
        self.position = self.api.store.revision();
        for resource in self.api.store.resources() {
            for (name, record) in self.api.store.list(&resource, None).items {
                self.note(&resource, &name, &record.lifecycle());
            }
        }
        self.due.extend(self.graph.owned());
    }

    fn note(&mut self, resource: &crate::store::ResourceId, name: &crate::store::ObjectName, object: &Value) {
        self.graph.set(resource, name, object);
        let held = object.finalizers();
        let waits = object.is_deleting() && (held.contains(&ORPHAN) || held.contains(&FOREGROUND));
        if waits || self.graph.misses_owner(object.uid()) {
            self.due.extend(self.graph.node(object.uid()).cloned());
        }
        // A dependent that begins to go may free its owner's foreground deletion later;
        // one that just appeared under a waiting owner must be deleted with it.
        self.due.extend(self.waiting_owners(object.uid()));
    }

    fn waiting_owners(&self, uid: &str) -> Vec<Node> {
        let waits = |node: &Node| {
            let live = self.api.store.get(&node.resource, &node.name);
            live.is_some_and(|record| record.value.is_deleting())
        };
        self.graph.owners(uid).into_iter().filter(waits).collect()
    }

    /// Takes in what was committed since the last time.
    fn follow(&mut self) {
        loop {
            let Ok(found) = self.api.store.all_changes(self.position, CHANGES_AT_ONCE) else {
                self.rebuild();
                return;
            };
            for change in &found.changes {
                match &change.outcome {
                    Outcome::Stored(record) => self.note(&change.resource, &change.name, &record.lifecycle()),
                    Outcome::Deleted(record) => {
                        let uid = record.lifecycle().uid().to_owned();
                        let owners = self.waiting_owners(&uid);
                        self.due.extend(owners);
                        self.due.extend(self.graph.dependents(&uid));
                        self.graph.remove(&uid);
                    }
                }
            }
            self.position = self.position.max(found.complete_to);
            if found.changes.len() < CHANGES_AT_ONCE {
                return;
            }
        }
    }

    async fn work(&mut self) {
        while let Some(node) = self.due.pop_first() {
            if self.api.stopping.is_cancelled() {
                return;
            }
            if let Err(error) = self.look_at(&node).await {
                complain("garbage collection of an object failed", &node.name, &error);
            }
        }
    }

    /// Returns when an object has been misplaced for long enough.
    async fn next_misplaced(&self) {
        match self.misplaced.values().min() {
            Some(since) => {
                let left = (*since + MISPLACED).saturating_sub(self.api.clock.monotonic());
                self.api.clock.sleep(left).await;
            }
            None => std::future::pending().await,
        }
    }

    fn look_again(&mut self) {
        self.due.extend(self.misplaced.keys().cloned());
    }

    async fn look_at(&mut self, node: &Node) -> Result<(), ApiError> {
        let live = self.api.store.get(&node.resource, &node.name);
        let Some(live) = live.filter(|live| live.value.uid() == node.uid) else {
            self.misplaced.remove(node);
            return Ok(());
        };
        if live.value.is_deleting() {
            if live.value.finalizers().contains(&ORPHAN) {
                return self.orphan(node).await;
            }
            if live.value.finalizers().contains(&FOREGROUND) {
                return self.delete_dependents(node).await;
            }
            return Ok(());
        }
        self.collect(node, &live.value).await
    }

    /// Deletes an object without owners left, or drops its dangling references.
    async fn collect(&mut self, node: &Node, object: &Value) -> Result<(), ApiError> {
        let registry = self.api.kinds.current();
        let Some(kind) = kind_of(&registry, node) else { return Ok(()) };
        let references = object.owner_references();
        let (mut dangling, mut elsewhere) = (Vec::new(), Vec::new());
        for reference in references {
            match self.resolve(&registry, &kind, object, reference) {
                Owner::Absent => dangling.push(reference.clone()),
                Owner::Elsewhere => elsewhere.push(reference.clone()),
                Owner::OutOfReach => {
                    return self.tell_misplaced(object, std::slice::from_ref(reference)).await;
                }
                Owner::Present => {}
                Owner::Unresolvable => return Ok(()),
            }
        }
        if elsewhere.is_empty() {
            self.misplaced.remove(node);
        } else if self.waits(node) {
            return self.tell_misplaced(object, &elsewhere).await;
        } else {
            dangling.extend(elsewhere);
        }
        if dangling.is_empty() {
            return Ok(());
        }
        if dangling.len() == references.len() {
            let uid = Some(node.uid.clone());
            let options = DeleteOptions { policy: Some(Policy::Background), uid, ..DeleteOptions::default() };
            return self.api.delete_quietly(&kind, &node.name, &options).await;
        }
        self.strip(node, |reference| dangling.contains(reference)).await
    }

    /// Whether a misplaced object still has time.
    fn waits(&mut self, node: &Node) -> bool {
        let now = self.api.clock.monotonic();
        let since = *self.misplaced.entry(node.clone()).or_insert(now);
        now.saturating_sub(since) < MISPLACED
    }

    /// Says that an owner lives in another namespace; once for each mistake,
    /// since the name of the event is made of the two.
    async fn tell_misplaced(&self, object: &Value, elsewhere: &[Value]) -> Result<(), ApiError> {
        for reference in elsewhere {
            let text = |field: &str| reference[field].as_str().unwrap_or_default();
            let shown = format!(
                "[{}/{}, namespace: {}, name: {}, uid: {}]",
                text("apiVersion"),
                text("kind"),
                object.namespace(),
                text("name"),
                text("uid")
            );
            let message = format!("ownerRef {shown} does not exist in namespace {:?}", object.namespace());
            let suffix = format!("{}{}", object.uid(), text("uid")).replace('-', "");
            let notice = Notice { reason: "OwnerRefInvalidNamespace", message, suffix };
            self.api.announce(object, &notice).await?;
        }
        Ok(())
    }

    fn resolve(&self, registry: &Registry, kind: &Kind, object: &Value, reference: &Value) -> Owner {
        let text = |field: &str| reference[field].as_str().unwrap_or_default();
        let Some(owner_kind) = owner_kind(registry, text("apiVersion"), text("kind")) else {
            return Owner::Unresolvable;
        };
        if owner_kind.namespaced && !kind.namespaced {
            return Owner::OutOfReach;
        }
        let namespace = if owner_kind.namespaced { object.namespace() } else { "" };
        let name = crate::store::ObjectName::new(namespace, text("name"));
        let found = self.api.store.get(&owner_kind.resource, &name);
        if found.is_some_and(|record| record.value.uid() == text("uid")) {
            return Owner::Present;
        }
        if self.graph.node(text("uid")).is_some_and(|found| found.name.namespace != namespace) {
            return Owner::Elsewhere;
        }
        Owner::Absent
    }

    /// Frees an owner from its dependents.
    async fn orphan(&self, owner: &Node) -> Result<(), ApiError> {
        for dependent in self.graph.dependents(&owner.uid) {
            self.strip(&dependent, |reference| reference["uid"] == owner.uid.as_str()).await?;
        }
        self.release(owner, ORPHAN).await
    }

    /// Deletes the dependents of an owner that waits for them.
    async fn delete_dependents(&self, owner: &Node) -> Result<(), ApiError> {
        let registry = self.api.kinds.current();
        let mut blocked = false;
        for dependent in self.graph.dependents(&owner.uid) {
            let Some(live) = self.api.store.get(&dependent.resource, &dependent.name) else { continue };
            let references = live.value.owner_references();
            let of_owner = |reference: &&Value| reference["uid"] == owner.uid.as_str();
            let Some(own) = references.iter().find(of_owner) else { continue };
            let Some(kind) = kind_of(&registry, &dependent) else { continue };
            let others = references.iter().filter(|reference| !of_owner(reference));
            let kept = others.into_iter().any(|reference| {
                matches!(self.resolve(&registry, &kind, &live.value, reference), Owner::Present)
            });
            if kept {
                self.strip(&dependent, |reference| reference["uid"] == owner.uid.as_str()).await?;
                continue;
            }
            if !live.value.is_deleting() {
                let has_own = !self.graph.dependents(&dependent.uid).is_empty();
                let policy = if has_own { Policy::Foreground } else { Policy::Background };
                let uid = Some(dependent.uid.clone());
                let options = DeleteOptions { policy: Some(policy), uid, ..DeleteOptions::default() };
                self.api.delete_quietly(&kind, &dependent.name, &options).await?;
            }
            let remains = self.api.store.get(&dependent.resource, &dependent.name);
            let remains = remains.is_some_and(|record| record.value.uid() == dependent.uid);
            blocked |= remains && own["blockOwnerDeletion"] == true;
        }
        if blocked { Ok(()) } else { self.release(owner, FOREGROUND).await }
    }

    /// Removes owner references.
    async fn strip(
        &self,
        node: &Node,
        unwanted: impl Fn(&Value) -> bool + Send + Sync,
    ) -> Result<(), ApiError> {
        let uid = node.uid.as_str();
        let change = |live: &Value| {
            if live.uid() != uid {
                return Change::Keep;
            }
            let kept: Vec<Value> =
                live.owner_references().iter().filter(|reference| !unwanted(reference)).cloned().collect();
            let mut live = live.clone();
            if kept.is_empty() {
                live.remove_metadata("ownerReferences");
            } else {
                live.set_metadata("ownerReferences", Value::Array(kept));
            }
            Change::Put(live)
        };
        self.api.amend(&node.resource, &node.name, change).await.map(drop)
    }

    /// Takes a finalizer off; the object goes if it was the last hold.
    async fn release(&self, node: &Node, finalizer: &str) -> Result<(), ApiError> {
        let namespace = node.resource.as_str() == "/namespaces";
        let change = |live: &Value| {
            if live.uid() != node.uid {
                return Change::Keep;
            }
            let rest: Vec<String> =
                live.finalizers().into_iter().filter(|own| *own != finalizer).map(str::to_owned).collect();
            if rest.is_empty() && !namespace {
                return Change::Remove;
            }
            let mut live = live.clone();
            live.set_finalizers(&rest);
            Change::Put(live)
        };
        self.api.amend(&node.resource, &node.name, change).await.map(drop)
    }
}

fn kind_of(registry: &Registry, node: &Node) -> Option<Arc<Kind>> {
    registry.stored_kinds().into_iter().find(|kind| kind.resource == node.resource)
}

/// The kind of an owner; its version need not be served any more.
fn owner_kind(registry: &Registry, api_version: &str, kind: &str) -> Option<Arc<Kind>> {
    if let Some(found) = registry.find_kind(api_version, kind) {
        return Some(found);
    }
    let group = api_version.split_once('/').map_or("", |(group, _)| group);
    let versions = registry.versions_of(group);
    let mut kinds = versions.iter().flat_map(|found| &found.kinds);
    kinds.find(|candidate| candidate.kind == kind && candidate.stored).cloned()
}
