//! What can be said against one metric.

use jiff::SignedDuration;
use okra_domain::analysis::{MetricSpec, Run, RunSpec, parse_duration};
use okra_expr::Program;
use serde_json::{Map, Value as Json, json};

use super::Findings;
use super::placeholders::Known;
use crate::registry::{Providers, retry_limit};

/// Fields of a metric that okra reads, in the order of `spec/analysis.md` 1.3 and 2.10.
const FIELDS: [&str; 17] = [
    "name",
    "interval",
    "initialDelay",
    "count",
    "successCondition",
    "failureCondition",
    "failureLimit",
    "inconclusiveLimit",
    "consecutiveErrorLimit",
    "consecutiveSuccessLimit",
    "provider",
    "consecutiveFailureLimit",
    "onInconclusive",
    "onError",
    "noData",
    "providerRetryLimit",
    "baseline",
];

const LIMITS: [&str; 5] =
    ["count", "failureLimit", "inconclusiveLimit", "consecutiveErrorLimit", "consecutiveSuccessLimit"];
const DURATIONS: [&str; 2] = ["interval", "initialDelay"];
const CONDITIONS: [&str; 2] = ["successCondition", "failureCondition"];

/// Fields with a few words to choose from.
const CHOICES: [(&str, &[&str]); 3] = [
    ("onInconclusive", &["pause", "abort", "continue"]),
    ("onError", &["pause", "abort", "continue"]),
    ("noData", &["Fail", "Inconclusive", "Success", "Error"]),
];

/// What stands in for a duration that is not known or wrong, so that the rest can be checked.
const SOME_DURATION: &str = "1m";

/// The window of `cloudWatch` when a metric names none.
const CLOUD_WATCH_WINDOW: SignedDuration = SignedDuration::from_mins(5);

/// Checks a metric; its name, if it is known.
pub(super) fn check(
    raw: &Json,
    path: &str,
    known: &Known,
    providers: &Providers,
    findings: &mut Findings,
) -> Option<String> {
    let Json::Object(fields) = raw else {
        findings.error(path, "a metric must be an object");
        return None;
    };
    for field in fields.keys().filter(|field| !FIELDS.contains(&field.as_str())) {
        findings.warning(format!("{path}.{field}"), "okra knows no such field of a metric");
    }
    if !known.check(raw, path, findings) {
        return None;
    }
    let substituted = match known.values().substitute(raw) {
        Ok(Json::Object(fields)) => fields,
        Ok(_) => return None,
        Err(error) => {
            findings.error(path, error);
            return None;
        }
    };
    let metric = Metric { raw: fields, path, known, fields: substituted };
    metric.check(providers, findings)
}

struct Metric<'a> {
    raw: &'a Map<String, Json>,
    path: &'a str,
    known: &'a Known,
    /// After substitution.
    fields: Map<String, Json>,
}

