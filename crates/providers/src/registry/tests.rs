use std::sync::Mutex;

use async_trait::async_trait;
use jiff::Timestamp;
use okra_domain::analysis::Phase;
use okra_expr::Value;
use serde_json::json;

use super::*;
use crate::provider::Place;
use crate::secrets::SecretScope;
use crate::secrets::testing::Shelf;

#[derive(Debug)]
struct Leaky;

#[async_trait]
impl Provider for Leaky {
    fn check(&self, _: &serde_json::Value) -> Result<(), ProviderError> {
        Ok(())
    }

    fn asked(&self, settings: &serde_json::Value) -> Option<String> {
        settings.get("query").map(|query| format!("query {query}"))
    }

    async fn measure(&self, request: &Request<'_>, secrets: &Secrets) -> Result<Measured, ProviderError> {
        let read = secrets.read(SecretScope::Controller, "own", &[]).await?;
        let own = read.map(|read| read["key"].clone()).unwrap_or_default();
        if request.settings.get("query").is_some() {
            let cause = std::io::Error::other(format!("no route for hunter2 {own}"));
            return Err(ProviderError::caused_by("cannot reach http://h/?k=hunter2", cause));
        }
        Ok(Measured::new("hunter2", Value::from("hunter2")).noted("own", own).fact("hunter2", "y"))
    }
}

/// Fails as scripted, then succeeds.
#[derive(Debug)]
struct Flaky {
    failures: Mutex<Vec<Option<Duration>>>,
}

#[async_trait]
impl Provider for Flaky {
    fn check(&self, _: &serde_json::Value) -> Result<(), ProviderError> {
        Ok(())
    }

    fn asked(&self, _: &serde_json::Value) -> Option<String> {
        None
    }

    async fn measure(&self, _: &Request<'_>, _: &Secrets) -> Result<Measured, ProviderError> {
        match self.failures.lock().unwrap().pop() {
            Some(Some(after)) => Err(ProviderError::new("busy").passing(after)),
            Some(None) => Err(ProviderError::new("no")),
            None => Ok(Measured::of(Value::Float(1.0))),
        }
    }
}

/// Says what it was asked to do.
#[derive(Debug)]
struct Slow;

#[async_trait]
impl BackgroundProvider for Slow {
    fn check(&self, _: &serde_json::Value) -> Result<(), ProviderError> {
        Ok(())
    }

    async fn start(&self, request: &Request<'_>) -> Result<Progress, ProviderError> {
        let metadata = BTreeMap::from([("n".to_owned(), format!("hunter2 {}", request.place.number))]);
        Ok(Progress { phase: Phase::Running, message: String::new(), resume_at: Some(request.now), metadata })
    }

    async fn resume(&self, _: &Request<'_>, begun: Begun<'_>) -> Result<Progress, ProviderError> {
        let (metadata, message) = (begun.metadata.clone(), "hunter2 is done".to_owned());
        Ok(Progress { phase: Phase::Successful, message, resume_at: None, metadata })
    }

    async fn stop(&self, _: &Request<'_>, _: Begun<'_>) -> Result<Progress, ProviderError> {
        Err(ProviderError::new("hunter2 is gone"))
    }

    async fn clean_up(&self, _: &Request<'_>, keep: usize) -> Result<(), ProviderError> {
        Err(ProviderError::new(format!("hunter2 keeps {keep}")))
    }
}

fn request<'a>(settings: &'a serde_json::Value, redactor: &'a Redactor, place: &'a Place) -> Request<'a> {
    Request { settings, redactor, now: Timestamp::UNIX_EPOCH, place, retries: 0 }
}

fn value(outcome: Outcome) -> Measured {
    match outcome {
        Outcome::Measured(measured) => measured,
        Outcome::Progress(progress) => panic!("{progress:?} is no value"),
    }
}

#[tokio::test]
async fn no_secret_leaves_in_text_notes_or_messages() {
    let shelf = Shelf::default().with("/own", &[("key", "s3same")]);
    let providers = Providers::new().with("leaky", Arc::new(Leaky)).with_secrets(Arc::new(shelf));
    let (redactor, place) = (Redactor::new(["hunter2"]), Place::default());
    let settings = json!({});
    let measured = providers.measure("leaky", &request(&settings, &redactor, &place)).await.unwrap();
    let measured = value(measured);
    assert_eq!(measured.text, "*****");
    assert_eq!(measured.metadata["own"], "*****");
    assert!(measured.facts.contains_key("*****"));
    let failing = json!({"query": "up{k=\"hunter2\"}"});
    let error = providers.measure("leaky", &request(&failing, &redactor, &place)).await.unwrap_err();
    let expected = "cannot reach http://h/?k=*****: no route for ***** ***** (query \"up{k=\\\"*****\\\"}\")";
    assert_eq!(error.to_string(), expected);
    assert!(std::error::Error::source(&error).is_none());
}

