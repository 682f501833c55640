use std::collections::BTreeSet;
use std::sync::Mutex;

use okra_domain::analysis::substitute::Redactor;
use serde_json::json;

use super::*;
use crate::{Outcome, Place, Providers};

/// A cluster in memory.
#[derive(Debug, Default)]
struct Fake {
    jobs: Mutex<BTreeMap<String, Json>>,
    pods: Mutex<Vec<Json>>,
    created: Mutex<Vec<JobPlace>>,
}

impl Fake {
    fn only_job(&self) -> Json {
        self.jobs.lock().unwrap().values().next().cloned().unwrap()
    }

    fn set_status(&self, status: Json) {
        self.jobs.lock().unwrap().values_mut().for_each(|job| job["status"] = status.clone());
    }
}

#[async_trait]
impl JobClusters for Fake {
    async fn create(&self, place: &JobPlace, job: &Json) -> Result<Created, ProviderError> {
        let name = job["metadata"]["name"].as_str().unwrap().to_owned();
        let mut jobs = self.jobs.lock().unwrap();
        if jobs.contains_key(&name) {
            return Ok(Created::Exists);
        }
        self.created.lock().unwrap().push(place.clone());
        jobs.insert(name, job.clone());
        Ok(Created::Yes)
    }

    async fn job(&self, _: &JobPlace, name: &str) -> Result<Option<Json>, ProviderError> {
        Ok(self.jobs.lock().unwrap().get(name).cloned())
    }

    async fn jobs(&self, _: &JobPlace, selector: &str) -> Result<Vec<Json>, ProviderError> {
        let (key, value) = selector.split_once('=').unwrap();
        let jobs = self.jobs.lock().unwrap();
        Ok(jobs.values().filter(|job| job["metadata"]["labels"][key] == value).cloned().collect())
    }

    async fn delete(&self, _: &JobPlace, name: &str) -> Result<(), ProviderError> {
        self.jobs.lock().unwrap().remove(name);
        Ok(())
    }

    async fn pods(&self, _: &JobPlace, _: &str) -> Result<Vec<Json>, ProviderError> {
        Ok(self.pods.lock().unwrap().clone())
    }

    async fn log(
        &self,
        _: &JobPlace,
        pod: &str,
        container: &str,
        lines: u32,
    ) -> Result<String, ProviderError> {
        Ok(format!("{pod}/{container} last {lines}: hunter2 refused"))
    }
}

fn settings() -> Json {
    json!({
        "metadata": {"labels": {"team": "shop"}, "annotations": {"note": "x"}},
        "spec": {
            "backoffLimit": 0,
            "template": {"spec": {"restartPolicy": "Never", "containers": [{"name": "test", "image": "smoke"}]}},
        },
    })
}

fn place(metric: &str, number: u32) -> Place {
    Place {
        namespace: "shop".to_owned(),
        run: "web-1".to_owned(),
        run_uid: "uid-1".to_owned(),
        metric: metric.to_owned(),
        number,
        cluster: String::new(),
    }
}

fn now() -> Timestamp {
    crate::testing::now()
}

/// What a provider says of one measurement.
struct Lab {
    fake: Arc<Fake>,
    providers: Providers,
    redactor: Redactor,
}

impl Lab {
    fn new() -> Self {
        let fake = Arc::new(Fake::default());
        let providers = Providers::new().with_background("job", Arc::new(Job::new(fake.clone())));
        Self { fake, providers, redactor: Redactor::new(["hunter2"]) }
    }

    fn request<'a>(&'a self, settings: &'a Json, place: &'a Place) -> Request<'a> {
        Request { settings, redactor: &self.redactor, now: now(), place, retries: 0 }
    }

    async fn start(&self, place: &Place) -> Result<Progress, String> {
        let settings = settings();
        let outcome = self.providers.measure("job", &self.request(&settings, place)).await;
        match outcome.map_err(|error| error.to_string())? {
            Outcome::Progress(progress) => Ok(progress),
            Outcome::Measured(measured) => panic!("{measured:?}"),
        }
    }

    async fn resume(&self, begun: &Progress, started_at: Timestamp) -> Result<Progress, String> {
        let (settings, place) = (settings(), place("smoke", 1));
        let begun = Begun { metadata: &begun.metadata, started_at };
        let resumed = self.providers.resume("job", &self.request(&settings, &place), begun).await;
        resumed.map_err(|error| error.to_string())
    }
}

