//! Watches (spec/apiserver.md 8).
//!
//! A watch holds a position in the committed history of its resource and pulls
//! from there whenever its client has taken what came before, from memory or,
//! further back, from the log. There are no queues to fill up: a client that is
//! too slow for the history is told so with an ERROR event of code 410, and no
//! writer ever waits for it.

mod lines;
mod start;

use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use futures::StreamExt;
use futures::stream::BoxStream;
use tokio::sync::watch::Receiver;
use tokio_util::sync::CancellationToken;

use crate::api::{Api, Call};
use crate::http::reply::Reply;
use crate::http::status::ApiError;
use crate::kinds::Kind;
use crate::limits::WatchPermit;
use crate::present::refuse_yaml;
use crate::read::{Selection, untold};
use crate::store::{Change, ObjectName, Outcome, Record, Revision};
use lines::Lines;
use start::{Start, WatchOptions};

/// Time between bookmarks (spec/apiserver.md 8.4).
const BOOKMARK_EVERY: Duration = Duration::from_secs(60);

/// The last bookmark comes this long before the end of a watch.
const LAST_BOOKMARK: Duration = Duration::from_secs(2);

/// Changes taken from the history at once: bounds what one watch copies under the lock.
const CHANGES_AT_ONCE: usize = 256;

/// Bytes sent in one frame at most, unless one object is larger.
const FRAME_BYTES: usize = 64 * 1024;

struct Watch {
    api: Arc<Api>,
    kind: Arc<Kind>,
    namespace: Option<String>,
    selection: Selection,
    lines: Lines,
    /// Everything up to here is delivered or does not concern the client.
    position: Revision,
    /// Objects still to be told as ADDED, last first.
    initial: Vec<Arc<Record>>,
    /// Whether the bookmark that ends the initial objects is due.
    mark_due: bool,
    bookmarks: bool,
    signal: Receiver<Revision>,
    next_bookmark: Duration,
    deadline: Duration,
    ended: bool,
    /// The token of whoever watches, if there is one.
    token: Option<String>,
    _permit: WatchPermit,
    /// Cancelled when the transport that carries this watch stops.
    transport: CancellationToken,
}

impl Api {
    /// Answers a watch; everything wrong with the parameters is found here,
    /// everything later becomes an ERROR event.
    pub(crate) fn watch(
        self: &Arc<Self>,
        call: &Call,
        kind: Arc<Kind>,
        namespace: Option<&str>,
        transport: CancellationToken,
    ) -> Result<Reply, ApiError> {
        refuse_yaml(call.form, "application/json, application/json;stream=watch")?;
        let selection = Selection::parse(call, &kind)?;
        let options = WatchOptions::parse(call)?;
        let lines = Lines::new(self, call, kind.clone())?;
        let begin = self.clock.monotonic();
        let deadline = begin + self.timeout(options.timeout);
        let mut watch = Watch {
            signal: self.store.subscribe(&kind.resource),
            api: self.clone(),
            kind,
            namespace: namespace.map(str::to_owned),
            selection,
            lines,
            position: 0,
            initial: Vec::new(),
            mark_due: false,
            bookmarks: options.bookmarks,
            next_bookmark: next_bookmark(begin, deadline),
            deadline,
            ended: false,
            token: call.token.clone(),
            _permit: self.limits.watch(&call.user.name)?,
            transport,
        };
        let problem = watch.begin(options.start).err();
        let stream = futures::stream::unfold((watch, problem), |(mut watch, problem)| async move {
            if let Some(error) = problem {
                watch.ended = true;
                return Some((watch.lines.error(&error), (watch, None)));
            }
            let frame = watch.next().await?;
            Some((frame, (watch, None)))
        });
        let stream: BoxStream<'static, Bytes> = stream.boxed();
        Ok(Reply::stream(stream))
    }

    /// The time a watch lives; random within bounds where the client leaves it open.
    fn timeout(&self, asked: Option<Duration>) -> Duration {
        asked.unwrap_or_else(|| {
            let mut random = [0u8; 2];
            self.chance.fill(&mut random);
            Duration::from_secs(1_800 + u64::from(u16::from_le_bytes(random)) % 1_800)
        })
    }
}

/// The time of the next bookmark: within a minute, and once shortly before the end.
fn next_bookmark(now: Duration, deadline: Duration) -> Duration {
    let last = deadline.saturating_sub(LAST_BOOKMARK);
    let next = now + BOOKMARK_EVERY;
    if last > now { next.min(last) } else { next }
}

impl Watch {
    fn begin(&mut self, start: Start) -> Result<(), ApiError> {
        match start {
            Start::After(revision) => self.position = revision,
            Start::Now => self.position = self.api.store.revision(),
            Start::Initial { marked, not_older_than } => {
                let list = self.api.store.list(&self.kind.resource, self.namespace.as_deref());
                if list.revision < not_older_than {
                    return Err(ApiError::future_revision(not_older_than, list.revision));
                }
                self.position = list.revision;
                self.mark_due = marked && self.bookmarks;
                let selected =
                    list.items.into_iter().rev().filter(|(name, record)| self.selects(name, record));
                self.initial = selected.map(|(_, record)| record).collect();
            }
        }
        Ok(())
    }

