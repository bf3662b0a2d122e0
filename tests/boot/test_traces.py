"""No traces on a running machine: a folder that fstab binds onto /opt never shows what is merged there."""

from __future__ import annotations

from typing import Any

import pytest
from images import directory
from machine import Machine


@pytest.fixture(scope="module")
def facts(suite: str, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    with Machine(suite, tmp_path_factory.mktemp(suite)) as machine:
        directory(machine.root / "var/lib/extensions/app", "app", {"opt/app/f": "1\n"})
        machine.write("etc/extensions.d/app.extension", "[Extension]\n")
        machine.write("data/opt/file", "base\n")
        (machine.root / "data/opt/sub").mkdir()
        machine.write("etc/fstab", "/data/opt /opt none bind 0 0\n")
        found: dict[str, Any] = machine.boot("traces.py").facts()
    return found


SCENES = {"boot": "1\n", "refreshed": "2\n", "unmerged": None, "merged": "2\n", "again": "2\n"}


@pytest.mark.parametrize("scene", SCENES)
def test_the_peer_never_shows_it_and_services_do(facts: dict[str, Any], scene: str) -> None:
    now, content = facts[scene], SCENES[scene]
    assert (now["opt"], now["base"], now["old service"]) == (content, "base\n", content)
    assert now["new service"] == (content.strip() if content else "cat: /opt/app/f: No such file or directory")
    assert now["peer"] == ["file", "sub"]
    assert set(now["ours"]) <= {"/opt", "/usr"}
    assert now["failed"] == []


def test_every_verb_succeeds(facts: dict[str, Any]) -> None:
    assert [facts[verb]["rc"] for verb in ("refresh", "unmerge", "merge", "rollback")] == [0] * 4


def test_once_unmerged_mounts_are_exchanged_as_before(facts: dict[str, Any]) -> None:
    assert facts["seen"] == facts["seen again"] == ["/data/opt/sub", "/opt/sub"]