#[tokio::test]
async fn a_measurement_is_a_job_that_says_what_it_measures() {
    let lab = Lab::new();
    let begun = lab.start(&place("Smoke Test", 1)).await.unwrap();
    assert_eq!((begun.phase, begun.resume_at), (Phase::Running, Some(now())));
    let job = lab.fake.only_job();
    assert_eq!(job["metadata"]["name"], begun.metadata["job-name"].as_str());
    assert_eq!(
        (begun.metadata["job-namespace"].as_str(), begun.metadata["job-cluster"].as_str()),
        ("shop", "management")
    );
    assert!(begun.metadata["job-name"].starts_with("smoke-test-1-"), "{}", begun.metadata["job-name"]);
    assert_eq!(job["metadata"]["labels"], json!({"team": "shop", "analysisrun.argoproj.io/uid": "uid-1"}));
    let annotations = json!({
        "note": "x", "analysisrun.argoproj.io/name": "web-1", "analysisrun.argoproj.io/namespace": "shop",
        "analysisrun.argoproj.io/metric-name": "Smoke Test",
    });
    assert_eq!(job["metadata"]["annotations"], annotations);
    assert_eq!(job["metadata"]["ownerReferences"][0]["uid"], "uid-1");
    assert_eq!(job["spec"]["template"]["metadata"]["labels"]["analysisrun.argoproj.io/uid"], "uid-1");
    assert_eq!(job["spec"]["backoffLimit"], 0);
}

#[tokio::test]
async fn a_job_elsewhere_has_no_owner_there() {
    let lab = Lab::new();
    let elsewhere = Place { cluster: "canary".to_owned(), ..place("smoke", 1) };
    let begun = lab.start(&elsewhere).await.unwrap();
    assert_eq!(begun.metadata["job-cluster"], "canary");
    assert_eq!(lab.fake.created.lock().unwrap()[0].cluster, "canary");
    assert!(lab.fake.only_job()["metadata"].get("ownerReferences").is_none());
    let fake = Arc::new(Fake::default());
    let job = Job::new(fake.clone()).in_namespace(Some("jobs".to_owned()));
    let (settings, redactor, place) = (settings(), Redactor::default(), place("smoke", 1));
    let request = Request { settings: &settings, redactor: &redactor, now: now(), place: &place, retries: 0 };
    job.start(&request).await.unwrap();
    assert_eq!(fake.only_job()["metadata"]["namespace"], "jobs");
    assert!(fake.only_job()["metadata"].get("ownerReferences").is_none());
}

#[tokio::test]
async fn to_begin_again_finds_what_was_begun() {
    let lab = Lab::new();
    let first = lab.start(&place("smoke", 1)).await.unwrap();
    let again = lab.start(&place("smoke", 1)).await.unwrap();
    assert_eq!((&first, lab.fake.jobs.lock().unwrap().len()), (&again, 1));
    lab.start(&place("smoke", 2)).await.unwrap();
    assert_eq!(lab.fake.jobs.lock().unwrap().len(), 2);
}

#[tokio::test]
async fn a_foreign_job_of_that_name_is_no_measurement() {
    let lab = Lab::new();
    let name = lab.start(&place("smoke", 1)).await.unwrap().metadata["job-name"].clone();
    lab.fake.jobs.lock().unwrap().get_mut(&name).unwrap()["metadata"]["labels"] = json!({});
    let message = lab.start(&place("smoke", 1)).await.unwrap_err();
    assert_eq!(message, format!("job shop/{name} in cluster management belongs to something else"));
}

