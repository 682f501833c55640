//! boto3 and the `aws` command.

use std::ffi::OsString;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use okra_region::{DEFAULT_ACCESS_KEY_ID, DEFAULT_SECRET_ACCESS_KEY, Options, Region, TokenError};
use tokio::process::Command;

use crate::common::{Clusters, ShiftedClock, backend, get_with, region};

/// A client's process with everything it needs to find the region, and
/// nothing of the machine's own configuration.
fn client(variable: &str, default: &str, region: &Region) -> Command {
    let program = std::env::var_os(variable).unwrap_or_else(|| OsString::from(default));
    let mut command = Command::new(program);
    command
        .env("AWS_ENDPOINT_URL", region.endpoint())
        // boto3 and older `aws` commands read the second name only.
        .env("AWS_REGION", "us-east-1")
        .env("AWS_DEFAULT_REGION", "us-east-1")
        .env("AWS_ACCESS_KEY_ID", DEFAULT_ACCESS_KEY_ID)
        .env("AWS_SECRET_ACCESS_KEY", DEFAULT_SECRET_ACCESS_KEY)
        .env("AWS_EC2_METADATA_DISABLED", "true")
        .env("AWS_CONFIG_FILE", "/dev/null")
        .env("AWS_SHARED_CREDENTIALS_FILE", "/dev/null")
        .env("AWS_MAX_ATTEMPTS", "1")
        .env("AWS_PAGER", "")
        .kill_on_drop(true);
    for unset in ["AWS_PROFILE", "AWS_SESSION_TOKEN"] {
        command.env_remove(unset);
    }
    command
}

async fn run(mut command: Command) -> Result<String, String> {
    let output = command.output().await.map_err(|error| format!("{command:?}: {error}"))?;
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    if output.status.success() {
        Ok(text(&output.stdout))
    } else {
        Err(text(&output.stderr) + &text(&output.stdout))
    }
}

