#  SPDX-License-Identifier: MIT
"""What is merged is no input: manifests, settings and actions come from the bases, and what people wrote counts."""

from __future__ import annotations

from pathlib import Path

import pytest
from extension_manifests import load
from extension_manifests.origin import Origin
from extension_runtime.react import actionfile
from roots import Root

ACTION = "[Trigger]\nPath=/usr/share/x\n[Action]\nRestart=x.service\n"


def names(root: Root) -> list[str]:
    return load.load(str(root.path)).names()


def actions(root: Root) -> list[str]:
    return [action.name for action in actionfile.load(str(root.path))[0]]


def origin(root: Root) -> Origin:
    return Origin(str(root.path))


def test_nothing_merged_is_read_as_it_is(namespace: Path) -> None:
    root = Root(namespace / "r")
    assert origin(root).merged == {}
    assert origin(root).real("/etc/base.conf") == f"{root.path}/etc/base.conf"


@pytest.mark.parametrize("mode", ["auto", "read-only", "ephemeral", "persistent"])
def test_a_hierarchy_stands_for_its_base_and_what_people_wrote(namespace: Path, mode: str) -> None:
    root = Root(namespace / "r")
    root.extension("app")
    root.extension("conf", class_="confext", files={"etc/base.conf": "layer", "etc/only/layer": "1"})
    root.settings(etc=mode, usr=mode)
    assert root.merge().exit_code == 0
    assert root.read("etc/base.conf") == "layer"
    found = origin(root)
    base = f"{root.path}/run/extensionctl/base"
    uppers = {
        "ephemeral": f"{root.path}/run/extensionctl/upper/etc/upper",
        "persistent": f"{root.path}/var/lib/extensions.mutable/etc",
    }
    upper = uppers.get(mode)
    assert found.merged["/etc"] == ((upper, f"{base}/etc") if upper else (f"{base}/etc",))
    assert Path(found.real("/etc/base.conf")).read_text() == "base"
    assert found.entry("/etc/only/layer") is None
    assert "only" not in found.listing("/etc")
    with pytest.raises(FileNotFoundError):
        found.real("/usr/share/app")
    root.run("unmerge")
    assert origin(root).merged == {}
