//! The flags of every command.

use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};

use clap::{Args, Parser, Subcommand, ValueEnum};

use crate::commands;

/// Flags that say which API; kubectl's users write them before the command too.
const TARGET_FLAGS: [&str; 4] = ["--kubeconfig", "--context", "--namespace", "-n"];

/// Flags that the aws command takes before its service, as kubeconfig files have them.
const AWS_FLAGS: [&str; 3] = ["--region", "--profile", "--endpoint-url"];

/// Hot-swaps whole Kubernetes clusters under live traffic.
#[derive(Debug, Parser)]
#[command(name = "okra", version, about, max_term_width = 100, propagate_version = false)]
#[command(after_help = "Begin with `okra demo`: it shows a whole swap in one process on this machine.")]
pub struct Cli {
    /// How much is logged, and how.
    #[command(flatten)]
    pub logging: Logging,
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// How much is logged, and how.
#[derive(Debug, Args)]
#[command(next_help_heading = "Logging")]
pub struct Logging {
    /// How much is logged to stderr.
    #[arg(
        long = "log-level",
        global = true,
        env = "OKRA_LOG_LEVEL",
        default_value = "warn",
        value_name = "LEVEL"
    )]
    pub level: Level,
    /// Log one JSON object a line.
    #[arg(long, global = true, env = "OKRA_LOG_JSON")]
    pub log_json: bool,
}

/// How much is logged.
#[derive(Debug, Clone, Copy, ValueEnum)]
pub enum Level {
    /// What fails.
    Error,
    /// What may need somebody.
    Warn,
    /// What changes.
    Info,
    /// What is decided and why.
    Debug,
}

impl Level {
    /// The filter: okra at this level, libraries only when something is wrong.
    pub fn filter(self) -> &'static str {
        match self {
            Self::Error => "error",
            Self::Warn => "warn",
            Self::Info => "warn,okra=info",
            Self::Debug => {
                "warn,okra=debug,okra_controllers=debug,okra_aws=debug,okra_region=debug,okra_apiserver=debug,\
                 okra_providers=debug"
            }
        }
    }
}

/// Which Kubernetes API, and where in it.
#[derive(Debug, Clone, Default, Args)]
#[command(next_help_heading = "Management API")]
pub struct Target {
    /// Kubeconfig of the management API [default: in-cluster, then ~/.kube/config]
    #[arg(long, env = "KUBECONFIG", value_name = "FILE")]
    pub kubeconfig: Option<PathBuf>,
    /// Context of the kubeconfig.
    #[arg(long, value_name = "NAME")]
    pub context: Option<String>,
    /// Namespace [default: that of the context]
    #[arg(long, short = 'n', value_name = "NAME")]
    pub namespace: Option<String>,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Show a whole swap under live traffic, in one process on loopback
    Demo(commands::demo::DemoArgs),
    /// A small AWS account with Kubernetes clusters on this machine
    Local(commands::local::LocalArgs),
    /// The management API and the controllers on one machine
    Server(commands::server::ServerArgs),
    /// The controllers, against a Kubernetes API
    ControllerManager(commands::controller_manager::ControllerManagerArgs),
    /// Print the manifests that run okra in a cluster
    Install(commands::install::InstallArgs),
    /// Print the IAM policy with what okra needs, and no more
    IamPolicy(commands::iam_policy::IamPolicyArgs),
    /// Print the custom resource definitions
    Crds(commands::crds::CrdsArgs),
    /// Show Cells, one as a tree, and other objects of okra
    Get(commands::get::GetArgs),
    /// Print the phase of a Cell; with -w until its swap has ended
    Status(commands::status::StatusArgs),
    /// Say in a paragraph what a Cell waits for, or why it failed
    Why(commands::why::WhyArgs),
    /// Print what the controllers would do next
    Plan(commands::plan::PlanArgs),
    /// Show the last rollouts of a Cell
    History(commands::history::HistoryArgs),
    /// End the present step's wait, or with --full all waits
    Promote(commands::verbs::PromoteArgs),
    /// Hold a Cell: no weight changes but for safety
    Pause(commands::verbs::PauseArgs),
    /// Go on after a pause, an inconclusive analysis or drift
    Resume(commands::verbs::ResumeArgs),
    /// Send everything back to the stable version and block the new one
    Abort(commands::verbs::AbortArgs),
    /// Unblock the version that failed and try it again
    Retry(commands::verbs::RetryArgs),
    /// Serve an earlier version again, at once
    #[command(visible_alias = "undo")]
    Rollback(commands::verbs::RollbackArgs),
    /// Run an analysis without a rollout, or test a condition
    Analysis(commands::analysis::AnalysisArgs),
    /// The clusters that okra knows: list, add, remove
    Cluster(commands::cluster::ClusterArgs),
    /// Rewrite manifests from old spellings to those that are stored
    Convert(commands::convert::ConvertArgs),
    /// Check manifests before they are applied
    Lint(commands::lint::LintArgs),
    /// Log in to EKS clusters
    Eks(commands::eks::EksArgs),
    /// Print the completion script of a shell
    Completion(commands::completion::CompletionArgs),
    /// Print the version; block or unblock versions of a Cell
    Version(commands::version::VersionArgs),
    #[command(flatten)]
    Compatible(commands::compatible::Compatible),
}

