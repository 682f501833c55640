//! The list of permissions is held to what the controllers really ask for: a
//! swap that fails and one that succeeds, elected leader included, run as the
//! service account that `okra install` makes, with every request recorded.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use http::{Method, Request};
use kube::api::{Patch, PatchParams};
use kube::client::Body;
use kube::core::{ApiResource, DynamicObject};
use kube::{Api, Client};
use okra_clock::{Clock as _, SharedClock, SystemClock, SystemEntropy};
use okra_controllers::leader::{Election, lead};
use okra_region::Timing;
use serde_json::Value;
use tokio_util::sync::CancellationToken;

use super::permissions::{self, Permission};
use crate::demo::backend::Behaviour;
use crate::demo::world::World;
use crate::local::{Local, Settings};
use crate::manager::{self, ControllerFlags};

/// A call as roles see it: group, resource with subresource, verb.
type Call = (String, String, String);

#[derive(Clone, Default)]
struct Record {
    calls: Arc<Mutex<BTreeSet<Call>>>,
    refused: Arc<Mutex<BTreeSet<Call>>>,
}

impl Record {
    /// The same client with every request written down.
    fn client(&self, inner: Client) -> Client {
        let record = self.clone();
        let service = tower::service_fn(move |request: Request<Body>| {
            let (record, inner) = (record.clone(), inner.clone());
            async move {
                let call = call_of(&request);
                let answer = inner.send(request).await?;
                if let Some(call) = call {
                    if answer.status() == http::StatusCode::FORBIDDEN {
                        record.refused.lock().unwrap().insert(call.clone());
                    }
                    record.calls.lock().unwrap().insert(call);
                }
                Ok::<_, kube::Error>(answer)
            }
        });
        Client::new(service, "okra-system")
    }
}

/// What a request is to RBAC; `None` for paths that are no resources.
fn call_of(request: &Request<Body>) -> Option<Call> {
    let path: Vec<&str> = request.uri().path().trim_matches('/').split('/').collect();
    let (group, rest) = match path.as_slice() {
        ["api", "v1", rest @ ..] => ("", rest),
        ["apis", group, _version, rest @ ..] => (*group, rest),
        _ => return None,
    };
    let rest = match rest {
        ["namespaces", _, rest @ ..] if !rest.is_empty() => rest,
        other => other,
    };
    let (resource, named) = match rest {
        [resource] => ((*resource).to_owned(), false),
        [resource, _name] => ((*resource).to_owned(), true),
        [resource, _name, below] => (format!("{resource}/{below}"), true),
        _ => return None,
    };
    let watches = request.uri().query().is_some_and(|query| query.contains("watch=true"));
    let verb = match (request.method(), named) {
        (&Method::GET, true) => "get",
        (&Method::GET, false) if watches => "watch",
        (&Method::GET, false) => "list",
        (&Method::POST, _) => "create",
        (&Method::PUT, _) => "update",
        (&Method::PATCH, _) => "patch",
        (&Method::DELETE, true) => "delete",
        _ => "other",
    };
    Some((group.to_owned(), resource, verb.to_owned()))
}

/// Applies what `okra install --print` prints, as its user would.
async fn install(client: &Client, objects: &[Value]) {
    for object in objects {
        let object: DynamicObject = serde_json::from_value(object.clone()).unwrap();
        let types = object.types.clone().unwrap();
        let (group, version) = types.api_version.split_once('/').unwrap_or(("", &types.api_version));
        let plural = format!("{}s", types.kind.to_lowercase());
        let gvk = kube::core::GroupVersionKind::gvk(group, version, &types.kind);
        let resource = ApiResource::from_gvk_with_plural(&gvk, &plural);
        let name = object.metadata.name.clone().unwrap();
        let api: Api<DynamicObject> = match &object.metadata.namespace {
            Some(namespace) => Api::namespaced_with(client.clone(), namespace, &resource),
            None => Api::all_with(client.clone(), &resource),
        };
        let params = PatchParams::apply("installer").force();
        api.patch(&name, &params, &Patch::Apply(&object)).await.unwrap();
    }
}

async fn until(local: &Local, what: &str, done: impl Fn(&okra_api::cell::CellStatus) -> bool) {
    let clock = SystemClock::new();
    let cells: Api<okra_api::Cell> = Api::namespaced(local.management().client(), "default");
    let mut last = String::new();
    for _ in 0..1_200 {
        if let Ok(Some(status)) = cells.get_opt("web").await.map(|cell| cell.and_then(|cell| cell.status)) {
            if done(&status) {
                return;
            }
            last = format!("{status:?}");
        }
        clock.sleep(Duration::from_millis(50)).await;
    }
    panic!("{what} did not come; last: {last}");
}

