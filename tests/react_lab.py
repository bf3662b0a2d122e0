#  SPDX-License-Identifier: MIT
"""A machine of layers before and after, and the reactions to the change between them."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from extension_manifests.manifest import Manifest
from extension_runtime.react import prepare
from extension_runtime.react.actionfile import Action
from extension_runtime.react.reaction import Reaction
from extension_runtime.react.wish import Change
from fake_systemd import FakeSystemd, layer

UNITS = "lib/systemd/system"
WANTS = f"{UNITS}/multi-user.target.wants"
Files = dict[str, str | None]
SERVICE = "[Service]\nExecStart=/usr/bin/demo\n"
OWN = ["start extension@e.service"]


class Lab:
    """Builds reactions on a /usr of one base and the layers of extensions before and after."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.base: Files = {}
        self.systemd = FakeSystemd(multi__user="active")
        self.systemd.state = {"multi-user.target": "active"}
        self.manifests: dict[str, Manifest] = {}
        self.actions: list[Action] = []
        self.release: dict[str, Mapping[str, str]] = {}

    def running(self, *units: str, **properties: str) -> None:
        for unit in units:
            self.systemd.state[unit] = "active"
            self.systemd.properties[unit] = dict(properties)

    def react(
        self, old: dict[str, Files], new: dict[str, Files], verb: str = "refresh", boot: bool = False
    ) -> Reaction:
        base = layer(self.path / "base", "", self.base)
        before = {name: layer(self.path / "old" / name, name, files) for name, files in old.items()}
        after = {
            name: before[name] if old.get(name) == files else layer(self.path / "new" / name, name, files)
            for name, files in new.items()
        }
        change = Change(
            verb,
            boot=boot,
            old={"usr": list(before.values())},
            new={"usr": list(after.values())},
            bases={"usr": base.path},
            added=sorted(after.keys() - before.keys()),
            removed=sorted(before.keys() - after.keys()),
            changed=sorted(name for name in after.keys() & before.keys() if after[name] is not before[name]),
            release=self.release,
        )
        return prepare.prepare(change, self.manifests, self.systemd, "", self.actions)

    def calls(
        self, old: dict[str, Files], new: dict[str, Files], verb: str = "refresh", boot: bool = False
    ) -> list[str]:
        reaction = self.react(old, new, verb, boot)
        reaction.before()
        self.systemd.calls.append("SWAP")
        outcome = reaction.after()
        assert outcome.problems == []
        return self.systemd.calls