/// The words of the command line as okra reads them, by the name that it was
/// called by: as `okrad` it is the controller-manager, as `aws` the token
/// helper (`spec/okra.md` 4). Flags of kubectl that stand before the command
/// move behind it.
pub fn words(given: impl IntoIterator<Item = OsString>) -> Vec<OsString> {
    let mut given = given.into_iter();
    let program = given.next().unwrap_or_else(|| "okra".into());
    let mut rest: Vec<OsString> = given.collect();
    let called = Path::new(&program).file_name().and_then(OsStr::to_str).unwrap_or_default().to_owned();
    if called == "okrad" && rest.first().and_then(|word| word.to_str()) != Some("controller-manager") {
        rest.insert(0, "controller-manager".into());
    }
    let leading = leading_flags(&rest, if called == "aws" { &AWS_FLAGS } else { &TARGET_FLAGS });
    let moved: Vec<OsString> = rest.drain(..leading).collect();
    let end = rest.iter().position(|word| word == "--").unwrap_or(rest.len());
    rest.splice(end..end, moved);
    std::iter::once(program).chain(rest).collect()
}

/// How many words at the beginning are these flags with their values.
fn leading_flags(words: &[OsString], flags: &[&str]) -> usize {
    let mut index = 0;
    while let Some(word) = words.get(index).and_then(|word| word.to_str()) {
        let with_value =
            flags.iter().any(|flag| word.strip_prefix(flag).is_some_and(|rest| rest.starts_with('=')));
        index += match (with_value, flags.contains(&word)) {
            (true, _) => 1,
            (false, true) => 2,
            (false, false) => return index,
        };
    }
    // Nothing but flags: there is no command that they could stand behind.
    0
}

/// How the program shows its own name: as kubectl's plugin it is `kubectl okra`.
pub fn shown_name(program: &OsStr) -> &'static str {
    match Path::new(program).file_name().and_then(OsStr::to_str) {
        Some("kubectl-okra") => "kubectl okra",
        Some("okractl") => "okractl",
        _ => "okra",
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    #[test]
    fn the_flags_are_consistent() {
        Cli::command().debug_assert();
    }

    fn read(line: &str) -> String {
        let words: Vec<String> = words(line.split(' ').map(OsString::from))
            .iter()
            .map(|word| word.to_string_lossy().into())
            .collect();
        words.join(" ")
    }

    #[test]
    fn the_name_of_the_program_chooses_what_it_is() {
        assert_eq!(read("/usr/bin/okra get web"), "/usr/bin/okra get web");
        assert_eq!(read("/okrad --sync-period 20s"), "/okrad controller-manager --sync-period 20s");
        assert_eq!(read("okrad controller-manager"), "okrad controller-manager");
        assert_eq!(shown_name(OsStr::new("/usr/local/bin/kubectl-okra")), "kubectl okra");
        assert_eq!(shown_name(OsStr::new("okrad")), "okra");
    }

    #[test]
    fn kubectls_flags_may_stand_before_the_command() {
        assert_eq!(read("kubectl-okra -n prod get web"), "kubectl-okra get web -n prod");
        assert_eq!(
            read("kubectl-okra --context=a --namespace prod cluster list -o name"),
            "kubectl-okra cluster list -o name --context=a --namespace prod"
        );
        assert_eq!(read("kubectl-okra -n prod get -- web"), "kubectl-okra get -n prod -- web");
        assert_eq!(read("kubectl-okra -n prod"), "kubectl-okra -n prod");
    }

    #[test]
    fn the_token_helper_takes_its_region_first() {
        assert_eq!(
            read("/bin/aws --region eu-west-1 eks get-token --cluster-name web"),
            "/bin/aws eks get-token --cluster-name web --region eu-west-1"
        );
    }

    /// The help of every command, hidden ones included, under its name.
    fn helps(command: &clap::Command, name: &str, found: &mut Vec<(String, String)>) {
        // Values of variables are those of whoever runs the test.
        let mut own = command.clone().mut_args(|arg| arg.hide_env_values(true)).bin_name(name).term_width(80);
        found.push((name.to_owned(), own.render_long_help().to_string()));
        for below in command.get_subcommands().filter(|below| below.get_name() != "help") {
            helps(below, &format!("{name} {}", below.get_name()), found);
        }
    }

    fn all_helps() -> Vec<(String, String)> {
        let mut command = Cli::command();
        command.build();
        let mut found = Vec::new();
        helps(&command, "okra", &mut found);
        found
    }

    #[test]
    fn help() {
        let folder = insta::Settings::clone_current();
        folder.bind(|| {
            for (name, help) in all_helps() {
                insta::assert_snapshot!(format!("help {name}").replace(' ', "_"), help);
            }
        });
    }

    #[test]
    fn every_command_has_an_example() {
        for (name, help) in all_helps() {
            assert!(help.contains("Example") || name == "okra", "{name} has no example:\n{help}");
        }
    }

    fn examples(command: &clap::Command, found: &mut Vec<String>) {
        let text = command.get_after_help().map(ToString::to_string).unwrap_or_default();
        found.extend(text.lines().filter(|line| line.starts_with("  ")).map(str::to_owned));
        command.get_subcommands().for_each(|below| examples(below, found));
    }

    #[test]
    fn examples_can_be_copied_as_they_stand() {
        let mut found = Vec::new();
        examples(&Cli::command(), &mut found);
        assert!(!found.is_empty());
        for line in found {
            assert!(line.chars().count() <= 80, "a terminal would break {line:?}");
        }
    }

    #[test]
    fn help_keeps_within_eighty_columns() {
        for (name, help) in all_helps() {
            for line in help.lines() {
                // A usage line is never broken, and examples are there to be copied.
                let free = line.starts_with("Usage:") || line.starts_with("  okra") || line.contains("okra ");
                assert!(free || line.chars().count() <= 80, "{name}: {line}");
            }
        }
    }
}
