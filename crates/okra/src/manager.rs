//! The controllers in one of the three modes: what differs is where the
//! management API and AWS are, and who may write.

use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use clap::{Args, ValueEnum};
use kube::Client;
use okra_aws::Region;
use okra_aws::sdk::{AccessKey, Budget, Sdk, SdkSettings, StaticKeys, Unobserved};
use okra_clock::Entropy as _;
use okra_clock::{SharedClock, SystemEntropy};
use okra_controllers::Context;
use okra_controllers::analysis::MetricSources;
use okra_controllers::fence::Fence;
use okra_controllers::metrics::Metrics;
use okra_controllers::secret_members::SecretMembers;
use okra_controllers::settings::Settings;
use okra_domain::cell::WeightMode;
use okra_providers::Proxies;
use okra_region::{DEFAULT_ACCESS_KEY_ID, DEFAULT_SECRET_ACCESS_KEY};
use tokio::signal::unix::{SignalKind, signal};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::local::Local;

/// Loopback, which local mode lets web metrics reach.
const LOOPBACK: &str = "127.0.0.0/8";

/// In place of a region where none is used.
const NO_REGION: &str = "none";

/// How AWS is reached.
#[derive(Debug, Clone, Default, Args)]
#[command(next_help_heading = "AWS")]
pub struct AwsFlags {
    /// AWS region [default: that of environment or profile]
    #[arg(long, env = "OKRA_REGION", value_name = "NAME")]
    region: Option<String>,
    /// Profile of the AWS configuration files
    #[arg(long, value_name = "NAME")]
    profile: Option<String>,
    /// One endpoint for all AWS services
    #[arg(long, alias = "endpoint-url", env = "OKRA_AWS_ENDPOINT_URL", value_name = "URL")]
    aws_endpoint_url: Option<String>,
    /// Accept long-lived access keys from the environment
    #[arg(long, env = "OKRA_ALLOW_STATIC_KEYS")]
    allow_static_keys: bool,
    /// Whether okra limits its own calls to AWS
    #[arg(long, env = "OKRA_AWS_LIMITER", value_name = "on|off", default_value = "on")]
    aws_limiter: Switch,
}

/// On or off.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub enum Switch {
    /// On.
    #[default]
    On,
    /// Off.
    Off,
}

impl AwsFlags {
    /// For what asks nothing of AWS: without a region to look for, which may take seconds.
    pub fn without_lookup() -> Self {
        Self { region: Some(NO_REGION.to_owned()), ..Self::default() }
    }

    /// The region of the flag.
    pub fn region(&self) -> Option<Region> {
        self.region.as_ref().map(Region::new)
    }

    /// Adapters for AWS as the flags say. No call is made.
    pub async fn connect(&self, clock: SharedClock) -> Sdk {
        // The flag is the variable, and wins over keys of the environment.
        let variable = |name: &str| match (&self.profile, name) {
            (Some(profile), "AWS_PROFILE") => Some(profile.clone()),
            (Some(_), "FORCE_AWS_PROFILE") => Some("true".to_owned()),
            _ => std::env::var(name).ok(),
        };
        let settings = SdkSettings {
            endpoint_url: self.aws_endpoint_url.clone(),
            region: self.region(),
            forced_profile: SdkSettings::forced_profile(variable),
            static_keys: if self.allow_static_keys { StaticKeys::Allowed } else { StaticKeys::LoopbackOnly },
            budget: self.budget(),
            ..SdkSettings::from_default_chain()
        };
        Sdk::load(settings, clock, Arc::new(SystemEntropy::default()), Arc::new(Unobserved)).await
    }

    fn budget(&self) -> Budget {
        if self.aws_limiter == Switch::Off { Budget::Off } else { Budget::Shared }
    }
}

/// Flags of the controllers in every mode.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Controllers")]
pub struct ControllerFlags {
    #[command(flatten)]
    aws: AwsFlags,
    /// How often rules on AWS are verified
    #[arg(long, env = "OKRA_SYNC_PERIOD", value_name = "DURATION", default_value = "30s", value_parser = duration)]
    sync_period: Duration,
    /// How often target health is read while a rollout waits for it
    #[arg(long, env = "OKRA_HEALTH_POLL", value_name = "DURATION", default_value = "2s", value_parser = duration)]
    health_poll: Duration,
    /// How late the points of CloudWatch may come
    #[arg(long, env = "OKRA_METRIC_DELAY", value_name = "DURATION", default_value = "3m", value_parser = duration)]
    metric_delay: Duration,
    /// What setWeight means in Cells that do not say it
    #[arg(long, env = "OKRA_WEIGHT_MODE", value_name = "MODE", default_value = "absolute")]
    weight_mode: WeightModeFlag,
    /// Work in this namespace only
    #[arg(long, env = "OKRA_WATCH_NAMESPACE", value_name = "NAME")]
    watch_namespace: Option<String>,
    /// Networks that web metrics may reach although they are loopback or link-local
    #[arg(long, env = "OKRA_METRIC_ADDRESS_ALLOW", value_name = "CIDR", value_delimiter = ',')]
    metric_address_allow: Vec<String>,
    /// Run login commands that cluster secrets name
    #[arg(long, env = "OKRA_ALLOW_EXEC")]
    allow_exec: bool,
}

