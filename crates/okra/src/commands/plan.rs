//! `okra plan`: what the controllers would do next, for the Cells of a
//! management API or from manifests alone. Nothing is touched, and with `-f`
//! nothing is asked either.

use std::io::Write;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use comfy_table::{ContentArrangement, Table, presets};
use jiff::Timestamp;
use kube::api::ListParams;
use okra_api::folder::Folder;
use okra_api::offline::{CellPlan, PlanDocument, cell_plan};
use okra_clock::{Clock, SharedClock, SystemClock};

use super::connect::connect;
use super::manifests;
use crate::cli::Target;
use crate::manager::{self, ControllerFlags};
use crate::output::{self, Exit};

/// Prints the plan that the controllers would carry out next, without touching
/// anything.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  okra plan web             with what the API and AWS say now\n  \
    okra plan -f manifests/   from files alone; a folder is a complete view\n  \
    okra plan -f manifests/ --now 2026-11-21T15:00:00Z -o json")]
pub struct PlanArgs {
    /// Name of a Cell of the management API; all Cells when absent
    #[arg(conflicts_with = "folder")]
    pub name: Option<String>,
    /// Folder (or file) with Cells, target groups, load balancer configs,
    /// pauses, runs, experiments and blocklists
    #[arg(short = 'f', long = "filename", value_name = "DIR")]
    pub folder: Option<PathBuf>,
    /// With -f: the moment to plan for, RFC 3339 [default: now]
    #[arg(long, value_name = "TIME", requires = "folder")]
    pub now: Option<Timestamp>,
    #[command(flatten)]
    pub target: Target,
    #[command(flatten)]
    pub controllers: ControllerFlags,
    /// How to print it
    #[arg(short, long, value_enum, default_value_t = PlanFormat::Table)]
    pub output: PlanFormat,
}

/// How a plan is printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum PlanFormat {
    /// One JSON document.
    Json,
    /// YAML.
    Yaml,
    /// For reading.
    Table,
}

/// Prints the plan as of now, or of the moment that the flags name.
///
/// # Errors
/// When a file cannot be read or does not hold objects, or the API does not answer.
pub async fn run(args: PlanArgs) -> anyhow::Result<Exit> {
    let out = &mut std::io::stdout();
    match &args.folder {
        Some(folder) => print_folder(folder, args.now, args.output, &SystemClock::new(), out)?,
        None => {
            let document = live(&args).await?;
            if document.cells.is_empty() {
                output::remark("no Cell in the namespace");
            }
            print(&document, args.output, out)?;
        }
    }
    Ok(Exit::Ok)
}

/// The plans for what the management API and AWS say now.
async fn live(args: &PlanArgs) -> anyhow::Result<PlanDocument> {
    let connection = connect(&args.target).await?;
    let clock: SharedClock = SystemClock::shared();
    let sdk = args.controllers.aws().connect(clock.clone()).await;
    let settings = args.controllers.settings(manager::identity(), &[]);
    let context = manager::context(connection.client.clone(), &sdk, settings, clock, &args.controllers);
    let names = match &args.name {
        Some(name) => vec![name.clone()],
        None => {
            let cells = connection.cells().list(&ListParams::default()).await.context("cannot list Cells")?;
            cells.items.iter().map(kube::ResourceExt::name_any).collect()
        }
    };
    let mut cells = Vec::new();
    for name in names {
        let plan = okra_controllers::cell::preview(&context, &connection.namespace, &name).await;
        match plan.with_context(|| format!("cannot read Cell {name}"))? {
            Some(plan) => cells.push(cell_plan(&connection.namespace, &name, &plan)),
            None if args.name.is_some() => anyhow::bail!(connection.absent(&name)),
            None => {}
        }
    }
    Ok(PlanDocument { cells })
}

fn print_folder(
    path: &Path,
    now: Option<Timestamp>,
    format: PlanFormat,
    clock: &dyn Clock,
    out: &mut dyn Write,
) -> anyhow::Result<()> {
    let now = now.unwrap_or_else(|| clock.now());
    let objects = manifests::read(path)?.into_iter().flat_map(|file| file.objects);
    let objects = objects.map(|object| okra_api::convert::convert(object, None).object).collect();
    let folder = Folder::from_objects(objects);
    for (kind, object) in folder.malformed() {
        let name = object.metadata.name.as_deref().unwrap_or_default();
        tracing::warn!(kind, name, error = %object.error, "an object does not fit its kind and is left out");
    }
    let document = okra_api::offline::plan(&folder, now);
    if document.cells.is_empty() {
        output::remark(&format!("no Cell in the manifests of {}", path.display()));
    }
    print(&document, format, out)
}

fn print(document: &PlanDocument, format: PlanFormat, out: &mut dyn Write) -> anyhow::Result<()> {
    match format {
        PlanFormat::Json => {
            serde_json::to_writer_pretty(&mut *out, document).context("cannot write the plan")?;
            writeln!(out)?;
        }
        PlanFormat::Yaml => write!(out, "{}", serde_saphyr::to_string(document)?)?,
        PlanFormat::Table if document.cells.is_empty() => {}
        PlanFormat::Table => print_table(document, out)?,
    }
    Ok(())
}

