//! `okra plan`: what the controllers would do next, from manifests alone.
//! Nothing is asked and nothing is touched.

use std::ffi::OsStr;
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use comfy_table::{ContentArrangement, Table, presets};
use jiff::Timestamp;
use okra_api::folder::Folder;
use okra_api::offline::{CellPlan, PlanDocument};
use okra_clock::Clock;

use crate::output;

/// How many files of a folder are read: a folder with more is the wrong one.
const FILES_MAX: usize = 10_000;

/// Prints the plan that the controllers would carry out next, from the
/// manifests in a folder, without touching anything.
#[derive(Debug, Clone, clap::Args)]
pub struct PlanArgs {
    /// Folder (or file) with Cells, target groups, load balancer configs,
    /// pauses, runs, experiments and blocklists
    #[arg(short = 'f', long = "filename", value_name = "DIR")]
    pub folder: PathBuf,
    /// The moment to plan for, RFC 3339 [default: now]
    #[arg(long, value_name = "TIME")]
    pub now: Option<Timestamp>,
    /// How to print it
    #[arg(short, long, value_enum, default_value_t = PlanFormat::Table)]
    pub output: PlanFormat,
}

/// How a plan is printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum PlanFormat {
    /// One JSON document.
    Json,
    /// For reading.
    Table,
}

/// Prints the plan as of now, or of the moment that the flags name.
///
/// # Errors
/// When a file cannot be read, or does not hold objects.
pub fn run(args: &PlanArgs, out: &mut dyn Write) -> anyhow::Result<()> {
    run_with(args, &okra_clock::SystemClock::new(), out)
}

fn run_with(args: &PlanArgs, clock: &dyn Clock, out: &mut dyn Write) -> anyhow::Result<()> {
    let now = args.now.unwrap_or_else(|| clock.now());
    let folder = Folder::from_objects(read_objects(&args.folder)?);
    for (kind, object) in folder.malformed() {
        let name = object.metadata.name.as_deref().unwrap_or_default();
        tracing::warn!(kind, name, error = %object.error, "an object does not fit its kind and is left out");
    }
    let document = okra_api::offline::plan(&folder, now);
    match args.output {
        PlanFormat::Json => {
            serde_json::to_writer_pretty(&mut *out, &document).context("cannot write the plan")?;
            writeln!(out)?;
        }
        PlanFormat::Table if document.cells.is_empty() => {
            output::remark(&format!("no Cell in the manifests of {}", args.folder.display()));
        }
        PlanFormat::Table => print_table(&document, out)?,
    }
    Ok(())
}

/// The objects of all YAML and JSON files of a folder, in bytewise order of
/// file name.
fn read_objects(path: &Path) -> anyhow::Result<Vec<serde_json::Value>> {
    let mut objects = vec![];
    for file in manifest_files(path)? {
        let text = fs::read_to_string(&file).with_context(|| format!("cannot read {}", file.display()))?;
        let found = okra_api::manifests::parse(&text).with_context(|| file.display().to_string())?;
        objects.extend(found);
    }
    Ok(objects)
}

fn manifest_files(path: &Path) -> anyhow::Result<Vec<PathBuf>> {
    let metadata = fs::metadata(path).with_context(|| format!("cannot read {}", path.display()))?;
    if metadata.is_file() {
        return Ok(vec![path.to_owned()]);
    }
    let mut files = vec![];
    for entry in fs::read_dir(path).with_context(|| format!("cannot read {}", path.display()))? {
        let file = entry.with_context(|| format!("cannot read {}", path.display()))?.path();
        let extension = file.extension().and_then(OsStr::to_str);
        if matches!(extension, Some("yaml" | "yml" | "json")) && file.is_file() {
            files.push(file);
        }
        anyhow::ensure!(files.len() <= FILES_MAX, "{} has more than {FILES_MAX} manifests", path.display());
    }
    files.sort();
    Ok(files)
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
        let args = PlanArgs { folder: path.to_owned(), now: None, output };
        let mut out = vec![];
        run_with(&args, &FixedClock, &mut out)?;
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
