//! `okra convert -f`: manifests in old spellings, rewritten (`spec/okra.md` 2.0).

use std::path::PathBuf;

use clap::{Args, ValueEnum};
use okra_api::convert::convert;
use serde_json::Value;

use super::manifests;
use crate::output::{self, Exit, Format};

/// Flags of `okra convert`.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  okra convert -f old/ > new.yaml\n  \
    kubectl get cells -o yaml | okra convert -f - | kubectl apply -f -\n  \
    okra convert -f go.yaml --weight-mode incremental\n\n\
    What is changed is told on stderr. Comments of the files are not kept.")]
pub struct ConvertArgs {
    /// File, folder, or - for stdin
    #[arg(long = "filename", short = 'f', value_name = "PATH", required = true)]
    filename: Vec<PathBuf>,
    /// Write into Cells that do not say it what their setWeight means; the Go program took increments
    #[arg(long, value_name = "MODE")]
    weight_mode: Option<Mode>,
    /// How to print it
    #[arg(long, short = 'o', default_value = "yaml")]
    output: Format,
}

/// What `setWeight` shall mean.
#[derive(Debug, Clone, Copy, ValueEnum)]
enum Mode {
    /// The total share of the new version
    Absolute,
    /// An increment
    Incremental,
}

impl Mode {
    fn word(self) -> &'static str {
        match self {
            Self::Absolute => "Absolute",
            Self::Incremental => "Incremental",
        }
    }
}

/// Prints the objects in the stored spelling.
///
/// # Errors
/// When a file cannot be read, or does not hold objects.
pub fn run(args: &ConvertArgs) -> anyhow::Result<Exit> {
    let mut objects = Vec::new();
    for path in &args.filename {
        for file in manifests::read(path)? {
            for object in file.objects {
                let title = title(&object);
                let converted = convert(object, args.weight_mode.map(Mode::word));
                for change in &converted.changes {
                    output::remark(&format!("{}: {title}: {change}", file.name));
                }
                objects.push(converted.object);
            }
        }
    }
    match args.output {
        Format::Json => output::print(&output::json(&objects)?)?,
        Format::Name => {
            output::print(&objects.iter().map(|object| title(object) + "\n").collect::<String>())?;
        }
        Format::Table | Format::Wide | Format::Yaml => {
            for object in &objects {
                output::print(&format!("---\n{}\n", serde_saphyr::to_string(object)?.trim_end()))?;
            }
        }
    }
    Ok(Exit::Ok)
}

/// `kind/name`, as kubectl writes it.
pub fn title(object: &Value) -> String {
    let kind = object["kind"].as_str().unwrap_or("object").to_lowercase();
    format!("{kind}/{}", object["metadata"]["name"].as_str().unwrap_or("-"))
}