/// A duration as `30s`, `50ms` or `1h30m`.
pub fn duration(text: &str) -> Result<Duration, String> {
    let span: jiff::SignedDuration =
        text.parse().map_err(|error| format!("{error}; write it as 30s, 50ms or 1h30m"))?;
    Duration::try_from(span).map_err(|_| "a duration cannot be negative".to_owned())
}

/// What `setWeight` means.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum WeightModeFlag {
    /// The total share of the new version
    Absolute,
    /// An increment, as the Go program took it
    Incremental,
}

impl ControllerFlags {
    /// The values of a demo (`spec/okra.md` 8).
    pub fn for_demo() -> Self {
        Self {
            aws: AwsFlags { aws_limiter: Switch::Off, ..AwsFlags::default() },
            sync_period: Duration::from_secs(1),
            health_poll: Duration::from_millis(50),
            metric_delay: Duration::ZERO,
            weight_mode: WeightModeFlag::Absolute,
            watch_namespace: None,
            metric_address_allow: vec![LOOPBACK.to_owned()],
            allow_exec: false,
        }
    }

    /// Of a process that only measures: of all controllers it has the one of
    /// AnalysisRuns, for which the rest is of no matter.
    pub fn for_laboratory(aws: AwsFlags, metric_address_allow: Vec<String>) -> Self {
        Self { aws, metric_address_allow, ..Self::for_demo() }
    }

    /// How AWS is reached.
    pub fn aws(&self) -> &AwsFlags {
        &self.aws
    }

    /// The same flags as words of a command line, for a process started from this one.
    pub fn to_arguments(&self) -> Vec<String> {
        let mut arguments = vec![
            format!("--sync-period={}ms", self.sync_period.as_millis()),
            format!("--health-poll={}ms", self.health_poll.as_millis()),
            format!("--metric-delay={}ms", self.metric_delay.as_millis()),
        ];
        let mode = self.weight_mode.to_possible_value().map(|value| value.get_name().to_owned());
        arguments.extend(mode.map(|mode| format!("--weight-mode={mode}")));
        arguments.extend(self.watch_namespace.iter().map(|name| format!("--watch-namespace={name}")));
        arguments.extend(
            self.metric_address_allow.iter().map(|network| format!("--metric-address-allow={network}")),
        );
        arguments.extend(self.allow_exec.then(|| "--allow-exec".to_owned()));
        arguments
    }

    /// What the controllers make of these flags.
    pub fn settings(&self, identity: String, extra_addresses: &[&str]) -> Settings {
        let mut metric_addresses = self.metric_address_allow.clone();
        metric_addresses.extend(extra_addresses.iter().map(ToString::to_string));
        Settings {
            sync_period: self.sync_period,
            health_poll: self.health_poll,
            metric_delay: self.metric_delay,
            weight_mode: match self.weight_mode {
                WeightModeFlag::Absolute => WeightMode::Absolute,
                WeightModeFlag::Incremental => WeightMode::Incremental,
            },
            watch_namespace: self.watch_namespace.clone(),
            metric_addresses,
            metric_sources: MetricSources {
                proxies: Proxies::from_environment(),
                ..MetricSources::from_variables(|name| std::env::var(name).ok())
            },
            ..Settings::new(identity)
        }
    }
}

/// A name for this process that no other start has.
pub fn identity() -> String {
    let host = std::env::var("HOSTNAME").unwrap_or_else(|_| "okra".to_owned());
    format!("{host}-{:016x}", SystemEntropy::default().next_u64())
}

/// Everything that the controllers are handed.
pub fn context(
    client: Client,
    sdk: &Sdk,
    mut settings: Settings,
    clock: SharedClock,
    flags: &ControllerFlags,
) -> Context {
    settings.metric_sources.signer = Some(Arc::new(sdk.signer()));
    let region = flags.aws.region().or_else(|| sdk.default_region());
    let tokens = Arc::new(sdk.identity());
    // One adapter for both, so that they share the budget of one service.
    let load_balancers = Arc::new(sdk.load_balancers());
    Context {
        client: client.clone(),
        load_balancers: load_balancers.clone(),
        targets: load_balancers,
        clusters: Arc::new(sdk.clusters()),
        cloudwatch: Arc::new(sdk.metrics()),
        members: Arc::new(SecretMembers::new(client, tokens, region.clone(), flags.allow_exec)),
        region,
        fence: Fence::sole(clock.clone()),
        clock,
        entropy: Arc::new(SystemEntropy::default()),
        settings: Arc::new(settings),
        metrics: Arc::new(Metrics::new()),
    }
}