#[test]
fn defect_11_job_names_do_not_collide_and_are_names() {
    let long = "x".repeat(80);
    let metrics =
        [format!("{long}a"), format!("{long}b"), "Ünï.".to_owned(), "...".to_owned(), "a".to_owned()];
    let mut names = BTreeSet::new();
    for metric in &metrics {
        for number in [1, 2, 999] {
            for uid in ["uid-1", "uid-2"] {
                let place = Place { run_uid: uid.to_owned(), ..place(metric, number) };
                let name = manifest::name(&place);
                let is_label = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
                assert!(name.len() <= 57 && name.chars().all(is_label), "{name}");
                assert!(!name.starts_with('-') && !name.ends_with('-'), "{name}");
                assert!(names.insert(name));
            }
        }
    }
}

#[tokio::test]
async fn a_job_that_ends_is_the_verdict() {
    let lab = Lab::new();
    let begun = lab.start(&place("smoke", 1)).await.unwrap();
    let condition = |kind: &str| {
        json!({"conditions": [
            {"type": "FailureTarget", "status": "True"},
            {"type": kind, "status": "True", "reason": "BackoffLimitExceeded", "message": "has reached the limit"},
        ]})
    };
    lab.fake.set_status(condition("Complete"));
    let done = lab.resume(&begun, now()).await.unwrap();
    assert_eq!((done.phase, done.resume_at, done.message.as_str()), (Phase::Successful, None, ""));
    lab.fake.set_status(condition("Failed"));
    let pod = |name: &str, created: &str, state: Json| {
        json!({"metadata": {"name": name, "creationTimestamp": created},
            "status": {"containerStatuses": [{"name": "side", "state": {"running": {}}}, {"name": "test", "state": state}]}})
    };
    *lab.fake.pods.lock().unwrap() = vec![
        pod("old", "2026-11-21T12:00:00Z", json!({"terminated": {"exitCode": 9}})),
        pod("new", "2026-11-21T12:01:00Z", json!({"terminated": {"exitCode": 3}})),
    ];
    let failed = lab.resume(&begun, now()).await.unwrap();
    assert_eq!(failed.phase, Phase::Failed);
    let name = &begun.metadata["job-name"];
    assert_eq!(failed.message, format!("job {name} failed: BackoffLimitExceeded has reached the limit"));
    assert_eq!(
        (failed.metadata["container"].as_str(), failed.metadata["exit-code"].as_str()),
        ("new/test", "3")
    );
    // What a job prints may repeat what it was given.
    assert_eq!(failed.metadata["log"], "new/test last 20: ***** refused");
    assert_eq!(&failed.metadata["job-name"], name);
}

#[tokio::test]
async fn a_job_at_work_is_asked_less_often_the_longer_it_works() {
    let lab = Lab::new();
    let begun = lab.start(&place("smoke", 1)).await.unwrap();
    lab.fake.set_status(json!({"active": 1, "conditions": [{"type": "Complete", "status": "False"}]}));
    for (elapsed, wait) in [(0, 1), (2, 2), (50, 10), (5_000, 100)] {
        let started_at = now() - SignedDuration::from_secs(elapsed);
        let running = lab.resume(&begun, started_at).await.unwrap();
        assert_eq!(running.phase, Phase::Running);
        assert_eq!(running.resume_at, Some(now() + SignedDuration::from_secs(wait)), "{elapsed}");
    }
    // A clock that was set back is no reason to hurry.
    assert_eq!(next_look(now(), now() + SignedDuration::from_secs(9)), now() + POLL_SHORTEST);
}

#[tokio::test]
async fn an_image_that_does_not_come_is_inconclusive() {
    let lab = Lab::new();
    let begun = lab.start(&place("smoke", 1)).await.unwrap();
    for (list, reason) in
        [("initContainerStatuses", "ErrImagePull"), ("containerStatuses", "InvalidImageName")]
    {
        *lab.fake.pods.lock().unwrap() = vec![json!({"metadata": {"name": "p"}, "status": {
            list: [{"name": "c", "state": {"waiting": {"reason": reason, "message": "no such image"}}}]}})];
        let progress = lab.resume(&begun, now()).await.unwrap();
        assert_eq!(progress.phase, Phase::Inconclusive);
        assert_eq!(progress.message, format!("pod p, container c: {reason}: no such image"));
    }
    *lab.fake.pods.lock().unwrap() = vec![json!({"metadata": {"name": "p"}, "status": {
        "containerStatuses": [{"name": "c", "state": {"waiting": {"reason": "ContainerCreating"}}}]}})];
    assert_eq!(lab.resume(&begun, now()).await.unwrap().phase, Phase::Running);
}