impl Metric<'_> {
    fn check(mut self, providers: &Providers, findings: &mut Findings) -> Option<String> {
        self.check_limits(findings);
        self.check_durations(findings);
        self.check_choices(findings);
        self.check_conditions(findings);
        let provider = self.check_provider(providers, findings);
        self.check_schedule(findings);
        if let Some(key) = provider {
            self.warn(&key, findings);
        }
        if self.is_open("name") {
            return None;
        }
        let name = self.fields.get("name").and_then(Json::as_str).filter(|name| !name.is_empty());
        if name.is_none() {
            findings.error(format!("{}.name", self.path), "a metric needs a name");
        }
        name.map(str::to_owned)
    }

    fn is_open(&self, field: &str) -> bool {
        self.raw.get(field).is_some_and(|value| self.known.is_open(value))
    }

    fn text(&self, field: &str) -> Option<&str> {
        self.fields.get(field)?.as_str().filter(|text| !text.is_empty())
    }

    fn at(&self, field: &str) -> String {
        format!("{}.{field}", self.path)
    }

    /// Each limit by itself; one that is no number is taken out, so that the others can be seen.
    fn check_limits(&mut self, findings: &mut Findings) {
        for field in LIMITS {
            let Some(value) = self.fields.get(field).filter(|_| !self.is_open(field)) else { continue };
            let alone = Json::from(Map::from_iter([(field.to_owned(), value.clone())]));
            if let Err(error) = MetricSpec::from_json(&alone) {
                findings.error(self.at(field), error);
                self.fields.remove(field);
            }
        }
        let retries = json!({"providerRetryLimit": self.fields.get("providerRetryLimit")});
        if let Err(error) = retry_limit(&retries)
            && !self.is_open("providerRetryLimit")
        {
            findings.error(self.at("providerRetryLimit"), error);
        }
    }

    fn check_durations(&mut self, findings: &mut Findings) {
        for field in DURATIONS {
            let wrong = match self.fields.get(field) {
                None | Some(Json::Null) => continue,
                _ if self.is_open(field) => None,
                Some(Json::String(text)) if text.is_empty() => continue,
                Some(Json::String(text)) => match parse_duration(text) {
                    Ok(_) => continue,
                    Err(error) => Some(error.to_string()),
                },
                Some(other) => Some(format!("{field} must be a string such as \"90s\", got {other}")),
            };
            if let Some(wrong) = wrong {
                findings.error(self.at(field), wrong);
            }
            self.fields.insert(field.to_owned(), Json::from(SOME_DURATION));
        }
    }

    fn check_choices(&self, findings: &mut Findings) {
        for (field, words) in CHOICES {
            let Some(value) = self.fields.get(field).filter(|_| !self.is_open(field)) else { continue };
            if !value.as_str().is_some_and(|word| words.contains(&word)) {
                findings.error(self.at(field), format!("must be one of {}, got {value}", words.join(", ")));
            }
        }
    }

    fn check_conditions(&mut self, findings: &mut Findings) {
        for field in CONDITIONS {
            let wrong = match self.fields.get(field) {
                Some(Json::String(text)) if !text.is_empty() && !self.is_open(field) => {
                    Program::compile(text).err().map(|error| error.to_string())
                }
                None | Some(Json::Null | Json::String(_)) => None,
                Some(other) => Some(format!("{field} must be a string, got {other}")),
            };
            if let Some(wrong) = wrong {
                findings.error(self.at(field), wrong);
                self.fields.remove(field);
            }
        }
    }

    /// The key of the provider, if there is exactly one.
    fn check_provider(&mut self, providers: &Providers, findings: &mut Findings) -> Option<String> {
        let known = self.fields.get("provider").and_then(Json::as_object);
        let keys: Vec<String> = known
            .into_iter()
            .flatten()
            .filter(|(_, value)| !value.is_null())
            .map(|(key, _)| key.clone())
            .collect();
        let key = match &keys[..] {
            [key] => key.clone(),
            [] => {
                findings.error(self.at("provider"), "no provider specified");
                return self.without_provider();
            }
            _ => {
                findings.error(self.at("provider"), "multiple providers specified");
                return self.without_provider();
            }
        };
        self.check_settings("provider", &key, providers, findings);
        let baseline = self.fields.get("baseline").and_then(|baseline| baseline["provider"].as_object());
        for key in baseline.into_iter().flatten().map(|(key, _)| key.clone()).collect::<Vec<_>>() {
            self.check_settings("baseline.provider", &key, providers, findings);
        }
        Some(key)
    }

    fn without_provider(&mut self) -> Option<String> {
        self.fields.insert("provider".to_owned(), json!({"web": {}}));
        None
    }

    /// Settings that depend on what is not known may be right, whatever they look like.
    fn check_settings(&self, field: &str, key: &str, providers: &Providers, findings: &mut Findings) {
        let pointer = format!("/{}/{key}", field.replace('.', "/"));
        let of = |fields: &Map<String, Json>| {
            Json::from(fields.clone()).pointer(&pointer).cloned().unwrap_or_default()
        };
        let (raw, settings) = (of(self.raw), of(&self.fields));
        if let Err(error) = providers.check(key, &settings)
            && (!providers.has(key) || !self.known.is_hidden(&raw))
        {
            findings.error(self.at(&format!("{field}.{key}")), error.chain());
        }
    }

    /// The rules of limits and counts among each other.
    fn check_schedule(&self, findings: &mut Findings) {
        if LIMITS.iter().any(|field| self.is_open(field)) {
            return;
        }
        let Ok(spec) = MetricSpec::from_json(&Json::from(self.fields.clone())) else { return };
        let alone = RunSpec { metrics: vec![spec], ..RunSpec::default() };
        match Run::new(alone, |_, _| true) {
            Ok(run) => run.warnings().into_iter().for_each(|warning| findings.warning(self.path, warning)),
            Err(error) => {
                let message = error.to_string();
                let message =
                    message.rsplit_once("metrics[0]: ").map_or(message.as_str(), |(_, reason)| reason);
                findings.error(self.path, message);
            }
        }
    }

    fn warn(&self, provider: &str, findings: &mut Findings) {
        let said = |field: &&str| self.raw.get(*field).is_some_and(|text| !matches!(text.as_str(), Some("")));
        let unconditional = !CONDITIONS.iter().any(said);
        if unconditional && provider != "job" && self.fields.get("baseline").is_none() {
            findings.warning(self.path, "without a condition every answer counts as a success");
        }
        let settings = &self.fields["provider"][provider];
        if provider == "datadog" && matches!(settings["apiVersion"].as_str(), None | Some("" | "v1")) {
            let path = self.at("provider.datadog.apiVersion");
            findings.warning(path, "version v1 of the API is deprecated by Datadog: use v2");
        }
        if provider == "cloudWatch" {
            self.warn_of_window(settings, findings);
        }
    }

    /// The first window must not reach back to before the step's weight.
    fn warn_of_window(&self, settings: &Json, findings: &mut Findings) {
        let read = |text: Option<&str>| text.and_then(|text| parse_duration(text).ok());
        let window = read(settings["interval"].as_str()).unwrap_or(CLOUD_WATCH_WINDOW);
        let delay = read(self.text("initialDelay")).unwrap_or(SignedDuration::ZERO);
        if delay < window && !self.is_open("initialDelay") {
            let message = format!(
                "the first measurement looks back {} s but begins {} s after the step: it judges the old share of \
                 the traffic too",
                window.as_secs(),
                delay.as_secs()
            );
            findings.warning(self.at("initialDelay"), message);
        }
    }
}
