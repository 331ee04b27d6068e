"""Runs inside a deployment, for one network: asks and sets what no template can.

Properties: `Vpc`, `DefaultGroup`, `PrefixLists` (attribute name -> the service's name in this region).
Attributes: each prefix list's id.  Inline code of a function, so it imports what Lambda brings along.
"""

import json
import urllib.request
from typing import Any

import boto3


# Events and clients are untyped JSON here: the function carries no stubs.
def handle(event: dict[str, Any], context: Any) -> None:
    try:
        data: dict[str, str] = {}
        if event["RequestType"] != "Delete":
            data = set_up(event["ResourceProperties"], boto3.client("ec2"), boto3.client("route53resolver"))
        answer = {"Status": "SUCCESS", "Data": data}
    # Whatever went wrong must be told: a deployment that gets no answer hangs for an hour.
    except Exception as error:  # noqa: BLE001
        answer = {"Status": "FAILED", "Reason": f"{type(error).__name__}: {error}"[:1000]}
    echoed = {name: event[name] for name in ("StackId", "RequestId", "LogicalResourceId")}
    body = {**answer, **echoed, "PhysicalResourceId": event["ResourceProperties"]["Vpc"]}
    request = urllib.request.Request(  # noqa: S310 - CloudFormation's own address
        event["ResponseURL"], data=json.dumps(body).encode(), method="PUT", headers={"Content-Type": ""}
    )
    urllib.request.urlopen(request, timeout=30).close()  # noqa: S310


def set_up(properties: dict[str, Any], ec2: Any, resolver: Any) -> dict[str, str]:
    close_default_group(ec2, properties["DefaultGroup"])
    # No answer from the DNS Firewall means no answer to the task.
    resolver.update_firewall_config(ResourceId=properties["Vpc"], FirewallFailOpen="DISABLED")
    return {name: prefix_list(ec2, service) for name, service in properties["PrefixLists"].items()}


def close_default_group(ec2: Any, group: str) -> None:
    """No template can take away the rules that a new network's default security group is born with."""
    filters = [{"Name": "group-id", "Values": [group]}]
    rules = ec2.describe_security_group_rules(Filters=filters)["SecurityGroupRules"]
    outward = [rule["SecurityGroupRuleId"] for rule in rules if rule["IsEgress"]]
    inward = [rule["SecurityGroupRuleId"] for rule in rules if not rule["IsEgress"]]
    if outward:
        ec2.revoke_security_group_egress(GroupId=group, SecurityGroupRuleIds=outward)
    if inward:
        ec2.revoke_security_group_ingress(GroupId=group, SecurityGroupRuleIds=inward)


def prefix_list(ec2: Any, service: str) -> str:
    """A list's id differs from region to region, and no template can look it up."""
    filters = [{"Name": "prefix-list-name", "Values": [service]}]
    [found] = ec2.describe_managed_prefix_lists(Filters=filters)["PrefixLists"]
    return str(found["PrefixListId"])
