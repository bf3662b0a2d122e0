"""What the builder decides: which packages, when a plan is refused, what goes where.  No network."""

from __future__ import annotations

from pathlib import Path

import pytest
from incidents import INCIDENTS, Incident, furnish
from packages import build
from packages.build import Deb, PackagesError
from packages.meetings import meetings
from packages.wanted import IMAGES, RAW, Wanted
from requirements import require_root

TOOL = Wanted("tool", ("tool",), ("tool --version",))
NEW = "Inst tool (1:2.3+dfsg-4+b1 Debian:13.8/stable [amd64])\nConf tool (1:2.3+dfsg-4+b1 Debian:13.8/stable [amd64])\n"
DEPENDENCY = "Inst libtool2 (2.3 Debian:13.8/stable [all])\n"


def test_resolve(tmp_path: Path) -> None:
    deb = Deb("tool", "1:2.3+dfsg-4+b1", "amd64")
    assert build.resolve(NEW + DEPENDENCY, tmp_path, TOOL) == [deb, Deb("libtool2", "2.3", "all")]
    assert build.resolve(NEW + DEPENDENCY, tmp_path, TOOL._replace(only="tool")) == [deb]
    assert deb.file == "tool_1%3a2.3+dfsg-4+b1_amd64.deb"
    assert deb.upstream == "2.3"


@pytest.mark.parametrize(
    "line",
    ["Inst libc6 [2.41-12] (2.41-13 Debian:13.8/stable [amd64]) []\n", "Remv init [1.69]\n", "Remv init [1] []\n"],
)
def test_a_plan_that_changes_the_base_is_refused(tmp_path: Path, line: str) -> None:
    with pytest.raises(PackagesError, match=r"tool: .* would change the base"):
        build.resolve(NEW + line, tmp_path, TOOL)


def test_what_the_base_has_makes_no_image(tmp_path: Path) -> None:
    with pytest.raises(PackagesError, match="choose another package"):
        build.resolve("", tmp_path, TOOL)


def _put(place: Path, text: str = "") -> None:
    place.parent.mkdir(parents=True, exist_ok=True)
    place.write_text(text)


def test_split(tmp_path: Path) -> None:
    base, raw, place = tmp_path / "base", tmp_path / "raw", tmp_path / "place"
    _put(base / "usr/lib/os-release", 'NAME="Debian"\nID=debian\nVERSION_ID="13"\n')
    for folder in ("var/lib", "var/cache"):
        (base / folder).mkdir(parents=True)
    place.mkdir()
    _put(raw / "lib/systemd/system/tool.service", "[Service]\n")
    _put(raw / "usr/lib/systemd/system/other.service", "[Service]\n")
    _put(raw / "sbin/toold", "program")
    _put(raw / "usr/share/doc/tool/copyright")
    _put(raw / "etc/tool.conf")
    _put(raw / "usr/lib/tmpfiles.d/tool.conf", "d /var/cache/tool 0700 - - -\n")
    for folder in ("var/lib/tool/data", "var/cache/tool", "opt"):
        (raw / folder).mkdir(parents=True)
    build.tidy(raw)
    build.add(raw, base, TOOL._replace(unit="tool.service", users=("u tool -",)))
    build.split(raw, base, place, "tool")
    files = {str(path.relative_to(place)): path for path in place.rglob("*") if not path.is_dir()}
    assert set(files) == {
        "tool/usr/lib/systemd/system/tool.service",
        "tool/usr/lib/systemd/system/other.service",
        "tool/usr/lib/systemd/system/multi-user.target.wants/tool.service",
        "tool/usr/sbin/toold",
        "tool/usr/lib/tmpfiles.d/tool.conf",
        "tool/usr/lib/tmpfiles.d/image-tool.conf",
        "tool/usr/lib/sysusers.d/image-tool.conf",
        "tool/usr/lib/extension-release.d/extension-release.tool",
        "tool-etc/etc/tool.conf",
        "tool-etc/etc/extension-release.d/extension-release.tool-etc",
    }
    release = files["tool/usr/lib/extension-release.d/extension-release.tool"].read_text()
    assert release == 'ID=debian\nVERSION_ID="13"\n'
    made = [line.split()[:3] for line in files["tool/usr/lib/tmpfiles.d/image-tool.conf"].read_text().splitlines()]
    assert made == [["d", "/var/lib/tool", "0755"], ["d", "/var/lib/tool/data", "0755"]]
    assert not (place / "tool/opt").exists()


def test_the_list() -> None:
    names = [wanted.name for wanted in IMAGES]
    assert len(set(names)) == len(names) >= 32
    assert set(RAW) <= set(names)
    assert all(wanted.programs for wanted in IMAGES)


@pytest.mark.parametrize(
    "incident", [one for one in INCIDENTS if one.outcome != "told" and not one.raw and one.name != "empty-opt"], ids=str
)
def test_what_is_not_ordinary_is_seen(tmp_path: Path, incident: Incident) -> None:
    """By the eyes that find all images of packages ordinary."""
    require_root()
    furnish(tmp_path / "base")
    (tmp_path / "base/usr/lib/os-release").write_text("ID=debian\n")
    found = meetings(tmp_path / "base", incident.image(tmp_path))
    assert [line for line in found if line.startswith(incident.path)]
