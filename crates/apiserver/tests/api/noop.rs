//! A write that changes nothing changes nothing: no revision, no time, no event (spec/apiserver.md 9.3, 12.4).

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use http::StatusCode;
use jiff::{SignedDuration, Timestamp};
use kube::Client;
use okra_apiserver::clock::SystemClock;
use okra_apiserver::{Clock, Options, Server, Storage};
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use serde_json::{Value, json};

use crate::common::{CONFIG_MAPS, DEFINITIONS, established, get, metadata, patch, post, put};
use crate::vectors::{THINGS, thing_definition};

/// The machine's clock, put forward by hand.
pub(crate) struct HandClock {
    own: SystemClock,
    minutes: AtomicI64,
}

impl HandClock {
    pub(crate) fn advance_minute(&self) {
        self.minutes.fetch_add(1, Ordering::Relaxed);
    }
}

#[async_trait]
impl Clock for HandClock {
    fn now(&self) -> Timestamp {
        self.own.now() + SignedDuration::from_mins(self.minutes.load(Ordering::Relaxed))
    }

    fn monotonic(&self) -> Duration {
        self.own.monotonic()
    }

    async fn sleep(&self, duration: Duration) {
        self.own.sleep(duration).await;
    }
}

pub(crate) async fn clocked_server() -> (Server, Client, Arc<HandClock>) {
    let clock = Arc::new(HandClock { own: SystemClock::new(), minutes: AtomicI64::new(0) });
    let options = Options { clock: clock.clone(), ..Options::new(Storage::Memory) };
    let server = Server::open(options).await.expect("a server in memory opens");
    let client = Client::new(server.in_process(), "default");
    (server, client, clock)
}

/// Every way to say again what is there already.
async fn say_again(client: &Client, path: &str, media: &[&str], manager: &str) {
    let (_, before) = get(client, path).await;
    let parts =
        ["spec", "data"].into_iter().filter_map(|name| Some((name.to_owned(), before.get(name)?.clone())));
    let same = Value::Object(parts.collect());
    let mut answers = Vec::new();
    answers.push(put(client, &format!("{path}?fieldManager={manager}"), &before).await);
    answers.push(put(client, &format!("{path}?fieldManager=other"), &before).await);
    for media in media {
        let body = match *media {
            "json-patch+json" => {
                json!([{"op": "test", "path": "/metadata/name", "value": metadata(&before, "name")}])
            }
            _ => same.clone(),
        };
        answers.push(patch(client, &format!("{path}?fieldManager={manager}"), media, &body).await);
        answers.push(patch(client, &format!("{path}?fieldManager=other"), media, &body).await);
    }
    for (status, answer) in answers {
        assert_eq!(status, StatusCode::OK, "{answer}");
        assert_eq!(answer, before);
    }
}

async fn revision(client: &Client, collection: &str) -> String {
    metadata(&get(client, collection).await.1, "resourceVersion").to_owned()
}

