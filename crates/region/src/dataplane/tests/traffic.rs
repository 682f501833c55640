//! Who gets which request, and that none is lost.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};

use super::*;
use TargetState::Healthy;

#[tokio::test]
async fn rules_are_asked_by_priority() {
    let (world, blue) = (World::new(), Backend::start("blue").await);
    let fixed = |status, body: &str| {
        Action::FixedResponse(FixedResponse {
            status,
            content_type: Some("text/plain".into()),
            body: body.into(),
        })
    };
    let rule = |priority, path: &str, action| Rule {
        priority,
        conditions: vec![Condition::PathPattern(vec![path.into()])],
        action,
    };
    let rules = vec![
        rule(20, "/a*", fixed(404, "second")),
        rule(10, "/ab*", fixed(200, "first")),
        rule(30, "/blue", forward(&[("blue", 1)])),
        rule(40, "/none", forward(&[("blue", 0)])),
    ];
    let failures = world.apply(world.topology(rules, fixed(503, "default"), vec![group("blue", &[&blue])]));
    assert!(failures.is_empty());
    world.wait_for("blue", &[Healthy]).await;
    let mut client = world.client().await;
    let reply = client.get("/abc").await;
    assert_eq!((reply.status.as_u16(), &reply.body[..]), (200, &b"first"[..]));
    assert_eq!(reply.headers["content-type"], "text/plain");
    assert_eq!(client.get("/ac").await.body, "second");
    assert_eq!(client.get("/x").await.body, "default");
    assert_eq!(client.get("/blue").await.backend(), "blue");
    assert_eq!(client.get("/none").await.status, 503);
    assert_eq!(world.count("lb", Counter::FixedResponses), 3);
    assert_eq!((world.count("lb", Counter::Requests), world.count("blue", Counter::Requests)), (1, 1));
}

#[tokio::test]
async fn an_empty_group_answers_503_for_its_share_only() {
    let blue = Backend::start("blue").await;
    let world = World::with(&blue).await;
    world.serve(forward(&[("blue", 1), ("empty", 1)]), vec![group("blue", &[&blue]), group("empty", &[])]);
    let mut client = world.client().await;
    let mut seen = BTreeMap::<u16, u32>::new();
    for _ in 0..200 {
        *seen.entry(client.get("/").await.status.as_u16()).or_default() += 1;
    }
    assert!((60..140).contains(&seen[&503]), "{seen:?}");
    assert_eq!(seen.values().sum::<u32>(), seen[&200] + seen[&503]);
    assert_eq!(world.count("lb", Counter::Elb503), u64::from(seen[&503]));
    assert_eq!(world.count("empty", Counter::Elb503), u64::from(seen[&503]));
    let page = world.get("/").await;
    assert_eq!(page.headers.get("server").is_some_and(|name| name == "awselb/2.0"), page.status == 503);
}

#[tokio::test]
async fn a_group_cookie_wins_over_weights_while_the_action_has_the_group() {
    let (blue, green) = (Backend::start("blue").await, Backend::start("green").await);
    let world = World::new();
    let serve = |weights: &[(&str, u32)]| {
        let Action::Forward(forward) = forward(weights) else { unreachable!() };
        let action = Action::Forward(Forward { stickiness: Some(Duration::from_secs(100)), ..forward });
        world.serve(action, vec![group("blue", &[&blue]), group("green", &[&green])]);
    };
    serve(&[("blue", 1), ("green", 0)]);
    world.wait_for("blue", &[Healthy]).await;
    world.wait_for("green", &[Healthy]).await;
    let mut client = world.client().await;
    let reply = client.get("/").await;
    assert_eq!(reply.backend(), "blue");
    assert_eq!(reply.headers.get_all("set-cookie").iter().count(), 2);
    let cookies = reply.cookies();
    assert!(cookies.contains("AWSALBTG=") && cookies.contains("AWSALBTGCORS="), "{cookies}");
    serve(&[("blue", 0), ("green", 1)]);
    for _ in 0..10 {
        let kept = client.get_with("/", &[("cookie", &cookies)]).await;
        assert_eq!(kept.backend(), "blue");
        assert_eq!(kept.headers.get("set-cookie"), None);
        assert_eq!(client.get("/").await.backend(), "green");
    }
    let forged = cookies.replace("AWSALBTG=A", "AWSALBTG=B").replace("CORS=A", "CORS=B");
    let forged = if forged == cookies { cookies.replacen('=', "=A", 2) } else { forged };
    assert_eq!(client.get_with("/", &[("cookie", &forged)]).await.backend(), "green");
    world.clock.advance(Duration::from_secs(100));
    let mut client = world.client().await;
    assert_eq!(client.get_with("/", &[("cookie", &cookies)]).await.backend(), "green", "it has lapsed");
    let cookies = client.get("/").await.cookies();
    serve(&[("blue", 1)]);
    let moved = client.get_with("/", &[("cookie", &cookies)]).await;
    assert_eq!(moved.backend(), "blue", "the group has left the action");
    assert!(moved.headers.contains_key("set-cookie"));
}

