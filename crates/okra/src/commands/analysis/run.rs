//! `okra analysis run`: a template run once, without a rollout; in this process,
//! or by the controller of the current cluster.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::{Context as _, bail};
use clap::Args;
use futures::StreamExt as _;
use kube::api::{Patch, PatchParams, PostParams};
use kube::core::ObjectMeta;
use kube::runtime::watcher::Event;
use kube::runtime::{WatchStreamExt as _, watcher};
use kube::{Api, ResourceExt as _};
use okra_api::AnalysisRun;
use okra_api::analysis::AnalysisRunSpec;
use okra_api::names::{CONTROLLER_INSTANCE_ID, FIELD_MANAGER, LABEL_CONTROLLER_INSTANCE_ID};
use okra_clock::{Clock as _, Entropy as _, SystemClock, SystemEntropy};
use okra_domain::analysis::Phase;
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

use super::laboratory::Laboratory;
use super::template::{Chosen, TemplateArgs, planned, sources};
use super::view::View;
use crate::cli::Target;
use crate::commands::connect::{Connection, connect};
use crate::commands::pairs::Pairs;
use crate::look::LookFlags;
use crate::manager::{self, AwsFlags, ControllerFlags};
use crate::output::{self, Exit, Format};

/// Label of the Go program with the second in which a run was made.
const LABEL_TIMESTAMP: &str = "okra.mumo.co/timestamp";
/// Phases of a run that has ended.
const ENDED: [Phase; 4] = [Phase::Successful, Phase::Failed, Phase::Error, Phase::Inconclusive];
/// How often a live view is drawn anew when nothing has changed, so that times move.
const REDRAW_EVERY: Duration = Duration::from_secs(1);
/// Providers that read a Secret which a metric need not name.
const WITH_SECRETS: [&str; 3] = ["datadog", "newRelic", "influxdb"];
/// Where no run of this process is in.
const DEFAULT_NAMESPACE: &str = "default";

/// Flags of `okra analysis run`.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  okra analysis run -f template.yaml -a service=web --watch\n  \
    okra analysis run -f template.yaml --metric-address-allow 127.0.0.0/8 -o json\n  \
    okra analysis run --template-name errors --args-from-secrets token=api.key\n  \
    okra analysis run --template-name smoke-test --in-cluster -t 10m\n\n\
    It measures from this machine, and asks the current cluster for nothing but\n\
    templates that are not in files, and Secrets. With --in-cluster the controller\n\
    there measures.\n\n\
    Exit codes: 0 successful, 1 no template or a mistake in it, 2 failed or an\n\
    error, 3 not within the time of -t, 5 inconclusive or interrupted.")]
pub struct RunArgs {
    #[command(flatten)]
    target: Target,
    #[command(flatten)]
    template: TemplateArgs,
    /// Arguments that come from Secrets of the current cluster
    #[arg(long, value_name = "ARG=SECRET.KEY,…", default_value = "", hide_default_value = true)]
    args_from_secrets: Pairs,
    /// Show each measurement: drawn anew on a terminal, else a line
    #[arg(long, short = 'w')]
    watch: bool,
    /// Longest run, as 30m or 90s
    #[arg(long, short = 't', value_name = "DURATION", value_parser = manager::duration)]
    timeout: Option<Duration>,
    /// Make an AnalysisRun in the current cluster, for the controller there
    #[arg(long)]
    in_cluster: bool,
    /// How to print the run at its end
    #[arg(long, short = 'o', default_value = "table")]
    output: Format,
    #[command(flatten)]
    look: LookFlags,
    /// Networks that metrics may reach although they are loopback or link-local
    #[arg(long, env = "OKRA_METRIC_ADDRESS_ALLOW", value_name = "CIDR", value_delimiter = ',')]
    metric_address_allow: Vec<String>,
    #[command(flatten)]
    aws: AwsFlags,
}

