"""A perimeter small enough to read, of the same resource types that the CDK synthesizes."""

from __future__ import annotations

from glovebox.lab.template import Json


def _resource(kind: str, **properties: Json) -> Json:
    return {"Type": f"AWS::{kind}", "Properties": properties}


def _ref(name: str) -> Json:
    return {"Ref": name}


def _group_id(name: str) -> Json:
    return {"Fn::GetAtt": [name, "GroupId"]}


def _tcp(port: int, **peer: Json) -> Json:
    return {"IpProtocol": "tcp", "FromPort": port, "ToPort": port, **peer}


NOTHING: Json = {"IpProtocol": "icmp", "FromPort": 252, "ToPort": 86, "CidrIp": "255.255.255.255/32"}
"""What the CDK writes for "no egress at all"."""
TASKS = "10.42.0.0/23"


def small_perimeter() -> dict[str, Json]:
    """Two peered networks: tasks, one of them without a ticket, and endpoints here, the gateway there."""
    to_peer: Json = {"VpcPeeringConnectionId": _ref("Peering")}
    return {
        "Resources": {
            "ScanVpc": _resource("EC2::VPC", CidrBlock="10.42.0.0/20"),
            "EgressVpc": _resource("EC2::VPC", CidrBlock="10.43.0.0/24"),
            "Peering": _resource(
                "EC2::VPCPeeringConnection", VpcId=_ref("ScanVpc"), PeerVpcId=_ref("EgressVpc")
            ),
            "Isolated": _resource("EC2::Subnet", VpcId=_ref("ScanVpc"), CidrBlock=TASKS),
            "IsolatedTable": _resource("EC2::RouteTable", VpcId=_ref("ScanVpc")),
            "IsolatedLink": _resource(
                "EC2::SubnetRouteTableAssociation",
                SubnetId=_ref("Isolated"),
                RouteTableId=_ref("IsolatedTable"),
            ),
            "ToGateway": _resource(
                "EC2::Route",
                RouteTableId=_ref("IsolatedTable"),
                DestinationCidrBlock="10.43.0.0/24",
                **_peer(to_peer),
            ),
            "Public": _resource("EC2::Subnet", VpcId=_ref("EgressVpc"), CidrBlock="10.43.0.0/26"),
            "PublicTable": _resource("EC2::RouteTable", VpcId=_ref("EgressVpc")),
            "PublicLink": _resource(
                "EC2::SubnetRouteTableAssociation", SubnetId=_ref("Public"), RouteTableId=_ref("PublicTable")
            ),
            "ToTasks": _resource(
                "EC2::Route",
                RouteTableId=_ref("PublicTable"),
                DestinationCidrBlock="10.42.0.0/20",
                **_peer(to_peer),
            ),
            "ToInternet": _resource(
                "EC2::Route",
                RouteTableId=_ref("PublicTable"),
                DestinationCidrBlock="0.0.0.0/0",
                GatewayId=_ref("Igw"),
            ),
            "Igw": _resource("EC2::InternetGateway"),
            "Tasks": _resource(
                "EC2::SecurityGroup",
                VpcId=_ref("ScanVpc"),
                SecurityGroupEgress=[
                    _tcp(3128, DestinationSecurityGroupId=_group_id("Gateway")),
                    _tcp(3129, DestinationSecurityGroupId=_group_id("Gateway")),
                    _tcp(443, DestinationSecurityGroupId=_group_id("Endpoints")),
                    _tcp(443, DestinationPrefixListId={"Fn::GetAtt": ["PrefixLists", "S3"]}),
                ],
            ),
            "TasksWithoutTicket": _resource(
                "EC2::SecurityGroup",
                VpcId=_ref("ScanVpc"),
                SecurityGroupEgress=[_tcp(443, DestinationSecurityGroupId=_group_id("Endpoints"))],
            ),
            "Endpoints": _resource(
                "EC2::SecurityGroup", VpcId=_ref("ScanVpc"), SecurityGroupEgress=[NOTHING]
            ),
            "EndpointsIn": _resource(
                "EC2::SecurityGroupIngress", GroupId=_group_id("Endpoints"), **_peer(_tcp(443, CidrIp=TASKS))
            ),
            "Gateway": _resource(
                "EC2::SecurityGroup",
                VpcId=_ref("EgressVpc"),
                SecurityGroupIngress=[
                    _tcp(3128, SourceSecurityGroupId=_group_id("Tasks")),
                    _tcp(3129, SourceSecurityGroupId=_group_id("Tasks")),
                ],
                SecurityGroupEgress=[_tcp(443, CidrIp="0.0.0.0/0"), _tcp(80, CidrIp="0.0.0.0/0")],
            ),
            "GatewayInterface": _resource(
                "EC2::NetworkInterface",
                SubnetId=_ref("Public"),
                PrivateIpAddress="10.43.0.10",
                GroupSet=[_group_id("Gateway")],
            ),
            "Logs": _resource(
                "EC2::VPCEndpoint",
                VpcEndpointType="Interface",
                ServiceName="com.amazonaws.us-east-1.logs",
                SubnetIds=[_ref("Isolated")],
                SecurityGroupIds=[_group_id("Endpoints")],
            ),
            "S3": _resource(
                "EC2::VPCEndpoint",
                VpcEndpointType="Gateway",
                ServiceName={"Fn::Join": ["", ["com.amazonaws.", _ref("AWS::Region"), ".s3"]]},
                RouteTableIds=[_ref("IsolatedTable")],
            ),
            "Everything": _resource("Route53Resolver::FirewallDomainList", Domains=["*"]),
            "Needed": _resource(
                "Route53Resolver::FirewallDomainList",
                Domains=[{"Fn::Join": ["", ["logs.", _ref("AWS::Region"), ".amazonaws.com"]]}],
            ),
            "NameRules": _resource(
                "Route53Resolver::FirewallRuleGroup",
                FirewallRules=[
                    {"Priority": 200, "Action": "BLOCK", "FirewallDomainListId": _ref("Everything")},
                    {"Priority": 100, "Action": "ALLOW", "FirewallDomainListId": _ref("Needed")},
                ],
            ),
            "NameRulesHere": _resource(
                "Route53Resolver::FirewallRuleGroupAssociation",
                VpcId=_ref("ScanVpc"),
                FirewallRuleGroupId=_ref("NameRules"),
            ),
        }
    }


def _peer(properties: Json) -> dict[str, Json]:
    assert isinstance(properties, dict)
    return properties