#[tokio::test]
async fn corner_23_no_form_of_write_moves_the_revision_without_a_change() {
    let (_server, client, clock) = clocked_server().await;
    post(&client, DEFINITIONS, &thing_definition()).await;
    established(&client, "things.example.com").await;
    let pod =
        json!({"metadata": {"labels": {"a": "b"}}, "spec": {"containers": [{"name": "c", "image": "i"}]}});
    let deployments = "/apis/apps/v1/namespaces/default/deployments";
    let objects = [
        (CONFIG_MAPS, json!({"apiVersion": "v1", "kind": "ConfigMap", "data": {"x": "1"}}), true),
        (
            THINGS,
            json!({"apiVersion": "example.com/v1", "kind": "Thing", "spec": {"replicas": 1, "set": ["a"],
                "lm": [{"name": "p"}]}}),
            false,
        ),
        (
            deployments,
            json!({"apiVersion": "apps/v1", "kind": "Deployment", "spec": {"replicas": 1,
                "selector": {"matchLabels": {"a": "b"}}, "template": pod}}),
            true,
        ),
    ];
    for (collection, mut object, builtin) in objects {
        object["metadata"] = json!({"name": "o", "labels": {"l": "1"}, "finalizers": ["example.com/f"]});
        let (status, created) = post(&client, &format!("{collection}?fieldManager=m"), &object).await;
        assert_eq!(status, StatusCode::CREATED, "{created}");
        let revision_before = revision(&client, collection).await;
        clock.advance_minute();
        let mut media = vec!["json-patch+json", "merge-patch+json"];
        if builtin {
            media.push("strategic-merge-patch+json");
        }
        let path = format!("{collection}/o");
        say_again(&client, &path, &media, "m").await;
        if collection != CONFIG_MAPS {
            let status = json!({"status": created["status"]});
            let (code, same) = patch(&client, &format!("{path}/status"), "merge-patch+json", &status).await;
            assert_eq!(
                (code, metadata(&same, "resourceVersion")),
                (StatusCode::OK, metadata(&created, "resourceVersion"))
            );
            let scale = json!({"spec": {"replicas": 1}});
            let (code, same) = patch(&client, &format!("{path}/scale"), "merge-patch+json", &scale).await;
            assert_eq!(
                (code, metadata(&same, "resourceVersion")),
                (StatusCode::OK, metadata(&created, "resourceVersion"))
            );
        }
        assert_eq!(revision(&client, collection).await, revision_before, "no event, nowhere");
    }
}

fn any_spec() -> impl Strategy<Value = Value> {
    let pairs = prop::collection::btree_map("[kl]", "[12]", 0..3);
    let items = prop::collection::btree_map("[pqr]", prop::option::of(0i64..2), 0..4);
    let set = prop::collection::btree_set("[abc]", 0..3);
    (
        prop::option::of(pairs),
        prop::option::of(items),
        prop::option::of(set),
        prop::option::of(0i64..3),
        any::<bool>(),
    )
        .prop_map(|(m, lm, set, replicas, null)| {
            let mut spec = json!({});
            if let Some(m) = m {
                spec["m"] = json!(m);
            }
            if let Some(items) = lm {
                let item = |(name, v): (String, Option<i64>)| match v {
                    Some(v) => json!({"name": name, "v": v}),
                    None => json!({"name": name}),
                };
                spec["lm"] = items.into_iter().map(item).collect();
            }
            if let Some(set) = set {
                spec["set"] = json!(set);
            }
            if let Some(replicas) = replicas {
                spec["replicas"] = json!(replicas);
            }
            if null {
                spec["n"] = Value::Null;
            }
            spec
        })
}

/// Few cases: each is a story of several requests.
const STORIES: u32 = 32;

#[test]
fn applying_twice_moves_neither_the_revision_nor_a_time() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let (_server, client, clock) = runtime.block_on(async {
        let (server, client, clock) = clocked_server().await;
        post(&client, DEFINITIONS, &thing_definition()).await;
        established(&client, "things.example.com").await;
        (server, client, clock)
    });
    let number = std::cell::Cell::new(0);
    let story = prop::collection::vec(("[abc]", any_spec(), any::<bool>()), 1..5);
    let mut runner =
        TestRunner::new(Config { cases: STORIES, failure_persistence: None, ..Config::default() });
    let result = runner.run(&story, |story| {
        number.set(number.get() + 1);
        let number = number.get();
        runtime.block_on(async {
            let path = format!("{THINGS}/t{number}");
            for (manager, spec, by_update) in &story {
                clock.advance_minute();
                if *by_update {
                    patch(&client, &format!("{path}?fieldManager={manager}"), "merge-patch+json", &json!({"spec": spec})).await;
                    continue;
                }
                let body = json!({"apiVersion": "example.com/v1", "kind": "Thing", "metadata": {"name": format!("t{number}")},
                    "spec": spec});
                let query = format!("{path}?fieldManager={manager}&force=true");
                let (status, once) = patch(&client, &query, "apply-patch+yaml", &body).await;
                prop_assert!(status.is_success(), "{}", once);
                clock.advance_minute();
                let (status, twice) = patch(&client, &query, "apply-patch+yaml", &body).await;
                prop_assert!(status.is_success(), "{}", twice);
                prop_assert_eq!(once, twice);
            }
            Ok(())
        })
    });
    result.unwrap();
}