/// Runs the template and prints what it came to.
///
/// # Errors
/// When there is no such template, it is faulty, or the API refuses.
pub async fn run(args: RunArgs) -> anyhow::Result<Exit> {
    let mut connection = None;
    let chosen = chosen(&args, &mut connection).await?;
    let spec = chosen.run_spec(&args.template.values(), &args.args_from_secrets.0)?;
    let endless = planned(&spec)?.first_endless_metric().map(|metric| metric.spec.name.clone());
    if let Some(metric) = endless.filter(|_| args.timeout.is_none()) {
        output::remark(&format!(
            "metric {metric} has no count: the run lasts until it fails or is interrupted"
        ));
    }
    let template = &chosen.reference.template_name;
    if args.in_cluster {
        let connection = connected(&mut connection, &args.target).await?;
        let runs = Api::namespaced(connection.client.clone(), &connection.namespace);
        let run = create(&runs, template, None, spec, false).await?;
        return follow(runs, run, &args).await;
    }
    if let Some(metric) = spec.metrics.iter().find(|metric| has_provider(metric, &["job"])) {
        bail!("metric {} runs a Job, which needs a cluster: give --in-cluster", metric["name"]);
    }
    let secrets = secrets(&spec, &mut connection, &args.target).await?;
    let namespace = secrets.as_ref().map_or(DEFAULT_NAMESPACE, |connection| &connection.namespace);
    let flags = ControllerFlags::for_laboratory(aws(&args, &spec), args.metric_address_allow.clone());
    let cluster = secrets.as_ref().map(|connection| connection.client.clone());
    let laboratory = Laboratory::open(&flags, namespace, cluster).await?;
    let runs = Api::namespaced(laboratory.client(), namespace);
    let run = create(&runs, template, None, spec, false).await?;
    let exit = follow(runs, run, &args).await;
    laboratory.close().await;
    exit
}

/// The template of the flags; the cluster is asked only for what no file has.
async fn chosen(args: &RunArgs, connection: &mut Option<Connection>) -> anyhow::Result<Chosen> {
    let name = args.template.template_name.as_deref();
    if args.template.filename.is_empty() {
        let name = name.context("which template? give a file with -f, or a name with --template-name")?;
        return Chosen::of_cluster(connected(connection, &args.target).await?, name).await;
    }
    let mut chosen = Chosen::of_files(&args.template.filename, name)?;
    if chosen.is_incomplete() {
        let connection = connected(connection, &args.target).await;
        chosen.complete(connection.context("the files do not hold all nested templates")?).await?;
    }
    Ok(chosen)
}

async fn connected<'a>(
    connection: &'a mut Option<Connection>,
    target: &Target,
) -> anyhow::Result<&'a Connection> {
    let made = match connection.take() {
        Some(made) => made,
        None => connect(target).await?,
    };
    Ok(connection.insert(made))
}

/// The cluster whose Secrets are read, if any are: where the run names one it
/// must be there, where a provider would look for one it may be.
async fn secrets(
    spec: &AnalysisRunSpec,
    connection: &mut Option<Connection>,
    target: &Target,
) -> anyhow::Result<Option<Connection>> {
    let named = !sources(spec).secrets().is_empty();
    if named || spec.metrics.iter().any(|metric| has_provider(metric, &WITH_SECRETS)) {
        match connected(connection, target).await {
            Ok(_) => {}
            Err(error) if named => return Err(error.context("arguments come from Secrets")),
            Err(error) => output::remark(&format!("no Secrets are read: {}", output::chain(&error))),
        }
    }
    Ok(connection.take())
}

/// Whether a metric, or its baseline, asks one of these providers.
fn has_provider(metric: &Value, keys: &[&str]) -> bool {
    let asks = |metric: &Value| keys.iter().any(|key| metric["provider"].get(key).is_some());
    asks(metric) || asks(&metric["baseline"])
}

/// How AWS is reached, where a metric needs it.
fn aws(args: &RunArgs, spec: &AnalysisRunSpec) -> AwsFlags {
    let signs = |metric: &Value| metric["provider"].to_string().contains("\"sigv4\"");
    let needed =
        |metric: &Value| has_provider(metric, &["cloudWatch"]) || signs(metric) || signs(&metric["baseline"]);
    if spec.metrics.iter().any(needed) { args.aws.clone() } else { AwsFlags::without_lookup() }
}

