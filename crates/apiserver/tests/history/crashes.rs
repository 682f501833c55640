//! A server process that is killed again and again on the same files.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use okra_apiserver::clock::SystemClock;
use okra_apiserver::{Clock, Options, Storage};
use tokio::sync::watch::{Receiver, Sender};
use tokio::task::JoinHandle;

use crate::actors::{Book, Lister, Watcher, Writer};
use crate::random::{Random, seed};
use crate::support::door::{Door, Identity};
use crate::support::process::{ServerProcess, asked_to_serve, serve};
use crate::verify::verify;

/// Crashes of both runs together, unless `OKRA_HISTORY_CYCLES` says otherwise.
const CYCLES: u64 = 300;

const WRITERS: u64 = 4;
const LISTERS: u64 = 2;
const WATCHERS: u64 = 5;

/// The server lives for up to this many acknowledged writes.
const WRITES_OF_A_LIFE: u64 = 60;

/// How long the run waits for a state before it fails.
const PATIENCE: Duration = Duration::from_secs(60);

/// How much faster the server's monotonic clock runs: its history ages, its
/// bookmarks are due and its watches end within one short life.
const HASTE: u32 = 10_000;

struct HastyClock(SystemClock);

#[async_trait]
impl Clock for HastyClock {
    fn now(&self) -> jiff::Timestamp {
        self.0.now()
    }

    fn monotonic(&self) -> Duration {
        self.0.monotonic() * HASTE
    }

    async fn sleep(&self, duration: Duration) {
        self.0.sleep(duration).await;
    }
}

/// Changes in memory: most watches that come back, and most lists of older states, are told from the files.
const HISTORY_IN_MEMORY: usize = 30;

fn hasty(storage: Storage) -> Options {
    let clock = Arc::new(HastyClock(SystemClock::new()));
    Options { clock, history_in_memory: HISTORY_IN_MEMORY, ..Options::new(storage) }
}

/// The child of the test below; on its own it does nothing.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn child() {
    if let Some(folder) = asked_to_serve() {
        serve(hasty, &folder).await;
    }
}

/// Who is still at work.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Phase {
    Everybody,
    Watchers,
    Nobody,
}

/// Where the server is reached, and how far the run is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Stage {
    address: SocketAddr,
    phase: Phase,
}

async fn start(folder: &Path) -> ServerProcess {
    let starting = ServerProcess::start(folder, &["--exact", "crashes::child", "--nocapture"]);
    tokio::time::timeout(PATIENCE, starting).await.expect("a server starts")
}

/// What all actors of a run share.
#[derive(Clone)]
struct Run {
    book: Arc<Book>,
    identity: Identity,
    stage: Receiver<Stage>,
}

impl Run {
    /// A connection to the server of the moment, as long as `phase` lasts.
    async fn door(&mut self, phase: Phase) -> Option<Door> {
        loop {
            let stage = *self.stage.borrow_and_update();
            if stage.phase > phase {
                return None;
            }
            if let Ok(door) = Door::connect(stage.address, &self.identity).await {
                return Some(door);
            }
            self.stage.changed().await.ok()?;
        }
    }

    fn lasts(&self, phase: Phase) -> bool {
        self.stage.borrow().phase <= phase
    }

    async fn write(mut self, mut writer: Writer) {
        while let Some(mut door) = self.door(Phase::Everybody).await {
            while self.lasts(Phase::Everybody) && writer.step(&mut door, &self.book).await.is_ok() {}
        }
    }

    async fn list(mut self, mut lister: Lister) {
        while let Some(mut door) = self.door(Phase::Everybody).await {
            while self.lasts(Phase::Everybody) && lister.step(&mut door, &self.book).await.is_ok() {
                // Lists must not crowd out the writers whose work they look at.
                let mut acknowledged = self.book.acknowledgements.subscribe();
                tokio::select! {
                    changed = acknowledged.changed() => if changed.is_err() { return },
                    changed = self.stage.changed() => if changed.is_err() { return },
                }
            }
        }
    }

    async fn watch(mut self, mut watcher: Watcher) -> Watcher {
        while let Some(mut door) = self.door(Phase::Watchers).await {
            if watcher.connect(&mut door, &self.book).await.is_err() {
                watcher.disconnect();
            }
            while watcher.is_connected() && self.lasts(Phase::Watchers) {
                tokio::select! {
                    biased;
                    line = watcher.next() => watcher.take(line, &self.book),
                    changed = self.stage.changed() => if changed.is_err() { return watcher },
                }
            }
        }
        watcher
    }
}

