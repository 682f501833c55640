"""Builds parts of a world in an AWS account with boto3 and prints what it made as JSON.

Called with one JSON object on standard input: {"do": NAME, ...}.
"""
import json
import sys
import time

import boto3


def load_balancer(elb, name, port):
    made = elb.create_load_balancer(Name=name, Subnets=["subnet-0a1b2c3d", "subnet-1a2b3c4d"], Type="application")
    arn = made["LoadBalancers"][0]["LoadBalancerArn"]
    listener = elb.create_listener(
        LoadBalancerArn=arn, Protocol="HTTP", Port=port,
        DefaultActions=[{"Type": "fixed-response", "FixedResponseConfig": {"StatusCode": "404"}}],
    )["Listeners"][0]["ListenerArn"]
    tags = elb.describe_tags(ResourceArns=[listener])["TagDescriptions"][0]["Tags"]
    address = next(tag["Value"] for tag in tags if tag["Key"] == "okra.mumo.co/address")
    return {"loadBalancer": arn, "listener": listener, "address": address}


def target_group(elb, name, targets):
    arn = elb.create_target_group(
        Name=name, Protocol="HTTP", Port=80, VpcId="vpc-0a1b2c3d", TargetType="ip",
        HealthCheckPath="/healthz", HealthCheckIntervalSeconds=5, HealthCheckTimeoutSeconds=2,
    )["TargetGroups"][0]["TargetGroupArn"]
    elb.modify_target_group_attributes(
        TargetGroupArn=arn, Attributes=[{"Key": "deregistration_delay.timeout_seconds", "Value": "5"}])
    ids = [{"Id": target.rsplit(":", 1)[0], "Port": int(target.rsplit(":", 1)[1])} for target in targets]
    if ids:
        elb.register_targets(TargetGroupArn=arn, Targets=ids)
    return {"arn": arn}


def cluster(eks, name, tags):
    eks.create_cluster(
        name=name, roleArn="arn:aws:iam::123456789012:role/eks", tags=tags,
        resourcesVpcConfig={"subnetIds": ["subnet-0a1b2c3d", "subnet-1a2b3c4d"]},
    )
    for _ in range(600):
        described = eks.describe_cluster(name=name)["cluster"]
        if described["status"] == "ACTIVE":
            return {"endpoint": described["endpoint"], "ca": described["certificateAuthority"]["data"]}
        time.sleep(0.05)
    raise SystemExit(f"cluster {name} did not become ACTIVE: {described['status']}")


def set_weights(elb, rule, weights):
    groups = [{"TargetGroupArn": arn, "Weight": weight} for arn, weight in weights.items()]
    elb.modify_rule(RuleArn=rule, Actions=[{"Type": "forward", "ForwardConfig": {"TargetGroups": groups}}])
    return {}


def rules(elb, listener):
    found = elb.describe_rules(ListenerArn=listener)["Rules"]
    return [
        {
            "arn": rule["RuleArn"],
            "priority": rule["Priority"],
            "conditions": rule["Conditions"],
            "weights": {
                group["TargetGroupArn"]: group.get("Weight", 1)
                for action in rule["Actions"]
                for group in action.get("ForwardConfig", {}).get("TargetGroups", [])
            },
        }
        for rule in found
    ]


def main():
    request = json.load(sys.stdin)
    do = request.pop("do")
    elb, eks = boto3.client("elbv2"), boto3.client("eks")
    answer = {
        "load_balancer": lambda: load_balancer(elb, request["name"], request["port"]),
        "target_group": lambda: target_group(elb, request["name"], request["targets"]),
        "cluster": lambda: cluster(eks, request["name"], request["tags"]),
        "set_weights": lambda: set_weights(elb, request["rule"], request["weights"]),
        "rules": lambda: rules(elb, request["listener"]),
        "delete_cluster": lambda: eks.delete_cluster(name=request["name"])["cluster"]["status"],
    }[do]()
    json.dump(answer, sys.stdout)


main()
