//! One call: budget, gate, request, meaning.

use std::collections::BTreeMap;
use std::future::Future;
use std::sync::{Arc, Mutex, PoisonError};

use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
use aws_smithy_runtime_api::client::result::SdkError;

use super::Parts;
use super::clients::{Clients, ScopedClients};
use super::failure::{OperationError, failure};
use super::limiter::{Budget, Kind, Limiter, WAIT_LONGEST};
use crate::error::{Access, AwsError, Meaning};
use crate::{Scope, Write};

/// How often a read is tried: a controller comes back anyway, this only
/// spares it a lost packet in the middle of many pages.
const READ_ATTEMPTS: u32 = 3;

/// Sends calls of one service.
pub(super) struct Caller {
    clients: Arc<Clients>,
    parts: Parts,
    budget: Budget,
    limiters: Mutex<BTreeMap<Scope, Arc<Limiter>>>,
}

impl Caller {
    pub(super) fn new(clients: Arc<Clients>, parts: Parts, budget: Budget) -> Self {
        Self { clients, parts, budget, limiters: Mutex::default() }
    }

    pub(super) fn clients(&self) -> &Clients {
        &self.clients
    }

    pub(super) fn parts(&self) -> &Parts {
        &self.parts
    }

    /// A read, tried again while AWS is out of reach or says "later".
    pub(super) async fn read<T, E, F, Fut>(
        &self,
        scope: &Scope,
        operation: &'static str,
        send: F,
    ) -> Result<T, AwsError>
    where
        E: OperationError,
        F: Fn(Arc<ScopedClients>) -> Fut + Send + Sync,
        Fut: Future<Output = Result<T, SdkError<E, HttpResponse>>> + Send,
    {
        let limiter = self.limiter(scope);
        let mut failures = 0;
        loop {
            self.admit(&limiter, Kind::Read, operation).await?;
            let error = match self.attempt(scope, operation, Access::Read, &limiter, &send).await {
                Ok(answer) => return Ok(answer),
                Err(error) => error,
            };
            failures += 1;
            if failures >= READ_ATTEMPTS || !error.meaning.is_transient() {
                return Err(error);
            }
            if error.meaning == Meaning::ExpiredCredentials {
                // Once, with new ones; a second refusal is an answer.
                if failures > 1 {
                    return Err(error);
                }
                self.clients.forget(scope);
            } else {
                limiter.back_off(failures, self.parts.entropy.as_ref()).await;
            }
        }
    }

    /// A write: sent once, and once more only if the first was refused for
    /// credentials that had run out.
    pub(super) async fn write<T, E, F, Fut>(
        &self,
        scope: &Scope,
        operation: &'static str,
        write: Write<'_>,
        send: F,
    ) -> Result<T, AwsError>
    where
        E: OperationError,
        F: Fn(Arc<ScopedClients>) -> Fut + Send + Sync,
        Fut: Future<Output = Result<T, SdkError<E, HttpResponse>>> + Send,
    {
        let limiter = self.limiter(scope);
        let mut renewed = false;
        loop {
            self.admit(&limiter, Kind::Write(write.urgency), operation).await?;
            write.gate.check()?;
            let outcome = self.attempt(scope, operation, Access::Write, &limiter, &send).await;
            match outcome {
                Err(error) if error.meaning == Meaning::ExpiredCredentials && !renewed => {
                    renewed = true;
                    self.clients.forget(scope);
                }
                outcome => return outcome,
            }
        }
    }

    async fn attempt<T, E, F, Fut>(
        &self,
        scope: &Scope,
        operation: &'static str,
        access: Access,
        limiter: &Limiter,
        send: &F,
    ) -> Result<T, AwsError>
    where
        E: OperationError,
        F: Fn(Arc<ScopedClients>) -> Fut + Send + Sync,
        Fut: Future<Output = Result<T, SdkError<E, HttpResponse>>> + Send,
    {
        let clients = self.clients.get(scope).await;
        let begin = self.parts.clock.monotonic();
        let outcome = send(clients).await.map_err(|error| failure(operation, access, error));
        let seconds = (self.parts.clock.monotonic() - begin).as_secs_f64();
        let meaning = outcome.as_ref().err().map(|error| error.meaning);
        self.parts.observer.call_finished(operation, meaning, seconds);
        match &outcome {
            Ok(_) => limiter.accepted(),
            Err(error) => {
                tracing::debug!(operation, code = error.code, meaning = ?error.meaning, "AWS call failed");
                if error.meaning == Meaning::Throttled {
                    limiter.throttled(self.parts.entropy.as_ref());
                }
            }
        }
        outcome
    }

    async fn admit(&self, limiter: &Limiter, kind: Kind, operation: &'static str) -> Result<(), AwsError> {
        limiter.admit(kind).await.map_err(|_| {
            let message = format!(
                "okra's own budget of calls would make this one wait longer than {} s",
                WAIT_LONGEST.as_secs()
            );
            AwsError::new(Meaning::Throttled, operation, "BudgetExhausted", message)
        })
    }

    fn limiter(&self, scope: &Scope) -> Arc<Limiter> {
        let mut limiters = self.limiters.lock().unwrap_or_else(PoisonError::into_inner);
        limiters
            .entry(scope.clone())
            .or_insert_with(|| Arc::new(Limiter::new(self.budget, self.parts.clock.clone())))
            .clone()
    }
}
