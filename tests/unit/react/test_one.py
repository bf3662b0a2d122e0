#  SPDX-License-Identifier: MIT
"""What reload and stop of one extension's unit ask of PID 1, without waiting."""

from __future__ import annotations

from pathlib import Path

import pytest
from extension_manifests import load
from extension_runtime.react import one
from fake_systemd import FakeSystemd

MANIFEST = """\
[Extension]
[Reload]
Start=n.service
Restart=r.service idle.service f.service
ReloadOrRestart=rr.service
Stop=s.service idle.service
"""


@pytest.fixture
def systemd(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> FakeSystemd:
    """A machine with the manifest of `app`, on which some of its units run."""
    folder = tmp_path / "etc/extensions.d"
    folder.mkdir(parents=True)
    (folder / "app.extension").write_text(MANIFEST)
    (folder / "broken.extension").write_text("[Extension]\nClass=wrong\n")
    read = load.load
    monkeypatch.setattr(load, "load", lambda _root: read(str(tmp_path)))
    found = FakeSystemd(r_service="active", rr_service="active", s_service="active", f_service="failed")
    monkeypatch.setattr(one, "Systemd", lambda: found)
    return found


def test_a_reload_restarts_reloads_and_starts_what_the_manifest_names(systemd: FakeSystemd) -> None:
    assert one.reload_one("", "app") == 0
    assert systemd.calls == [
        "try-restart r.service",
        "try-reload-or-restart rr.service",
        "start n.service f.service",
    ]


def test_a_stop_stops_what_runs_of_what_the_manifest_names(systemd: FakeSystemd) -> None:
    assert one.stop_one("", "app") == 0
    assert systemd.calls == ["stop s.service"]


@pytest.mark.parametrize(("root", "name"), [("", "nobody"), ("", "broken"), ("/elsewhere", "app")])
def test_nobody_and_another_root_ask_for_nothing(systemd: FakeSystemd, root: str, name: str) -> None:
    assert one.reload_one(root, name) == 0
    assert one.stop_one(root, name) == 0
    assert systemd.calls == []
