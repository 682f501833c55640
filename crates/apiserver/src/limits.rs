//! How much work is taken on at once (spec/apiserver.md 18).

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use http_body::Body;
use jiff::SignedDuration;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::api::Api;
use crate::http::body;
use crate::http::query::Query;
use crate::http::status::ApiError;

/// Reads under way at once, upstream's default.
const READS: usize = 400;

/// Writes under way at once, upstream's default.
const WRITES: usize = 200;

/// How long a request waits for its turn before it is sent away.
const QUEUE: Duration = Duration::from_secs(1);

/// How long a read may take.
const READ_TIME: Duration = Duration::from_secs(60);

/// How long a write may take.
const WRITE_TIME: Duration = Duration::from_secs(34);

/// How long a client may take to send a body: a slow one holds memory.
const BODY_TIME: Duration = Duration::from_secs(60);

/// Requests with a body at once, from their first byte to their answer.
const BODIES: usize = 1_000;

/// Of these, the ones whose body is larger than most: 192 MiB at the worst. Whoever sends slowly keeps a place for up
/// to [`BODY_TIME`], so a few such must not keep all.
const LARGE_BODIES: usize = 64;

/// Bytes above which a body is large: few objects are.
const LARGE: usize = 64 * 1_024;

/// KiB of answers that are made and not yet sent. A client that asks for much and reads nothing must not fill the
/// memory; lists that are made while they are sent, and watches, do not count.
const ANSWERS: u32 = 256 * 1_024;

/// Watches of all users, each of which holds memory for as long as it lives.
const WATCHES: usize = 10_000;

/// Watches of one user, so that one cannot use up all.
const WATCHES_OF_ONE: usize = 1_000;

/// What a request is, as far as limits care.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Load {
    Read,
    Write,
    /// Lease writes: a busy server must not cost anybody the leadership.
    Exempt,
}

/// The limits of one server and what is taken of them.
pub(crate) struct Limits {
    reads: Arc<Semaphore>,
    writes: Arc<Semaphore>,
    bodies: Arc<Semaphore>,
    large_bodies: Arc<Semaphore>,
    answers: Arc<Semaphore>,
    watches: Arc<Mutex<BTreeMap<String, usize>>>,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            reads: Arc::new(Semaphore::new(READS)),
            writes: Arc::new(Semaphore::new(WRITES)),
            bodies: Arc::new(Semaphore::new(BODIES)),
            large_bodies: Arc::new(Semaphore::new(LARGE_BODIES)),
            answers: Arc::new(Semaphore::new(ANSWERS as usize)),
            watches: Arc::default(),
        }
    }
}

/// The room that one request's body, or its answer, takes; dropping it makes room for another.
#[derive(Default)]
pub(crate) struct Room(Vec<OwnedSemaphorePermit>);

/// One watch of a user; dropping it makes room for another.
pub(crate) struct WatchPermit {
    user: String,
    watches: Arc<Mutex<BTreeMap<String, usize>>>,
}

impl Drop for WatchPermit {
    fn drop(&mut self) {
        let mut watches = self.watches.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = watches.get_mut(&self.user) {
            *count -= 1;
            if *count == 0 {
                watches.remove(&self.user);
            }
        }
    }
}

fn too_many() -> ApiError {
    let text = "Too many requests, please try again later.";
    ApiError::new(429, "TooManyRequests", text).retry_after(1)
}

/// The `timeout` parameter: how long the client gives a request. Zero leaves it to the server.
pub(crate) fn asked_time(query: &Query) -> Result<Option<Duration>, ApiError> {
    let text = query.text("timeout");
    if text.is_empty() {
        return Ok(None);
    }
    let asked = text.parse::<SignedDuration>().ok().and_then(|asked| Duration::try_from(asked).ok());
    match asked {
        Some(asked) => Ok(Some(asked).filter(|asked| !asked.is_zero())),
        None => Err(ApiError::bad_request(format!(
            "invalid timeout specified in the request URL: time: invalid duration {text:?}"
        ))),
    }
}

impl Limits {
    /// Counts a watch of a user.
    pub(crate) fn watch(&self, user: &str) -> Result<WatchPermit, ApiError> {
        let mut watches = self.watches.lock().unwrap_or_else(PoisonError::into_inner);
        let total: usize = watches.values().sum();
        let own = watches.get(user).copied().unwrap_or(0);
        if total >= WATCHES || own >= WATCHES_OF_ONE {
            return Err(too_many());
        }
        watches.insert(user.to_owned(), own + 1);
        Ok(WatchPermit { user: user.to_owned(), watches: self.watches.clone() })
    }
}

