//! `okra crds`: the definitions that a cluster needs before okra can work in it.

use std::io::Write;

use anyhow::Context as _;

/// Prints the CustomResourceDefinitions as YAML, ready for `kubectl apply -f -`.
#[derive(Debug, Clone, clap::Args)]
#[command(after_help = "Example:\n  okra crds | kubectl apply --server-side -f -")]
pub struct CrdsArgs {
    /// Leave out the analysis kinds (argoproj.io), for clusters where Argo
    /// Rollouts has installed its own
    #[arg(long)]
    pub no_analysis: bool,
}

/// Writes one YAML document for each definition.
pub fn run(args: &CrdsArgs, out: &mut dyn Write) -> anyhow::Result<()> {
    let mut definitions = okra_api::crds();
    if !args.no_analysis {
        definitions.extend(okra_api::analysis_crds());
    }
    for definition in &definitions {
        let text = serde_saphyr::to_string(definition).context("cannot print a definition as YAML")?;
        writeln!(out, "---\n{}", text.trim_end())?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn printed(no_analysis: bool) -> Vec<serde_json::Value> {
        let mut out = vec![];
        run(&CrdsArgs { no_analysis }, &mut out).unwrap();
        okra_api::manifests::parse(&String::from_utf8(out).unwrap()).unwrap()
    }

    #[test]
    fn every_definition_is_one_document_that_reads_back_as_it_was() {
        let definitions = okra_api::crds().into_iter().chain(okra_api::analysis_crds());
        let expected: Vec<serde_json::Value> =
            definitions.map(|definition| serde_json::to_value(definition).unwrap()).collect();
        assert_eq!(printed(false), expected);
    }

    #[test]
    fn the_analysis_kinds_can_be_left_out() {
        let printed = printed(true);
        assert_eq!(printed.len(), okra_api::crds().len());
        assert!(printed.iter().all(|definition| definition["spec"]["group"] == "okra.mumo.co"));
    }
}
