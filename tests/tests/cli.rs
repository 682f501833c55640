//! The command line, as people and scripts use it, on `okra local`: no
//! terminal, no colour, exit codes of `spec/analysis.md` 8.2.

use std::os::unix::fs::symlink;
use std::process::Output;
use std::time::Duration;

use okra_tests::process::{LocalMode, okra_binary};
use okra_tests::world::{World, cell, target_group_set};
use serde_json::{Value, json};

/// Longest wait for a rollout of a few seconds on a loaded machine.
const BOUND: Duration = Duration::from_secs(90);

fn stdout(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// Runs okra, wants this exit code, and gives what it printed. Nothing that is
/// printed away from a terminal has colour.
fn okra(local: &LocalMode, code: i32, words: &[&str]) -> String {
    let output = local.okra(words);
    assert_eq!(output.status.code(), Some(code), "okra {}: {output:?}", words.join(" "));
    assert!(!stdout(&output).contains('\u{1b}'), "colour: {output:?}");
    stdout(&output)
}

fn document(text: &str) -> Value {
    serde_json::from_str(text).expect("JSON")
}

fn phase(cell: &Value, wanted: &str) -> bool {
    cell["status"]["phase"] == wanted
}

#[test]
fn a_rollout_by_hand_from_its_first_pause_to_its_rollback() {
    let local = LocalMode::up(&["--health-poll=100ms", "--sync-period=1s"]);
    let world = World::build(&local);
    let _first = world.add_cluster(&local, "web-1-v1", "1.0.0");
    let steps = json!([{"setWeight": 20}, {"pause": {}}, {"setWeight": 60}, {"pause": {}}]);
    local.apply(&[target_group_set(), cell(&world, 1, &steps)]);
    local.wait_for("cell", "web", BOUND, |cell| phase(cell, "Completed"));
    assert!(okra(&local, 0, &["status", "web", "-w", "-t", "60s"]).starts_with("Completed"));

    let _second = world.add_cluster(&local, "web-1-v2", "2.0.0");
    let at = |step: i64| {
        local.wait_for("cell", "web", BOUND, move |cell| {
            phase(cell, "Paused") && cell["status"]["currentStepIndex"] == step
        })
    };
    at(1);
    // `status -w` ends by itself where a human is needed.
    assert!(okra(&local, 4, &["status", "web", "-w", "-t", "60s"]).contains("Paused"));

    tree_and_lists(&local);
    guards_and_dry_runs(&local);

    // Go on, past the first pause; a command for the step that is over is refused.
    let said = okra(&local, 0, &["promote", "web", "--step", "1", "--reason", "seen enough"]);
    assert!(said.starts_with("cell/web Promote done"), "{said}");
    at(3);
    okra(&local, 1, &["promote", "web", "--step", "1"]);

    // Held by hand: promote does not move it, resume does.
    assert!(okra(&local, 0, &["pause", "web", "--reason", "freeze"]).contains("held"));
    assert!(okra(&local, 0, &["pause", "web"]).contains("already"));
    assert!(okra(&local, 0, &["resume", "web"]).contains("web"));
    okra(&local, 0, &["promote", "web", "--full", "--reason", "all is well"]);
    local.wait_for("cell", "web", BOUND, |cell| {
        phase(cell, "Completed") && cell["status"]["stableVersion"] == "2.0.0"
    });

    let history = document(&okra(&local, 0, &["history", "web", "-o", "json"]));
    assert_eq!(history[0]["to"], "2.0.0", "{history}");
    assert_eq!(history[0]["outcome"], "Completed", "{history}");
    assert!(okra(&local, 0, &["history", "web"]).contains("1.0.0  2.0.0  Completed"));

    // Back, at once and without steps; the Cell says that it is pinned.
    okra(&local, 1, &["rollback", "web", "--to", "0.9.0"]);
    let said = okra(&local, 0, &["rollback", "web", "--reason", "checkout is slow"]);
    assert!(said.contains("pinned to 1.0.0 (1 target groups); it was unpinned"), "{said}");
    local.wait_for("cell", "web", BOUND, |cell| {
        phase(cell, "Completed") && cell["status"]["stableVersion"] == "1.0.0"
    });
    assert!(okra(&local, 0, &["get", "web"]).contains("pinned to 1.0.0"));
    let history = document(&okra(&local, 0, &["history", "web", "-o", "json"]));
    assert_eq!(history[0]["outcome"], "RolledBack", "{history}");
    assert_eq!(history[0]["message"], "spec.version asked for 1.0.0: checkout is slow");

    // Blocked, 2.0.0 does not come back when the pin goes.
    assert!(
        okra(&local, 0, &["version", "block", "web", "v2", "--reason", "slow"]).contains("2.0.0 blocked")
    );
    assert!(okra(&local, 0, &["undo", "web", "--unpin"]).contains("unpinned; it was pinned to 1.0.0"));
    let kept = local.wait_for("cell", "web", BOUND, |cell| {
        let conditions = cell["status"]["conditions"].as_array().cloned().unwrap_or_default();
        conditions.iter().any(|one| one["type"] == "VersionBlocked" && one["status"] == "True")
    });
    assert_eq!(kept["status"]["stableVersion"], "1.0.0");
    assert!(okra(&local, 0, &["version", "list", "web"]).contains("slow"));
    assert!(okra(&local, 0, &["version", "unblock", "web", "2.0.0"]).contains("unblocked"));
    at(1);
    // And thrown out: degraded, with the version blocked again.
    assert!(okra(&local, 0, &["abort", "web", "--reason", "error budget"]).contains("Abort done"));
    okra(&local, 2, &["status", "web", "-w", "-t", "60s"]);
    assert!(okra(&local, 0, &["version", "list", "web", "-o", "name"]).contains("2.0.0"));
}

/// Everything that looks and does not touch, at the first pause.
fn tree_and_lists(local: &LocalMode) {
    let tree = okra(local, 0, &["get", "web"]);
    for part in
        ["Cell web", "step", "cluster web-1-v2", "weight 20", "weight 80", "healthy 1/1", "pause until"]
    {
        assert!(tree.contains(part), "{part} is missing:\n{tree}");
    }
    let ascii = okra(local, 0, &["get", "web", "--ascii"]);
    assert!(ascii.is_ascii(), "{ascii}");
    for line in tree.lines() {
        assert!(line.chars().count() <= 80, "{line}");
    }
    assert!(okra(local, 0, &["get"]).contains("web   Paused  1.0.0   2.0.0    1     20"));
    assert_eq!(okra(local, 0, &["get", "-A", "-o", "name"]), "cell/web\n");
    assert_eq!(document(&okra(local, 0, &["get", "web", "-o", "json"]))["metadata"]["name"], "web");
    assert_eq!(okra(local, 0, &["get", "cluster", "-o", "name"]), "cluster/web-1-v1\ncluster/web-1-v2\n");
    assert!(okra(local, 0, &["get", "awstargetgroups"]).contains("2.0.0"));
    let latest = document(&okra(local, 0, &["get", "latestawstargetgroups", "-o", "json"]));
    assert_eq!(latest.as_array().map(Vec::len), Some(1), "{latest}");
    assert!(
        okra(local, 0, &["get", "targetgroupbindings", "--cluster-name", "web-1-v2"]).contains("role=web")
    );
    assert!(okra(local, 0, &["why", "web"]).contains("Paused"));
    let plan = document(&okra(local, 0, &["plan", "web", "-o", "json"]));
    assert_eq!(plan["cells"][0]["phase"], "Paused", "{plan}");
    okra(local, 1, &["get", "nosuch"]);
    okra(local, 1, &["plan", "nosuch"]);
    okra(local, 1, &["no-such-command"]);
}

/// Writes that are refused or only tried leave the Cell as it is.
fn guards_and_dry_runs(local: &LocalMode) {
    let generation = |local: &LocalMode| {
        let cell = local.object("cell", "web").expect("the Cell is there");
        (
            cell["metadata"]["generation"].clone(),
            cell["metadata"]["annotations"]["okra.mumo.co/command"].clone(),
        )
    };
    let before = generation(local);
    for words in [
        vec!["promote", "web", "--dry-run"],
        vec!["promote", "web", "--full", "--dry-run"],
        vec!["pause", "web", "--dry-run"],
        vec!["abort", "web", "--dry-run"],
        vec!["rollback", "web", "--to", "1.0.0", "--dry-run"],
        vec!["version", "block", "web", "2.0.0", "--dry-run"],
        vec!["cluster", "remove", "web-1-v2", "--force", "--dry-run"],
    ] {
        assert!(okra(local, 0, &words).contains("dry run"), "{words:?}");
    }
    for words in
        [vec!["pause", "web", "--step", "7"], vec!["rollback", "web", "--to", "1.0.0", "--step", "7"]]
    {
        okra(local, 1, &words);
    }
    // A cluster that carries traffic is not forgotten by mistake.
    let refused = local.okra(&["cluster", "remove", "web-1-v1"]);
    assert!(stderr(&refused).contains("has weight in cell/web"), "{refused:?}");
    assert_eq!(generation(local), before, "nothing was written");
    assert!(local.object("versionblocklist", "web").is_none());
}

#[test]
fn kubectl_finds_okra_as_its_plugin_and_old_names_choose_what_it_is() {
    let local = LocalMode::up(&["--no-controllers"]);
    local.apply(&[
        json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "prod"}}),
        json!({
            "apiVersion": "okra.mumo.co/v1alpha1", "kind": "Cell",
            "metadata": {"name": "web", "namespace": "prod"}, "spec": {},
        }),
    ]);
    let programs = local.home().join("bin");
    std::fs::create_dir(&programs).expect("a folder");
    for name in ["kubectl-okra", "okractl", "okrad"] {
        symlink(okra_binary(), programs.join(name)).expect("a link");
    }
    let path = format!("{}:{}", programs.display(), std::env::var("PATH").unwrap_or_default());
    let plugin = |words: &[&str]| {
        let mut command = local.command(okra_tests::clients::kubectl());
        command.env("PATH", &path).arg("okra").args(words).output().expect("kubectl runs")
    };
    for words in [["get", "-n", "prod", "-o", "name"], ["-n", "prod", "get", "-o", "name"]] {
        let output = plugin(&words);
        assert_eq!(stdout(&output), "cell/web\n", "{output:?}");
    }
    let context = stdout(&local.kubectl(&["config", "current-context"]));
    let output = plugin(&["get", "--context", context.trim(), "--namespace=prod", "-o", "name"]);
    assert_eq!(stdout(&output), "cell/web\n", "{output:?}");
    assert_eq!(plugin(&["get", "--context", "nosuch"]).status.code(), Some(1));
    assert!(stdout(&plugin(&["promote", "--help"])).contains("Usage: kubectl okra promote"));

    let run = |name: &str, words: &[&str]| {
        local.command(programs.join(name)).args(words).output().expect("it runs")
    };
    assert_eq!(stdout(&run("okractl", &["get", "-n", "prod", "-o", "name"])), "cell/web\n");
    let help = stdout(&run("okrad", &["--help"]));
    assert!(help.contains("--sync-period") && help.contains("--metrics-addr"), "{help}");
}

