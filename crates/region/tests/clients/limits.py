"""Quotas are held, each with the code and the limit that AWS names."""

import boto3
from botocore.exceptions import ClientError

elb = boto3.client("elbv2")
FIXED = [{"Type": "fixed-response", "FixedResponseConfig": {"StatusCode": "404"}}]


def refused(code, limit, call, **arguments):
    try:
        call(**arguments)
    except ClientError as error:
        found = error.response["Error"]
        assert found["Code"] == code and str(limit) in found["Message"], found
        return
    raise AssertionError(f"{call.__name__} was accepted, {code} expected")


def balancer(name):
    created = elb.create_load_balancer(Name=name, Subnets=["subnet-1a", "subnet-1b"])
    return created["LoadBalancers"][0]["LoadBalancerArn"]


def listener(lb, port):
    return dict(LoadBalancerArn=lb, Protocol="HTTP", Port=port, DefaultActions=FIXED)


def rule(arn, priority, actions=FIXED):
    conditions = [{"Field": "path-pattern", "Values": [f"/{priority}"]}]
    return dict(ListenerArn=arn, Priority=priority, Conditions=conditions, Actions=actions)


# Listeners of a load balancer, each on a port of its own.
busy = balancer("busy")
arns = [elb.create_listener(**listener(busy, 21000 + n))["Listeners"][0]["ListenerArn"] for n in range(50)]
refused("TooManyListeners", 50, elb.create_listener, **listener(busy, 21050))
tags = [one for n in range(0, 50, 20) for one in elb.describe_tags(ResourceArns=arns[n : n + 20])["TagDescriptions"]]
addresses = {tag["Value"] for one in tags for tag in one["Tags"] if tag["Key"] == "okra.mumo.co/address"}
assert len(addresses) == 50, addresses

# Rules of a load balancer over all its listeners; default rules do not count.
for n in range(100):
    elb.create_rule(**rule(arns[n % 2], 1 + n))
refused("TooManyRules", 100, elb.create_rule, **rule(arns[2], 1))

# Target groups of a load balancer.
wide = balancer("wide")
arn = elb.create_listener(**listener(wide, 21100))["Listeners"][0]["ListenerArn"]
groups = []
for n in range(101):
    created = elb.create_target_group(
        Name=f"g{n}", Protocol="HTTP", Port=80, VpcId="vpc-12345678", TargetType="ip"
    )
    groups.append(created["TargetGroups"][0]["TargetGroupArn"])


def forward(part):
    tuples = [{"TargetGroupArn": group, "Weight": 1} for group in part]
    return [{"Type": "forward", "ForwardConfig": {"TargetGroups": tuples}}]


for n in range(20):
    elb.create_rule(**rule(arn, 1 + n, forward(groups[5 * n : 5 * n + 5])))
refused("TooManyUniqueTargetGroupsPerLoadBalancer", 100, elb.create_rule, **rule(arn, 50, forward(groups[100:])))

# Targets of a load balancer over all its groups.
for group, count in ((groups[0], 600), (groups[1], 400)):
    elb.register_targets(TargetGroupArn=group, Targets=[{"Id": "127.0.0.1", "Port": 30000 + n} for n in range(count)])
refused(
    "TooManyTargets", 1000, elb.register_targets, TargetGroupArn=groups[2], Targets=[{"Id": "127.0.0.1", "Port": 1}]
)

# Load balancers of the account.
for n in range(48):
    balancer(f"n{n}")
refused("TooManyLoadBalancers", 50, elb.create_load_balancer, Name="more", Subnets=["subnet-1a", "subnet-1b"])

# Pages of any size join to the whole.
pages = elb.get_paginator("describe_target_groups").paginate(PaginationConfig={"PageSize": 7})
names = [one["TargetGroupName"] for page in pages for one in page["TargetGroups"]]
assert len(names) == len(set(names)) == 101, len(names)