impl Api {
    /// Runs one request within its limits of number and time, and within the
    /// time that its client gives it.
    pub(crate) async fn limited<T>(
        &self,
        load: Load,
        asked: Option<Duration>,
        work: impl Future<Output = Result<T, ApiError>>,
    ) -> Result<T, ApiError> {
        let (semaphore, most) = match load {
            Load::Read => (&self.limits.reads, READ_TIME),
            Load::Write => (&self.limits.writes, WRITE_TIME),
            Load::Exempt => return work.await,
        };
        let _permit = self.turn(semaphore).await?;
        self.timely(asked.map_or(most, |asked| asked.min(most)), work).await
    }

    /// Room for an answer of so many bytes, until it is sent. Small ones need none.
    pub(crate) async fn room_for_answer(&self, bytes: usize) -> Result<Room, ApiError> {
        if bytes <= LARGE {
            return Ok(Room::default());
        }
        let kib = u32::try_from(bytes / 1_024).unwrap_or(ANSWERS).min(ANSWERS);
        self.turns(&self.limits.answers, kib).await.map(|permit| Room(vec![permit]))
    }

    /// Reads a body within the time a client has for it, and holds the room that it takes in memory. Whoever is
    /// exempt needs no place among the bodies, and gets no large one without.
    pub(crate) async fn received<B>(&self, load: Load, body: B) -> Result<(Bytes, Room), ApiError>
    where
        B: Body<Data = Bytes>,
        B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
    {
        let mut room = Room::default();
        if load != Load::Exempt {
            room.0.push(self.turn(&self.limits.bodies).await?);
        }
        let read = body::read(body, LARGE, &self.limits.large_bodies);
        let (read, place) = self.timely(BODY_TIME, read).await?;
        room.0.extend(place);
        Ok((read, room))
    }

    async fn timely<T>(
        &self,
        time: Duration,
        work: impl Future<Output = Result<T, ApiError>>,
    ) -> Result<T, ApiError> {
        tokio::select! {
            biased;
            done = work => done,
            () = self.clock.sleep(time) => {
                let text =
                    "Timeout: request did not complete within requested timeout - context deadline exceeded";
                Err(ApiError::new(504, "Timeout", text).retry_after(1))
            }
        }
    }

    async fn turn(&self, semaphore: &Arc<Semaphore>) -> Result<OwnedSemaphorePermit, ApiError> {
        self.turns(semaphore, 1).await
    }

    async fn turns(&self, semaphore: &Arc<Semaphore>, many: u32) -> Result<OwnedSemaphorePermit, ApiError> {
        if let Ok(permit) = semaphore.clone().try_acquire_many_owned(many) {
            return Ok(permit);
        }
        tokio::select! {
            biased;
            permit = semaphore.clone().acquire_many_owned(many) => permit.map_err(|_| too_many()),
            () = self.clock.sleep(QUEUE) => Err(too_many()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hc_52_one_user_cannot_take_all_watches() {
        let limits = Limits::default();
        let mut held: Vec<_> = (0..WATCHES_OF_ONE).map(|_| limits.watch("a").unwrap()).collect();
        let refused = limits.watch("a").map(drop).unwrap_err();
        assert_eq!((refused.code, refused.retry_after), (429, Some(1)));
        limits.watch("b").unwrap();
        held.pop();
        limits.watch("a").unwrap();
    }

    #[test]
    fn the_time_a_client_gives_is_a_go_duration() {
        let asked = |text: &str| asked_time(&Query::parse(Some(&format!("timeout={text}"))));
        for (text, millis) in
            [("32s", 32_000), ("1m30s", 90_000), ("1.5s", 1_500), ("250ms", 250), ("1h", 3_600_000)]
        {
            assert_eq!(asked(text).unwrap(), Some(Duration::from_millis(millis)), "{text}");
        }
        assert_eq!((asked("").unwrap(), asked("0s").unwrap()), (None, None));
        for text in ["abc", "5", "-1s"] {
            assert_eq!(asked(text).unwrap_err().code, 400, "{text}");
        }
    }
}
