//! Metrics that users wrote.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::Window;
use super::metric::MetricKey;
use super::points::{Point, Points};
use crate::state::Snapshot;
use crate::wire::Fault;
use crate::world::World;

/// Different metrics of all users. An account on AWS has no limit; a machine has.
const MOST_METRICS: usize = 10_000;

/// How long points below one minute are kept, seconds (`spec/aws.md` 5.1).
const SECONDS_RETENTION: i64 = 3 * 3600;
/// How long points of a minute are kept, seconds.
const MINUTES_RETENTION: i64 = 15 * 86_400;

/// How often new points reach the file. What a crash loses is at most this.
const SAVE_EVERY: Duration = Duration::from_secs(60);

/// Metrics that users wrote.
#[derive(Debug)]
pub(crate) struct UserMetrics {
    metrics: Mutex<Metrics>,
    snapshot: Snapshot,
}

/// What is stored, as a list: JSON has no maps with structured keys.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(crate) struct Stored(Vec<(MetricKey, String, Series)>);

#[derive(Debug, Default)]
struct Metrics {
    /// By name and unit.
    series: BTreeMap<MetricKey, BTreeMap<String, Series>>,
    unsaved: bool,
}

/// Points of one metric in one unit.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
struct Series {
    /// By second, for what is written with a storage resolution of 1.
    seconds: BTreeMap<i64, Point>,
    /// By the first second of the minute.
    minutes: BTreeMap<i64, Point>,
}

/// One point to be written.
pub(super) struct Datum {
    pub(super) key: MetricKey,
    pub(super) unit: String,
    pub(super) time: Timestamp,
    pub(super) high_resolution: bool,
    pub(super) point: Point,
}

impl UserMetrics {
    pub(crate) fn new(stored: Stored, snapshot: Snapshot) -> Self {
        let mut metrics = Metrics::default();
        for (key, unit, series) in stored.0 {
            metrics.series.entry(key).or_default().insert(unit, series);
        }
        Self { metrics: Mutex::new(metrics), snapshot }
    }

    fn lock(&self) -> MutexGuard<'_, Metrics> {
        self.metrics.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds all points, or none if there would be too many metrics.
    pub(super) fn add(&self, data: Vec<Datum>, now: Timestamp) -> Result<(), Fault> {
        let mut metrics = self.lock();
        let new: std::collections::BTreeSet<&MetricKey> =
            data.iter().map(|datum| &datum.key).filter(|key| !metrics.series.contains_key(*key)).collect();
        if metrics.series.len() + new.len() > MOST_METRICS {
            return Err(Fault::new(
                "LimitExceeded",
                format!(
                    "There would be more than {MOST_METRICS} different metrics, which is the limit of this region"
                ),
            ));
        }
        for datum in data {
            let units = metrics.series.entry(datum.key).or_default();
            units.entry(datum.unit).or_default().add(datum.time, datum.high_resolution, &datum.point, now);
        }
        metrics.unsaved = true;
        Ok(())
    }

    /// Points of a metric, of all units unless one is asked for.
    pub(super) fn read(&self, key: &MetricKey, unit: Option<&str>, window: Window) -> Points {
        let metrics = self.lock();
        let mut points = Points::new();
        let units = metrics.series.get(key).into_iter().flatten();
        for (_, series) in units.filter(|(known, _)| unit.is_none_or(|unit| unit == *known)) {
            series.read(window, &mut points);
        }
        points
    }

    pub(super) fn keys(&self) -> Vec<MetricKey> {
        self.lock().series.keys().cloned().collect()
    }

    /// The bytes to save, if anything is new.
    fn take_unsaved(&self) -> Option<std::io::Result<Vec<u8>>> {
        let mut metrics = self.lock();
        if !std::mem::take(&mut metrics.unsaved) || self.snapshot.path().is_none() {
            return None;
        }
        let flat = metrics.series.iter().flat_map(|(key, units)| {
            units.iter().map(move |(unit, series)| (key.clone(), unit.clone(), series.clone()))
        });
        Some(Snapshot::encode(&Stored(flat.collect())))
    }
}

impl Series {
    fn add(&mut self, time: Timestamp, high_resolution: bool, point: &Point, now: Timestamp) {
        let second = time.as_second();
        let (points, start, retention) = if high_resolution {
            (&mut self.seconds, second, SECONDS_RETENTION)
        } else {
            (&mut self.minutes, second - second.rem_euclid(60), MINUTES_RETENTION)
        };
        points.entry(start).and_modify(|known| known.merge(point)).or_insert_with(|| point.clone());
        *points = points.split_off(&(now.as_second() - retention));
    }

    /// Adds the points of a window by the start of their period. Periods below
    /// a minute see only what was written with that resolution.
    fn read(&self, window: Window, into: &mut Points) {
        let minutes = (window.period >= 60)
            .then_some(&self.minutes)
            .into_iter()
            .flat_map(|minutes| minutes.range(window.start..window.end));
        for (time, point) in minutes.chain(self.seconds.range(window.start..window.end)) {
            let start = time - time.rem_euclid(window.period);
            into.entry(start).and_modify(|known| known.merge(point)).or_insert_with(|| point.clone());
        }
    }
}

/// Saves new points every minute until the region stops.
pub(crate) async fn keep(world: Arc<World>) {
    loop {
        tokio::select! {
            () = world.stop.cancelled() => return,
            () = world.options.clock.sleep(SAVE_EVERY) => save(&world).await,
        }
    }
}

/// Saves new points, if there are any.
pub(crate) async fn save(world: &Arc<World>) {
    let Some(bytes) = world.metrics.take_unsaved() else { return };
    let snapshot = world.metrics.snapshot.clone();
    let saved = match bytes {
        Ok(bytes) => tokio::task::spawn_blocking(move || snapshot.save(&bytes))
            .await
            .map_err(std::io::Error::other)
            .flatten(),
        Err(error) => Err(error),
    };
    if let Err(error) = saved {
        tracing::error!(%error, "metrics could not be stored");
        world.metrics.lock().unsaved = true;
    }
}