    fn selects(&self, name: &ObjectName, record: &Record) -> bool {
        self.selection.is_everything() || self.selection.matches(&self.kind, name, record)
    }

    /// The next lines to send; `None` ends the watch.
    async fn next(&mut self) -> Option<Bytes> {
        loop {
            if self.ended {
                return None;
            }
            if let Some(frame) = self.initial_frame() {
                return Some(frame);
            }
            self.signal.mark_unchanged();
            match self.changes().await {
                Ok(frame) if !frame.is_empty() => return Some(frame),
                Ok(_) => {}
                Err(_) if self.is_over() => return None,
                Err(error) => {
                    self.ended = true;
                    return Some(self.lines.error(&error));
                }
            }
            if let Some(bookmark) = self.due_bookmark().await {
                return Some(bookmark);
            }
            self.wait().await;
        }
    }

    fn initial_frame(&mut self) -> Option<Bytes> {
        let mut frame = BytesMut::new();
        while frame.len() < FRAME_BYTES
            && let Some(record) = self.initial.pop()
        {
            self.lines.event(&mut frame, "ADDED", &record, None);
        }
        if self.initial.is_empty() && std::mem::take(&mut self.mark_due) {
            self.lines.bookmark(&mut frame, self.position, true);
        }
        (!frame.is_empty()).then(|| frame.freeze())
    }

    /// Encodes the changes since the position that concern this watch.
    async fn changes(&mut self) -> Result<Bytes, ApiError> {
        let mut frame = BytesMut::new();
        loop {
            let asked = self.position;
            let found = self.api.store.changes(&self.kind.resource, asked, CHANGES_AT_ONCE).await;
            let found = found.map_err(|error| {
                untold(&error, |oldest| {
                    ApiError::expired(format!("too old resource version: {asked} ({oldest})"))
                })
            })?;
            for change in &found.changes {
                if frame.len() >= FRAME_BYTES {
                    return Ok(frame.freeze());
                }
                self.change(&mut frame, change);
                self.position = change.revision();
            }
            self.position = self.position.max(found.complete_to);
            if !found.more || !frame.is_empty() || self.is_over() {
                return Ok(frame.freeze());
            }
        }
    }

    /// Whether the way through a long history is no longer worth going.
    fn is_over(&mut self) -> bool {
        let late = self.api.clock.monotonic() >= self.deadline;
        self.ended |= late || self.api.stopping.is_cancelled() || self.transport.is_cancelled();
        self.ended
    }

    fn change(&mut self, frame: &mut BytesMut, change: &Change) {
        if self.namespace.as_ref().is_some_and(|only| *only != change.name.namespace) {
            return;
        }
        let before = change.previous.as_ref().filter(|record| self.selects(&change.name, record));
        let after = match &change.outcome {
            Outcome::Stored(record) => Some(record).filter(|record| self.selects(&change.name, record)),
            Outcome::Deleted(_) => None,
        };
        match (before, after, &change.outcome) {
            (None, Some(record), _) => self.lines.event(frame, "ADDED", record, None),
            (Some(_), Some(record), _) => self.lines.event(frame, "MODIFIED", record, None),
            // It left the selection: its content while it belonged, at the revision it left.
            (Some(before), None, Outcome::Stored(record)) => {
                self.lines.event(frame, "DELETED", before, Some(record.revision));
            }
            (Some(_), None, Outcome::Deleted(record)) => self.lines.event(frame, "DELETED", record, None),
            (None, None, _) => {}
        }
    }

    /// The bookmark of the minute, with which it is also asked whether the watch may go on (spec/apiserver.md 8.3).
    async fn due_bookmark(&mut self) -> Option<Bytes> {
        let now = self.api.clock.monotonic();
        if now >= self.deadline {
            self.ended = true;
            return None;
        }
        if now < self.next_bookmark {
            return None;
        }
        if let Some(token) = &self.token
            && self.api.is_withdrawn(token).await
        {
            self.ended = true;
            return None;
        }
        self.next_bookmark = next_bookmark(now, self.deadline);
        let mut frame = BytesMut::new();
        if self.bookmarks {
            self.lines.bookmark(&mut frame, self.position, false);
        }
        (!frame.is_empty()).then(|| frame.freeze())
    }

    /// Waits for a change, a timer or the end.
    async fn wait(&mut self) {
        if self.ended {
            return;
        }
        let now = self.api.clock.monotonic();
        let timer = self.next_bookmark.min(self.deadline).saturating_sub(now);
        let retired = self.kind.custom().map(|custom| custom.retired.clone()).unwrap_or_default();
        tokio::select! {
            biased;
            () = self.api.stopping.cancelled() => self.ended = true,
            () = self.transport.cancelled() => self.ended = true,
            changed = self.signal.changed() => self.ended = changed.is_err(),
            () = retired.cancelled() => self.ended = true,
            () = self.api.clock.sleep(timer) => {}
        }
    }
}
