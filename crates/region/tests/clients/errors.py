"""What AWS refuses is refused here, with the same code."""

import boto3
from botocore.config import Config
from botocore.exceptions import ClientError

# The client's own checks are off, so that the region's are met.
elb = boto3.client("elbv2", config=Config(parameter_validation=False))
cloudwatch = boto3.client("cloudwatch", config=Config(parameter_validation=False))
eks = boto3.client("eks", config=Config(parameter_validation=False))
sts = boto3.client("sts", config=Config(parameter_validation=False))


def balancer(name):
    created = elb.create_load_balancer(Name=name, Subnets=["subnet-1a", "subnet-1b"])
    return created["LoadBalancers"][0]["LoadBalancerArn"]


def group(name, **more):
    arguments = dict(Name=name, Protocol="HTTP", Port=80, VpcId="vpc-12345678", TargetType="ip") | more
    return elb.create_target_group(**arguments)["TargetGroups"][0]["TargetGroupArn"]


def forward(*groups):
    tuples = [{"TargetGroupArn": arn} | ({} if weight is None else {"Weight": weight}) for arn, weight in groups]
    return [{"Type": "forward", "ForwardConfig": {"TargetGroups": tuples}}]


host = [{"Field": "host-header", "Values": ["example.com"]}]
fixed = [{"Type": "fixed-response", "FixedResponseConfig": {"StatusCode": "404"}}]
web, other = balancer("web"), balancer("other")
blue, green = group("blue"), group("green")
listener = elb.create_listener(LoadBalancerArn=web, Protocol="HTTP", Port=80, DefaultActions=fixed)
listener = listener["Listeners"][0]["ListenerArn"]
elsewhere = elb.create_listener(LoadBalancerArn=other, Protocol="HTTP", Port=80, DefaultActions=fixed)
elsewhere = elsewhere["Listeners"][0]["ListenerArn"]
rules = elb.describe_rules(ListenerArn=listener)["Rules"]
default = rules[0]["RuleArn"]
rule = elb.create_rule(ListenerArn=listener, Priority=10, Conditions=host, Actions=forward((blue, 1), (green, 0)))
rule = rule["Rules"][0]["RuleArn"]
five = [group(f"many-{n}") for n in range(6)]
secure = elb.create_listener(
    LoadBalancerArn=web, Protocol="HTTPS", Port=443, DefaultActions=fixed,
    Certificates=[{"CertificateArn": "arn:aws:acm:us-east-1:123456789012:certificate/abc"}],
)["Listeners"][0]["ListenerArn"]
oidc = {
    "Type": "authenticate-oidc", "Order": 1,
    "AuthenticateOidcConfig": {
        "Issuer": "https://id", "AuthorizationEndpoint": "https://id/a", "TokenEndpoint": "https://id/t",
        "UserInfoEndpoint": "https://id/u", "ClientId": "me", "ClientSecret": "hidden",
        "AuthenticationRequestExtraParams": {"prompt": "login"},
    },
}

# An authentication action is kept whole, but for its secret.
guarded = elb.create_rule(
    ListenerArn=secure, Priority=1, Conditions=host, Actions=[oidc, forward((blue, 1))[0] | {"Order": 2}]
)["Rules"][0]
kept = guarded["Actions"][0]["AuthenticateOidcConfig"]
assert "ClientSecret" not in kept and kept["AuthenticationRequestExtraParams"] == {"prompt": "login"}, kept
assert [action["Order"] for action in guarded["Actions"]] == [1, 2]


def arn(kind):
    return f"arn:aws:elasticloadbalancing:us-east-1:123456789012:{kind}"


def conditions(*given):
    return dict(RuleArn=rule, Conditions=list(given))


def values(field, *texts):
    return {"Field": field, "Values": list(texts)}


def check(**changes):
    return dict(TargetGroupArn=blue) | changes


