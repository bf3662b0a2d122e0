#  SPDX-License-Identifier: MIT
"""How PID 1 sees the mount units of extensions, and why one is not attached."""

from __future__ import annotations

from extension_manifests.escape import mount_unit

TYPE_CHECKING = False

if TYPE_CHECKING:
    from collections.abc import Sequence

    from extension_manifests.manifest import Manifest


_PROPERTIES = "Id,LoadState,ActiveState,ConditionResult,ConditionTimestampMonotonic,Result,WantedBy,RequiredBy"


def call_units(verb: str, names: Sequence[str]) -> None:
    from extension_runtime.pid1 import commands

    units = [mount_unit(name) for name in names]
    commands.run(["systemctl", "reset-failed", "--", *units], check=False)
    commands.run(["systemctl", verb, "--", *units], check=False, timeout=None)


class Units:
    """How PID 1 sees the mount units of some extensions."""

    def __init__(self, names: Sequence[str]) -> None:
        from extension_runtime.pid1 import commands

        self._by_name: dict[str, dict[str, str]] = {}
        if names:
            units = [mount_unit(name) for name in names]
            shown = commands.run(["systemctl", "show", f"--property={_PROPERTIES}", "--", *units]).stdout
            for name, block in zip(names, shown.strip("\n").split("\n\n"), strict=True):
                pairs = (line.partition("=") for line in block.splitlines())
                self._by_name[name] = {key: value for key, _equals, value in pairs}
        targets = sorted({word for name in names for word in self._wanting(name)})
        self._active: set[str] = set()
        if targets:
            shown = commands.run(["systemctl", "show", "--property=ActiveState", "--value", "--", *targets]).stdout
            states = shown.split("\n\n")
            self._active = {t for t, s in zip(targets, states, strict=True) if s.strip() in ("active", "activating")}

    def _wanting(self, name: str) -> list[str]:
        found = self._by_name[name]
        return f"{found.get('WantedBy', '')} {found.get('RequiredBy', '')}".split()

    def active(self, name: str) -> bool:
        """Whether the image is attached by its unit."""
        return self._by_name[name].get("ActiveState") in ("active", "reloading")

    def loaded(self, name: str) -> bool:
        """Whether PID 1 knows the unit."""
        return self._by_name[name].get("LoadState") in ("loaded", "bad-setting", "error")

    def wanted(self, name: str) -> bool:
        """Whether something that is active, or about to be, asks for it."""
        return any(word in self._active for word in self._wanting(name))

    def held_back(self, manifest: Manifest, booting: bool) -> str:
        """Why PID 1 has not even tried to attach it, or "" when it has."""
        found = self._by_name[manifest.name]
        if not self.loaded(manifest.name):
            return "its unit is not loaded; run 'systemctl daemon-reload'"
        if self.active(manifest.name) or found.get("ActiveState") == "failed":
            return ""
        if found.get("ConditionTimestampMonotonic", "0") != "0" and found.get("ConditionResult") == "no":
            return f"a condition is not met: {', '.join(_conditions(manifest)) or 'see systemctl status of its mount'}"
        if found.get("Result") not in ("success", ""):
            return ""
        if not booting and not self.wanted(manifest.name):
            wanting = " ".join(manifest.wanted_by + manifest.required_by) or "nothing"
            return f"not wanted by an active unit ([Install] names {wanting})"
        return "PID 1 did not attach it: a unit that it needs failed, conflicts with it, or it was stopped"


def _conditions(manifest: Manifest) -> list[str]:
    return [f"{key}={value}" for key, value in manifest.unit if key.startswith("Condition")]
