//! The okra binary as a process, and local mode in a folder of its own.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::Duration;

use serde_json::Value;
use tempfile::TempDir;

use crate::clients;
use crate::eventually;

/// Longest wait for a process to be ready or gone, on a loaded machine.
pub const PROCESS_BOUND: Duration = Duration::from_secs(60);

/// The binary that the build has put beside the tests.
///
/// # Panics
/// When it has not been built.
pub fn okra_binary() -> PathBuf {
    let test = std::env::current_exe().expect("a test knows where it is");
    let profile = test.parent().and_then(Path::parent).expect("tests lie in target/PROFILE/deps");
    let binary = profile.join("okra");
    assert!(
        binary.exists(),
        "{} is missing: cargo build -p okra comes first (make test does)",
        binary.display()
    );
    binary
}

/// A process that is killed with the value.
pub struct Running {
    child: Child,
    log: PathBuf,
}

impl Running {
    /// Starts `command` with stdout and stderr in `log`.
    ///
    /// # Panics
    /// When it cannot be started.
    pub fn start(command: &mut Command, log: &Path) -> Self {
        let file = File::options().create(true).append(true).open(log).expect("a log can be made");
        let same = file.try_clone().expect("a file handle can be copied");
        let child =
            command.stdin(Stdio::null()).stdout(file).stderr(same).spawn().expect("the process starts");
        Self { child, log: log.to_owned() }
    }

    /// Ends it as a power cut would.
    pub fn kill(&mut self) {
        // It may have ended by itself; the wait tells either way.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }

    /// Asks it to end, as a service manager would, and waits for it.
    ///
    /// # Panics
    /// When it does not end.
    pub fn interrupt(&mut self) -> i32 {
        self.signal("-INT")
    }

    /// Asks it to end, as a node does before it stops a pod, and waits for it.
    ///
    /// # Panics
    /// When it does not end.
    pub fn terminate(&mut self) -> i32 {
        self.signal("-TERM")
    }

    fn signal(&mut self, signal: &str) -> i32 {
        let status = Command::new("kill").args([signal, &self.child.id().to_string()]).status();
        assert!(status.is_ok_and(|status| status.success()), "the process cannot be asked to end");
        eventually("the end of the process", PROCESS_BOUND, || match self.child.try_wait() {
            Ok(Some(status)) => Ok(status.code().unwrap_or(-1)),
            _ => Err("still running".into()),
        })
    }

    /// Its code, once it has ended.
    pub fn exit_code(&mut self) -> Option<i32> {
        self.child.try_wait().ok().flatten().and_then(|status| status.code())
    }

    /// What it has written.
    pub fn log(&self) -> String {
        fs::read_to_string(&self.log).unwrap_or_default()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.kill();
    }
}

/// `okra local up` in an empty home.
pub struct LocalMode {
    home: TempDir,
    process: Running,
    environment: BTreeMap<String, String>,
}

impl LocalMode {
    /// Starts it with further flags and waits until it says that it is ready.
    pub fn up(flags: &[&str]) -> Self {
        let home = tempfile::tempdir().expect("a folder for the test");
        let process = Self::spawn(home.path(), flags);
        let mut local = Self { home, process, environment: BTreeMap::new() };
        local.wait_until_ready();
        local
    }

    /// Starts it again on the same folder after it has ended.
    pub fn up_again(&mut self, flags: &[&str]) {
        self.process.kill();
        self.process = Self::spawn(self.home.path(), flags);
        self.wait_until_ready();
    }

    fn spawn(home: &Path, flags: &[&str]) -> Running {
        // What says "ready" must come from this start, not from one that was killed.
        let _ = fs::remove_file(home.join("data/kubeconfig"));
        let mut command = Command::new(okra_binary());
        command.args(["local", "up", "--data-dir"]).arg(home.join("data")).args(flags).env_clear();
        command.env("HOME", home).env("PATH", std::env::var_os("PATH").unwrap_or_default());
        Running::start(&mut command, &home.join("local.log"))
    }

    fn wait_until_ready(&mut self) {
        let kubeconfig = self.kubeconfig();
        let process = &mut self.process;
        eventually("the kubeconfig of local mode", PROCESS_BOUND, || {
            assert!(process.exit_code().is_none(), "local mode ended: {}", process.log());
            kubeconfig.exists().then_some(()).ok_or_else(|| process.log())
        });
        let text = fs::read_to_string(self.data_dir().join("aws.env"))
            .expect("aws.env is there when the kubeconfig is");
        self.environment = text
            .lines()
            .filter_map(|line| line.split_once('='))
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .collect();
    }

    /// Its data directory.
    pub fn data_dir(&self) -> PathBuf {
        self.home.path().join("data")
    }

    /// Where an empty home lies.
    pub fn home(&self) -> &Path {
        self.home.path()
    }

    /// The administrator's kubeconfig.
    pub fn kubeconfig(&self) -> PathBuf {
        self.data_dir().join("kubeconfig")
    }

    /// The variables of `aws.env`.
    pub fn environment(&self) -> &BTreeMap<String, String> {
        &self.environment
    }

    /// The process.
    pub fn process(&mut self) -> &mut Running {
        &mut self.process
    }

    /// A command that sees this AWS account and this management API only.
    pub fn command(&self, program: impl AsRef<std::ffi::OsStr>) -> Command {
        let mut command = Command::new(program);
        command.env_clear().envs(&self.environment);
        command.env("HOME", self.home.path()).env("PATH", std::env::var_os("PATH").unwrap_or_default());
        command.env("KUBECONFIG", self.kubeconfig()).env("AWS_PAGER", "").env("AWS_MAX_ATTEMPTS", "2");
        command.stdin(Stdio::null());
        command
    }

    /// Runs okra.
    pub fn okra(&self, arguments: &[&str]) -> Output {
        self.command(okra_binary()).args(arguments).output().expect("okra runs")
    }

    /// Runs kubectl.
    pub fn kubectl(&self, arguments: &[&str]) -> Output {
        self.command(clients::kubectl()).args(arguments).output().expect("kubectl runs")
    }

    /// Applies manifests with kubectl.
    ///
    /// # Panics
    /// When kubectl refuses them.
    pub fn apply(&self, manifests: &[Value]) {
        let folder = tempfile::tempdir().expect("a folder for manifests");
        let file = folder.path().join("manifests.yaml");
        let documents: Vec<String> = manifests.iter().map(Value::to_string).collect();
        // Without the mark kubectl takes the first brace for a stream of JSON.
        fs::write(&file, format!("---\n{}", documents.join("\n---\n"))).expect("manifests can be written");
        let output = self.kubectl(&["apply", "-f", &file.to_string_lossy()]);
        assert!(output.status.success(), "kubectl apply: {}", String::from_utf8_lossy(&output.stderr));
    }

    /// An object as JSON, if it is there.
    pub fn object(&self, kind: &str, name: &str) -> Option<Value> {
        let output = self.kubectl(&["get", kind, name, "-o", "json"]);
        output.status.success().then(|| serde_json::from_slice(&output.stdout).expect("kubectl prints JSON"))
    }

    /// Waits until an object satisfies `wanted`.
    pub fn wait_for(
        &self,
        kind: &str,
        name: &str,
        bound: Duration,
        wanted: impl Fn(&Value) -> bool,
    ) -> Value {
        eventually(&format!("{kind}/{name} in the wanted state"), bound, || match self.object(kind, name) {
            Some(object) if wanted(&object) => Ok(object),
            Some(object) => Err(object["status"].to_string()),
            None => Err("absent".into()),
        })
    }
}
