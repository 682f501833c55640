//! How much of the log is kept: what clients may still ask for.

use std::collections::VecDeque;
use std::time::Duration;

use super::record::Revision;

/// Changes that are kept however old they are (spec/apiserver.md 8.5).
pub(super) const KEEP_CHANGES: usize = 1_000;

/// Changes that are kept while younger than this (spec/apiserver.md 8.5).
pub(super) const KEEP_AGE: Duration = Duration::from_secs(300);

/// Encoded bytes of changes that are kept at most: a burst must not fill the
/// disk. Five minutes of 3,000 writes a second at 1 KiB just fit.
const MOST_BYTES: u64 = 1_024 * 1_024 * 1_024;

/// Changes of one log that are let go with one commit, so that its writers wait
/// for milliseconds only (spec/apiserver.md 19.1).
const COMPACT_AT_ONCE: Revision = 1_000;

/// Commits nearer to each other than this share one mark.
const SPAN: Duration = Duration::from_secs(1);

/// How far the log had come at some time.
#[derive(Debug)]
struct Mark {
    begun: Duration,
    at: Duration,
    revision: Revision,
    /// Changes and bytes up to here, counted from the start of the program.
    changes: u64,
    bytes: u64,
}

/// Decides up to which revision a log may be compacted.
#[derive(Debug)]
pub(super) struct Retention {
    marks: VecDeque<Mark>,
    changes: u64,
    bytes: u64,
    bytes_gone: u64,
    /// Everything up to here may go.
    goal: Revision,
    most_bytes: u64,
}

impl Default for Retention {
    fn default() -> Self {
        let marks = VecDeque::new();
        Self { marks, changes: 0, bytes: 0, bytes_gone: 0, goal: 0, most_bytes: MOST_BYTES }
    }
}

impl Retention {
    /// Takes note of committed changes, the last of which has this revision.
    pub(super) fn note(&mut self, now: Duration, revision: Revision, changes: usize, bytes: usize) {
        self.changes += changes as u64;
        self.bytes += bytes as u64;
        let (changes, bytes) = (self.changes, self.bytes);
        match self.marks.back_mut() {
            Some(mark) if now.saturating_sub(mark.begun) < SPAN => {
                *mark = Mark { begun: mark.begun, at: now, revision, changes, bytes };
            }
            _ => self.marks.push_back(Mark { begun: now, at: now, revision, changes, bytes }),
        }
    }

    /// The time of the oldest changes that are kept.
    pub(super) fn since(&self) -> Duration {
        self.marks.front().map_or(Duration::ZERO, |oldest| oldest.begun)
    }

    /// The revision up to which a log that is compacted up to `compacted` may
    /// let go with the next commit, if it is further on.
    pub(super) fn next(&mut self, now: Duration, compacted: Revision) -> Option<Revision> {
        while let Some(oldest) = self.marks.front() {
            let later = self.changes - oldest.changes;
            let old = now.saturating_sub(oldest.at) > KEEP_AGE;
            let crowded = self.bytes - self.bytes_gone > self.most_bytes;
            if later < KEEP_CHANGES as u64 || !(old || crowded) {
                break;
            }
            self.goal = oldest.revision;
            self.bytes_gone = oldest.bytes;
            self.marks.pop_front();
        }
        (self.goal > compacted).then(|| self.goal.min(compacted + COMPACT_AT_ONCE))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: Duration = Duration::from_secs(3_600);

    #[test]
    fn what_is_young_or_among_the_newest_thousand_is_kept() {
        let mut own = Retention::default();
        for second in 0..20 {
            own.note(Duration::from_secs(second * 2), (second + 1) * 100, 100, 1);
        }
        assert_eq!(own.next(Duration::from_secs(300), 0), None, "young history stays");
        // Ten marks are older than five minutes, and as many changes are behind them.
        assert_eq!(own.next(Duration::from_secs(319), 0), Some(1_000));
        assert_eq!(own.next(HOUR, 1_000), None, "the newest thousand stays");
    }

    #[test]
    fn a_long_way_is_gone_in_steps() {
        let mut own = Retention::default();
        own.note(Duration::ZERO, 5_000, 5_000, 1);
        own.note(HOUR, 6_000, 1_000, 1);
        assert_eq!(own.next(HOUR, 0), Some(1_000));
        assert_eq!(own.next(HOUR, 1_000), Some(2_000));
        assert_eq!(own.next(HOUR, 4_500), Some(5_000));
        assert_eq!(own.next(HOUR, 5_000), None);
    }

    #[test]
    fn too_many_bytes_go_before_their_time() {
        let mut own = Retention { most_bytes: 1_000, ..Retention::default() };
        own.note(Duration::ZERO, 600, 600, 600);
        own.note(Duration::from_secs(2), 1_200, 600, 600);
        assert_eq!(own.next(Duration::from_secs(3), 0), None, "a thousand changes stay, however large");
        own.note(Duration::from_secs(4), 1_700, 500, 1);
        assert_eq!(own.next(Duration::from_secs(4), 0), Some(600));
        assert_eq!(own.next(Duration::from_secs(4), 600), None);
    }

    #[test]
    fn commits_of_one_second_share_a_mark() {
        let mut own = Retention::default();
        for step in 0..10_000 {
            own.note(Duration::from_millis(step), step, 1, 1);
        }
        assert_eq!(own.marks.len(), 10);
    }
}
