//! Health checks, registration and deregistration.

use super::*;
use TargetState::{Draining, Healthy, Initial, Unhealthy, Unused};

const INTERVAL: Duration = Duration::from_secs(30);

#[tokio::test]
async fn a_target_is_checked_when_its_group_is_attached_and_not_before() {
    let (world, blue) = (World::new(), Backend::start("blue").await);
    world.serve(forward(&[]), vec![group("blue", &[&blue])]);
    assert_eq!(world.states("blue"), [Unused]);
    let told = world.target_health("blue").unwrap();
    assert_eq!(told[0].reason, Some(HealthReason::NotInUse));
    settle().await;
    assert_eq!(blue.checks(), 0);
    world.serve(forward(&[("blue", 0)]), vec![group("blue", &[&blue])]);
    assert_eq!(world.states("blue"), [Initial]);
    world.wait_for("blue", &[Healthy]).await;
    assert_eq!(blue.checks(), 1, "one pass, at once, without the clock moving");
    world.serve(forward(&[]), vec![group("blue", &[&blue])]);
    assert_eq!(world.states("blue"), [Unused]);
    assert!(world.target_health("other").is_none());
}

#[tokio::test]
async fn a_recovering_target_needs_the_healthy_threshold() {
    let blue = Backend::start("blue").await;
    let world = World::with(&blue).await;
    let check = async |number| {
        world.clock.advance(INTERVAL);
        blue.wait_for_checks(number).await;
    };
    blue.answer_checks_with(503);
    check(2).await;
    check(3).await;
    world.wait_for("blue", &[Unhealthy]).await;
    let told = world.target_health("blue").unwrap();
    assert_eq!(told[0].description.as_deref(), Some("Health checks failed with these codes: [503]"));
    blue.answer_checks_with(200);
    for number in 4..=5 {
        check(number).await;
        settle().await;
        assert_eq!(world.states("blue"), [Unhealthy], "check {number}");
    }
    check(6).await;
    world.wait_for("blue", &[Healthy]).await;
}

#[tokio::test]
async fn a_target_that_is_not_there_is_unhealthy_and_one_that_is_silent_times_out() {
    let (world, blue) = (World::new(), Backend::start("blue").await);
    let mut spec = group("blue", &[&blue]);
    spec.health_check.path = "/gate".into();
    spec.health_check.unhealthy_threshold = 1;
    world.serve(forward(&[("blue", 1)]), vec![spec.clone()]);
    blue.wait_for_requests(1).await;
    assert_eq!(world.states("blue"), [Initial]);
    world.clock.advance(spec.health_check.timeout);
    world.wait_for("blue", &[Unhealthy]).await;
    assert_eq!(world.target_health("blue").unwrap()[0].reason, Some(HealthReason::Timeout));
    let gone = Backend::start("gone").await;
    let target = gone.target();
    spec.targets = vec![target];
    drop(gone);
    wait_for_refusal(target.address()).await;
    world.serve(forward(&[("blue", 1)]), vec![spec]);
    let health = world.wait_for_target("blue", target, Unhealthy).await;
    assert_eq!(health.reason, Some(HealthReason::FailedHealthChecks));
}

#[tokio::test]
async fn what_stays_keeps_its_health() {
    let (blue, other) = (Backend::start("blue").await, Backend::start("other").await);
    let world = World::with(&blue).await;
    for weight in 0..10 {
        let mut spec = group("blue", &[&blue, &other]);
        spec.deregistration_delay = Duration::from_secs(weight);
        world.serve(forward(&[("blue", 10), ("green", weight as u32)]), vec![spec, group("green", &[])]);
    }
    let place = world.target_health("blue").unwrap();
    let health = place.iter().find(|health| health.target == blue.target()).unwrap();
    assert_eq!(health.state, Healthy);
    world.wait_for("blue", &[Healthy, Healthy]).await;
    assert_eq!((blue.checks(), other.checks()), (1, 1), "nobody was checked anew");
}

#[tokio::test]
async fn a_new_check_begins_at_once() {
    let blue = Backend::start("blue").await;
    let world = World::with(&blue).await;
    let mut spec = group("blue", &[&blue]);
    spec.health_check.matcher = "204".parse().unwrap();
    spec.health_check.unhealthy_threshold = 1;
    world.serve(forward(&[("blue", 1)]), vec![spec]);
    world.wait_for("blue", &[Unhealthy]).await;
    assert_eq!(blue.checks(), 2);
}

