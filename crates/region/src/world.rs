//! The state of a running region and the one way to change it.

use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use tokio::sync::Mutex;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::cloudwatch::UserMetrics;
use crate::context::Context;
use crate::dataplane::DataPlane;
use crate::elbv2;
use crate::faults::{Faults, STALE};
use crate::identity::{Keys, Principal};
use crate::journal::{Journal, Moment};
use crate::options::Options;
use crate::sigv4::{SignatureError, SignedBy, SignedRequest, Verifier};
use crate::state::{Snapshot, State};
use crate::wire::Fault;

/// A running region, shared by all its tasks.
#[derive(Debug)]
pub(crate) struct World {
    pub(crate) options: Options,
    pub(crate) dataplane: DataPlane,
    pub(crate) journal: Journal,
    pub(crate) metrics: UserMetrics,
    pub(crate) faults: Faults,
    /// Ends everything when cancelled.
    pub(crate) stop: CancellationToken,
    /// Everything that runs on its own.
    pub(crate) tasks: TaskTracker,
    state: ArcSwap<State>,
    /// The state before the last change, and when that was on the monotonic clock.
    former: ArcSwap<(Arc<State>, Duration)>,
    writer: Mutex<()>,
    snapshot: Snapshot,
}

impl World {
    pub(crate) fn new(options: Options, state: State, snapshot: Snapshot, metrics: UserMetrics) -> Self {
        let state = Arc::new(state);
        Self {
            dataplane: DataPlane::new(options.clock.clone(), options.chance.clone()),
            journal: Journal::new(),
            metrics,
            stop: CancellationToken::new(),
            tasks: TaskTracker::new(),
            former: ArcSwap::from_pointee((state.clone(), Duration::ZERO)),
            state: ArcSwap::new(state),
            faults: Faults::new(&options.faults),
            writer: Mutex::new(()),
            snapshot,
            options,
        }
    }

    /// The state as it is now.
    pub(crate) fn state(&self) -> Arc<State> {
        self.state.load_full()
    }

    /// The state as a stale read has it: before the last change, if that was a moment ago.
    pub(crate) fn stale_state(&self) -> Arc<State> {
        let former = self.former.load();
        let (state, changed) = former.as_ref();
        let recent = self.options.clock.monotonic().saturating_sub(*changed) < STALE;
        if recent { state.clone() } else { self.state() }
    }

    /// Both clocks.
    pub(crate) fn now(&self) -> Moment {
        Moment { wall: self.options.clock.now(), monotonic: self.options.clock.monotonic() }
    }

    /// The surroundings of a call.
    pub(crate) fn context<'a>(&'a self, caller: &'a Principal) -> Context<'a> {
        let now = self.options.clock.now();
        Context { options: &self.options, now, caller, dataplane: &self.dataplane }
    }

    /// Changes the state: the change is made on a copy, stored, and only then
    /// seen by readers and by the data plane. A change that fails leaves no
    /// trace. Must run to its end (see [`crate::server`]): what is stored and
    /// what is seen would differ otherwise.
    pub(crate) async fn change<T: Send>(
        &self,
        change: impl FnOnce(&mut State) -> Result<T, Fault> + Send,
    ) -> Result<T, Fault> {
        let _alone = self.writer.lock().await;
        let before = self.state();
        let mut after = State::clone(&before);
        let answer = change(&mut after)?;
        if after == *before {
            return Ok(answer);
        }
        self.store(&after).await?;
        let served = (after.elb != before.elb).then(|| elbv2::topology(&after.elb));
        self.state.store(Arc::new(after));
        self.former.store(Arc::new((before, self.options.clock.monotonic())));
        if let Some(topology) = served {
            for error in self.dataplane.apply(topology) {
                tracing::error!(listener = error.listener, address = %error.address, cause = %error.source, "listener does not listen");
            }
        }
        Ok(answer)
    }

    async fn store(&self, state: &State) -> Result<(), Fault> {
        let failed =
            |error: std::io::Error| Fault::internal(format!("the state could not be stored: {error}"));
        if self.snapshot.path().is_none() {
            return Ok(());
        }
        let bytes = Snapshot::encode(state).map_err(failed)?;
        let snapshot = self.snapshot.clone();
        let saved = tokio::task::spawn_blocking(move || snapshot.save(&bytes)).await;
        saved.map_err(std::io::Error::other).flatten().map_err(failed)
    }

    /// Who signed a request.
    pub(crate) fn verify(&self, request: &SignedRequest<'_>) -> Result<SignedBy, SignatureError> {
        let state = self.state();
        let keys = Keys { long_lived: &self.options.credentials, sessions: &state.sessions };
        let verifier = Verifier { region: &self.options.region, now: self.options.clock.now() };
        verifier.verify(request, &keys)
    }
}
