//! Which of a few copies of a counter or pool a thread uses, so that threads
//! that serve requests rarely touch the same cache line.

use std::sync::atomic::{AtomicUsize, Ordering};

/// Copies of everything that is sharded. A rehearsal runs on a few cores; with
/// more threads than copies some share one, which is slower, not wrong.
pub(super) const SHARDS: usize = 4;

static NEXT: AtomicUsize = AtomicUsize::new(0);

thread_local! {
    static SHARD: usize = NEXT.fetch_add(1, Ordering::Relaxed) % SHARDS;
}

/// The copy of this thread. No decision depends on it.
pub(super) fn shard() -> usize {
    SHARD.with(|shard| *shard)
}
