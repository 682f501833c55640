//! `AWS/ApplicationELB` from the counters of the data plane (`spec/aws.md` 5.2).

use std::collections::BTreeMap;

use jiff::Timestamp;

use super::Window;
use super::metric::MetricKey;
use super::points::{Point, Points};
use crate::dataplane::{Counter, HostCount, MINUTES_KEPT, SECONDS_KEPT, Statistics};
use crate::elbv2::{Elb, dimension};
use crate::world::World;

pub(super) const NAMESPACE: &str = "AWS/ApplicationELB";

const LOAD_BALANCER: &str = "LoadBalancer";
const TARGET_GROUP: &str = "TargetGroup";

/// Points exist by the minute.
const MINUTE: i64 = 60;

/// How a figure is taken from what happened.
#[derive(Clone, Copy)]
enum Figure {
    /// Absent where nothing happened.
    Count(Counter),
    /// Zero where others got requests.
    Requests,
    RequestsPerTarget,
    AllElb5xx,
    ResponseTime,
    HealthyHosts,
    UnhealthyHosts,
}

/// Which combinations of dimensions a metric is published for.
#[derive(Clone, Copy)]
struct Scopes {
    load_balancer: bool,
    with_group: bool,
    group_alone: bool,
}

const LB: Scopes = Scopes { load_balancer: true, with_group: false, group_alone: false };
const BOTH: Scopes = Scopes { load_balancer: true, with_group: true, group_alone: false };
const GROUP: Scopes = Scopes { load_balancer: false, with_group: true, group_alone: false };
const PER_TARGET: Scopes = Scopes { load_balancer: false, with_group: true, group_alone: true };

const METRICS: &[(&str, Scopes, Figure)] = &[
    ("RequestCount", BOTH, Figure::Requests),
    ("RequestCountPerTarget", PER_TARGET, Figure::RequestsPerTarget),
    ("HTTPCode_Target_2XX_Count", BOTH, Figure::Count(Counter::Target2xx)),
    ("HTTPCode_Target_3XX_Count", BOTH, Figure::Count(Counter::Target3xx)),
    ("HTTPCode_Target_4XX_Count", BOTH, Figure::Count(Counter::Target4xx)),
    ("HTTPCode_Target_5XX_Count", BOTH, Figure::Count(Counter::Target5xx)),
    ("HTTPCode_ELB_3XX_Count", LB, Figure::Count(Counter::Elb3xx)),
    ("HTTPCode_ELB_4XX_Count", LB, Figure::Count(Counter::Elb4xx)),
    ("HTTPCode_ELB_5XX_Count", LB, Figure::AllElb5xx),
    ("HTTPCode_ELB_500_Count", LB, Figure::Count(Counter::Elb500)),
    ("HTTPCode_ELB_502_Count", LB, Figure::Count(Counter::Elb502)),
    ("HTTPCode_ELB_503_Count", LB, Figure::Count(Counter::Elb503)),
    ("HTTPCode_ELB_504_Count", LB, Figure::Count(Counter::Elb504)),
    ("HTTP_Fixed_Response_Count", LB, Figure::Count(Counter::FixedResponses)),
    ("HTTP_Redirect_Count", LB, Figure::Count(Counter::Elb3xx)),
    ("TargetResponseTime", BOTH, Figure::ResponseTime),
    ("HealthyHostCount", GROUP, Figure::HealthyHosts),
    ("UnHealthyHostCount", GROUP, Figure::UnhealthyHosts),
    ("TargetConnectionErrorCount", BOTH, Figure::Count(Counter::ConnectionErrors)),
    ("UnhealthyRoutingRequestCount", BOTH, Figure::Count(Counter::UnhealthyRouting)),
    ("NewConnectionCount", LB, Figure::Count(Counter::NewConnections)),
    ("NonStickyRequestCount", LB, Figure::Count(Counter::NonSticky)),
];

/// What a combination of dimensions names.
struct Named {
    /// Whose counters are read.
    arn: String,
    /// The load balancer beside it: while it gets requests, zeros are told.
    load_balancer: Option<String>,
}

/// Unit of a metric; asking with another one finds nothing.
fn unit(figure: Figure) -> &'static str {
    if matches!(figure, Figure::ResponseTime) { "Seconds" } else { "Count" }
}

/// Points of a metric of the load balancers.
pub(super) fn read(world: &World, key: &MetricKey, wanted_unit: Option<&str>, window: Window) -> Points {
    let found = METRICS.iter().find(|(name, ..)| *name == key.name);
    let Some((_, scopes, figure)) = found else { return Points::new() };
    if window.period < MINUTE || wanted_unit.is_some_and(|wanted| wanted != unit(*figure)) {
        return Points::new();
    }
    let Some(named) = find(&world.state().elb, *scopes, &key.dimensions) else { return Points::new() };
    let now = world.options.clock.now().as_second();
    let oldest = now - SECONDS_KEPT as i64 - MINUTES_KEPT as i64 * MINUTE;
    let happened = |arn: &str, start: i64| {
        let range = second(start)..second(start + window.period);
        world.dataplane.statistics(arn, range).unwrap_or_default()
    };
    let mut points = Points::new();
    for start in window.starts().filter(|start| start + window.period > oldest && *start <= now) {
        let own = happened(&named.arn, start);
        let mut point = take(*figure, &own);
        if point.is_none()
            && matches!(figure, Figure::Requests)
            && let Some(load_balancer) = &named.load_balancer
            && happened(load_balancer, start).count(Counter::Requests) > 0
        {
            point = Some(Point::of(0.0, 1.0));
        }
        points.extend(point.map(|point| (start, point)));
    }
    points
}

