//! The demo: a whole swap of a pair of clusters on real parts, measured from
//! the outside. It drives nothing: it makes clusters appear and watches.

pub mod backend;
pub mod load;
pub mod progress;
pub mod report;
pub mod timeline;
pub mod view;
pub mod world;

use std::time::Duration;

use anyhow::Context as _;
use jiff::Timestamp;
use kube::api::{Api, ListParams};
use okra_api::{AnalysisRun, VersionBlocklist};
use okra_clock::SharedClock;
use okra_region::{Subscription, Timing};
use tokio_util::sync::CancellationToken;

use self::backend::Behaviour;
use self::load::{Load, Settings as LoadSettings};
use self::progress::Progress;
use self::report::{Report, SwapOutcome, Totals};
use self::timeline::Timeline;
use self::view::Screen;
use self::world::{CELL, DemoCluster, HOST, NAMESPACE, World};
use crate::local::{Local, Settings as LocalSettings};
use crate::manager::{self, ControllerFlags};

/// The version that serves at the beginning.
const OLD: &str = "1.0.0";
/// The version that is rolled out.
const NEW: &str = "2.0.0";
/// Requests per second and kept connections (`spec/okra.md` 8).
const RATE: u32 = 500;
const CONNECTIONS: u32 = 32;
/// Percent of the new version's answers that `--fail` turns into errors.
const FAULT_PERCENT: u8 = 20;
/// Load before the new clusters appear and after the end, so that both ends
/// of the swap are seen under traffic.
const BEFORE: Duration = Duration::from_secs(2);
const AFTER: Duration = Duration::from_secs(4);
/// The demo ends by itself: longest wait for the first version to serve, and
/// for the swap to reach an end.
const FIRST_VERSION_LIMIT: Duration = Duration::from_secs(20);
const SWAP_LIMIT: Duration = Duration::from_secs(50);
/// How often picture and journal are brought up to date.
const TICK: Duration = Duration::from_millis(100);

/// What the demo is asked to show.
#[derive(Debug, Clone, Copy)]
pub struct Settings {
    /// Make the new version fail.
    pub fail: bool,
    /// Draw the picture.
    pub picture: bool,
}

/// Runs the demo from nothing to the report.
///
/// # Errors
/// When a part cannot be started or the swap reaches no end in time.
pub async fn run(settings: Settings, clock: SharedClock, stop: CancellationToken) -> anyhow::Result<Report> {
    let local_settings = LocalSettings { data_dir: None, timing: Timing::default(), faults: Vec::new() };
    let local = Local::start(local_settings, clock.clone()).await?;
    let flags = ControllerFlags::for_demo();
    let controllers = manager::start_local(&local, &flags, clock.clone(), stop.child_token()).await?;
    let shown = tokio::select! {
        shown = Show::run(&local, settings, clock) => shown,
        () = stop.cancelled() => Err(anyhow::anyhow!("interrupted")),
    };
    stop.cancel();
    controllers.finish().await;
    local.shutdown().await;
    shown
}

/// The demo while it runs.
struct Show<'a> {
    local: &'a Local,
    world: World,
    clock: SharedClock,
    began: Duration,
    journal: Subscription,
    timeline: Timeline,
    progress: Progress,
    screen: Option<Screen>,
    load: Option<Load>,
    /// Applications run as long as their cluster is held.
    clusters: Vec<DemoCluster>,
}

impl<'a> Show<'a> {
    async fn run(local: &'a Local, settings: Settings, clock: SharedClock) -> anyhow::Result<Report> {
        let began = clock.monotonic();
        let journal = local.region().journal();
        let sdk = manager::local_sdk(local, clock.clone()).await;
        let world = World::build(local, sdk, clock.clone()).await?;
        let progress = Progress::follow(world.cells(), CELL);
        let screen = settings.picture.then(Screen::stderr);
        let timeline = Timeline::default();
        let clusters = Vec::new();
        let mut show =
            Show { local, world, clock, began, journal, timeline, progress, screen, load: None, clusters };
        show.play(settings).await
    }

    async fn play(&mut self, settings: Settings) -> anyhow::Result<Report> {
        self.world.apply_manifests(&self.local.region().endpoint()).await?;
        self.add_pair("v1", OLD, 0).await?;
        self.until("the first version serves", FIRST_VERSION_LIMIT, |show| show.progress.completed(OLD))
            .await?;
        let target = LoadSettings {
            target: self.world.address(),
            host: HOST.to_owned(),
            rate: RATE,
            connections: CONNECTIONS,
        };
        self.load = Some(Load::start(&target, self.clock.clone()));
        self.watch_for(BEFORE).await;
        self.add_pair("v2", NEW, if settings.fail { FAULT_PERCENT } else { 0 }).await?;
        let bound = self.clock.monotonic();
        self.until("the swap reaches an end", SWAP_LIMIT, |show| show.progress.ended(OLD, NEW)).await?;
        let swap = self.clock.monotonic() - bound;
        self.watch_for(AFTER).await;
        let load = self.load.take().context("the load was started above")?;
        let answers = load.finish().await;
        self.read_journal();
        self.report(&answers, swap).await
    }

