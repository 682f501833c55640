//! Those who write, list and watch, one step at a time.

mod lister;
mod watcher;
mod writer;

use std::sync::{Mutex, MutexGuard, PoisonError};

pub use lister::Lister;
pub use watcher::Watcher;
pub use writer::Writer;

use crate::ledger::Ledger;

/// The ledger that all actors write into.
#[derive(Default)]
pub struct Book {
    ledger: Mutex<Ledger>,
    /// The number of acknowledged writes, for those who wait for some.
    pub acknowledgements: tokio::sync::watch::Sender<u64>,
}

impl Book {
    pub fn open(&self) -> MutexGuard<'_, Ledger> {
        self.ledger.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