fn print_table(document: &PlanDocument, out: &mut dyn Write) -> anyhow::Result<()> {
    let mut table = Table::new();
    table.load_style(presets::NOTHING).set_content_arrangement(ContentArrangement::Disabled);
    table.set_header(["CELL", "PHASE", "STABLE", "DESIRED", "STEP", "WEIGHTS", "NEXT", "WAKES AT"]);
    for cell in &document.cells {
        let text = |value: &Option<String>| value.clone().unwrap_or_else(|| "-".to_owned());
        table.add_row([
            format!("{}/{}", cell.namespace, cell.name),
            cell.phase.clone(),
            text(&cell.stable_version),
            text(&cell.desired_version),
            cell.current_step_index.map_or_else(|| "-".to_owned(), |index| index.to_string()),
            weights(cell),
            next(cell),
            text(&cell.wake_at),
        ]);
    }
    for line in table.lines() {
        writeln!(out, "{}", line.trim())?;
    }
    for cell in &document.cells {
        for reason in &cell.reasons {
            writeln!(out, "{}/{}: {}: {}", cell.namespace, cell.name, reason.reason, reason.message)?;
        }
    }
    Ok(())
}

fn weights(cell: &CellPlan) -> String {
    let weights: Vec<String> = cell.weights.iter().map(|(name, weight)| format!("{name}={weight}")).collect();
    if weights.is_empty() { "-".to_owned() } else { weights.join(" ") }
}

fn next(cell: &CellPlan) -> String {
    let objects = |word: &str, objects: &[okra_api::offline::ObjectName]| -> Vec<String> {
        objects.iter().map(|object| format!("{word} {}/{}", object.kind, object.name)).collect()
    };
    let blocked: Vec<String> = cell.block.iter().map(|version| format!("block {version}")).collect();
    let next = [objects("create", &cell.create), objects("delete", &cell.delete), blocked].concat();
    if next.is_empty() { "-".to_owned() } else { next.join(", ") }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::time::Duration;

    use super::*;

    const MANIFESTS: [(&str, &str); 4] = [
        (
            "cell.yaml",
            "apiVersion: okra.mumo.co/v1alpha1\nkind: Cell\nmetadata: {name: web}\nspec:\n  \
             ingress: {awsApplicationLoadBalancer: {listenerARN: l}}\n---\n\
             apiVersion: okra.mumo.co/v1alpha1\nkind: Cell\nmetadata: {name: broken}\nspec: {replicas: two}\n",
        ),
        (
            "group.json",
            r#"{"apiVersion": "okra.mumoshu.github.io/v1alpha1", "kind": "AWSTargetGroup", "metadata": {"name": "a1",
                "labels": {"okra.mumo.co/version": "v1"}}, "spec": {"arn":
                "arn:aws:elasticloadbalancing:eu-west-1:111122223333:targetgroup/a1/1"}}"#,
        ),
        ("pause.yml", "apiVersion: okra.mumo.co/v1alpha1\nkind: Pause\nmetadata: {name: p}\nspec: []\n"),
        ("notes.txt", "not a manifest: ["),
    ];

    fn folder() -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        for (name, text) in MANIFESTS {
            fs::write(folder.path().join(name), text).unwrap();
        }
        folder
    }

    #[derive(Debug)]
    struct FixedClock;

    #[async_trait::async_trait]
    impl Clock for FixedClock {
        fn now(&self) -> Timestamp {
            "2026-11-21T15:00:00Z".parse().unwrap()
        }

        fn monotonic(&self) -> Duration {
            Duration::ZERO
        }

        async fn sleep(&self, _: Duration) {}
    }

    fn printed(path: &Path, output: PlanFormat) -> anyhow::Result<String> {
        let mut out = vec![];
        print_folder(path, None, output, &FixedClock, &mut out)?;
        Ok(String::from_utf8(out)?)
    }

    #[test]
    fn json_has_one_entry_a_cell_and_one_that_is_broken_does_not_hide_the_other() {
        let folder = folder();
        let printed = printed(folder.path(), PlanFormat::Json).unwrap();
        let document: serde_json::Value = serde_json::from_str(&printed).unwrap();
        let cells = document["cells"].as_array().unwrap();
        let told: Vec<_> = cells.iter().map(|cell| (cell["name"].as_str(), cell["phase"].as_str())).collect();
        assert_eq!(told, [(Some("broken"), Some("Error")), (Some("web"), Some("Progressing"))]);
        assert_eq!(cells[1]["weights"], serde_json::json!({"a1": 100}));
        assert_eq!(cells[0]["reasons"][0]["reason"], "InvalidSpec");
    }

    #[test]
    fn the_table_says_the_same_for_people() {
        let folder = folder();
        insta::assert_snapshot!(printed(folder.path(), PlanFormat::Table).unwrap());
    }

    #[test]
    fn one_file_is_enough_and_a_broken_one_is_named() {
        let folder = folder();
        let cell = folder.path().join("cell.yaml");
        assert!(printed(&cell, PlanFormat::Json).unwrap().contains("\"Pending\""));
        let error = printed(&folder.path().join("notes.txt"), PlanFormat::Json).unwrap_err();
        assert!(error.to_string().ends_with("notes.txt"), "{error}");
        assert!(printed(&folder.path().join("none"), PlanFormat::Json).is_err());
    }
}