    /// Makes two clusters of a version, and lets okra see them once both are up.
    async fn add_pair(&mut self, suffix: &str, version: &str, fault_percent: u8) -> anyhow::Result<()> {
        let behaviour = Behaviour { version: version.to_owned(), fault_percent };
        let mut pair = Vec::new();
        for number in 1..=2 {
            let cluster = self.world.add_cluster(&format!("web-{number}-{suffix}"), &behaviour).await?;
            self.timeline.add_group(&cluster.target_group_arn, &cluster.name, version == NEW);
            pair.push(cluster);
            self.tick();
        }
        for cluster in &pair {
            self.world.bind(self.local, cluster, version).await?;
        }
        self.clusters.append(&mut pair);
        Ok(())
    }

    async fn until(
        &mut self,
        what: &str,
        limit: Duration,
        done: impl Fn(&Self) -> bool,
    ) -> anyhow::Result<()> {
        let begun = self.clock.monotonic();
        while !done(self) {
            let waited = self.clock.monotonic() - begun;
            anyhow::ensure!(waited < limit, "{what}: not within {limit:?}; {}", self.progress.line());
            self.watch_for(TICK).await;
        }
        Ok(())
    }

    async fn watch_for(&mut self, duration: Duration) {
        let begun = self.clock.monotonic();
        loop {
            self.tick();
            let left = duration.saturating_sub(self.clock.monotonic() - begun);
            if left.is_zero() {
                return;
            }
            self.clock.sleep(left.min(TICK)).await;
        }
    }

    fn tick(&mut self) {
        self.read_journal();
        let Some(screen) = &mut self.screen else { return };
        let now = self.clock.monotonic();
        let mut picture = self.progress.picture(&self.timeline.weights());
        picture.elapsed = now - self.began;
        if let Some(load) = &self.load {
            load.look(|answers| progress::count(&mut picture, answers, now));
        }
        screen.show(&picture);
    }

    fn read_journal(&mut self) {
        use tokio::sync::broadcast::error::TryRecvError;
        loop {
            match self.journal.try_recv() {
                Ok(call) => self.timeline.record(&call),
                Err(TryRecvError::Lagged(lost)) => tracing::warn!(lost, "the journal was read too slowly"),
                Err(TryRecvError::Empty | TryRecvError::Closed) => return,
            }
        }
    }

    async fn report(&self, answers: &[load::Answer], swap: Duration) -> anyhow::Result<Report> {
        let totals = Totals::of(answers);
        let status = self.progress.status();
        let rolled_back = !self.progress.completed(NEW);
        let rollback_ms = match self.failed_at().await? {
            Some(failed_at) if rolled_back => self.timeline.rollback_ms(failed_at),
            _ => None,
        };
        Ok(Report {
            outcome: if rolled_back { SwapOutcome::RolledBack } else { SwapOutcome::Completed },
            requests: totals.requests,
            failed: totals.failed(),
            backend_errors: totals.backend_errors,
            requests_per_second: totals.requests_per_second,
            p99_ms: totals.p99_ms,
            stable_version: status.stable_version.unwrap_or_default(),
            blocked_versions: self.blocked().await?,
            weights: self.timeline.weights(),
            steps: self.timeline.steps(answers, NEW),
            reaction_ms: self.timeline.reaction_ms(),
            rollback_ms,
            swap_seconds: timeline::round(swap.as_secs_f64(), 3),
            failures: totals.failures,
        })
    }

    async fn blocked(&self) -> anyhow::Result<Vec<String>> {
        let lists: Api<VersionBlocklist> = Api::namespaced(self.world.management(), NAMESPACE);
        let list = lists.get_opt(CELL).await.context("the blocklist cannot be read")?;
        Ok(list
            .map(|list| list.spec.items.into_iter().map(|item| item.version).collect())
            .unwrap_or_default())
    }

    /// When the last byte of the measurement that failed the analysis was read.
    async fn failed_at(&self) -> anyhow::Result<Option<Timestamp>> {
        let runs: Api<AnalysisRun> = Api::namespaced(self.world.management(), NAMESPACE);
        let runs = runs.list(&ListParams::default()).await.context("the analysis runs cannot be read")?;
        let measurements = runs
            .items
            .iter()
            .filter_map(|run| run.status.as_ref())
            .flat_map(|status| &status.metric_results)
            .flat_map(|metric| &metric.measurements)
            .filter(|measurement| measurement.phase == "Failed");
        let read = measurements
            .filter_map(|one| one.metadata.get(okra_controllers::analysis::READ_AT)?.parse().ok());
        Ok(read.max())
    }
}
