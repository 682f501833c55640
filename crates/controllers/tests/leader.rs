//! Election by Lease, between candidates in one process.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

use std::sync::{Arc, Mutex};
use std::time::Duration;

use k8s_openapi::api::coordination::v1::Lease;
use kube::{Api, Client};
use okra_apiserver::{Options, Server, Storage};
use okra_clock::{SystemClock, SystemEntropy};
use okra_controllers::fence::Fence;
use okra_controllers::leader::{Election, lead};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

/// How long a test waits for a state before it fails.
const PATIENCE: Duration = Duration::from_secs(30);
/// Between two looks at a state.
const LOOK: Duration = Duration::from_millis(5);

/// A candidate and the fences of the terms it has led.
struct Candidate {
    terms: Arc<Mutex<Vec<Fence>>>,
    stop: CancellationToken,
    task: JoinHandle<()>,
}

impl Candidate {
    fn start(client: &Client, name: &str) -> Self {
        let mut election = Election::new("default", name);
        election.lease = Duration::from_secs(1);
        election.renew_deadline = Duration::from_millis(600);
        election.retry_period = Duration::from_millis(50);
        let terms: Arc<Mutex<Vec<Fence>>> = Arc::default();
        let (stop, client) = (CancellationToken::new(), client.clone());
        let (seen, stopping) = (terms.clone(), stop.clone());
        let task = tokio::spawn(async move {
            let entropy = SystemEntropy::default();
            lead(client, election, SystemClock::shared(), &entropy, stopping, |fence, over| {
                seen.lock().unwrap().push(fence);
                async move { over.cancelled().await }
            })
            .await;
        });
        Self { terms, stop, task }
    }

    fn fence(&self) -> Option<Fence> {
        self.terms.lock().unwrap().last().cloned()
    }

    fn leads(&self) -> bool {
        self.fence().is_some_and(|fence| fence.check().is_ok())
    }
}

async fn until(what: &str, wanted: impl Fn() -> bool) {
    let waiting = async {
        while !wanted() {
            tokio::time::sleep(LOOK).await;
        }
    };
    assert!(tokio::time::timeout(PATIENCE, waiting).await.is_ok(), "never: {what}");
}

async fn server() -> (Server, Client) {
    let server = Server::open(Options::new(Storage::Memory)).await.expect("a server in memory opens");
    let client = Client::new(server.in_process(), "default");
    (server, client)
}

#[tokio::test]
async fn a_leader_that_goes_hands_over_to_the_next_epoch() {
    let (_server, client) = server().await;
    let first = Candidate::start(&client, "first");
    until("the first leads", || first.leads()).await;
    let second = Candidate::start(&client, "second");
    first.stop.cancel();
    first.task.await.unwrap();
    until("the second leads", || second.leads()).await;
    let (old, new) = (first.terms.lock().unwrap()[0].clone(), second.fence().unwrap());
    assert!(new.epoch() > old.epoch(), "{} after {}", new.epoch(), old.epoch());
    assert!(old.check().is_err());
    second.stop.cancel();
    second.task.await.unwrap();
}

#[tokio::test]
async fn a_leader_that_stands_still_may_not_write_when_another_one_may() {
    let (_server, client) = server().await;
    let first = Candidate::start(&client, "first");
    until("the first leads", || first.leads()).await;
    // Its process is stopped: the lease is renewed no more.
    first.task.abort();
    let second = Candidate::start(&client, "second");
    until("the second leads", || {
        let (stopped, leading) = (first.fence().unwrap(), second.leads());
        assert!(!(leading && stopped.check().is_ok()), "two may write");
        leading
    })
    .await;
    assert!(first.fence().unwrap().epoch() < second.fence().unwrap().epoch());
    second.stop.cancel();
}

#[tokio::test]
async fn a_leader_whose_lease_is_taken_stops_its_term() {
    let (_server, client) = server().await;
    let candidate = Candidate::start(&client, "first");
    until("it leads", || candidate.leads()).await;
    let fence = candidate.fence().unwrap();
    let leases: Api<Lease> = Api::namespaced(client, "default");
    let patch = serde_json::json!({"spec": {
        "holderIdentity": "somebody", "leaseTransitions": 41, "leaseDurationSeconds": 1,
    }});
    let params = kube::api::PatchParams::default();
    leases.patch("okra", &params, &kube::api::Patch::Merge(patch)).await.unwrap();
    until("it no longer leads", || fence.check().is_err()).await;
    assert!(fence.check().is_err() && okra_aws::WriteGate::check(&fence).is_err());
    until("it leads again once the other is silent", || candidate.leads()).await;
    assert_eq!(candidate.fence().unwrap().epoch(), 42);
    candidate.stop.cancel();
    candidate.task.await.unwrap();
}