#[tokio::test]
async fn a_job_that_is_gone_or_unknown_is_an_error() {
    let lab = Lab::new();
    let begun = lab.start(&place("smoke", 1)).await.unwrap();
    lab.fake.jobs.lock().unwrap().clear();
    let name = &begun.metadata["job-name"];
    assert_eq!(lab.resume(&begun, now()).await.unwrap_err(), format!("job shop/{name} is gone"));
    let forgotten = Progress { metadata: BTreeMap::new(), ..begun };
    assert!(lab.resume(&forgotten, now()).await.unwrap_err().contains("does not say its job-namespace"));
}

#[tokio::test]
async fn a_job_that_is_stopped_is_deleted() {
    let lab = Lab::new();
    let begun = lab.start(&place("smoke", 1)).await.unwrap();
    let (settings, place) = (settings(), place("smoke", 1));
    let known = Begun { metadata: &begun.metadata, started_at: now() };
    let stopped = lab.providers.stop("job", &lab.request(&settings, &place), known).await.unwrap();
    assert_eq!(stopped.phase, Phase::Inconclusive);
    assert!(lab.fake.jobs.lock().unwrap().is_empty());
}

#[tokio::test]
async fn only_the_newest_jobs_of_the_metric_are_kept() {
    let lab = Lab::new();
    for number in 1..=4 {
        let begun = lab.start(&place("smoke", number)).await.unwrap();
        let created = format!("2026-11-21T12:00:0{number}Z");
        lab.fake.jobs.lock().unwrap().get_mut(&begun.metadata["job-name"]).unwrap()["metadata"]["creationTimestamp"] =
            Json::from(created);
    }
    lab.start(&place("other", 1)).await.unwrap();
    let (settings, place) = (settings(), place("smoke", 4));
    lab.providers.clean_up("job", &lab.request(&settings, &place), 2).await.unwrap();
    let left: Vec<String> = lab.fake.jobs.lock().unwrap().keys().map(|name| name[..7].to_owned()).collect();
    assert_eq!(left, ["other-1", "smoke-3", "smoke-4"]);
}

#[tokio::test]
async fn a_job_does_not_remove_itself_before_it_is_seen() {
    for (own, kept) in [(json!(0), json!(600)), (json!(3_600), json!(3_600)), (json!(null), json!(null))] {
        let fake = Arc::new(Fake::default());
        let mut settings = settings();
        settings["spec"]["ttlSecondsAfterFinished"] = own;
        let (redactor, place) = (Redactor::default(), place("smoke", 1));
        let request =
            Request { settings: &settings, redactor: &redactor, now: now(), place: &place, retries: 0 };
        Job::new(fake.clone()).start(&request).await.unwrap();
        assert_eq!(fake.only_job()["spec"]["ttlSecondsAfterFinished"], kept);
    }
}

#[test]
fn settings_that_cannot_work_are_refused_before_any_call() {
    let job = Job::new(Arc::new(Fake::default()));
    let check = |settings: Json| job.check(&settings).map_err(|error| error.to_string());
    assert_eq!(check(settings()), Ok(()));
    assert_eq!(check(json!({})).unwrap_err(), "job.spec must be set");
    assert!(check(json!({"spec": {"template": {}}})).unwrap_err().contains("containers must have entries"));
    assert!(check(json!({"spec": 5})).unwrap_err().contains("invalid job settings"));
    assert!(
        check(json!({"spec": {}, "metadata": {"labels": {"a": 1}}}))
            .unwrap_err()
            .contains("invalid job settings")
    );
}
