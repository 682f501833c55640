"""A whole world through boto3, as a user would build it."""

import datetime
import json
import sys
import time
import urllib.error
import urllib.parse
import urllib.request

import boto3
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest


def until(what, holds):
    """Waits for a state, at most ten seconds."""
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        if holds():
            return
        time.sleep(0.02)
    raise AssertionError(f"never: {what}")


port = int(sys.argv[1])
elb = boto3.client("elbv2")

assert boto3.client("sts").get_caller_identity()["Account"] == "123456789012"

lb = elb.create_load_balancer(
    Name="web", Subnets=["subnet-1a", "subnet-1b"], Tags=[{"Key": "team", "Value": "shop + co"}]
)["LoadBalancers"][0]
again = elb.create_load_balancer(Name="web", Subnets=["subnet-1b", "subnet-1a"])["LoadBalancers"][0]
assert again["LoadBalancerArn"] == lb["LoadBalancerArn"], "a repeated call gives the same object"
assert lb["State"]["Code"] == "active" and lb["Type"] == "application", lb

groups = []
for name in ("blue", "green"):
    arguments = dict(
        Name=name, Protocol="HTTP", Port=80, VpcId="vpc-12345678", TargetType="ip",
        HealthCheckIntervalSeconds=5, HealthCheckTimeoutSeconds=2,
    )
    group = elb.create_target_group(**arguments)["TargetGroups"][0]
    assert elb.create_target_group(**arguments)["TargetGroups"][0] == group
    assert group["HealthyThresholdCount"] == 5 and group["Matcher"] == {"HttpCode": "200"}, group
    groups.append(group["TargetGroupArn"])
blue, green = groups
elb.register_targets(TargetGroupArn=blue, Targets=[{"Id": "127.0.0.1", "Port": port}])


def states(group):
    found = elb.describe_target_health(TargetGroupArn=group)["TargetHealthDescriptions"]
    return [(one["TargetHealth"]["State"], one["TargetHealth"].get("Reason")) for one in found]


assert states(blue) == [("unused", "Target.NotInUse")], states(blue)

listener = elb.create_listener(
    LoadBalancerArn=lb["LoadBalancerArn"], Protocol="HTTP", Port=80,
    DefaultActions=[{"Type": "forward", "TargetGroupArn": blue}],
)["Listeners"][0]
# One group is told in both forms.
action = listener["DefaultActions"][0]
assert action["TargetGroupArn"] == blue, action
assert action["ForwardConfig"]["TargetGroups"] == [{"TargetGroupArn": blue, "Weight": 1}], action
assert action["ForwardConfig"]["TargetGroupStickinessConfig"] == {"Enabled": False}, action
until("blue is healthy", lambda: states(blue) == [("healthy", None)])

rule = elb.create_rule(
    ListenerArn=listener["ListenerArn"], Priority=10,
    Conditions=[
        {"Field": "host-header", "HostHeaderConfig": {"Values": ["*.example.com"]}},
        {"Field": "query-string", "QueryStringConfig": {"Values": [{"Key": "a", "Value": "b"}]}},
    ],
    Actions=[{
        "Type": "forward", "Order": 1,
        "ForwardConfig": {
            "TargetGroups": [{"TargetGroupArn": blue, "Weight": 90}, {"TargetGroupArn": green, "Weight": 10}],
            "TargetGroupStickinessConfig": {"Enabled": True, "DurationSeconds": 60},
        },
    }],
)["Rules"][0]
assert "TargetGroupArn" not in rule["Actions"][0], "several groups are told in the long form only"
assert rule["Conditions"][0]["Values"] == ["*.example.com"]
read = elb.describe_rules(ListenerArn=listener["ListenerArn"])["Rules"]
assert [one["Priority"] for one in read] == ["10", "default"], read
assert read[0] == rule and read[1]["IsDefault"]

second = elb.create_rule(
    ListenerArn=listener["ListenerArn"], Priority=20,
    Conditions=[{"Field": "path-pattern", "Values": ["/gone"]}],
    Actions=[{"Type": "redirect", "RedirectConfig": {"StatusCode": "HTTP_301", "Path": "/here"}}],
)["Rules"][0]
assert second["Actions"][0]["RedirectConfig"]["Host"] == "#{host}"
# Two rules exchange their priorities in one call.
elb.set_rule_priorities(RulePriorities=[
    {"RuleArn": rule["RuleArn"], "Priority": 20}, {"RuleArn": second["RuleArn"], "Priority": 10},
])
pages = elb.get_paginator("describe_rules").paginate(
    ListenerArn=listener["ListenerArn"], PaginationConfig={"PageSize": 1}
)
order = [one["RuleArn"] for page in pages for one in page["Rules"]]
assert order[:2] == [second["RuleArn"], rule["RuleArn"]] and len(order) == 3, order

# Conditions change alone, actions stay.
changed = elb.modify_rule(
    RuleArn=rule["RuleArn"], Conditions=[{"Field": "http-request-method", "HttpRequestMethodConfig": {"Values": ["GET"]}}]
)["Rules"][0]
assert changed["Actions"] == rule["Actions"] and len(changed["Conditions"]) == 1, changed

