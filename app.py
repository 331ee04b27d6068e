"""Glovebox as a CDK app: the context becomes `Settings`, once, and settings become stacks.

`python app.py` writes the templates to cdk.out; `cdk` runs the same file.  No template names an account or
a region, so one synthesis fits all of them, and nothing is looked up over the network.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent
# Two source roots: the project's own, and that of our constructs (see docs/architecture.md).
sys.path[:0] = [str(ROOT), str(ROOT / "constructs")]

import aws_cdk as cdk  # noqa: E402 - the path comes first
from cdk_nag import AwsSolutionsChecks  # noqa: E402

from stacks.audit import Audit  # noqa: E402
from stacks.audit_role import AuditRole, AuditRoles, Box  # noqa: E402
from stacks.broker import Broker  # noqa: E402
from stacks.drill import Drill  # noqa: E402
from stacks.operations import Operations  # noqa: E402
from stacks.perimeter import Perimeter  # noqa: E402
from stacks.scanners import Scanners  # noqa: E402
from stacks.settings import Settings, never_ourselves  # noqa: E402
from stacks.storage import Storage  # noqa: E402


def build(app: cdk.App, settings: Settings) -> None:
    """All stacks of one scanning account, in the order in which they depend on each other."""
    cdk.Validations.of(app).add_plugins(AwsSolutionsChecks(verbose=True))
    storage = Storage(app, "Glovebox-Storage", settings=settings)
    scanners = Scanners(app, "Glovebox-Scanners", settings=settings, storage=storage)
    perimeter = Perimeter(app, "Glovebox-Perimeter", settings=settings, storage=storage, scanners=scanners)
    broker = Broker(
        app, "Glovebox-Broker", settings=settings, storage=storage, scanners=scanners, perimeter=perimeter
    )
    audit = Audit(app, "Glovebox-Audit", settings=settings, storage=storage)
    drill = Drill(
        app,
        "Glovebox-Drill",
        settings=settings,
        storage=storage,
        scanners=scanners,
        perimeter=perimeter,
        ticket_key=perimeter.gateway_keys.ticket_key,
    )
    Operations(
        app,
        "Glovebox-Operations",
        settings=settings,
        storage=storage,
        perimeter=perimeter,
        broker=broker,
        audit=audit,
        drill=drill,
    )
    cdk.Tags.of(app).add("application", "glovebox")


def build_target_side(app: cdk.App, settings: Settings) -> None:
    """What a target account, or the organization of many, deploys: the audit role alone."""
    cdk.Validations.of(app).add_plugins(AwsSolutionsChecks(verbose=True))
    box = Box.of(settings)
    if settings.organizational_units:
        AuditRoles(app, "Glovebox-AuditRoles", box=box, units=settings.organizational_units)
    else:
        AuditRole(app, "Glovebox-AuditRole", box=box)
    cdk.Tags.of(app).add("application", "glovebox")


def main() -> None:
    # The CDK's command line hands cdk.json over by itself; a bare `python app.py` reads it here.
    context = json.loads((ROOT / "cdk.json").read_text())["context"]
    outdir = os.environ.get("CDK_OUTDIR") or str(ROOT / "cdk.out")
    app = cdk.App(context=context, outdir=outdir, analytics_reporting=False)
    settings = Settings.from_context(app.node.get_all_context())
    # Whose credentials the CDK's command line holds, where it runs this.
    here = os.environ.get("CDK_DEFAULT_ACCOUNT", "")
    if settings.scanning_account:
        never_ourselves(settings.scanning_account, (here,))
        build_target_side(app, settings)
    else:
        never_ourselves(here, settings.targets)
        build(app, settings)
    app.synth()


if __name__ == "__main__":
    main()