#[tokio::test]
async fn a_target_cookie_keeps_the_target_while_it_may_be_sent_to() {
    let (one, two) = (Backend::start("one").await, Backend::start("two").await);
    let world = World::new();
    let mut spec = group("blue", &[&one, &two]);
    spec.lb_cookie = Some(Duration::from_secs(100));
    world.serve(forward(&[("blue", 1)]), vec![spec.clone()]);
    world.wait_for("blue", &[Healthy, Healthy]).await;
    let mut client = world.client().await;
    let first = client.get("/").await;
    let (name, mut cookies) = (first.backend().to_owned(), first.cookies());
    assert!(cookies.contains("AWSALB=") && cookies.contains("AWSALBCORS="), "{cookies}");
    for _ in 0..5 {
        world.clock.advance(Duration::from_secs(25));
        let kept = client.get_with("/", &[("cookie", &cookies)]).await;
        assert_eq!(kept.backend(), name, "renewed by every request");
        cookies = kept.cookies();
    }
    spec.targets.retain(|target| *target != if name == "one" { one.target() } else { two.target() });
    world.serve(forward(&[("blue", 1)]), vec![spec]);
    assert_ne!(client.get_with("/", &[("cookie", &cookies)]).await.backend(), name);
}

/// Clients that send one request after the other until they are told to end.
struct Load {
    ended: Arc<AtomicBool>,
    answered: watch::Sender<usize>,
    clients: Vec<tokio::task::JoinHandle<BTreeMap<String, usize>>>,
}

impl Load {
    async fn start(world: &World, clients: usize) -> Self {
        let (ended, answered) = (Arc::new(AtomicBool::new(false)), watch::Sender::new(0));
        let mut tasks = Vec::new();
        for _ in 0..clients {
            let (ended, answered) = (Arc::clone(&ended), answered.clone());
            let mut client = world.client().await;
            tasks.push(tokio::spawn(async move {
                let mut answers = BTreeMap::new();
                while !ended.load(Ordering::SeqCst) {
                    let reply = client.get("/").await;
                    let name = match reply.status.as_u16() {
                        200 => reply.backend().to_owned(),
                        other => format!("status {other}"),
                    };
                    *answers.entry(name).or_default() += 1;
                    answered.send_modify(|count| *count += 1);
                }
                answers
            }));
        }
        Self { ended, answered, clients: tasks }
    }

    async fn wait_for_more(&self, count: usize) {
        let mut answered = self.answered.subscribe();
        let goal = *answered.borrow() + count;
        tokio::time::timeout(BOUND, answered.wait_for(|seen| *seen >= goal)).await.unwrap().unwrap();
    }

    async fn end(self) -> BTreeMap<String, usize> {
        self.ended.store(true, Ordering::SeqCst);
        let mut answers = BTreeMap::new();
        for client in self.clients {
            for (name, count) in client.await.expect("a connection broke") {
                *answers.entry(name).or_default() += count;
            }
        }
        answers
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_request_is_lost_while_weights_flip_and_targets_leave() {
    let mut backends = Vec::new();
    for name in ["blue", "blue", "green", "green"] {
        backends.push(Backend::start(name).await);
    }
    let world = World::new();
    let serve = |round: u32| {
        let mut blue = group("blue", &[&backends[0], &backends[1]]);
        let mut green = group("green", &[&backends[2], &backends[3]]);
        // In turn: all are there, one of each has left, the other has left.
        match round / 10 % 3 {
            1 => drop((blue.targets.remove(0), green.targets.remove(1))),
            2 => drop((blue.targets.remove(1), green.targets.remove(0))),
            _ => {}
        }
        world.serve(forward(&[("blue", round % 2), ("green", (round + 1) % 2)]), vec![blue, green]);
    };
    serve(0);
    world.wait_for("blue", &[Healthy, Healthy]).await;
    world.wait_for("green", &[Healthy, Healthy]).await;
    let load = Load::start(&world, 32).await;
    for round in 0..1_000 {
        serve(round);
        load.wait_for_more(4).await;
        if round % 10 == 9 {
            world.clock.advance(Duration::from_secs(5));
        }
    }
    let answers = load.end().await;
    assert_eq!(answers.keys().collect::<Vec<_>>(), ["blue", "green"], "{answers:?}");
    let sum: usize = answers.values().sum();
    assert!(answers.values().all(|count| *count > sum / 4), "{answers:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_request_is_lost_when_backends_close_kept_connections() {
    let (one, two) = (Backend::closing_after("one", 3).await, Backend::closing_after("two", 7).await);
    let world = World::new();
    world.serve(forward(&[("blue", 1)]), vec![group("blue", &[&one, &two])]);
    world.wait_for("blue", &[Healthy, Healthy]).await;
    let load = Load::start(&world, 16).await;
    load.wait_for_more(4_000).await;
    let answers = load.end().await;
    assert_eq!(answers.keys().collect::<Vec<_>>(), ["one", "two"], "{answers:?}");
}

#[tokio::test]
async fn connections_to_targets_are_kept() {
    let blue = Backend::start("blue").await;
    let world = World::with(&blue).await;
    let before = blue.connections();
    let mut client = world.client().await;
    for path in ["/", "/fail", "/big", "/"] {
        assert_eq!(client.get(path).await.backend(), "blue");
    }
    for _ in 0..20 {
        world.get("/").await;
    }
    assert_eq!(blue.connections(), before + 1);
    assert_eq!(world.count("blue", Counter::NewConnections), 1);
    assert_eq!(world.count("lb", Counter::NewConnections), 21);
    assert_eq!((world.count("blue", Counter::Target2xx), world.count("blue", Counter::Target5xx)), (23, 1));
}