/// Makes a run of a template; with `dry_run` the API only says what it would be.
///
/// # Errors
/// When the API refuses.
pub async fn create(
    runs: &Api<AnalysisRun>,
    template: &str,
    name: Option<String>,
    spec: AnalysisRunSpec,
    dry_run: bool,
) -> anyhow::Result<AnalysisRun> {
    let end = format!("{:010x}", SystemEntropy::default().next_u64() & 0xff_ffff_ffff);
    let second = SystemClock::new().now().strftime("%Y%m%d%H%M%S").to_string();
    let labels = BTreeMap::from([
        (LABEL_TIMESTAMP.to_owned(), second),
        (LABEL_CONTROLLER_INSTANCE_ID.to_owned(), CONTROLLER_INSTANCE_ID.to_owned()),
    ]);
    let name = Some(name.unwrap_or_else(|| format!("{template}-{end}")));
    let metadata = ObjectMeta { name, labels: Some(labels), ..ObjectMeta::default() };
    let run = AnalysisRun { metadata, spec, status: None };
    let params = PostParams { dry_run, field_manager: Some(format!("{FIELD_MANAGER}-cli")) };
    runs.create(&params, &run).await.context("the run cannot be created")
}

/// The verdict of a run that has ended.
pub fn verdict(run: &AnalysisRun) -> Option<Phase> {
    let phase = run.status.as_ref()?.phase.as_str();
    ENDED.into_iter().find(|ended| ended.as_str() == phase)
}

/// Shows a run until its end, and prints it.
async fn follow(runs: Api<AnalysisRun>, run: AnalysisRun, args: &RunArgs) -> anyhow::Result<Exit> {
    let for_people = matches!(args.output, Format::Table | Format::Wide);
    let mut view = View::new(args.watch, for_people, args.look.look());
    let stop = CancellationToken::new();
    manager::stop_on_signal(stop.clone())?;
    let clock = SystemClock::new();
    let overdue = async {
        match args.timeout {
            Some(limit) => clock.sleep(limit).await,
            None => std::future::pending().await,
        }
    };
    let mut latest = run;
    let given_up = {
        let watching = watch(runs.clone(), &mut latest, &mut view, &clock);
        tokio::select! {
            watched = watching => { watched?; None }
            () = stop.cancelled() => Some((Exit::Inconclusive, "was interrupted".to_owned())),
            () = overdue => Some((Exit::Timeout, format!("has not ended within {:?}", args.timeout.unwrap_or_default()))),
        }
    };
    if given_up.is_some() {
        terminate(&runs, &latest.name_any()).await?;
    }
    print(&latest, args.output, &view, &clock)?;
    Ok(match (given_up, verdict(&latest)) {
        (Some((exit, why)), _) => {
            output::remark(&format!("AnalysisRun {} {why} and was told to stop", latest.name_any()));
            exit
        }
        (None, phase) => super::exit_of(phase.unwrap_or(Phase::Error)),
    })
}

async fn watch(
    runs: Api<AnalysisRun>,
    latest: &mut AnalysisRun,
    view: &mut View,
    clock: &SystemClock,
) -> anyhow::Result<()> {
    let name = latest.name_any();
    let config = watcher::Config::default().fields(&format!("metadata.name={name}"));
    let mut changes = watcher(runs, config).default_backoff().boxed();
    while verdict(latest).is_none() {
        tokio::select! {
            change = changes.next() => match change {
                Some(Ok(Event::Apply(run) | Event::InitApply(run))) => *latest = run,
                Some(Ok(Event::Delete(_))) => bail!("AnalysisRun {name} was deleted"),
                Some(Ok(Event::Init | Event::InitDone)) => {}
                Some(Err(error)) => output::remark(&format!("the watch was interrupted and goes on: {error}")),
                None => bail!("the watch of AnalysisRun {name} ended"),
            },
            () = clock.sleep(REDRAW_EVERY), if view.moves() => {}
        }
        view.show(latest, clock.now())?;
    }
    Ok(())
}

async fn terminate(runs: &Api<AnalysisRun>, name: &str) -> anyhow::Result<()> {
    let params =
        PatchParams { field_manager: Some(format!("{FIELD_MANAGER}-cli")), ..PatchParams::default() };
    let patch = Patch::Merge(json!({"spec": {"terminate": true}}));
    runs.patch(name, &params, &patch)
        .await
        .with_context(|| format!("AnalysisRun {name} cannot be stopped"))?;
    Ok(())
}

fn print(run: &AnalysisRun, format: Format, view: &View, clock: &SystemClock) -> anyhow::Result<()> {
    match format {
        Format::Json => output::print(&output::json(run)?),
        Format::Yaml => output::print(&serde_saphyr::to_string(run)?),
        Format::Name => output::print(&format!("analysisrun/{}\n", run.name_any())),
        Format::Table | Format::Wide => output::print(&view.last(run, clock.now())),
    }
}
