//! The same actors in one thread, in an order that follows from a seed.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use futures::FutureExt;
use okra_apiserver::clock::SeededChance;
use okra_apiserver::{Options, Server, Storage};

use crate::actors::{Book, Lister, Watcher, Writer};
use crate::random::{Random, seed};
use crate::support::clock::ManualClock;
use crate::support::door::Door;
use crate::verify::verify;

const STEPS: u64 = 1_500;
const WRITERS: u64 = 3;
const LISTERS: u64 = 2;
const WATCHERS: u64 = 5;

/// Runs, each with a seed of its own.
const SEEDS: u64 = 3;

/// A crash comes once in so many steps.
const STEPS_OF_A_LIFE: u64 = 100;

struct World {
    random: Random,
    clock: Arc<ManualClock>,
    server: Option<Server>,
    /// The server's files; `None` in memory.
    folder: Option<PathBuf>,
    home: tempfile::TempDir,
    lives: u64,
    book: Book,
    writers: Vec<Writer>,
    listers: Vec<Lister>,
    /// The first one is the watcher of everything.
    watchers: Vec<Watcher>,
}

impl World {
    async fn new(seed: u64, on_disk: bool) -> Self {
        let actor = |number| Random::new(seed, number);
        let home = tempfile::tempdir().unwrap();
        let mut watchers = vec![Watcher::truth(actor(100))];
        watchers.extend((0..WATCHERS).map(|number| Watcher::one(actor(101 + number))));
        let mut world = Self {
            random: actor(0),
            clock: Arc::default(),
            server: None,
            folder: on_disk.then(|| home.path().join("0")),
            home,
            lives: 0,
            book: Book::default(),
            writers: (0..WRITERS).map(|number| Writer::new(actor(1 + number))).collect(),
            listers: (0..LISTERS).map(|number| Lister::new(actor(50 + number))).collect(),
            watchers,
        };
        world.open().await;
        let mut door = world.door();
        world.watchers[0].connect(&mut door, &world.book).await.unwrap();
        world
    }

    async fn open(&mut self) {
        let storage = self.folder.clone().map_or(Storage::Memory, Storage::Directory);
        let chance = Arc::new(SeededChance::new(self.lives));
        let options = Options { clock: self.clock.clone(), chance, ..Options::new(storage) };
        self.server = Some(Server::open(options).await.expect("a crashed store opens"));
    }

    fn door(&self) -> Door {
        Door::InProcess(self.server.as_ref().expect("it runs").in_process())
    }

    async fn step(&mut self) {
        let mut door = self.door();
        let index = |count: usize, random: &Random| {
            usize::try_from(random.below(count as u64)).expect("it is below a length")
        };
        match self.random.below(10) {
            0..=3 => {
                let at = index(self.writers.len(), &self.random);
                self.writers[at].step(&mut door, &self.book).await.unwrap();
            }
            4 | 5 => {
                let at = index(self.listers.len(), &self.random);
                self.listers[at].step(&mut door, &self.book).await.unwrap();
            }
            6..=8 => {
                let at = index(self.watchers.len(), &self.random);
                self.watch(at, &mut door).await;
            }
            _ => self.clock.advance(Duration::from_secs(self.random.below(30))),
        }
        // The watcher of everything never falls behind.
        self.watch(0, &mut door).await;
        if self.folder.is_some() && self.random.one_in(STEPS_OF_A_LIFE) {
            self.crash().await;
        }
    }

    /// Connects a watcher, or lets it take what has come for it.
    async fn watch(&mut self, at: usize, door: &mut Door) {
        // What the runtime lets a task do in one go must not decide what is seen.
        tokio::task::yield_now().await;
        let watcher = &mut self.watchers[at];
        if !watcher.is_connected() {
            watcher.connect(door, &self.book).await.unwrap();
        }
        while watcher.is_connected() {
            let Some(told) = watcher.next().now_or_never() else { break };
            watcher.take(told, &self.book);
        }
    }

    /// Goes on with a copy of the files as a crash would leave them.
    async fn crash(&mut self) {
        let from = self.folder.clone().expect("only a server with files crashes");
        self.lives += 1;
        let to = self.home.path().join(self.lives.to_string());
        std::fs::create_dir(&to).unwrap();
        for name in ["ca.crt", "ca.key", "secrets.key", "objects.sqlite", "objects.sqlite-wal"] {
            if from.join(name).exists() {
                std::fs::copy(from.join(name), to.join(name)).unwrap();
            }
        }
        tear(&to.join("objects.sqlite-wal"), &self.random);
        self.server.take().expect("it runs").shutdown().await;
        self.watchers.iter_mut().for_each(Watcher::disconnect);
        self.book.open().restarted();
        std::fs::remove_dir_all(from).unwrap();
        self.folder = Some(to);
        self.open().await;
    }

    async fn finish(mut self) -> Book {
        let mut door = self.door();
        for at in 0..self.watchers.len() {
            self.watch(at, &mut door).await;
            // One that left the connection has not seen everything yet.
            while !self.watchers[at].is_connected() {
                self.watch(at, &mut door).await;
            }
            self.watchers[at].finish(&self.book);
        }
        self.server.take().expect("it runs").shutdown().await;
        self.book
    }
}

/// A write that was under way when the machine stopped: part of it is there.
fn tear(log: &Path, random: &Random) {
    let Ok(mut bytes) = std::fs::read(log) else { return };
    let Some(start) = bytes.len().checked_sub(9_000) else { return };
    let length = usize::try_from(random.below(9_000)).expect("it is small");
    bytes.extend_from_within(start..start + length);
    std::fs::write(log, bytes).unwrap();
}

async fn run(seed: u64, on_disk: bool) -> Book {
    let mut world = World::new(seed, on_disk).await;
    for _ in 0..STEPS {
        world.step().await;
    }
    world.finish().await
}

fn judge(book: &Book, seed: u64) {
    let ledger = book.open();
    let broken = verify(&ledger);
    assert!(
        broken.is_empty(),
        "seed {seed}: {} promises broken, first: {:#?}",
        broken.len(),
        &broken[..broken.len().min(5)]
    );
    assert!(ledger.log.len() > 200 && ledger.snapshots.len() > 100 && ledger.sessions.len() >= 5);
}

#[tokio::test]
async fn every_order_of_requests_fits_one_history() {
    for seed in seed()..seed() + SEEDS {
        judge(&run(seed, false).await, seed);
    }
}

#[tokio::test]
async fn hc_22_every_order_with_crashes_fits_one_history() {
    for seed in seed()..seed() + SEEDS {
        judge(&run(seed, true).await, seed);
    }
}

#[tokio::test]
async fn one_seed_tells_one_story() {
    let (first, second) = (run(seed(), false).await, run(seed(), false).await);
    assert_eq!(first.open().log, second.open().log);
    assert_eq!(first.open().highest, second.open().highest);
}
