#  SPDX-License-Identifier: MIT
"""A PID 1 that records what it is told, and a machine of directories whose layers can be swapped."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

from extension_runtime.layers.lookup import Layer
from extension_runtime.pid1.systemctl import Systemd, Unit


class FakeSystemd(Systemd):
    """`state`: unit to "active", "failed" or "inactive"; `properties` and `jobs` as Systemd returns them."""

    def __init__(self, **state: str) -> None:
        self.calls: list[str] = []
        self.state = {name.replace("_", "."): value for name, value in state.items()}
        self.properties: dict[str, dict[str, str]] = {}
        self.queued: dict[str, tuple[str, str]] = {}
        self.shown: list[dict[str, dict[str, str]]] = []

    def units(self) -> dict[str, Unit]:
        return {name: Unit(name, "loaded", value, "running") for name, value in self.state.items()}

    def jobs(self) -> dict[str, tuple[str, str]]:
        return self.queued

    def show(self, units: Sequence[str], properties: Iterable[str], must: bool = False) -> dict[str, dict[str, str]]:
        if "Job" in properties and self.shown:
            look = self.shown.pop(0) if len(self.shown) > 1 else self.shown[0]
            return {unit: look.get(unit, {}) for unit in units}
        return {unit: self.properties.get(unit, {}) for unit in units}

    def daemon_reload(self) -> None:
        self.calls.append("daemon-reload")

    def queue(self, verb: str, units: Sequence[str], mode: str = "") -> None:
        if units:
            self.calls.append(" ".join([verb, *([mode] if mode else []), *units]))

    def stop(self, units: Sequence[str], timeout: float = 90.0) -> None:
        if units:
            self.calls.append(" ".join(["stop --wait", *units]))

    def reset_failed(self, units: Sequence[str]) -> None:
        if units:
            self.calls.append(" ".join(["reset-failed", *units]))

    def log(self, invocation: str, lines: int = 5) -> list[str]:
        return [f"log of {invocation}"] if invocation else []


def layer(path: Path, extension: str, files: dict[str, str | None]) -> Layer:
    """A layer in the directory `path`; a file's text that starts with "->" makes it a link."""
    path.mkdir(parents=True, exist_ok=True)
    for name, text in files.items():
        file = path / name
        file.parent.mkdir(parents=True, exist_ok=True)
        if text is not None and text.startswith("->"):
            file.symlink_to(text[2:])
        else:
            file.write_text(text or "")
    return Layer(extension, str(path))