/// A first version, one that fails its analysis, and one that replaces it.
async fn swaps(local: &Local, clock: SharedClock) {
    let sdk = manager::local_sdk(local, clock.clone()).await;
    let world = World::build(local, sdk, clock).await.unwrap();
    world.apply_manifests(&local.region().endpoint()).await.unwrap();
    let mut clusters = Vec::new();
    for (version, fault_percent, phase) in
        [("1.0.0", 0, "Completed"), ("2.0.0", 100, "Failed"), ("3.0.0", 0, "Completed")]
    {
        let behaviour = Behaviour { version: version.to_owned(), fault_percent };
        for number in 1..=2 {
            let name = format!("web-{number}-v{}", &version[..1]);
            let cluster = world.add_cluster(&name, &behaviour).await.unwrap();
            world.bind(local, &cluster, version).await.unwrap();
            clusters.push(cluster);
        }
        let load = crate::demo::load::Load::start(
            &crate::demo::load::Settings {
                target: world.address(),
                host: crate::demo::world::HOST.to_owned(),
                rate: 100,
                connections: 4,
            },
            SystemClock::shared(),
        );
        until(local, version, |status| {
            status.phase.as_deref() == Some(phase)
                && status.desired_version.is_some()
                && status.rollout.is_none()
                && (phase == "Failed" || status.stable_version.as_deref() == Some(version))
        })
        .await;
        load.finish().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_roles_are_what_the_controllers_ask_for() {
    if rustls::crypto::aws_lc_rs::default_provider().install_default().is_err() {
        // Another test of this process has chosen it.
    }
    let clock = SystemClock::shared();
    let settings = Settings { data_dir: None, timing: Timing::default(), faults: Vec::new() };
    let local = Local::start(settings, clock.clone()).await.unwrap();
    let objects = super::objects(&super::tests::args(&[])).unwrap();
    install(&local.management().client(), &objects).await;

    let record = Record::default();
    let client = record.client(local.management().client_of_service_account("okra-system", "okra"));
    let flags = ControllerFlags::for_demo();
    let sdk = manager::local_sdk(&local, clock.clone()).await;
    let settings = flags.settings("recorded".to_owned(), &["127.0.0.0/8"]);
    let context = manager::context(client.clone(), &sdk, settings, clock.clone(), &flags);
    let stop = CancellationToken::new();
    let election = Election::new("okra-system", "recorded");
    let (ended, lasting) = (stop.clone(), clock.clone());
    let controllers = tokio::spawn(async move {
        let term = |fence, over| okra_controllers::run(context.clone().with_fence(fence), over);
        lead(client, election, lasting, &SystemEntropy::default(), ended, term).await;
    });
    swaps(&local, clock).await;
    stop.cancel();
    controllers.await.unwrap();
    local.shutdown().await;

    assert_eq!(record.refused.lock().unwrap().clone(), BTreeSet::new(), "calls that the roles do not allow");
    let calls = record.calls.lock().unwrap().clone();
    let lists = [permissions::WATCHING, permissions::CLUSTER_WIDE, permissions::OWN_NAMESPACE].concat();
    assert_eq!(unused(&lists, &calls), Vec::<Call>::new(), "rules without a use and without a reason");
    assert_eq!(used_spare(&lists, &calls), Vec::<Call>::new(), "verbs that are said to be used seldom");
}

fn triple(permission: &Permission, verb: &str) -> Call {
    (permission.group.to_owned(), permission.resource.to_owned(), verb.to_owned())
}

fn unused(permissions: &[Permission], calls: &BTreeSet<Call>) -> Vec<Call> {
    let stated = permissions.iter().flat_map(|one| one.verbs.iter().map(|verb| triple(one, verb)));
    stated.filter(|call| !calls.contains(call)).collect()
}

fn used_spare(permissions: &[Permission], calls: &BTreeSet<Call>) -> Vec<Call> {
    let spare = permissions.iter().flat_map(|one| one.spare.iter().map(|(verb, _)| triple(one, verb)));
    // Some of these moments come in some runs and not in others.
    let sometimes = [("awstargetgroups", "get"), ("secrets", "get"), ("secrets", "patch")];
    spare
        .filter(|call| calls.contains(call) && !sometimes.contains(&(call.1.as_str(), call.2.as_str())))
        .collect()
}
