#  SPDX-License-Identifier: MIT
"""What the verbs ask PID 1: how an extension's units stand, which condition held one back, and to run a unit."""

from __future__ import annotations

import os

from extension_manifests.errors import ExtensionError

from extension_runtime import jsontext
from extension_runtime.pid1 import commands
from extension_runtime.pid1.systemctl import Systemd

# A refresh may wait for many services; the units' own timeouts end it.
NO_LIMIT = None
PROPERTIES = (
    "LoadState",
    "ActiveState",
    "SubState",
    "Result",
    "ConditionResult",
    "ConditionTimestampMonotonic",
    "NeedDaemonReload",
)


def running() -> bool:
    """Whether systemd is PID 1 here (sd_booted(3))."""
    return os.path.isdir("/run/systemd/system")


def require_running(verb: str) -> None:
    """Raises ExtensionError where there is no systemd to speak to, or no right to change anything."""
    if os.geteuid() != 0:
        raise ExtensionError(f"{verb} changes the system and needs root; use sudo")
    if not running():
        raise ExtensionError(f"{verb}: systemd is not PID 1 here; use --root=DIR for another system")


def show(units: list[str], properties: tuple[str, ...] = PROPERTIES) -> dict[str, dict[str, str]]:
    """Properties of `units`, by unit; {} when PID 1 cannot be asked."""
    if not units or not running():
        return {}
    found = Systemd(commands.run).show(units, properties)
    return found if all(found.values()) else {}


def object_path(unit: str) -> str:
    """The D-Bus path of a unit; bytes other than letters and digits are written _xx, see sd_bus_path_encode(3)."""
    label = "".join(
        c if (c.isascii() and c.isalpha()) or (c.isdigit() and i > 0) else "".join(f"_{b:02x}" for b in c.encode())
        for i, c in enumerate(unit)
    )
    return f"/org/freedesktop/systemd1/unit/{label}"


def conditions(unit: str, which: str = "Conditions") -> list[tuple[str, str]]:
    """The conditions of `unit` ("Asserts": its asserts) as written, each with "met", "not met" or "not looked at".

    systemctl show cannot print this property, so the bus is asked.
    """
    argv = ["busctl", "--json=short", "get-property", "org.freedesktop.systemd1", object_path(unit)]
    answer = commands.run([*argv, "org.freedesktop.systemd1.Unit", which], check=False)
    try:
        found = jsontext.loads(answer.stdout)["data"] if answer.returncode == 0 else []
        return [
            (
                f"{kind}={'|' if trigger else ''}{'!' if negate else ''}{parameter}",
                "met" if state > 0 else "not met" if state < 0 else "not looked at",
            )
            for kind, trigger, negate, parameter, state in found
        ]
    except (ValueError, KeyError, TypeError):
        return []


def run_unit(verb: str, unit: str) -> commands.Completed:
    """`systemctl VERB UNIT`, without a question for a password."""
    return commands.run(["systemctl", "--no-ask-password", verb, "--", unit], check=False, timeout=NO_LIMIT)


def run_transient(argv: list[str]) -> commands.Completed:
    """Run a command in a service of its own and wait for its end."""
    options = ["--quiet", "--wait", "--pipe", "--collect", "--no-ask-password"]
    return commands.run(["systemd-run", *options, "--", *argv], check=False, timeout=NO_LIMIT)


def log_of(invocation: str, since: float) -> list[str]:
    """What the processes of one invocation (its ID) of a unit logged from `since` on; [] where there is no journal.

    `since` is a time of the system clock in seconds: the log of a stop must not begin with that of the start.
    """
    if not invocation:
        return []
    commands.run(["journalctl", "--sync"], check=False)
    argv = ["journalctl", "--no-pager", "--quiet", "--output=cat", f"--since=@{since:.6f}"]
    answer = commands.run([*argv, f"_SYSTEMD_INVOCATION_ID={invocation}"], check=False)
    return answer.stdout.splitlines() if answer.returncode == 0 else []