async fn script(region: &Region, name: &str, arguments: &[String]) {
    let mut command = client("OKRA_PYTHON", "python3", region);
    command.arg(PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/clients").join(name)).args(arguments);
    if let Err(error) = run(command).await {
        panic!("{error}");
    }
}

#[tokio::test]
async fn boto3_builds_a_world() {
    let region = region().await;
    let port = backend("blue").await.port();
    script(&region, "world.py", &[port.to_string()]).await;
    region.shutdown().await;
}

#[tokio::test]
async fn boto3_is_refused_as_on_aws() {
    let region = region().await;
    script(&region, "errors.py", &[]).await;
    region.shutdown().await;
}

#[tokio::test]
async fn boto3_meets_the_quotas() {
    let region = region().await;
    script(&region, "limits.py", &[]).await;
    region.shutdown().await;
}

async fn aws(region: &Region, line: &str) -> Result<serde_json::Value, String> {
    let mut command = client("OKRA_AWS", "aws", region);
    command.args(line.split_whitespace()).args(["--output", "json"]);
    let text = run(command).await.map_err(|error| format!("aws {line}: {error}"))?;
    Ok(serde_json::from_str(&text).unwrap_or_default())
}

#[tokio::test]
async fn the_aws_command_moves_weights() {
    let region = region().await;
    let run = |line: String| {
        let region = &region;
        async move { aws(region, &line).await.unwrap() }
    };
    let lb = run("elbv2 create-load-balancer --name web --subnets subnet-1a subnet-1b".into()).await;
    let lb = lb["LoadBalancers"][0]["LoadBalancerArn"].as_str().unwrap().to_owned();
    let mut groups = Vec::new();
    for name in ["blue", "green"] {
        let group = run(format!(
            "elbv2 create-target-group --name {name} --protocol HTTP --port 80 --vpc-id vpc-12345678 --target-type ip"
        ));
        groups.push(group.await["TargetGroups"][0]["TargetGroupArn"].as_str().unwrap().to_owned());
    }
    let actions = |blue: u32, green: u32| {
        format!(
            r#"[{{"Type":"forward","ForwardConfig":{{"TargetGroups":[{{"TargetGroupArn":"{}","Weight":{blue}}},{{"TargetGroupArn":"{}","Weight":{green}}}]}}}}]"#,
            groups[0], groups[1]
        )
    };
    let listener = run(format!(
        "elbv2 create-listener --load-balancer-arn {lb} --protocol HTTP --port 80 --default-actions {}",
        actions(100, 0)
    ))
    .await["Listeners"][0]["ListenerArn"]
        .as_str()
        .unwrap()
        .to_owned();
    let modified =
        run(format!("elbv2 modify-listener --listener-arn {listener} --default-actions {}", actions(50, 50)))
            .await;
    let weights = &modified["Listeners"][0]["DefaultActions"][0]["ForwardConfig"]["TargetGroups"];
    assert_eq!((&weights[0]["Weight"], &weights[1]["Weight"]), (&50.into(), &50.into()));
    let refused = aws(&region, &format!("elbv2 delete-target-group --target-group-arn {}", groups[0])).await;
    assert!(refused.unwrap_err().contains("(ResourceInUse)"));
    region.shutdown().await;
}

#[tokio::test]
async fn a_token_of_the_aws_command_opens_its_cluster_alone() {
    let clock = Arc::new(ShiftedClock::default());
    let options = Options { clock: clock.clone(), ..Options::new(Arc::new(Clusters::default())) };
    let region = Region::start(options).await.unwrap();
    for name in ["web-1", "web-2"] {
        let line = format!(
            "eks create-cluster --name {name} --role-arn arn:aws:iam::123456789012:role/eks \
             --resources-vpc-config subnetIds=subnet-1a,subnet-1b"
        );
        aws(&region, &line).await.unwrap();
    }
    let answer = aws(&region, "eks get-token --cluster-name web-1").await.unwrap();
    let token = answer["status"]["token"].as_str().unwrap();
    let access = region.authenticate("web-1", token).unwrap();
    assert_eq!(access.principal_arn, "arn:aws:iam::123456789012:user/okra-local");
    assert_eq!(access.groups, ["system:masters"]);
    let elsewhere = region.authenticate("web-2", token).unwrap_err();
    assert!(
        matches!(&elsewhere, TokenError::Refused { code, .. } if code == "SignatureDoesNotMatch"),
        "{elsewhere}"
    );
    assert!(matches!(region.authenticate("none", token), Err(TokenError::UnknownCluster { .. })));
    assert!(matches!(region.authenticate("web-1", "k8s-aws-v1.abc"), Err(TokenError::Malformed { .. })));

    // What a verifier does: ask STS the question that the token holds.
    let url = URL_SAFE_NO_PAD.decode(token.trim_start_matches("k8s-aws-v1.")).unwrap();
    let url = String::from_utf8(url).unwrap();
    let address = region.endpoint().replace("http://", "");
    let path = url.strip_prefix(&region.endpoint()).unwrap();
    let json = [("host", address.as_str()), ("x-k8s-aws-id", "web-1"), ("accept", "application/json")];
    let (status, body) = get_with(&address, path, &json).await;
    let body: serde_json::Value = serde_json::from_str(&body).unwrap();
    let identity = &body["GetCallerIdentityResponse"]["GetCallerIdentityResult"];
    assert_eq!((status, &identity["Account"]), (200, &"123456789012".into()));
    let (status, body) = get_with(&address, path, &json[..2]).await;
    assert!(status == 200 && body.starts_with("<GetCallerIdentityResponse"), "{body}");
    let (status, body) = get_with(&address, path, &json[..1]).await;
    assert!(status == 403 && body.contains("SignatureDoesNotMatch"), "{body}");

    clock.minutes.store(14, Ordering::Relaxed);
    assert!(region.authenticate("web-1", token).is_ok(), "good for 15 minutes");
    clock.minutes.store(16, Ordering::Relaxed);
    let late = region.authenticate("web-1", token).unwrap_err();
    assert!(late.to_string().contains("Signature expired"), "{late}");
    clock.minutes.store(0, Ordering::Relaxed);

    let removed = "eks delete-access-entry --cluster-name web-1 \
                   --principal-arn arn:aws:iam::123456789012:user/okra-local";
    aws(&region, removed).await.unwrap();
    assert!(matches!(region.authenticate("web-1", token), Err(TokenError::NoAccess { .. })));
    region.shutdown().await;
}
