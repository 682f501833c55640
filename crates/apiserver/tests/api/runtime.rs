//! kube-rs at work: watchers, a controller, finalizers, leases, events.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use futures::{StreamExt, TryStreamExt};
use k8s_openapi::api::coordination::v1::{Lease, LeaseSpec};
use k8s_openapi::api::core::v1::{ConfigMap, Secret};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{MicroTime, ObjectMeta};
use kube::api::{Api, DeleteParams, PartialObjectMeta, Patch, PatchParams, PostParams};
use kube::runtime::controller::{Action, Controller};
use kube::runtime::finalizer::{Event as Finalizer, finalizer};
use kube::runtime::{WatchStreamExt, watcher};
use kube::{Client, Resource, ResourceExt};
use serde_json::json;

use crate::common::{PATIENCE, config_map, server};

fn map(name: &str) -> ConfigMap {
    serde_json::from_value(config_map(name, json!({"x": "1"}))).unwrap()
}

async fn in_time<T>(work: impl Future<Output = T>) -> T {
    tokio::time::timeout(PATIENCE, work).await.expect("it happens in time")
}

/// The names a watcher reports, in order, until `count` were seen.
async fn watched(client: &Client, config: watcher::Config) -> Vec<String> {
    let maps: Api<ConfigMap> = Api::default_namespaced(client.clone());
    let mut events = std::pin::pin!(watcher(maps.clone(), config.labels("test=yes")));
    let mut labelled = map("first");
    labelled.labels_mut().insert("test".into(), "yes".into());
    maps.create(&PostParams::default(), &labelled).await.unwrap();
    let mut seen = Vec::new();
    let mut second = Some(labelled);
    while seen.len() < 3 {
        let event = in_time(events.try_next()).await.unwrap().unwrap();
        match event {
            watcher::Event::Init => {}
            watcher::Event::InitDone => {
                if let Some(mut object) = second.take() {
                    object.metadata.name = Some("second".into());
                    maps.create(&PostParams::default(), &object).await.unwrap();
                    maps.delete("second", &DeleteParams::default()).await.unwrap();
                }
            }
            watcher::Event::InitApply(object) => seen.push(format!("init {}", object.name_any())),
            watcher::Event::Apply(object) => seen.push(format!("apply {}", object.name_any())),
            watcher::Event::Delete(object) => seen.push(format!("delete {}", object.name_any())),
        }
    }
    seen
}

#[tokio::test]
async fn a_watcher_lists_and_watches() {
    let (_server, client) = server().await;
    let seen = watched(&client, watcher::Config::default()).await;
    assert_eq!(seen, ["init first", "apply second", "delete second"]);
}

#[tokio::test]
async fn a_watcher_streams_its_list() {
    let (_server, client) = server().await;
    let seen = watched(&client, watcher::Config::default().streaming_lists()).await;
    assert_eq!(seen, ["init first", "apply second", "delete second"]);
}

/// Keeps a Secret for every ConfigMap that asks for one.
async fn reconcile(owner: Arc<ConfigMap>, client: Arc<Client>) -> Result<Action, kube::Error> {
    if owner.labels().get("secret").map(String::as_str) != Some("wanted") {
        return Ok(Action::await_change());
    }
    let secrets: Api<Secret> = Api::default_namespaced(Client::clone(&client));
    let secret = Secret {
        metadata: ObjectMeta {
            name: Some(owner.name_any()),
            owner_references: owner.controller_owner_ref(&()).map(|reference| vec![reference]),
            ..ObjectMeta::default()
        },
        string_data: owner.data.clone(),
        ..Secret::default()
    };
    let params = PatchParams::apply("controller").force();
    secrets.patch(&owner.name_any(), &params, &Patch::Apply(&secret)).await?;
    Ok(Action::await_change())
}