fn second(second: i64) -> Timestamp {
    Timestamp::from_second(second).unwrap_or(Timestamp::MAX)
}

fn take(figure: Figure, happened: &Statistics) -> Option<Point> {
    // Every request is one sample of the value 1, so only the sum says much.
    let counted = |count: u64| (count > 0).then(|| Point::of(1.0, count as f64));
    match figure {
        Figure::Count(counter) => counted(happened.count(counter)),
        Figure::Requests => counted(happened.count(Counter::Requests)),
        Figure::AllElb5xx => counted(happened.elb_5xx()),
        Figure::RequestsPerTarget => {
            let (requests, hosts) = (happened.count(Counter::Requests), happened.healthy_hosts());
            (requests > 0).then(|| Point::of(requests as f64 / average(hosts).max(1.0), 1.0))
        }
        Figure::HealthyHosts => hosts(happened.healthy_hosts()),
        Figure::UnhealthyHosts => hosts(happened.unhealthy_hosts()),
        Figure::ResponseTime => response_time(happened),
    }
}

fn average(hosts: HostCount) -> f64 {
    if hosts.samples == 0 { 0.0 } else { hosts.sum as f64 / hosts.samples as f64 }
}

fn hosts(hosts: HostCount) -> Option<Point> {
    (hosts.samples > 0)
        .then(|| Point::summary(hosts.sum as f64, hosts.samples as f64, hosts.min as f64, hosts.max as f64))
}

/// Response times with a percentile for each percent: the figures that AWS
/// names, p50 to p99.9, are among them.
fn response_time(happened: &Statistics) -> Option<Point> {
    let times = happened.response_times();
    let count = times.count();
    if count == 0 {
        return None;
    }
    // A thousand equal shares: p99.9 is the finest that is asked for.
    let share = count as f64 / 1000.0;
    let at = |step: u32| times.percentile(f64::from(step) / 10.0).unwrap_or_default().as_secs_f64();
    let mut values: Vec<(f64, f64)> = Vec::new();
    for time in (1..=1000).map(at) {
        match values.last_mut() {
            Some((value, weight)) if *value == time => *weight += share,
            _ => values.push((time, share)),
        }
    }
    let (minimum, maximum) = (at(0), at(1000));
    let summary = Point::summary(times.sum().as_secs_f64(), count as f64, minimum, maximum);
    Some(summary.with_distribution(values))
}

/// What the dimensions name, if the metric is published for them.
fn find(elb: &Elb, scopes: Scopes, dimensions: &BTreeMap<String, String>) -> Option<Named> {
    let load_balancer = dimensions.get(LOAD_BALANCER);
    let group = dimensions.get(TARGET_GROUP);
    let known = usize::from(load_balancer.is_some()) + usize::from(group.is_some());
    if known != dimensions.len() {
        return None;
    }
    let find_lb = |value: &String| elb.load_balancers.keys().find(|arn| dimension(arn) == value).cloned();
    let find_group = |value: &String| elb.target_groups.keys().find(|arn| dimension(arn) == value).cloned();
    match (load_balancer, group) {
        (Some(lb), None) if scopes.load_balancer => Some(Named { arn: find_lb(lb)?, load_balancer: None }),
        (Some(lb), Some(group)) if scopes.with_group => {
            let (lb, group) = (find_lb(lb)?, find_group(group)?);
            let elsewhere = elb.load_balancer_of_group(&group).is_some_and(|other| other != lb);
            (!elsewhere).then_some(Named { arn: group, load_balancer: Some(lb) })
        }
        (None, Some(group)) if scopes.group_alone => {
            Some(Named { arn: find_group(group)?, load_balancer: None })
        }
        _ => None,
    }
}

/// Every metric of every load balancer and group, as ListMetrics tells them.
pub(super) fn list(elb: &Elb) -> Vec<MetricKey> {
    let key = |name: &str, dimensions: &[(&str, &str)]| MetricKey {
        namespace: NAMESPACE.into(),
        name: name.into(),
        dimensions: dimensions
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
            .collect(),
    };
    let mut keys = Vec::new();
    for (name, scopes, _) in METRICS {
        for lb in elb.load_balancers.keys() {
            if scopes.load_balancer {
                keys.push(key(name, &[(LOAD_BALANCER, dimension(lb))]));
            }
            for group in elb.target_groups_of(lb) {
                if scopes.with_group {
                    keys.push(key(name, &[(LOAD_BALANCER, dimension(lb)), (TARGET_GROUP, dimension(group))]));
                }
                if scopes.group_alone {
                    keys.push(key(name, &[(TARGET_GROUP, dimension(group))]));
                }
            }
        }
    }
    keys
}
