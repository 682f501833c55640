//! The kubectl corpus: what people type, and what the real server makes kubectl
//! answer. The files under `tests/kubectl` hold the commands; this runs them.
//!
//! Every file is one story: its own server, its own folder, its commands in
//! order, each run by `sh`. A line says what it is by its first character:
//!
//! ```text
//! # a remark
//! = pod.yaml          a file; its content follows
//! | kind: Pod
//! $ kubectl ...       a command
//! ? 1                 its exit code, 0 unless said
//! > text              a line of its standard output
//! ! text              a line of its standard error
//! ```
//!
//! In expected lines `<*>` is any text, `<age>` an age such as `5s` or `2m3s`,
//! `<uid>`, `<time>`, `<ip>` and `<n>` (a number) what they say; a line `<...>`
//! is any number of lines. Runs of spaces between words count as one: kubectl
//! makes columns as wide as their content.
//!
//! Expectations are written from the specification and from what the real
//! server is documented to do, not from what ours prints.

use std::fmt::Write;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Output, Stdio};
use std::sync::LazyLock;

use okra_apiserver::{Options, Server, Storage};
use regex::Regex;
use tokio::net::TcpListener;
use tokio::process::Command;

use crate::common::PATIENCE;

/// Fewer commands than this are no corpus.
const COMMANDS: usize = 150;

/// kubectl by the name that the test run gives it. A program rather than a
/// function of the shell, so that it can be put in the background and ended.
const KUBECTL: &str = "#!/bin/sh\nPATH=$OUTER_PATH exec \"${OKRA_KUBECTL:-kubectl}\" \"$@\"\n";

#[derive(Debug, Default)]
struct Story {
    steps: Vec<Step>,
}

#[derive(Debug)]
enum Step {
    File { name: String, content: String },
    Command(Expected),
}

#[derive(Debug, Default)]
struct Expected {
    line: usize,
    command: String,
    code: i32,
    stdout: Vec<String>,
    stderr: Vec<String>,
}

impl Story {
    fn parse(text: &str) -> Self {
        let mut story = Self::default();
        for (index, line) in text.lines().enumerate() {
            let mut characters = line.chars();
            let mark = characters.next();
            let rest = characters.as_str();
            let rest = rest.strip_prefix(' ').unwrap_or(rest);
            match (mark, story.steps.last_mut()) {
                (None | Some('#'), _) => {}
                (Some('='), _) => {
                    story.steps.push(Step::File { name: rest.to_owned(), content: String::new() });
                }
                (Some('$'), _) => {
                    let command = rest.to_owned();
                    story.steps.push(Step::Command(Expected {
                        line: index + 1,
                        command,
                        ..Expected::default()
                    }));
                }
                (Some('|'), Some(Step::File { content, .. })) => {
                    content.push_str(rest);
                    content.push('\n');
                }
                (Some('>'), Some(Step::Command(expected))) => expected.stdout.push(rest.to_owned()),
                (Some('!'), Some(Step::Command(expected))) => expected.stderr.push(rest.to_owned()),
                (Some('?'), Some(Step::Command(expected))) => expected.code = rest.parse().unwrap(),
                _ => panic!("line {} of the story is none: {line}", index + 1),
            }
        }
        story
    }

    fn commands(&self) -> usize {
        self.steps.iter().filter(|step| matches!(step, Step::Command(_))).count()
    }

    /// Runs the story; the text about everything that was not as expected.
    async fn run(&self, folder: &Path) -> String {
        let mut faults = String::new();
        for step in &self.steps {
            match step {
                Step::File { name, content } => std::fs::write(folder.join(name), content).unwrap(),
                Step::Command(expected) => {
                    let output = shell(folder, &expected.command).await;
                    expected.compare(&output, &mut faults);
                }
            }
        }
        faults
    }
}

async fn shell(folder: &Path, command: &str) -> Output {
    let outer = std::env::var("PATH").unwrap();
    let child = Command::new("sh")
        .arg("-c")
        .arg(command)
        .env("OUTER_PATH", &outer)
        .env("PATH", format!("{}:{outer}", folder.join("bin").display()))
        .env("KUBECONFIG", folder.join("kubeconfig"))
        .env("HOME", folder)
        .current_dir(folder)
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .output();
    match tokio::time::timeout(PATIENCE, child).await {
        Ok(output) => output.expect("sh runs"),
        Err(_) => panic!("the command did not end: {command}"),
    }
}

impl Expected {
    fn compare(&self, output: &Output, faults: &mut String) {
        let code = output.status.code().unwrap_or(-1);
        let (stdout, stderr) = (text(&output.stdout), text(&output.stderr));
        let same = code == self.code && fits(&self.stdout, &stdout) && fits(&self.stderr, &stderr);
        if same {
            return;
        }
        let lines = |mark: char, lines: &[String]| -> String {
            lines.iter().map(|line| format!("    {mark} {line}\n")).collect()
        };
        let _ = write!(
            faults,
            "line {}: $ {}\n  expected:\n    ? {}\n{}{}  found:\n    ? {code}\n{}{}",
            self.line,
            self.command,
            self.code,
            lines('>', &self.stdout),
            lines('!', &self.stderr),
            lines('>', &stdout),
            lines('!', &stderr),
        );
    }
}

