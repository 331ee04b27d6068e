"""The composition root of `keys`."""

from __future__ import annotations

import os
from datetime import UTC, datetime
from functools import cache

from functions.keys.environment import Environment
from glovebox.adapters.aws import client
from glovebox.adapters.parameters import SsmBoard
from glovebox.adapters.secrets import AwsSafe
from glovebox.services.keys import Keys, Rotation
from glovebox.tickets import rotation as tickets
from squid.authority import mint, private_leaf, rule_for, secret_of
from squid.hosts import LISTS, hosts_of


@cache
def bootstrap() -> Keys:
    environment = Environment.read(os.environ)
    secrets, parameters = client("secretsmanager"), client("ssm")
    hosts = hosts_of(LISTS / environment.allow_list)
    return Keys(
        rotations=(
            Rotation(
                name="ticket key",
                safe=AwsSafe(secrets, environment.ticket_key_secret),
                board=SsmBoard(parameters, environment.ticket_keys_parameter),
                rule=tickets.RULE,
                read=tickets.private_key,
                make=lambda _: tickets.new_key(),
            ),
            Rotation(
                name="leaf",
                safe=AwsSafe(secrets, environment.leaf_secret),
                board=SsmBoard(parameters, environment.authorities_parameter),
                rule=rule_for(hosts),
                read=private_leaf,
                make=lambda now: secret_of(mint(hosts, now)),
            ),
        ),
        clock=lambda: datetime.now(UTC),
    )
