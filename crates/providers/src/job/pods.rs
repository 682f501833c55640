//! What the pods of a Job tell about it.

use serde_json::Value as Json;

use super::cluster::{JobClusters, JobPlace};

/// Reasons of a waiting container that no waiting cures.
const IMAGE_FAILURES: [&str; 3] = ["ErrImagePull", "ImagePullBackOff", "InvalidImageName"];

/// Lines of a container's log that a measurement keeps.
const LOG_LINES: u32 = 20;

/// Statuses of all containers of a pod, those that run first first.
fn containers(pod: &Json) -> impl Iterator<Item = &Json> {
    let of = |key: &str| pod["status"][key].as_array().map(Vec::as_slice).unwrap_or_default();
    of("initContainerStatuses").iter().chain(of("containerStatuses"))
}

fn name(object: &Json) -> &str {
    object.as_str().unwrap_or_default()
}

/// The first container whose image does not come, in words.
pub(super) fn image_failure(pods: &[Json]) -> Option<String> {
    let all = pods.iter().flat_map(|pod| containers(pod).map(move |container| (pod, container)));
    all.filter_map(|(pod, container)| {
        let waiting = &container["state"]["waiting"];
        let reason = waiting["reason"].as_str().filter(|reason| IMAGE_FAILURES.contains(reason))?;
        let (pod, container) = (name(&pod["metadata"]["name"]), name(&container["name"]));
        let message = waiting["message"].as_str().map(|text| format!(": {text}")).unwrap_or_default();
        Some(format!("pod {pod}, container {container}: {reason}{message}"))
    })
    .next()
}

/// Notes on the container that failed last: its name, exit code and last lines. What cannot be
/// read is left out: the verdict does not need it.
pub(super) async fn failure_notes(
    clusters: &dyn JobClusters,
    place: &JobPlace,
    job: &str,
) -> Vec<(String, String)> {
    let mut pods = clusters.pods(place, job).await.unwrap_or_default();
    pods.sort_by_key(|pod| std::cmp::Reverse(name(&pod["metadata"]["creationTimestamp"]).to_owned()));
    let failed = pods.iter().find_map(|pod| {
        let (container, code) = containers(pod).find_map(exit_code)?;
        Some((name(&pod["metadata"]["name"]), container, code))
    });
    let Some((pod, container, code)) = failed else { return Vec::new() };
    let mut notes = vec![
        ("container".to_owned(), format!("{pod}/{container}")),
        ("exit-code".to_owned(), code.to_string()),
    ];
    if let Ok(log) = clusters.log(place, pod, container, LOG_LINES).await {
        notes.push(("log".to_owned(), log));
    }
    notes
}

/// Name and exit code of a container that failed.
fn exit_code(container: &Json) -> Option<(&str, i64)> {
    let states = ["state", "lastState"].map(|state| container[state]["terminated"]["exitCode"].as_i64());
    let code = states.into_iter().flatten().find(|code| *code != 0)?;
    Some((name(&container["name"]), code))
}
