//! CloudWatch through the AWS SDK for Rust, which speaks CBOR.

use std::time::{Duration, SystemTime};

use aws_sdk_cloudwatch as cloudwatch;
use aws_sdk_elasticloadbalancingv2 as elbv2;
use cloudwatch::error::ProvideErrorMetadata as _;
use cloudwatch::types::{Dimension, Metric, MetricDataQuery, MetricDatum, MetricStat, ScanBy, StandardUnit};
use okra_region::{Clock as _, SystemClock};

use crate::common::{backend, get, region, sdk, until};
use crate::world::{forward, load_balancer, state, target_group};

fn dimension(name: &str, value: &str) -> Dimension {
    Dimension::builder().name(name).value(value).build()
}

fn metric(id: &str, namespace: &str, name: &str, stat: &str, dimensions: &[Dimension]) -> MetricDataQuery {
    let metric = Metric::builder().namespace(namespace).metric_name(name);
    let metric = metric.set_dimensions(Some(dimensions.to_vec())).build();
    let stat = MetricStat::builder().metric(metric).period(60).stat(stat).build();
    MetricDataQuery::builder().id(id).metric_stat(stat).build()
}

fn expression(id: &str, text: &str) -> MetricDataQuery {
    MetricDataQuery::builder().id(id).expression(text).build()
}

/// The last value of each query of the last five minutes, by id.
async fn ask(
    client: &cloudwatch::Client,
    queries: Vec<MetricDataQuery>,
) -> Result<Vec<(String, String, Option<f64>)>, String> {
    let now = SystemTime::from(SystemClock::new().now());
    let answer = client
        .get_metric_data()
        .set_metric_data_queries(Some(queries))
        .start_time((now - Duration::from_secs(300)).into())
        .end_time((now + Duration::from_secs(60)).into())
        .scan_by(ScanBy::TimestampDescending)
        .send()
        .await
        .map_err(|error| {
            format!("{}: {}", error.code().unwrap_or_default(), error.message().unwrap_or_default())
        })?;
    let result = |result: &cloudwatch::types::MetricDataResult| {
        (
            result.id().unwrap().to_owned(),
            result.label().unwrap().to_owned(),
            result.values().first().copied(),
        )
    };
    Ok(answer.metric_data_results().iter().map(result).collect())
}

#[tokio::test]
async fn load_balancers_are_measured_by_what_they_did() {
    let region = region().await;
    let client = elbv2::Client::new(&sdk(&region));
    let lb = load_balancer(&client).await;
    let group = target_group(&client, "blue").await;
    let idle = target_group(&client, "idle").await;
    let address = backend("blue").await;
    let target =
        elbv2::types::TargetDescription::builder().id("127.0.0.1").port(address.port().into()).build();
    client.register_targets().target_group_arn(&group).targets(target).send().await.unwrap();
    let listener = client
        .create_listener()
        .load_balancer_arn(&lb)
        .protocol(elbv2::types::ProtocolEnum::Http)
        .port(8123)
        .default_actions(forward(&[(&group, 1), (&idle, 0)]))
        .send()
        .await
        .unwrap();
    until("the target is healthy", || async { state(&client, &group).await == ["healthy"] }).await;
    let listeners = region.load_balancers()[0].listeners.clone();
    assert_eq!(listeners[0].arn, listener.listeners()[0].listener_arn().unwrap());
    for _ in 0..20 {
        assert_eq!(get(listeners[0].address.as_ref().unwrap(), "/", "any.example.com").await.0, 200);
    }

    let metrics = cloudwatch::Client::new(&sdk(&region));
    let part = |arn: &str| arn.rsplit(':').next().unwrap().trim_start_matches("loadbalancer/").to_owned();
    let lb_only = [dimension("LoadBalancer", &part(&lb))];
    let with = |group: &str| [dimension("LoadBalancer", &part(&lb)), dimension("TargetGroup", &part(group))];
    let elb = "AWS/ApplicationELB";
    let queries = vec![
        metric("all", elb, "RequestCount", "Sum", &lb_only),
        metric("blue", elb, "RequestCount", "Sum", &with(&group)),
        metric("idle", elb, "RequestCount", "Sum", &with(&idle)),
        metric("good", elb, "HTTPCode_Target_2XX_Count", "Sum", &with(&group)),
        metric("bad", elb, "HTTPCode_Target_5XX_Count", "Sum", &with(&group)),
        metric("time", elb, "TargetResponseTime", "p99", &with(&group)),
        metric("other", elb, "RequestCount", "Sum", &[dimension("TargetGroup", &part(&group))]),
        expression("rate", "100*FILL(bad,0)/all"),
    ];
    let found = ask(&metrics, queries).await.unwrap();
    let value = |id: &str| found.iter().find(|(known, ..)| known == id).unwrap().2;
    // A minute may end between two requests: the last point holds 1 to 20.
    let all = value("all").unwrap();
    assert!((1.0..=20.0).contains(&all), "{all}");
    assert_eq!((value("blue"), value("good")), (Some(all), Some(all)));
    assert_eq!(value("idle"), Some(0.0), "a group without requests beside one with");
    assert_eq!(value("bad"), None, "only where not zero");
    assert_eq!(value("other"), None, "a combination that is not published");
    assert_eq!(value("rate"), Some(0.0));
    assert!(value("time").unwrap() > 0.0);
    region.shutdown().await;
}