#[test]
fn commands_of_the_go_program_still_do_their_work() {
    let local = LocalMode::up(&["--no-controllers"]);
    let labels = "role=web,okra.mumo.co/version=1.0.0";
    let arn = "arn:aws:elasticloadbalancing:us-east-2:123456789012:targetgroup/web/0123456789abcdef";
    okra(&local, 0, &["create", "awstargetgroup", "web-v1", "--arn", arn, "--labels", labels]);
    assert!(okra(&local, 0, &["list-latest-awstargetgroups"]).contains("web-v1"));

    // H-90: the stored Cell has the spec of the flags.
    let listener = "arn:aws:elasticloadbalancing:us-east-2:123456789012:listener/app/web/0123456789abcdef/0123456789abcdef";
    let upsert = ["upsert", "cell", "--name", "web", "--listener-arn", listener, "--match-label", "role=web"];
    let more = ["--replicas", "1", "--listener-rule-host", "h", "--canary-steps", "weight=20,pause=1s"];
    okra(&local, 0, &[&upsert[..], &more[..]].concat());
    let stored = local.object("cell", "web").expect("the Cell is there");
    assert_eq!(stored["spec"]["replicas"], 1, "{stored}");
    assert_eq!(stored["spec"]["updateStrategy"]["canary"]["steps"][0]["setWeight"], 20, "{stored}");

    okra(&local, 0, &["upsert", "awstargetgroupset", "--name", "web", "--cluster-selector", "service=web"]);
    assert!(local.object("awstargetgroupset", "web").is_some());

    let cluster =
        ["create", "cluster", "--name", "lab", "--endpoint", "https://127.0.0.1:1", "--ca-data", "Q0E="];
    let dry = okra(&local, 0, &[&cluster[..], &["--labels", "service=web", "--dry-run"]].concat());
    assert!(
        dry.contains("argocd.argoproj.io/secret-type: cluster") && local.object("secret", "lab").is_none()
    );
    okra(&local, 0, &[&cluster[..], &["--labels", "service=web"]].concat());
    // H-91: the flag that was misspelt.
    assert_eq!(
        okra(&local, 0, &["get", "cluster", "--selectoro", "service=web", "-o", "name"]),
        "cluster/lab\n"
    );
    okra(&local, 0, &["delete", "cluster", "--name", "lab"]);
    assert!(local.object("secret", "lab").is_none());
    okra(&local, 1, &["delete", "cluster", "--name", "lab"]);

    local.apply(&[
        json!({
            "apiVersion": "argoproj.io/v1alpha1", "kind": "AnalysisTemplate",
            "metadata": {"name": "t", "namespace": "default"},
            "spec": {"args": [{"name": "service"}], "metrics": [{"name": "m", "provider": {"web": {"url": "http://x"}}}]},
        }),
        json!({
            "apiVersion": "okra.mumo.co/v1alpha1", "kind": "Pause",
            "metadata": {"name": "p", "namespace": "default"}, "spec": {"indefinite": true},
        }),
    ]);
    // H-93: two runs within one second are two runs.
    let create = ["create", "analysisrun", "--template-name", "t", "--args", "service=web", "-o", "name"];
    let made = [okra(&local, 0, &create), okra(&local, 0, &create)];
    assert_ne!(made[0], made[1]);
    okra(&local, 1, &["create", "analysisrun", "--template-name", "t", "--args", "servcie=web"]);
    // H-94: a forced verdict touches the phase alone.
    let name = made[0].trim().trim_start_matches("analysisrun/").to_owned();
    let before = local.object("analysisrun", &name).expect("the run is there");
    okra(&local, 0, &["update", "analysisrun", "--name", &name, "--phase", "failed"]);
    let after = local.object("analysisrun", &name).expect("the run is there");
    assert_eq!((&after["status"], &after["spec"]), (&json!({"phase": "Failed"}), &before["spec"]));
    okra(&local, 1, &["update", "analysisrun", "--name", &name, "--phase", "great"]);

    assert!(okra(&local, 0, &["sync", "pause", "--name", "p"]).contains("Started"));
    okra(&local, 0, &["cancel", "pause", "--name", "p"]);
    okra(&local, 1, &["cancel-pause", "--name", "p"]);
    // One pass over a Cell, without a controller-manager.
    assert!(okra(&local, 0, &["sync", "cell", "--name", "web"]).contains("cell/web synced"));
    assert!(local.object("cell", "web").is_some_and(|cell| cell["status"]["phase"].is_string()));
}
