//! `okra controller-manager`: the controllers alone, against a Kubernetes API.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use clap::Args;
use okra_clock::{SharedClock, SystemClock, SystemEntropy};
use okra_controllers::health::{self, Readiness};
use okra_controllers::leader::{Election, lead};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use super::connect::connect;
use super::go_lock;
use crate::cli::Target;
use crate::ledger::Ledger;
use crate::manager::{self, ControllerFlags, duration};
use crate::output::Exit;

/// Flags of `okra controller-manager`.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  okra controller-manager\n  \
    okra controller-manager --dry-run --log-level info\n  \
    set -a; . ~/.local/state/okra/aws.env; set +a\n  \
    okra controller-manager --kubeconfig ~/.local/state/okra/kubeconfig")]
pub struct ControllerManagerArgs {
    #[command(flatten)]
    target: Target,
    #[command(flatten)]
    controllers: ControllerFlags,
    /// Plan and log what would be written, and write nothing: no Lease either
    #[arg(long, env = "OKRA_DRY_RUN")]
    dry_run: bool,
    /// Let one of several processes write, by a Lease
    #[arg(
        long = "leader-elect",
        visible_alias = "enable-leader-election",
        env = "OKRA_LEADER_ELECT",
        default_value_t = true,
        action = clap::ArgAction::Set,
        num_args = 0..=1,
        default_missing_value = "true"
    )]
    leader_elect: bool,
    /// How long a lease lasts
    #[arg(long, env = "OKRA_LEADER_ELECT_LEASE_DURATION", default_value = "15s", value_parser = duration)]
    leader_elect_lease_duration: Duration,
    /// A leader that could not renew for this long steps down
    #[arg(long, env = "OKRA_LEADER_ELECT_RENEW_DEADLINE", default_value = "10s", value_parser = duration)]
    leader_elect_renew_deadline: Duration,
    /// How often leader and candidates ask
    #[arg(long, env = "OKRA_LEADER_ELECT_RETRY_PERIOD", default_value = "2s", value_parser = duration)]
    leader_elect_retry_period: Duration,
    /// Where /metrics answers
    #[arg(
        long,
        visible_alias = "metrics-addr",
        env = "OKRA_METRICS_BIND_ADDRESS",
        default_value = "127.0.0.1:8080",
        value_parser = address
    )]
    metrics_bind_address: SocketAddr,
    /// Where /healthz and /readyz answer, if not beside /metrics
    #[arg(long, env = "OKRA_HEALTH_PROBE_BIND_ADDRESS", value_parser = address)]
    health_probe_bind_address: Option<SocketAddr>,
}

/// An address; `:8080`, as the Go program took it, is port 8080 of all interfaces.
fn address(text: &str) -> Result<SocketAddr, String> {
    let full = if text.starts_with(':') { format!("0.0.0.0{text}") } else { text.to_owned() };
    full.parse().map_err(|_| format!("{text:?} is not ADDRESS:PORT"))
}

/// Runs until interrupted.
///
/// # Errors
/// When the API is not configured or an address cannot be bound.
pub async fn run(args: ControllerManagerArgs) -> anyhow::Result<Exit> {
    let clock: SharedClock = SystemClock::shared();
    let stop = CancellationToken::new();
    manager::stop_on_signal(stop.clone())?;
    let connection = connect(&args.target).await?;
    let sdk = args.controllers.aws().connect(clock.clone()).await;
    let identity = manager::identity();
    let mut settings = args.controllers.settings(identity.clone(), &[]);
    settings.metric_sources.namespace.clone_from(&connection.namespace);
    let mut context =
        manager::context(connection.client.clone(), &sdk, settings, clock.clone(), &args.controllers);
    if args.dry_run {
        context = Ledger::new(true).over(context);
        tracing::warn!("a dry run: what would be written is logged at level info, and nothing is written");
    }
    let readiness = Readiness::default();
    for address in std::iter::once(args.metrics_bind_address).chain(args.health_probe_bind_address) {
        let listener =
            TcpListener::bind(address).await.with_context(|| format!("cannot listen on {address}"))?;
        let (metrics, readiness, stop) = (context.metrics.clone(), readiness.clone(), stop.clone());
        tokio::spawn(health::serve(listener, metrics, readiness, stop));
    }
    let version =
        connection.client.apiserver_version().await.context("the management API does not answer")?;
    go_lock::refuse_beside(&connection.client, &connection.namespace, clock.now()).await?;
    tracing::info!(version = version.git_version, identity, "connected to the management API");
    readiness.set(true);
    if args.leader_elect && !args.dry_run {
        let election = Election {
            lease: args.leader_elect_lease_duration,
            renew_deadline: args.leader_elect_renew_deadline,
            retry_period: args.leader_elect_retry_period,
            ..Election::new(connection.namespace, identity)
        };
        let context = Arc::new(context);
        let term = |fence, ended| okra_controllers::run(context.as_ref().clone().with_fence(fence), ended);
        lead(connection.client, election, clock, &SystemEntropy::default(), stop, term).await;
    } else {
        okra_controllers::run(context, stop).await;
    }
    Ok(Exit::Ok)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_of_the_go_program_are_read() {
        assert_eq!(address(":8080").map(|address| address.to_string()), Ok("0.0.0.0:8080".to_owned()));
        assert_eq!(address("127.0.0.1:0").map(|address| address.port()), Ok(0));
        assert!(address("8080").is_err());
    }
}