#[tokio::test]
async fn a_secret_at_the_cut_of_a_message_is_hidden_before_the_cut() {
    let (redactor, place) = (Redactor::new(["hunter2"]), Place::default());
    let providers = Providers::new().with("leaky", Arc::new(Leaky));
    for length in ASKED_BYTES - 30..ASKED_BYTES {
        let settings = json!({"query": format!("{}hunter2", "x".repeat(length))});
        let error = providers.measure("leaky", &request(&settings, &redactor, &place)).await.unwrap_err();
        assert!(!error.to_string().contains("xhu"), "{error}");
    }
}

async fn tries(failures: Vec<Option<Duration>>, retries: u32) -> (Result<Outcome, String>, Duration) {
    let providers = Providers::new().with("flaky", Arc::new(Flaky { failures: Mutex::new(failures) }));
    let (redactor, place, settings) = (Redactor::default(), Place::default(), json!({}));
    let request = Request { retries, ..request(&settings, &redactor, &place) };
    let begin = tokio::time::Instant::now();
    let outcome = providers.measure("flaky", &request).await.map_err(|error| error.to_string());
    (outcome, begin.elapsed())
}

#[tokio::test(start_paused = true)]
async fn a_failure_that_may_pass_is_tried_again_as_often_as_the_metric_says() {
    let busy = |count| vec![Some(Duration::ZERO); count];
    assert_eq!(tries(busy(1), 0).await.0.unwrap_err(), "busy");
    let (outcome, waited) = tries(busy(2), 2).await;
    assert!(outcome.is_ok());
    // Half a second, then one.
    assert_eq!(waited.as_millis(), 1_500);
    assert_eq!(tries(busy(9), 2).await.0.unwrap_err(), "busy, 3 times");
    assert_eq!(tries(busy(99), 99).await.0.unwrap_err(), "busy, 6 times");
    assert_eq!(tries(vec![None], 3).await.0.unwrap_err(), "no");
}

#[tokio::test(start_paused = true)]
async fn a_server_that_says_when_is_not_asked_sooner_and_not_waited_for_long() {
    let (outcome, waited) = tries(vec![Some(Duration::from_secs(7))], 1).await;
    assert!(outcome.is_ok());
    assert_eq!(waited.as_millis(), 7_000);
    let (outcome, waited) = tries(vec![Some(Duration::from_secs(31))], 1).await;
    assert_eq!((outcome.unwrap_err().as_str(), waited), ("busy", Duration::ZERO));
}

#[tokio::test]
async fn what_works_in_the_background_is_begun_resumed_and_ended_without_a_secret() {
    let providers = Providers::new().with_background("slow", Arc::new(Slow)).with("leaky", Arc::new(Leaky));
    let (redactor, settings) = (Redactor::new(["hunter2"]), json!({}));
    let place = Place { number: 3, ..Place::default() };
    let request = request(&settings, &redactor, &place);
    let Outcome::Progress(begun) = providers.measure("slow", &request).await.unwrap() else { panic!() };
    assert_eq!((begun.phase, begun.metadata["n"].as_str()), (Phase::Running, "***** 3"));
    let known = Begun { metadata: &begun.metadata, started_at: Timestamp::UNIX_EPOCH };
    assert_eq!(providers.resume("slow", &request, known).await.unwrap().message, "***** is done");
    assert_eq!(providers.stop("slow", &request, known).await.unwrap_err().to_string(), "***** is gone");
    assert_eq!(providers.clean_up("slow", &request, 2).await.unwrap_err().to_string(), "***** keeps 2");
    assert!(providers.clean_up("leaky", &request, 2).await.is_ok());
    let error = providers.resume("leaky", &request, known).await.unwrap_err().to_string();
    assert_eq!(error, "leaky does not work in the background");
}

#[test]
fn what_is_not_supported_is_refused_with_what_is() {
    let providers = Providers::new().with("web", Arc::new(Leaky)).with_background("job", Arc::new(Slow));
    let settings = serde_json::Value::Null;
    let message = providers.check("wavefront", &settings).unwrap_err().to_string();
    assert!(message.contains("\"wavefront\" is not supported (supported are job, web)"), "{message}");
    for (key, hint) in UNAVAILABLE {
        assert!(providers.check(key, &settings).unwrap_err().to_string().contains(hint));
    }
    assert!(providers.check("web", &settings).is_ok() && providers.check("job", &settings).is_ok());
}

#[test]
fn a_metric_says_how_often_it_tries_again() {
    let limit = |value: serde_json::Value| retry_limit(&json!({"providerRetryLimit": value}));
    for (value, expected) in [(json!(null), 0), (json!(""), 0), (json!(2), 2), (json!("5"), 5)] {
        assert_eq!(limit(value).unwrap(), expected);
    }
    for value in [json!(6), json!(-1), json!("x"), json!(1.5), json!([])] {
        let message = limit(value.clone()).unwrap_err().to_string();
        assert!(message.contains("whole number from 0 to 5"), "{message}");
    }
}
