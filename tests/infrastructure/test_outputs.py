"""What the command line finds a deployment by."""

from __future__ import annotations

from glovebox.adapters.session import STACKS
from tests.infrastructure.templates import Assembly


def test_the_stacks_give_out_what_the_command_line_asks_for(assembly: Assembly) -> None:
    outputs = [assembly.templates[name.removeprefix("Glovebox-")]["Outputs"].keys() for name in STACKS]
    assert outputs[0] >= {"RegistryTable", "FindingsTable", "ScansTable"}
    assert outputs[1] >= {"LaunchFunction"}