#[tokio::test]
async fn a_controller_keeps_what_it_owns() {
    let (_server, client) = server().await;
    let maps: Api<ConfigMap> = Api::default_namespaced(client.clone());
    let secrets: Api<Secret> = Api::default_namespaced(client.clone());
    let controller = Controller::new(maps.clone(), watcher::Config::default())
        .owns(secrets.clone(), watcher::Config::default())
        .run(reconcile, |_, error, _| panic!("a reconcile failed: {error}"), Arc::new(client.clone()));
    let running = tokio::spawn(controller.for_each(|_| async {}));

    let mut owner = map("owner");
    owner.labels_mut().insert("secret".into(), "wanted".into());
    maps.create(&PostParams::default(), &owner).await.unwrap();
    let present = || async {
        loop {
            if let Some(secret) = secrets.get_opt("owner").await.unwrap() {
                return secret;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    let first = in_time(present()).await;
    secrets.delete("owner", &DeleteParams::default()).await.unwrap();
    let again = in_time(async {
        loop {
            let secret = present().await;
            if secret.uid() != first.uid() {
                return secret;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    })
    .await;
    assert_eq!(again.data.unwrap()["x"].0, b"1");
    maps.delete("owner", &DeleteParams::default()).await.unwrap();
    in_time(async {
        while secrets.get_opt("owner").await.unwrap().is_some() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    })
    .await;
    running.abort();
}

#[tokio::test]
async fn the_finalizer_helper_adds_and_removes() {
    let (_server, client) = server().await;
    let maps: Api<ConfigMap> = Api::default_namespaced(client);
    maps.create(&PostParams::default(), &map("a")).await.unwrap();
    let step = |maps: Api<ConfigMap>| async move {
        let object = Arc::new(maps.get("a").await.unwrap());
        let done = finalizer(&maps, "example.com/hold", object, |event| async move {
            Ok::<_, std::io::Error>(match event {
                Finalizer::Apply(_) => Action::requeue(Duration::from_secs(1)),
                Finalizer::Cleanup(_) => Action::await_change(),
            })
        });
        done.await.unwrap()
    };
    step(maps.clone()).await;
    assert_eq!(maps.get("a").await.unwrap().finalizers(), ["example.com/hold"]);
    step(maps.clone()).await;
    assert!(maps.delete("a", &DeleteParams::default()).await.unwrap().is_left(), "the object answers");
    step(maps.clone()).await;
    assert!(maps.get_opt("a").await.unwrap().is_none());
}

#[tokio::test]
async fn hc_56_a_lease_is_taken_renewed_and_fenced() {
    let (_server, client) = server().await;
    let leases: Api<Lease> = Api::default_namespaced(client);
    let time = |text: &str| Some(MicroTime(text.parse().unwrap()));
    let lease = Lease {
        metadata: ObjectMeta { name: Some("leader".into()), ..ObjectMeta::default() },
        spec: Some(LeaseSpec {
            holder_identity: Some("one".into()),
            lease_duration_seconds: Some(15),
            renew_time: time("2026-01-02T03:04:05.678901Z"),
            ..LeaseSpec::default()
        }),
    };
    let held = leases.create(&PostParams::default(), &lease).await.unwrap();
    let mut renewed = held.clone();
    renewed.spec.as_mut().unwrap().renew_time = time("2026-01-02T03:04:06Z");
    leases.replace("leader", &PostParams::default(), &renewed).await.unwrap();
    let late = leases.replace("leader", &PostParams::default(), &held).await.unwrap_err();
    assert!(matches!(late, kube::Error::Api(status) if status.code == 409));
    let fenced = json!({
        "metadata": {"resourceVersion": held.resource_version()},
        "spec": {"holderIdentity": "two"},
    });
    let late = leases.patch("leader", &PatchParams::default(), &Patch::Merge(&fenced)).await.unwrap_err();
    assert!(matches!(late, kube::Error::Api(status) if status.code == 409));
}

#[tokio::test]
async fn hc_55_an_event_is_seen_in_both_groups() {
    use k8s_openapi::api::core::v1::Event as CoreEvent;
    use k8s_openapi::api::events::v1::Event as NewEvent;
    use kube::runtime::events::{Event, EventType, Recorder, Reporter};
    let (_server, client) = server().await;
    let maps: Api<ConfigMap> = Api::default_namespaced(client.clone());
    let object = maps.create(&PostParams::default(), &map("a")).await.unwrap();
    let reporter = Reporter { controller: "test".into(), instance: Some("one".into()) };
    let recorder = Recorder::new(client.clone(), reporter);
    let event = Event {
        type_: EventType::Normal,
        reason: "Happened".into(),
        note: Some("it did".into()),
        action: "Testing".into(),
        secondary: None,
    };
    recorder.publish(&event, &object.object_ref(&())).await.unwrap();
    recorder.publish(&event, &object.object_ref(&())).await.unwrap();
    let core: Api<CoreEvent> = Api::default_namespaced(client.clone());
    let found = core.list(&Default::default()).await.unwrap().items;
    assert_eq!((found.len(), found[0].message.as_deref()), (1, Some("it did")));
    assert_eq!(found[0].involved_object.name.as_deref(), Some("a"));
    let new: Api<NewEvent> = Api::default_namespaced(client);
    let found = new.list(&Default::default()).await.unwrap().items;
    assert_eq!(found[0].note.as_deref(), Some("it did"));
    assert_eq!(found[0].series.as_ref().map(|series| series.count), Some(2));
}

#[tokio::test]
async fn a_reflector_sees_what_a_metadata_watch_tells() {
    let (_server, client) = server().await;
    let typed: Api<ConfigMap> = Api::default_namespaced(client.clone());
    let mut labelled = map("a");
    labelled.labels_mut().insert("test".into(), "yes".into());
    typed.create(&PostParams::default(), &labelled).await.unwrap();
    let config = watcher::Config::default().labels("test=yes");
    let maps: Api<PartialObjectMeta<ConfigMap>> = Api::default_namespaced(client);
    let mut events = std::pin::pin!(watcher(maps, config).applied_objects());
    let seen = in_time(events.try_next()).await.unwrap().unwrap();
    assert_eq!(seen.name_any(), "a");
    let labels: &BTreeMap<String, String> = seen.labels();
    assert_eq!(labels["test"], "yes");
}
