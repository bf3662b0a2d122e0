#  SPDX-License-Identifier: MIT
"""How PID 1 sees the mount units of extensions, and why one is not attached."""

from __future__ import annotations

from extension_manifests.escape import mount_unit

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from extension_manifests.manifest import Manifest

    from extension_runtime.pid1.systemctl import Systemd

STOP_TIMEOUT = 90.0  # seconds
PROPERTIES = (
    "LoadState", "ActiveState", "ConditionResult", "ConditionTimestampMonotonic", "Result", "WantedBy", "RequiredBy",
)  # fmt: skip
"""What tells how a mount unit stands; see unmet()."""


def bring(systemd: Systemd, verb: str, names: Sequence[str]) -> None:
    """Start or restart the mount units of extensions in one call; what becomes of each is asked afterwards."""
    units = [mount_unit(name) for name in names]
    systemd.reset_failed(units)
    systemd.bring(verb, units)


def stop(systemd: Systemd, names: Sequence[str]) -> None:
    """Stop the mount units of extensions, and forget their failures.  Raises CommandError when that takes too long."""
    units = [mount_unit(name) for name in names]
    systemd.bring("stop", units, timeout=STOP_TIMEOUT)
    systemd.reset_failed(units)


def unloaded(name: str) -> str:
    """What is said of an extension whose mount unit PID 1 has not read."""
    return f"PID 1 does not know its unit {mount_unit(name)} yet; run systemctl daemon-reload"


def unmet(manifest: Manifest, properties: Mapping[str, str], failed: Sequence[str] = ()) -> str:
    """Why a condition kept the unit with these `properties` from starting, "" if none did.

    `failed` are the conditions that PID 1 says were not met, where it could be asked; else all of them are named.
    """
    if properties.get("ConditionTimestampMonotonic", "0") == "0" or properties.get("ConditionResult") != "no":
        return ""
    if failed:
        # Of "|" conditions one is enough: that all are named means that none was met.
        return f"condition{'s' if len(failed) > 1 else ''} not met: {', '.join(failed)}"
    own = [f"{key}={value}" for key, value in manifest.unit if key.startswith("Condition")]
    return f"a condition is not met: {', '.join(own) or 'see systemctl status of its mount'}"


class MountUnits:
    """How PID 1 sees the mount units of some extensions.  Raises CommandError when it cannot be asked."""

    def __init__(self, systemd: Systemd, names: Sequence[str]) -> None:
        shown = systemd.show([mount_unit(name) for name in names], PROPERTIES, must=True)
        self._by_name = {name: shown[mount_unit(name)] for name in names}
        targets = sorted({word for name in names for word in self._wanting(name)})
        states = systemd.show(targets, ("ActiveState",), must=True)
        self._active = {name for name, found in states.items() if found.get("ActiveState") in ("active", "activating")}

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
            return unloaded(manifest.name)
        if self.active(manifest.name) or found.get("ActiveState") == "failed":
            return ""
        held_back = unmet(manifest, found)
        if held_back:
            return held_back
        if found.get("Result") not in ("success", ""):
            return ""
        if not booting and not self.wanted(manifest.name):
            wanting = " ".join(manifest.wanted_by + manifest.required_by) or "nothing"
            return f"not wanted by an active unit ([Install] names {wanting})"
        return "PID 1 did not attach it: a unit that it needs failed, conflicts with it, or it was stopped"