#[tokio::test]
async fn a_leaving_target_finishes_and_gets_nothing_new() {
    let (leaving, staying) = (Backend::start("leaving").await, Backend::start("staying").await);
    let world = World::with(&leaving).await;
    let mut client = world.client().await;
    let in_flight = tokio::spawn(async move { client.get("/gate").await });
    leaving.wait_for_requests(1).await;
    let mut kept = world.client().await;
    assert_eq!(kept.get("/").await.backend(), "leaving");
    world.serve(forward(&[("blue", 1)]), vec![group("blue", &[&staying])]);
    for _ in 0..20 {
        assert_eq!(kept.get("/").await.backend(), "staying");
    }
    let told = world.target_health("blue").unwrap();
    let health = told.iter().find(|health| health.target == leaving.target()).unwrap();
    assert_eq!((health.state, health.reason), (Draining, Some(HealthReason::DeregistrationInProgress)));
    leaving.open_gate();
    assert_eq!(in_flight.await.unwrap().body, "through");
    world.clock.advance(Duration::from_millis(9_999));
    settle().await;
    assert_eq!(world.target_health("blue").unwrap().len(), 2, "draining until the delay ends");
    world.clock.advance(Duration::from_millis(1));
    world.wait_for("blue", &[Healthy]).await;
}

#[tokio::test]
async fn what_is_unfinished_when_the_delay_ends_is_cut() {
    let blue = Backend::start("blue").await;
    let world = World::with(&blue).await;
    let mut waiting = world.client().await;
    let waiting = tokio::spawn(async move { waiting.get("/gate").await });
    let mut half = world.client().await;
    let half = tokio::spawn(async move {
        half.send(Request::get("/half").header("host", "a").body(Full::default()).unwrap()).await
    });
    blue.wait_for_requests(2).await;
    world.serve(forward(&[("blue", 1)]), vec![group("blue", &[])]);
    world.wait_for("blue", &[Draining]).await;
    world.clock.advance(Duration::from_secs(10));
    assert_eq!(waiting.await.unwrap().status, StatusCode::BAD_GATEWAY);
    assert!(half.await.unwrap().is_err(), "an answer that is cut does not look whole");
    world.wait_for("blue", &[]).await;
}

#[tokio::test]
async fn a_target_that_comes_back_while_draining_begins_anew() {
    let blue = Backend::start("blue").await;
    let world = World::with(&blue).await;
    world.serve(forward(&[("blue", 1)]), vec![group("blue", &[])]);
    assert_eq!(world.states("blue"), [Draining]);
    world.serve(forward(&[("blue", 1)]), vec![group("blue", &[&blue])]);
    assert_eq!(world.states("blue"), [Initial]);
    world.wait_for("blue", &[Healthy]).await;
    world.clock.advance(Duration::from_secs(20));
    settle().await;
    assert_eq!(world.states("blue"), [Healthy], "the delay of its last stay does not end this one");
    assert_eq!(world.get("/").await.backend(), "blue");
}

#[tokio::test]
async fn unhealthy_targets_get_nothing_while_another_is_healthy() {
    let (sick, well) = (Backend::start("sick").await, Backend::start("well").await);
    sick.answer_checks_with(500);
    let world = World::new();
    let mut spec = group("blue", &[&sick, &well]);
    spec.health_check.unhealthy_threshold = 1;
    world.serve(forward(&[("blue", 1)]), vec![spec.clone()]);
    world.wait_for_target("blue", sick.target(), Unhealthy).await;
    world.wait_for_target("blue", well.target(), Healthy).await;
    let mut client = world.client().await;
    for _ in 0..10 {
        assert_eq!(client.get("/").await.backend(), "well");
    }
    assert_eq!(world.count("blue", Counter::UnhealthyRouting), 0);
    well.answer_checks_with(500);
    world.clock.advance(INTERVAL);
    world.wait_for("blue", &[Unhealthy, Unhealthy]).await;
    let mut names: Vec<_> = Vec::new();
    for _ in 0..4 {
        names.push(client.get("/").await.backend().to_owned());
    }
    names.sort();
    assert_eq!(names, ["sick", "sick", "well", "well"], "fail-open: all, whatever their health");
    assert_eq!(world.count("blue", Counter::UnhealthyRouting), 4);
}

#[tokio::test]
async fn hosts_are_counted_while_a_group_is_in_use() {
    let blue = Backend::start("blue").await;
    let world = World::with(&blue).await;
    world.serve(forward(&[("blue", 1)]), vec![group("blue", &[&blue]), group("idle", &[&blue])]);
    let mut samples = HostCount::default();
    let read = |arn: &str| world.statistics(arn, Timestamp::UNIX_EPOCH..Timestamp::MAX).unwrap();
    while samples.samples < 3 {
        world.clock.advance(Duration::from_secs(1));
        settle().await;
        samples = read("blue").healthy_hosts();
    }
    assert_eq!((samples.min, samples.max), (1, 1));
    assert_eq!(read("blue").unhealthy_hosts().max, 0);
    assert_eq!(read("idle").healthy_hosts().samples, 0);
}