fn actors(run: &Run, seed: u64) -> (Vec<JoinHandle<()>>, Vec<JoinHandle<Watcher>>) {
    let mut number = 0;
    let mut random = || {
        number += 1;
        Random::new(seed, number)
    };
    let mut tasks = Vec::new();
    for _ in 0..WRITERS {
        tasks.push(tokio::spawn(run.clone().write(Writer::new(random()))));
    }
    for _ in 0..LISTERS {
        tasks.push(tokio::spawn(run.clone().list(Lister::new(random()))));
    }
    let watchers = (0..WATCHERS).map(|_| tokio::spawn(run.clone().watch(Watcher::one(random())))).collect();
    (tasks, watchers)
}

async fn until(book: &Book, what: &str, reached: impl Fn(u64) -> bool) {
    let mut acknowledged = book.acknowledgements.subscribe();
    let waiting = acknowledged.wait_for(|count| reached(*count));
    if tokio::time::timeout(PATIENCE, waiting).await.is_err() {
        panic!("{what} was never reached; so far: {:?}", book.open().broken);
    }
}

/// Writes once more and waits until the watcher of everything was told.
async fn settle(run: &mut Run) {
    let mut door = run.door(Phase::Watchers).await.expect("the watchers are at work");
    let random = Random::new(0, 0);
    let mut writer = Writer::new(random);
    let before = *run.book.acknowledgements.borrow();
    while *run.book.acknowledgements.borrow() == before {
        writer.step(&mut door, &run.book).await.expect("the server is up");
    }
    let told = async {
        loop {
            {
                let ledger = run.book.open();
                if ledger.log.last().is_some_and(|event| event.state.revision >= ledger.acknowledged) {
                    return;
                }
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(PATIENCE, told).await.expect("the watcher of everything is told in the end");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn hc_22_no_promise_is_broken_by_killing_the_server() {
    lives(seed()).await;
}

/// Another sequence, beside the first: each waits for its server half the time.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn hc_22_no_promise_is_broken_by_killing_another_server() {
    lives(seed().wrapping_add(1)).await;
}

/// Half the crashes, on a database of their own.
async fn lives(seed: u64) {
    let cycles = std::env::var("OKRA_HISTORY_CYCLES").ok();
    let cycles = cycles.map_or(CYCLES, |text| text.parse().expect("OKRA_HISTORY_CYCLES is a number"));
    let cycles = cycles.div_ceil(2);
    let folder = tempfile::tempdir().unwrap();
    let random = Random::new(seed, 1_000);
    let mut server = start(folder.path()).await;
    let stage = Sender::new(Stage { address: server.address, phase: Phase::Everybody });
    let mut run = Run { book: Arc::default(), identity: server.identity(), stage: stage.subscribe() };
    // The truth begins before the first write.
    let mut truth = Watcher::truth(Random::new(seed, 0));
    truth.connect(&mut run.door(Phase::Everybody).await.unwrap(), &run.book).await.expect("the server is up");
    let truth = tokio::spawn(run.clone().watch(truth));
    let (tasks, watchers) = actors(&run, seed);
    for _ in 0..cycles {
        let life = *run.book.acknowledgements.borrow() + random.below(WRITES_OF_A_LIFE);
        until(&run.book, "the end of a life", |count| count >= life).await;
        server.kill().await;
        run.book.open().restarted();
        server = start(folder.path()).await;
        stage.send_replace(Stage { address: server.address, phase: Phase::Everybody });
    }
    stage.send_modify(|stage| stage.phase = Phase::Watchers);
    for task in tasks {
        task.await.unwrap();
    }
    settle(&mut run).await;
    stage.send_modify(|stage| stage.phase = Phase::Nobody);
    for watcher in watchers {
        watcher.await.unwrap().finish(&run.book);
    }
    drop(truth.await.unwrap());
    server.stop().await;
    judge(&run.book, seed, cycles);
}

fn judge(book: &Book, seed: u64, cycles: u64) {
    let ledger = book.open();
    println!("{cycles} lives, {}", ledger.summary());
    let broken = verify(&ledger);
    assert!(
        broken.is_empty(),
        "seed {seed}: {} promises broken, first: {:#?}",
        broken.len(),
        &broken[..broken.len().min(5)]
    );
    // A run that did nothing would prove nothing.
    assert!(ledger.log.len() as u64 >= cycles, "{} changes in {cycles} lives", ledger.log.len());
    assert!(!ledger.sessions.is_empty() && !ledger.snapshots.is_empty() && !ledger.looks.is_empty());
}