attributes = elb.modify_target_group_attributes(
    TargetGroupArn=blue, Attributes=[{"Key": "deregistration_delay.timeout_seconds", "Value": "1"}]
)["Attributes"]
assert {"Key": "deregistration_delay.timeout_seconds", "Value": "1"} in attributes, attributes
assert len(elb.describe_load_balancer_attributes(LoadBalancerArn=lb["LoadBalancerArn"])["Attributes"]) >= 15
described = elb.describe_target_groups(LoadBalancerArn=lb["LoadBalancerArn"])["TargetGroups"]
assert [one["TargetGroupName"] for one in described] == ["blue", "green"], described
assert described[0]["LoadBalancerArns"] == [lb["LoadBalancerArn"]]

tags = elb.describe_tags(ResourceArns=[lb["LoadBalancerArn"], listener["ListenerArn"]])["TagDescriptions"]
assert tags[0]["Tags"] == [{"Key": "team", "Value": "shop + co"}], tags
assert tags[1]["Tags"][0]["Key"] == "okra.mumo.co/address", tags
elb.add_tags(ResourceArns=[blue], Tags=[{"Key": "okra.mumo.co/cell", "Value": "default/web"}])
elb.remove_tags(ResourceArns=[lb["LoadBalancerArn"]], TagKeys=["team"])
assert elb.describe_tags(ResourceArns=[lb["LoadBalancerArn"]])["TagDescriptions"][0]["Tags"] == []
assert any(limit["Name"] == "target-groups" for limit in elb.describe_account_limits()["Limits"])

elb.deregister_targets(TargetGroupArn=blue, Targets=[{"Id": "127.0.0.1", "Port": port}, {"Id": "10.0.0.1"}])
until("blue has no target", lambda: states(blue) == [])

cloudwatch = boto3.client("cloudwatch")
now = datetime.datetime.now(datetime.timezone.utc)
cloudwatch.put_metric_data(Namespace="shop", MetricData=[{"MetricName": "orders", "Value": 5, "Timestamp": now}] * 2)
answer = cloudwatch.get_metric_data(
    StartTime=now - datetime.timedelta(minutes=5), EndTime=now + datetime.timedelta(minutes=1),
    MetricDataQueries=[
        {"Id": "m", "MetricStat": {"Metric": {"Namespace": "shop", "MetricName": "orders"}, "Period": 60, "Stat": "Sum"}},
        {"Id": "e", "Expression": "m * 2"},
    ],
)["MetricDataResults"]
assert [one["Values"] for one in answer] == [[10.0], [20.0]], answer
assert [one["Label"] for one in answer] == ["orders", "e"], answer



def signed(body, headers):
    """A CloudWatch request in a protocol of one's own choice."""
    endpoint = cloudwatch.meta.endpoint_url + "/"
    request = AWSRequest("POST", endpoint, data=body, headers=headers)
    SigV4Auth(boto3.Session().get_credentials().get_frozen_credentials(), "monitoring", "us-east-1").add_auth(request)
    request = urllib.request.Request(endpoint, body.encode(), dict(request.headers))
    try:
        with urllib.request.urlopen(request) as answer:
            return answer.status, answer.headers, answer.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.headers, error.read().decode()


# The same question in the Query protocol and in awsJson 1.0.
window = {"StartTime": int(now.timestamp()) - 300, "EndTime": int(now.timestamp()) + 60}
question = {"Namespace": "shop", "MetricName": "orders", "Period": 60} | window
form = urllib.parse.urlencode(
    {"Action": "GetMetricStatistics", "Version": "2010-08-01", "Statistics.member.1": "Sum",
     "ExtendedStatistics.member.1": "p50"} | question
)
status, headers, text = signed(form, {"Content-Type": "application/x-www-form-urlencoded"})
assert status == 200 and "<Sum>10</Sum>" in text, text
assert "<entry><key>p50</key><value>5</value></entry>" in text, text
target = {"Content-Type": "application/x-amz-json-1.0", "X-Amz-Target": "GraniteServiceVersion20100801.GetMetricStatistics"}
status, headers, text = signed(json.dumps(question | {"Statistics": ["Sum"]}), target)
assert status == 200 and json.loads(text)["Datapoints"][0]["Sum"] == 10.0, text
status, headers, text = signed(json.dumps(question | {"Statistics": ["Sum"], "Period": 61}), target)
assert status == 400 and headers["x-amzn-query-error"] == "InvalidParameterValue;Sender", (headers, text)
assert json.loads(text)["__type"].endswith("#InvalidParameterValueException"), text
status, headers, text = signed(form.replace("Period=60", "Period=61"), {"Content-Type": "application/x-www-form-urlencoded"})
assert status == 400 and "<Code>InvalidParameterValue</Code>" in text, text

# A load balancer goes with its listeners and rules, and sets its groups free.
elb.delete_rule(RuleArn=second["RuleArn"])
elb.delete_load_balancer(LoadBalancerArn=lb["LoadBalancerArn"])
elb.delete_load_balancer(LoadBalancerArn=lb["LoadBalancerArn"])
for group in groups:
    elb.delete_target_group(TargetGroupArn=group)
assert elb.describe_target_groups()["TargetGroups"] == []