tg = dict(Name="new", Protocol="HTTP", Port=80, VpcId="vpc-12345678", TargetType="ip")
lb = dict(Name="new", Subnets=["subnet-1a", "subnet-1b"])
new = dict(LoadBalancerArn=web, Protocol="HTTP", Port=81, DefaultActions=fixed)
made = dict(ListenerArn=listener, Priority=11, Conditions=host, Actions=fixed)
metric = {"Id": "a", "MetricStat": {"Metric": {"Namespace": "x", "MetricName": "y"}, "Period": 60, "Stat": "Sum"}}
data = dict(StartTime=0, EndTime=60, MetricDataQueries=[metric])
cluster = dict(name="web", roleArn="arn:aws:iam::123456789012:role/eks", resourcesVpcConfig={})

TABLE = [
    # Load balancers
    (elb.create_load_balancer, dict(Subnets=lb["Subnets"]), "ValidationError", "'name'"),
    (elb.create_load_balancer, lb | dict(Name="a" * 33), "ValidationError", "longer than '32'"),
    (elb.create_load_balancer, lb | dict(Name="a_b"), "ValidationError", "alphanumeric"),
    (elb.create_load_balancer, lb | dict(Name="-a"), "ValidationError", "hyphen"),
    (elb.create_load_balancer, lb | dict(Name="internal-a"), "ValidationError", "internal-"),
    (elb.create_load_balancer, lb | dict(Name="web", Scheme="internal"), "DuplicateLoadBalancerName", "web"),
    (elb.create_load_balancer, lb | dict(Subnets=["subnet-1a"]), "ValidationError", "two subnets"),
    (elb.create_load_balancer, lb | dict(Subnets=["x", "subnet-1a"]), "SubnetNotFound", "'x'"),
    (elb.create_load_balancer, lb | dict(Subnets=["subnet-1a"] * 2), "InvalidConfigurationRequest", "multiple"),
    (elb.create_load_balancer, lb | dict(Type="network"), "InvalidConfigurationRequest", "'network'"),
    (elb.create_load_balancer, lb | dict(Type="classic"), "ValidationError", "enum"),
    (elb.create_load_balancer, lb | dict(Scheme="open"), "ValidationError", "'open' at 'scheme'"),
    (elb.create_load_balancer, lb | dict(Tags=[{"Key": "a"}, {"Key": "a"}]), "DuplicateTagKeys", "'a'"),
    (elb.create_load_balancer, lb | dict(Tags=[{"Key": f"k{n}"} for n in range(51)]), "TooManyTags", "50"),
    (elb.describe_load_balancers, dict(Names=["none"]), "LoadBalancerNotFound", "none"),
    (elb.describe_load_balancers, dict(Names=[f"n{n}" for n in range(21)]), "ValidationError", "20"),
    (elb.describe_load_balancers, dict(PageSize=401), "ValidationError", "400"),
    (elb.describe_load_balancers, dict(Marker="x"), "ValidationError", "marker"),
    (elb.delete_load_balancer, dict(LoadBalancerArn="arn:aws:s3:::bucket"), "ValidationError", "s3"),
    (elb.modify_load_balancer_attributes,
     dict(LoadBalancerArn=web, Attributes=[{"Key": "idle_timeout.timeout_seconds", "Value": "4001"}]),
     "InvalidConfigurationRequest", "4000"),
    (elb.modify_load_balancer_attributes, dict(LoadBalancerArn=web, Attributes=[{"Key": "no.such", "Value": "1"}]),
     "ValidationError", "no.such"),
    # Target groups
    (elb.create_target_group, tg | dict(Name="blue", Port=81), "DuplicateTargetGroupName", "blue"),
    (elb.create_target_group, tg | dict(Protocol="TCP"), "InvalidConfigurationRequest", "TCP"),
    (elb.create_target_group, tg | dict(ProtocolVersion="GRPC"), "InvalidConfigurationRequest", "GRPC"),
    (elb.create_target_group, tg | dict(Port=0), "ValidationError", "greater than or equal to 1"),
    (elb.create_target_group, tg | dict(HealthCheckIntervalSeconds=4), "ValidationError", "equal to 5"),
    (elb.create_target_group, tg | dict(HealthyThresholdCount=11), "ValidationError", "equal to 10"),
    (elb.create_target_group, tg | dict(HealthCheckTimeoutSeconds=30), "ValidationError", "smaller"),
    (elb.create_target_group, tg | dict(Matcher={"HttpCode": "500"}), "ValidationError", "200-499"),
    (elb.create_target_group, tg | dict(HealthCheckPath="x"), "ValidationError", "begin with"),
    (elb.create_target_group, tg | dict(VpcId="x"), "ValidationError", "'x'"),
    (elb.modify_target_group, check(HealthCheckPort="0"), "ValidationError", "traffic-port"),
    (elb.modify_target_group, dict(TargetGroupArn=arn("targetgroup/none/0123456789abcdef")), "TargetGroupNotFound", ""),
    (elb.modify_target_group, dict(TargetGroupArn=web), "ValidationError", "not a valid target group ARN"),
    (elb.delete_target_group, dict(TargetGroupArn=blue), "ResourceInUse", "in use"),
    (elb.modify_target_group_attributes,
     check(Attributes=[{"Key": "deregistration_delay.timeout_seconds", "Value": "3601"}]),
     "InvalidConfigurationRequest", "3600"),
    (elb.modify_target_group_attributes, check(Attributes=[{"Key": "stickiness.enabled", "Value": "true"}]),
     "InvalidConfigurationRequest", "group stickiness"),
    (elb.describe_target_groups, dict(Names=["none"]), "TargetGroupNotFound", "none"),
    (elb.describe_target_groups, dict(Names=["blue"], LoadBalancerArn=web), "ValidationError", "Only one"),
    # Targets
    (elb.register_targets, check(Targets=[{"Id": "10.0.0.1"}]), "InvalidTarget", "loopback"),
    (elb.register_targets, check(Targets=[{"Id": "::1"}]), "InvalidTarget", "ipv4"),
    (elb.register_targets, check(Targets=[{"Id": "host"}]), "ValidationError", "'host'"),
    (elb.register_targets, check(Targets=[{"Id": "127.0.0.1", "Port": 65536}]), "ValidationError", "65535"),
    (elb.register_targets, check(Targets=[]), "ValidationError", "At least one"),
    (elb.register_targets, check(Targets=[{"Id": "127.0.0.1", "Port": n} for n in range(1, 1002)]), "TooManyTargets", "1000"),
    (elb.describe_target_health, dict(TargetGroupArn=arn("targetgroup/none/0123456789abcdef")), "TargetGroupNotFound", ""),
    # Listeners
    (elb.create_listener, new | dict(Port=80, DefaultActions=forward((blue, 1))), "DuplicateListener", "'80'"),
    (elb.create_listener, new | dict(Protocol="TCP"), "UnsupportedProtocol", "TCP"),
    (elb.create_listener, new | dict(Protocol="HTTPS"), "ValidationError", "certificate"),
    (elb.create_listener, new | dict(LoadBalancerArn=arn("loadbalancer/app/none/0123456789abcdef")), "LoadBalancerNotFound", ""),
    (elb.create_listener, new | dict(LoadBalancerArn=other, DefaultActions=forward((blue, 1))), "TargetGroupAssociationLimit", "blue"),
    (elb.create_listener, new | dict(DefaultActions=[]), "ValidationError", "At least one action"),
    (elb.modify_listener, dict(ListenerArn=listener, Port=443), "DuplicateListener", "'443'"),
    (elb.modify_listener, dict(ListenerArn=arn("listener/app/none/0/1")), "ListenerNotFound", "none"),
    (elb.describe_listeners, dict(), "ValidationError", "either"),
    # Actions
    (elb.modify_rule, dict(RuleArn=rule, Actions=forward((blue, 1000), (green, 1))), "ValidationError", "between 0 and 999"),
    (elb.modify_rule, dict(RuleArn=rule, Actions=forward((blue, -1), (green, 1))), "ValidationError", "between 0 and 999"),
    (elb.modify_rule, dict(RuleArn=rule, Actions=forward((blue, None), (green, 1))), "ValidationError", "no weight"),
    (elb.modify_rule, dict(RuleArn=rule, Actions=forward(*[(one, 1) for one in five])), "TooManyTargetGroups", "5"),
    (elb.modify_rule, dict(RuleArn=rule, Actions=forward((blue, 1), (blue, 1))), "InvalidLoadBalancerAction", "only once"),
    (elb.modify_rule, dict(RuleArn=rule, Actions=fixed * 6), "TooManyActions", "5"),
    (elb.modify_rule, dict(RuleArn=rule, Actions=fixed * 2), "InvalidLoadBalancerAction", "exactly one"),
    (elb.modify_rule, dict(RuleArn=rule, Actions=[oidc, fixed[0] | {"Order": 2}]), "InvalidLoadBalancerAction", "HTTPS"),
    (elb.modify_rule, dict(RuleArn=rule, Actions=[{"Type": "forward", "TargetGroupArn": blue,
      "ForwardConfig": {"TargetGroups": [{"TargetGroupArn": green, "Weight": 1}]}}]), "InvalidLoadBalancerAction", "both"),
    (elb.modify_rule, dict(RuleArn=rule, Actions=[{"Type": "redirect", "RedirectConfig": {"StatusCode": "HTTP_301"}}]),
     "InvalidLoadBalancerAction", "loop"),
    (elb.modify_rule, dict(RuleArn=rule, Actions=[{"Type": "fixed-response", "FixedResponseConfig": {"StatusCode": "302"}}]),
     "ValidationError", "302"),
    (elb.modify_rule, dict(RuleArn=rule, Actions=[{"Type": "forward", "ForwardConfig": {
      "TargetGroups": [{"TargetGroupArn": blue}], "TargetGroupStickinessConfig": {"Enabled": True, "DurationSeconds": 604801}}}]),
     "ValidationError", "604800"),
    # Rules
    (elb.create_rule, made | dict(Priority=10), "PriorityInUse", "'10'"),
    (elb.create_rule, made | dict(Priority=50001), "ValidationError", "50000"),
    (elb.create_rule, made | dict(Conditions=[]), "ValidationError", "condition"),
    (elb.create_rule, made | dict(ListenerArn=arn("listener/app/none/0/1")), "ListenerNotFound", "none"),
    (elb.create_rule, made | dict(Actions=forward((arn("targetgroup/none/0123456789abcdef"), 1))), "TargetGroupNotFound", "none"),
    (elb.create_rule, made | dict(ListenerArn=elsewhere, Actions=forward((green, 1))), "TargetGroupAssociationLimit", "green"),
    (elb.create_rule, made | dict(Transforms=[{"Type": "url-rewrite"}]), "InvalidConfigurationRequest", "transforms"),
    (elb.modify_rule, dict(RuleArn=default, Actions=fixed), "OperationNotPermitted", "Default rule"),
    (elb.delete_rule, dict(RuleArn=default), "OperationNotPermitted", "Default rule"),
    (elb.set_rule_priorities, dict(RulePriorities=[{"RuleArn": default, "Priority": 1}]), "OperationNotPermitted", ""),
    (elb.modify_rule, dict(RuleArn=arn("listener-rule/app/none/0/1/2"), Actions=fixed), "RuleNotFound", "none"),
    (elb.modify_rule, dict(RuleArn=rule), "ValidationError", "Either"),
    (elb.modify_rule, conditions(values("host-header", "localhost")), "ValidationError", "localhost"),
    (elb.modify_rule, conditions(values("cookie", "x")), "ValidationError", "cookie"),
    (elb.modify_rule, conditions(values("path-pattern", "/a", "/b", "/c", "/d")), "ValidationError", "'3'"),
    (elb.modify_rule, conditions({"Field": "http-header", "HttpHeaderConfig": {"HttpHeaderName": "Host", "Values": ["x"]}}),
     "ValidationError", "Host"),
    (elb.modify_rule, conditions({"Field": "path-pattern", "PathPatternConfig": {"RegexValues": ["^/a"]}}),
     "InvalidConfigurationRequest", "regular expressions"),
    (elb.describe_rules, dict(ListenerArn=listener, RuleArns=[rule]), "ValidationError", "either"),
    # Tags
    (elb.describe_tags, dict(ResourceArns=[rule] * 21), "ValidationError", "20"),
    (elb.describe_tags, dict(ResourceArns=[arn("targetgroup/none/0123456789abcdef")]), "TargetGroupNotFound", "none"),
    (elb.add_tags, dict(ResourceArns=[rule], Tags=[{"Key": "aws:x", "Value": "1"}]), "ValidationError", "reserved"),
    (elb.add_tags, dict(ResourceArns=[rule], Tags=[{"Key": "x", "Value": "a" * 257}]), "ValidationError", "256"),
    (elb.add_tags, dict(ResourceArns=[listener], Tags=[{"Key": "okra.mumo.co/address", "Value": "x"}]), "ValidationError", "region alone"),
    (elb.describe_ssl_policies, dict(), "InvalidAction", "DescribeSSLPolicies"),
    # CloudWatch
    (cloudwatch.get_metric_data, data | dict(EndTime=0), "ValidationError", "StartTime"),
    (cloudwatch.get_metric_data, data | dict(MetricDataQueries=[metric] * 2), "ValidationError", "unique"),
    (cloudwatch.get_metric_data, data | dict(MetricDataQueries=[metric | dict(Id=f"a{n}") for n in range(501)]),
     "InvalidParameterValue", "500"),
    (cloudwatch.get_metric_data, dict(StartTime=0, EndTime=60), "MissingParameter", "etricDataQueries"),
    (cloudwatch.put_metric_data, dict(Namespace="x", MetricData=[{"MetricName": "a"}]), "MissingParameter", "Values"),
    (cloudwatch.put_metric_data, dict(Namespace="x", MetricData=[{"MetricName": "a", "Value": 1, "Values": [1]}]),
     "InvalidParameterCombination", "mutually exclusive"),
    (cloudwatch.get_metric_statistics,
     dict(Namespace="x", MetricName="y", StartTime=0, EndTime=1441 * 60, Period=60, Statistics=["Sum"]),
     "InvalidParameterCombination", "1440"),
    # EKS
    (eks.create_cluster, cluster | dict(name="a b"), "InvalidParameterException", "pattern"),
    (eks.create_cluster, cluster | dict(version="2.0"), "InvalidParameterException", "2.0"),
    (eks.create_cluster, dict(name="web", roleArn=cluster["roleArn"]), "InvalidParameterException", "resourcesVpcConfig"),
    (eks.describe_cluster, dict(name="none"), "ResourceNotFoundException", "No cluster found for name: none."),
    (eks.delete_cluster, dict(name="none"), "ResourceNotFoundException", "none"),
    (eks.list_clusters, dict(maxResults=101), "InvalidParameterException", "100"),
    (eks.list_tags_for_resource, dict(resourceArn="arn:aws:eks:us-east-1:123456789012:cluster/none"), "NotFoundException", "none"),
    (eks.list_nodegroups, dict(clusterName="none"), "UnknownOperationException", "node-groups"),
    # STS
    (sts.assume_role, dict(RoleArn="arn:aws:iam::123456789012:user/me", RoleSessionName="me"), "ValidationError", "user/me"),
    (sts.assume_role, dict(RoleArn="arn:aws:iam::123456789012:role/me", RoleSessionName="a b"), "ValidationError", "pattern"),
    (sts.assume_role, dict(RoleArn="arn:aws:iam::123456789012:role/me", RoleSessionName="me", DurationSeconds=899),
     "ValidationError", "900"),
    (sts.get_session_token, dict(), "InvalidAction", "GetSessionToken"),
]


def snapshot():
    """Everything that a refused call must not change."""
    listeners = elb.describe_listeners(LoadBalancerArn=web)["Listeners"]
    listed = [elb.describe_rules(ListenerArn=one["ListenerArn"])["Rules"] for one in listeners]
    balancers = elb.describe_load_balancers()["LoadBalancers"]
    groups = elb.describe_target_groups()["TargetGroups"]
    return balancers, groups, listeners, listed, eks.list_clusters()["clusters"]


before = snapshot()
wrong = []
for call, arguments, code, part in TABLE:
    named = f"{call.__name__} {str(arguments)[:120]}"
    try:
        call(**arguments)
        wrong.append(f"{named}: accepted, {code} expected")
    except ClientError as error:
        found = error.response["Error"]
        if found["Code"] != code or part not in found["Message"]:
            wrong.append(f"{named}: {found['Code']}: {found['Message']}, {code} with '{part}' expected")
    except Exception as error:  # what the client itself cannot send is a mistake of the table
        wrong.append(f"{named}: {type(error).__name__}: {error}")
assert not wrong, "\n" + "\n".join(wrong)
assert snapshot() == before, "a refused call changed something"