#[tokio::test]
async fn what_users_write_is_read_back() {
    let region = region().await;
    let client = cloudwatch::Client::new(&sdk(&region));
    let datum = MetricDatum::builder().metric_name("depth").dimensions(dimension("queue", "orders"));
    let datum = datum.values(2.0).values(8.0).counts(3.0).counts(1.0).unit(StandardUnit::Count).build();
    client.put_metric_data().namespace("shop").metric_data(datum).send().await.unwrap();

    let orders = [dimension("queue", "orders")];
    let queries = vec![
        metric("sum", "shop", "depth", "Sum", &orders),
        metric("p90", "shop", "depth", "p90", &orders),
        metric("none", "shop", "depth", "Sum", &[]),
    ];
    let found = ask(&client, queries).await.unwrap();
    let found: Vec<_> =
        found.iter().map(|(id, label, value)| (id.as_str(), label.as_str(), *value)).collect();
    assert_eq!(
        found,
        [("sum", "depth Sum", Some(14.0)), ("p90", "depth p90", Some(8.0)), ("none", "depth Sum", None)]
    );

    let listed = client.list_metrics().namespace("shop").send().await.unwrap();
    assert_eq!(listed.metrics()[0].dimensions()[0].value(), Some("orders"));

    let now = SystemTime::from(SystemClock::new().now());
    let statistics = client
        .get_metric_statistics()
        .namespace("shop")
        .metric_name("depth")
        .dimensions(orders[0].clone())
        .start_time((now - Duration::from_secs(300)).into())
        .end_time((now + Duration::from_secs(60)).into())
        .period(300)
        .statistics(cloudwatch::types::Statistic::Average)
        .extended_statistics("p50")
        .send()
        .await
        .unwrap();
    let points = statistics.datapoints();
    assert_eq!(points[0].average(), Some(3.5));
    assert_eq!(points[0].extended_statistics().unwrap()["p50"], 2.0);
    region.shutdown().await;
}

#[tokio::test]
async fn wrong_questions_are_refused_by_name() {
    let region = region().await;
    let client = cloudwatch::Client::new(&sdk(&region));
    for (query, wanted) in [
        (metric("Upper", "a", "b", "Sum", &[]), "ValidationError: The value Upper"),
        (metric("a", "a", "b", "median", &[]), "InvalidParameterValue"),
        (expression("a", "SUM("), "ValidationError: Error in expression 'a': at character 5"),
        (expression("a", "b + 1"), "ValidationError: Error in expression 'a': there is no query with id 'b'"),
        (expression("a", "SEARCH('x', 'Sum')"), "function SEARCH is not known here"),
    ] {
        let error = ask(&client, vec![query]).await.unwrap_err();
        assert!(error.contains(wanted), "{error}");
    }
    let datum = MetricDatum::builder().metric_name("x").value(1.0).build();
    let refused =
        client.put_metric_data().namespace("AWS/ApplicationELB").metric_data(datum).send().await.unwrap_err();
    assert!(refused.as_service_error().unwrap().is_invalid_parameter_value_exception());
    let response = refused.raw_response().unwrap();
    assert_eq!(response.headers().get("x-amzn-query-error"), Some("InvalidParameterValue;Sender"));
    region.shutdown().await;
}
