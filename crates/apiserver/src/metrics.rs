//! `/metrics`: how much is asked, how long it takes, how much is kept
//! (spec/apiserver.md 18), under upstream's names.
//!
//! Labels hold only what the server itself knows: kinds it serves, verbs,
//! codes. A caller cannot make a new series by asking for nonsense.

use std::sync::Arc;
use std::sync::atomic::AtomicI64;
use std::time::Duration;

use prometheus_client::encoding::{EncodeLabelSet, text};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::Registry;

use crate::api::Api;
use crate::http::reply::Reply;

/// The form of the text: OpenMetrics, which Prometheus asks for first.
const MEDIA: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// Bounds of the buckets of durations, in seconds; a watch is not in them.
const SECONDS: [f64; 14] =
    [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 3.0, 10.0, 60.0];

/// What a request was about.
#[derive(Clone, Debug, Default, Hash, PartialEq, Eq, EncodeLabelSet)]
pub(crate) struct About {
    pub(crate) verb: String,
    pub(crate) group: String,
    pub(crate) version: String,
    pub(crate) resource: String,
    pub(crate) subresource: String,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct Answered {
    verb: String,
    group: String,
    version: String,
    resource: String,
    subresource: String,
    code: u32,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct Watched {
    group: String,
    version: String,
    resource: String,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct Stored {
    resource: String,
}

type Durations = Family<About, Histogram, fn() -> Histogram>;

/// The counters of one server.
pub(crate) struct Metrics {
    registry: Registry,
    requests: Family<Answered, Counter>,
    durations: Durations,
    open_watches: Family<Watched, Gauge<i64, AtomicI64>>,
    watch_events: Family<Watched, Counter>,
    objects: Family<Stored, Gauge>,
    revision: Gauge,
    database: Gauge,
    journal: Gauge,
    history_revisions: Gauge,
    history_seconds: Gauge,
}

impl Metrics {
    pub(crate) fn new() -> Self {
        let durations: Durations = Family::new_with_constructor(|| Histogram::new(SECONDS));
        let mut own = Self {
            registry: Registry::default(),
            requests: Family::default(),
            durations,
            open_watches: Family::default(),
            watch_events: Family::default(),
            objects: Family::default(),
            revision: Gauge::default(),
            database: Gauge::default(),
            journal: Gauge::default(),
            history_revisions: Gauge::default(),
            history_seconds: Gauge::default(),
        };
        let registry = &mut own.registry;
        registry.register("apiserver_request", "Requests answered", own.requests.clone());
        registry.register(
            "apiserver_request_duration_seconds",
            "Time from a request to its answer, watches left out",
            own.durations.clone(),
        );
        registry.register("apiserver_longrunning_requests", "Watches open now", own.open_watches.clone());
        registry.register("apiserver_watch_events", "Events sent to watchers", own.watch_events.clone());
        registry.register("apiserver_storage_objects", "Objects stored now", own.objects.clone());
        registry.register("apiserver_storage_revision", "The newest revision", own.revision.clone());
        for (name, help, gauge) in [
            ("size_bytes", "Bytes of the database", &own.database),
            ("journal_bytes", "Bytes not yet folded into the database", &own.journal),
            ("history_revisions", "How many revisions back can be asked for", &own.history_revisions),
            ("history_seconds", "How many seconds back can be asked for", &own.history_seconds),
        ] {
            registry.register(format!("apiserver_storage_{name}"), help, gauge.clone());
        }
        own
    }

    /// Counts one answered request.
    pub(crate) fn answered(&self, about: &About, code: u16, took: Duration) {
        let About { verb, group, version, resource, subresource } = about.clone();
        let answered = Answered { verb, group, version, resource, subresource, code: u32::from(code) };
        self.requests.get_or_create(&answered).inc();
        if about.verb != "watch" {
            self.durations.get_or_create(about).observe(took.as_secs_f64());
        }
    }

    /// Counts a watch for as long as the answer lives.
    pub(crate) fn watch(self: &Arc<Self>, about: &About) -> WatchCount {
        let watched = Watched {
            group: about.group.clone(),
            version: about.version.clone(),
            resource: about.resource.clone(),
        };
        self.open_watches.get_or_create(&watched).inc();
        WatchCount { metrics: self.clone(), watched }
    }
}

/// One open watch.
pub(crate) struct WatchCount {
    metrics: Arc<Metrics>,
    watched: Watched,
}

impl WatchCount {
    /// Counts the events of a piece of the stream: one a line.
    pub(crate) fn sent(&self, piece: &[u8]) {
        let lines = piece.iter().filter(|byte| **byte == b'\n').count();
        self.metrics.watch_events.get_or_create(&self.watched).inc_by(lines as u64);
    }
}

impl Drop for WatchCount {
    fn drop(&mut self) {
        self.metrics.open_watches.get_or_create(&self.watched).dec();
    }
}

/// The answer of `/metrics`.
pub(crate) fn answer(api: &Api) -> Reply {
    let metrics = &api.metrics;
    metrics.objects.clear();
    for kind in api.kinds.current().stored_kinds() {
        let count = api.store.list(&kind.resource, None).items.len();
        let resource = crate::http::status::qualified(&kind.plural, &kind.group);
        metrics.objects.get_or_create(&Stored { resource }).set(i64::try_from(count).unwrap_or(i64::MAX));
    }
    let set = |gauge: &Gauge, number: u64| gauge.set(i64::try_from(number).unwrap_or(i64::MAX));
    set(&metrics.revision, api.store.revision());
    let sizes = api.store.sizes(api.clock.monotonic());
    set(&metrics.database, sizes.database);
    set(&metrics.journal, sizes.journal);
    set(&metrics.history_revisions, sizes.revisions);
    set(&metrics.history_seconds, sizes.age.as_secs());
    let mut out = String::new();
    text::encode(&mut out, &metrics.registry).expect("a String takes all text");
    Reply::bytes(200, MEDIA, out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_is_counted_by_what_it_was_about() {
        let metrics = Arc::new(Metrics::new());
        let about = About { verb: "list".into(), resource: "pods".into(), ..About::default() };
        metrics.answered(&about, 200, Duration::from_millis(2));
        let watch = metrics.watch(&about);
        watch.sent(b"{}\n{}\n");
        let shown = |metrics: &Metrics| {
            let mut out = String::new();
            text::encode(&mut out, &metrics.registry).unwrap();
            out
        };
        let text = shown(&metrics);
        let line = "apiserver_request_total{verb=\"list\",group=\"\",version=\"\",resource=\"pods\",\
                    subresource=\"\",code=\"200\"} 1";
        assert!(text.contains(line), "{text}");
        assert!(text.contains("apiserver_longrunning_requests{group=\"\",version=\"\",resource=\"pods\"} 1"));
        assert!(text.contains("resource=\"pods\"} 2"), "two events: {text}");
        drop(watch);
        assert!(
            shown(&metrics)
                .contains("apiserver_longrunning_requests{group=\"\",version=\"\",resource=\"pods\"} 0")
        );
    }
}
