//! The phase of a Cell (`spec/okra.md` 2.6.2).

use crate::text::words;

words! {
    /// What state a Cell is in.
    pub enum Phase("phase") {
        /// Nothing can be served yet.
        Pending,
        /// First creation or a rollout is under way.
        Progressing,
        /// A rollout is held for a human.
        Paused,
        /// At rest, everything as desired.
        Completed,
        /// The rollout failed, stable serves.
        Failed,
        /// Serves, but not as it should.
        Degraded,
        /// Nothing may be written.
        Error,
    }
}