/// Controllers that run beside something else.
pub struct Controllers {
    task: JoinHandle<()>,
}

impl Controllers {
    /// Waits until the last reconcile has ended; the token given at the start ends them.
    pub async fn finish(self) {
        if let Err(error) = self.task.await {
            tracing::error!(%error, "the controllers ended by a panic");
        }
    }
}

/// Starts the controllers of a server of which only one can run, against AWS
/// as environment and flags say.
///
/// # Errors
/// None today: a failing AWS shows in conditions.
pub async fn start(
    client: Client,
    flags: &ControllerFlags,
    clock: SharedClock,
    stop: CancellationToken,
) -> anyhow::Result<Controllers> {
    let sdk = flags.aws.connect(clock.clone()).await;
    let context = context(client, &sdk, flags.settings(identity(), &[]), clock, flags);
    Ok(Controllers { task: tokio::spawn(okra_controllers::run(context, stop)) })
}

/// Starts the controllers of local mode, against its own region.
///
/// # Errors
/// None today: a failing part shows in conditions.
pub async fn start_local(
    local: &Local,
    flags: &ControllerFlags,
    clock: SharedClock,
    stop: CancellationToken,
) -> anyhow::Result<Controllers> {
    let sdk = local_sdk(local, clock.clone()).await;
    let settings = flags.settings(identity(), &[LOOPBACK]);
    let context = context(local.management().client(), &sdk, settings, clock, flags);
    Ok(Controllers { task: tokio::spawn(okra_controllers::run(context, stop)) })
}

/// Adapters on the region of local mode, with the keys that it accepts. Its
/// calls cost nobody anything, so they are not limited.
pub async fn local_sdk(local: &Local, clock: SharedClock) -> Sdk {
    let settings = SdkSettings {
        endpoint_url: Some(local.region().endpoint()),
        region: Some(Region::new(local.region_name())),
        access_key: Some(AccessKey {
            id: DEFAULT_ACCESS_KEY_ID.to_owned(),
            secret: DEFAULT_SECRET_ACCESS_KEY.to_owned(),
        }),
        budget: Budget::Off,
        ..SdkSettings::from_default_chain()
    };
    Sdk::load(settings, clock, Arc::new(SystemEntropy::default()), Arc::new(Unobserved)).await
}

/// Cancels `stop` at SIGINT or SIGTERM; a second signal ends the process at once.
///
/// # Errors
/// When signals cannot be caught.
pub fn stop_on_signal(stop: CancellationToken) -> anyhow::Result<()> {
    let mut interrupt = signal(SignalKind::interrupt()).context("SIGINT cannot be caught")?;
    let mut terminate = signal(SignalKind::terminate()).context("SIGTERM cannot be caught")?;
    tokio::spawn(async move {
        for first in [true, false] {
            tokio::select! {
                _ = interrupt.recv() => {}
                _ = terminate.recv() => {}
            }
            if first {
                stop.cancel();
            } else {
                std::process::exit(130);
            }
        }
    });
    Ok(())
}

#[cfg(test)]
mod tests {
    use clap::{CommandFactory as _, Parser};

    use super::*;

    #[derive(Debug, Parser)]
    struct Only {
        #[command(flatten)]
        controllers: ControllerFlags,
    }

    /// Upstream took the interval of its variable only when it could not be read.
    #[test]
    fn defect_05_an_interval_takes_effect_when_it_can_be_read_and_is_refused_when_not() {
        let read = |text: &str| Only::try_parse_from(["okra".to_owned(), format!("--sync-period={text}")]);
        let flags = read("7s").unwrap().controllers;
        assert_eq!(flags.settings("test".to_owned(), &[]).sync_period, Duration::from_secs(7));
        for nonsense in ["banana", "7", "-7s", ""] {
            let refused = read(nonsense).unwrap_err().to_string();
            assert!(refused.contains("--sync-period"), "{nonsense}: {refused}");
        }
        let command = Only::command();
        let flag = command.get_arguments().find(|flag| flag.get_id() == "sync_period").unwrap();
        assert_eq!(flag.get_env(), Some("OKRA_SYNC_PERIOD".as_ref()), "the variable is read the same way");
    }
}
