"""The bill of an idle month: what is counted, what is free, and that nothing is left out."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from glovebox.cli import main
from glovebox.cost.estimate import Json, Line, Price, PriceTable, estimate
from glovebox.errors import ConfigurationError

TABLE = PriceTable.load()


def _template(**resources: Json) -> dict[str, Json]:
    return {"Resources": dict(resources)}


def _endpoint(*subnets: str) -> Json:
    return {
        "Type": "AWS::EC2::VPCEndpoint",
        "Properties": {"VpcEndpointType": "Interface", "SubnetIds": list(subnets)},
    }


def _gateway(size: str) -> dict[str, Json]:
    data: Json = {"InstanceType": "t4g.nano", "BlockDeviceMappings": [{"Ebs": {"VolumeSize": 30}}]}
    group: Json = {"LaunchTemplate": {"LaunchTemplateId": {"Ref": "Template"}}, "MaxSize": size}
    return {
        "Template": {"Type": "AWS::EC2::LaunchTemplate", "Properties": {"LaunchTemplateData": data}},
        "Group": {"Type": "AWS::AutoScaling::AutoScalingGroup", "Properties": group},
    }


def test_an_interface_endpoint_is_paid_in_each_zone() -> None:
    gateway: Json = {"Type": "AWS::EC2::VPCEndpoint", "Properties": {"VpcEndpointType": "Gateway"}}
    bill = estimate([_template(Logs=_endpoint("a", "b"), S3=gateway)], TABLE)
    assert bill == [Line("interface endpoint, per zone", 2, 14.60)]


@pytest.mark.parametrize("size", ["0", "1"])
def test_a_gateway_counts_as_running_with_its_disk(size: str) -> None:
    bill = estimate([_template(**_gateway(size))], TABLE)
    assert bill == [Line("t4g.nano", 1, 3.07), Line("gp3 disk, per GB", 30, 2.40)]


def test_what_every_account_has_free_is_taken_off() -> None:
    alarms: dict[str, Json] = {f"A{number}": {"Type": "AWS::CloudWatch::Alarm"} for number in range(12)}
    assert estimate([_template(**alarms)], TABLE) == [Line("alarm", 12, 0.20)]


def test_a_type_that_nobody_priced_stops_the_bill() -> None:
    with pytest.raises(ConfigurationError, match="AWS::Redshift::Cluster"):
        estimate([_template(Dear={"Type": "AWS::Redshift::Cluster"})], TABLE)


def test_a_size_that_nobody_priced_stops_the_bill() -> None:
    table = PriceTable("", {"gp3 disk, per GB": Price(0.08)}, [])
    with pytest.raises(ConfigurationError, match=r"t4g\.nano"):
        estimate([_template(**_gateway("1"))], table)


def test_the_command_prices_a_folder(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    template = _template(Logs=_endpoint("a"), Key={"Type": "AWS::KMS::Key"})
    (tmp_path / "One.template.json").write_text(json.dumps(template))
    assert main.main(["cost", "--assembly", str(tmp_path), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["total"] == 8.30
    assert main.main(["cost", "--assembly", str(tmp_path)]) == 0
    assert "8.30" in capsys.readouterr().out


def test_a_folder_without_templates_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main.main(["cost", "--assembly", str(tmp_path)]) == 2
    assert "make synth" in capsys.readouterr().err
