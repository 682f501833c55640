//! `GET /_okra/metrics`: what load balancers and target groups counted since
//! this process began, for a Prometheus to scrape.

use std::fmt;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::text::encode;
use prometheus_client::encoding::{DescriptorEncoder, EncodeLabelSet, NoLabelSet};
use prometheus_client::metrics::MetricType;
use prometheus_client::registry::Registry;

use crate::dataplane::{Counter, Statistics};
use crate::world::World;

/// The form of the text: OpenMetrics, which Prometheus asks for first.
pub(crate) const MEDIA: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// Bounds of the buckets of response times, in seconds.
const SECONDS: [f64; 12] = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0];

/// Classes of a target's answers.
const CLASSES: [(&str, Counter); 4] = [
    ("2xx", Counter::Target2xx),
    ("3xx", Counter::Target3xx),
    ("4xx", Counter::Target4xx),
    ("5xx", Counter::Target5xx),
];

#[derive(Clone, Debug, EncodeLabelSet)]
struct Group {
    /// `targetgroup/NAME/ID`, as CloudWatch's dimension has it.
    target_group: String,
    name: String,
}

#[derive(Clone, Debug, EncodeLabelSet)]
struct Answered {
    target_group: String,
    name: String,
    class: &'static str,
}

#[derive(Clone, Debug, EncodeLabelSet)]
struct Balancer {
    /// `app/NAME/ID`, as CloudWatch's dimension has it.
    load_balancer: String,
    name: String,
}

/// All counters at one moment.
#[derive(Debug)]
struct Scrape {
    groups: Vec<(Group, Statistics)>,
    balancers: Vec<(Balancer, Statistics)>,
}

/// The text of a scrape.
pub(crate) fn text(world: &World) -> String {
    let mut registry = Registry::with_prefix("okra_region");
    registry.register_collector(Box::new(Scrape::of(world)));
    let mut text = String::new();
    // Writing to a string cannot fail.
    let _ = encode(&mut text, &registry);
    text
}

/// What of an ARN CloudWatch's dimensions have.
fn dimension(arn: &str) -> String {
    let resource = arn.rsplit(':').next().unwrap_or_default();
    resource.strip_prefix("loadbalancer/").unwrap_or(resource).to_owned()
}

impl Scrape {
    fn of(world: &World) -> Self {
        let state = world.state();
        let counted = |arn: &str| world.dataplane.totals(arn).unwrap_or_default();
        let groups = state.elb.target_groups.iter().map(|(arn, group)| {
            let labels = Group { target_group: dimension(arn), name: group.settings.name.clone() };
            (labels, counted(arn))
        });
        let balancers = state.elb.load_balancers.iter().map(|(arn, balancer)| {
            let labels = Balancer { load_balancer: dimension(arn), name: balancer.settings.name.clone() };
            (labels, counted(arn))
        });
        Self { groups: groups.collect(), balancers: balancers.collect() }
    }

    fn encode_groups(&self, encoder: &mut DescriptorEncoder<'_>) -> fmt::Result {
        counters(
            encoder,
            ("target_group_requests", "Requests for which a target of the group was chosen"),
            self.groups.iter().map(|(labels, seen)| (labels, seen.count(Counter::Requests))),
        )?;
        let answered = self.groups.iter().flat_map(|(labels, seen)| {
            CLASSES.map(|(class, counter)| {
                let Group { target_group, name } = labels.clone();
                (Answered { target_group, name, class }, seen.count(counter))
            })
        });
        let answered: Vec<_> = answered.collect();
        counters(
            encoder,
            ("target_group_responses", "Answers of targets by their class"),
            answered.iter().map(|(labels, count)| (labels, *count)),
        )?;
        counters(
            encoder,
            ("target_group_connection_errors", "Targets that could not be reached"),
            self.groups.iter().map(|(labels, seen)| (labels, seen.count(Counter::ConnectionErrors))),
        )?;
        let help = "Time from the request being sent to a target to the head of its answer";
        let kind = MetricType::Histogram;
        let mut times = encoder.encode_descriptor("target_group_response_seconds", help, None, kind)?;
        for (labels, seen) in &self.groups {
            let times_seen = seen.response_times();
            let (sum, count) = (times_seen.sum().as_secs_f64(), times_seen.count());
            let buckets = times_seen.between(&SECONDS);
            times.encode_family(labels)?.encode_histogram::<NoLabelSet>(sum, count, &buckets, None)?;
        }
        Ok(())
    }

    fn encode_balancers(&self, encoder: &mut DescriptorEncoder<'_>) -> fmt::Result {
        counters(
            encoder,
            ("load_balancer_requests", "Requests for which a target was chosen"),
            self.balancers.iter().map(|(labels, seen)| (labels, seen.count(Counter::Requests))),
        )?;
        counters(
            encoder,
            ("load_balancer_5xx", "Answers 5xx of the load balancer itself"),
            self.balancers.iter().map(|(labels, seen)| (labels, seen.elb_5xx())),
        )
    }
}

impl Collector for Scrape {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        self.encode_groups(&mut encoder)?;
        self.encode_balancers(&mut encoder)
    }
}

/// One family of counters.
fn counters<'a, L: EncodeLabelSet + 'a>(
    encoder: &mut DescriptorEncoder<'_>,
    (name, help): (&str, &str),
    counts: impl Iterator<Item = (&'a L, u64)>,
) -> fmt::Result {
    let mut family = encoder.encode_descriptor(name, help, None, MetricType::Counter)?;
    for (labels, count) in counts {
        family.encode_family(labels)?.encode_counter::<NoLabelSet, _, u64>(&count, None)?;
    }
    Ok(())
}