fn text(bytes: &[u8]) -> Vec<String> {
    String::from_utf8_lossy(bytes).lines().map(str::to_owned).collect()
}

/// Whether the lines are those expected, masks and all.
fn fits(expected: &[String], found: &[String]) -> bool {
    match expected.split_first() {
        None => found.is_empty(),
        Some((first, rest)) if first == "<...>" => {
            (0..=found.len()).any(|skipped| fits(rest, &found[skipped..]))
        }
        Some((first, rest)) => {
            let Some((line, others)) = found.split_first() else { return false };
            line_fits(first, line) && fits(rest, others)
        }
    }
}

fn line_fits(expected: &str, found: &str) -> bool {
    static SPACES: LazyLock<Regex> = LazyLock::new(|| Regex::new(r"(\S)\s+").unwrap());
    let normal = |line: &str| SPACES.replace_all(line.trim_end(), "$1 ").into_owned();
    let mut pattern = regex::escape(&normal(expected));
    for (mask, means) in [
        ("<*>", ".*"),
        ("<age>", r"(\d+y)?(\d+d)?(\d+h)?(\d+m)?(\d+s)?"),
        ("<uid>", "[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}"),
        ("<time>", r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ"),
        ("<ip>", r"\d+\.\d+\.\d+\.\d+"),
        ("<n>", r"\d+"),
    ] {
        pattern = pattern.replace(&regex::escape(mask), means);
    }
    Regex::new(&format!("^{pattern}$")).unwrap().is_match(&normal(found))
}

async fn tell(name: &str, text: &str) {
    let options = Options { simulate_workloads: true, ..Options::new(Storage::Memory) };
    let server = Server::open(options).await.unwrap();
    let serving = server.serve(TcpListener::bind("127.0.0.1:0").await.unwrap()).await.unwrap();
    let folder = tempfile::tempdir().unwrap();
    let endpoint = format!("https://{}", serving.local_address());
    std::fs::write(folder.path().join("kubeconfig"), server.kubeconfig(&endpoint, "test")).unwrap();
    let kubectl = folder.path().join("bin/kubectl");
    std::fs::create_dir(kubectl.parent().unwrap()).unwrap();
    std::fs::write(&kubectl, KUBECTL).unwrap();
    std::fs::set_permissions(&kubectl, std::fs::Permissions::from_mode(0o755)).unwrap();
    let faults = Story::parse(text).run(folder.path()).await;
    server.shutdown().await;
    assert!(faults.is_empty(), "{name}:\n{faults}");
}

/// One test for each story, and the list of all of them.
macro_rules! stories {
    ($($name:ident),* $(,)?) => {
        $(
            #[tokio::test]
            async fn $name() {
                tell(stringify!($name), include_str!(concat!("../kubectl/", stringify!($name), ".txt"))).await;
            }
        )*

        const STORIES: &[(&str, &str)] =
            &[$((stringify!($name), include_str!(concat!("../kubectl/", stringify!($name), ".txt")))),*];
    };
}

stories!(
    access, applying, cluster, creating, custom, deleting, explaining, getting, nodes, patching, rollouts,
    unserved, waiting,
);

#[test]
fn the_corpus_is_large_and_every_story_is_told() {
    let commands: usize = STORIES.iter().map(|(_, text)| Story::parse(text).commands()).sum();
    assert!(commands >= COMMANDS, "{commands} commands");
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/kubectl");
    for file in std::fs::read_dir(folder).unwrap() {
        let name = file.unwrap().file_name().into_string().unwrap();
        let told = name.strip_suffix(".txt").is_some_and(|name| STORIES.iter().any(|(own, _)| *own == name));
        assert!(told, "{name} is no story that is told");
    }
}

#[test]
fn masks_mean_what_they_say() {
    assert!(line_fits("a  <age>  <*>", "a    2m3s  whatever it is"));
    assert!(!line_fits("a <age>", "a b"));
    assert!(line_fits("  uid: <uid>", "  uid: 0a1b2c3d-0a1b-0a1b-0a1b-0a1b2c3d4e5f"));
    assert!(!line_fits("  deep", "deep"), "what a line begins with counts");
    let lines = |text: &str| text.lines().map(str::to_owned).collect::<Vec<_>>();
    assert!(fits(&lines("a\n<...>\nd"), &lines("a\nb\nc\nd")));
    assert!(!fits(&lines("a\n<...>\nd"), &lines("a\nb\nc")));
}
