#  SPDX-License-Identifier: MIT
"""Unit files of a view, found and read as PID 1 does: precedence, masks, aliases, templates, drop-ins and links."""

from __future__ import annotations

from pathlib import Path

import pytest
from extension_runtime.layers import listing
from extension_runtime.layers.tree import View
from extension_runtime.react import unitfiles
from extension_runtime.react.unitfiles import UnitFiles
from fake_systemd import layer

LOW = "lib/systemd/system"
HIGH = "local/lib/systemd/system"
Files = dict[str, str | None]


def units(path: Path, files: Files) -> UnitFiles:
    """Of a /usr that holds `files`; a text that starts with "->" makes a link."""
    _old, new = listing.sources((), [layer(path / "layer", "e", files)], None)
    return UnitFiles(View({"usr": new}))


@pytest.mark.parametrize(
    ("unit", "template"),
    [
        ("x@1.service", "x@.service"),
        ("x@a.b.service", "x@.service"),
        ("x@1@2.service", "x@.service"),
        ("x@.service", ""),
        ("x.service", ""),
        ("@1.service", "@.service"),
    ],
)
def test_the_template_of_an_instance(unit: str, template: str) -> None:
    assert unitfiles.template(unit) == template
    assert unitfiles.instance_of(unit, "x@.service") is (template == "x@.service")


def test_an_instance_is_one_of_a_template_only() -> None:
    assert not unitfiles.instance_of("x@1.service", "x@1.service")
    assert not unitfiles.instance_of("x@1.socket", "x@.service")


def test_the_file_with_precedence_counts(tmp_path: Path) -> None:
    found = units(tmp_path, {f"{LOW}/a.service": "1", f"{HIGH}/a.service": "2", f"{LOW}/b.service": "1"})
    assert found.fragment("a.service") == f"/usr/{HIGH}/a.service"
    assert found.fragment("b.service") == f"/usr/{LOW}/b.service"
    assert found.fragment("missing.service") == ""


def test_an_instance_has_its_own_file_or_that_of_its_template(tmp_path: Path) -> None:
    found = units(tmp_path, {f"{LOW}/x@.service": "1", f"{LOW}/x@own.service": "1"})
    assert found.fragment("x@1.service") == f"/usr/{LOW}/x@.service"
    assert found.fragment("x@own.service") == f"/usr/{LOW}/x@own.service"


@pytest.mark.parametrize(
    ("text", "masked", "exists"),
    [("[Unit]\n", False, True), ("", True, False), ("->/dev/null", True, False), ("->missing.service", False, False)],
)
def test_masked_or_there(tmp_path: Path, text: str, masked: bool, exists: bool) -> None:
    found = units(tmp_path, {f"{LOW}/a.service": text})
    assert (found.masked("a.service"), found.exists("a.service")) == (masked, exists)
    assert (found.masked("b.service"), found.exists("b.service")) == (False, False)


@pytest.mark.parametrize(
    ("unit", "name"),
    [
        ("alias.service", "real.service"),
        ("second.service", "real.service"),
        ("real.service", "real.service"),
        ("wrong.socket", "wrong.socket"),
        ("masked.service", "masked.service"),
        ("t@1.service", "x@1.service"),
        ("x@1.service", "x@1.service"),
        ("missing.service", "missing.service"),
        ("loop.service", "loop.service"),
    ],
)
def test_what_an_alias_stands_for(tmp_path: Path, unit: str, name: str) -> None:
    found = units(tmp_path, {
        f"{LOW}/real.service": "[Unit]\n",
        f"{LOW}/alias.service": "->real.service",
        f"{LOW}/second.service": "->alias.service",
        f"{LOW}/wrong.socket": "->real.service",
        f"{LOW}/masked.service": "->/dev/null",
        f"{LOW}/loop.service": "->loop.service",
        f"{LOW}/x@.service": "[Unit]\n",
        f"{LOW}/t@.service": "->x@.service",
    })  # fmt: skip
    assert found.canonical(unit) == name


def test_dropins_by_name_where_precedence_and_masks_count(tmp_path: Path) -> None:
    found = units(tmp_path, {
        f"{LOW}/a-b@.service.d/20.conf": "1",
        f"{LOW}/a-b@1.service.d/30.conf": "1",
        f"{HIGH}/a-b@.service.d/30.conf": "1",
        f"{LOW}/a-.service.d/10.conf": "1",
        f"{LOW}/service.d/10.conf": "1",
        f"{LOW}/service.d/40.conf": "1",
        f"{HIGH}/a-b@1.service.d/40.conf": "->/dev/null",
        f"{LOW}/service.d/50.txt": "1",
    })  # fmt: skip
    assert found.dropins("a-b@1.service") == [
        f"/usr/{LOW}/a-.service.d/10.conf",
        f"/usr/{LOW}/a-b@.service.d/20.conf",
        f"/usr/{LOW}/a-b@1.service.d/30.conf",
    ]
    assert found.dropins("other.service") == [f"/usr/{LOW}/service.d/10.conf", f"/usr/{LOW}/service.d/40.conf"]


def test_settings_of_a_unit_and_its_dropins_with_resets_and_without_what_does_not_parse(tmp_path: Path) -> None:
    found = units(tmp_path, {
        f"{LOW}/a.service": "[Unit]\nWants=a.service b.service\nnonsense\nAfter=x\nRefuseManualStop=yes\n",
        f"{LOW}/a.service.d/1.conf": "[Unit]\nWants=c.service\nAfter=\nRefuseManualStop=perhaps\n",
    })  # fmt: skip
    assert found.words("a.service", "Wants") == ["a.service", "b.service", "c.service"]
    assert found.words("a.service", "After") == []
    assert found.settings("a.service")["Unit", "After"] == []
    assert found.says("a.service", "RefuseManualStop")
    assert not found.says("a.service", "RefuseManualStart")
    assert not found.says("missing.service", "RefuseManualStop")


@pytest.mark.parametrize(("values", "said"), [
    (("yes", "no"), False), (("no", "on"), True), (("1", "maybe"), True), (("yes", ""), False), (("",), False),
])  # fmt: skip
def test_the_last_word_that_is_yes_or_no_counts(tmp_path: Path, values: tuple[str, ...], said: bool) -> None:
    lines = "".join(f"RefuseManualStop={value}\n" for value in values)
    assert units(tmp_path, {f"{LOW}/a.service": f"[Unit]\n{lines}"}).says("a.service", "RefuseManualStop") is said


def test_links_say_who_pulls_in_whom(tmp_path: Path) -> None:
    found = units(tmp_path, {
        f"{LOW}/a.target.wants/x.service": "->../x.service",
        f"{LOW}/a.target.requires/y.service": "->../y.service",
        f"{HIGH}/b.target.upholds/z.service": "->../z.service",
        f"{LOW}/a.target.d/1.conf": "1",
    })  # fmt: skip
    ours = [(link.parent, link.child, link.path) for link in found.links() if link.path.startswith("/usr/")]
    assert ours == [
        ("b.target", "z.service", f"/usr/{HIGH}/b.target.upholds/z.service"),
        ("a.target", "y.service", f"/usr/{LOW}/a.target.requires/y.service"),
        ("a.target", "x.service", f"/usr/{LOW}/a.target.wants/x.service"),
    ]


def test_what_a_start_pulls_in_by_keys_and_links_with_specifiers(tmp_path: Path) -> None:
    found = units(tmp_path, {
        f"{LOW}/x@.service": "[Unit]\nRequires=d.service\nBindsTo=%p-%i.socket\nWants=dev-%j.device d.service\n"
                             "Upholds=u@%I.service\nAfter=late.service\n",
        f"{LOW}/x@.service.wants/linked@%i.service": "->../linked@.service",
        f"{LOW}/x@1.service.wants/own.service": "->../own.service",
        f"{LOW}/plain.service": "[Unit]\nWants=q%iq.service %p.socket\n",
    })  # fmt: skip
    assert found.pulled_by("x@1.service") == [
        "d.service", "x-1.socket", "u@1.service", "linked@1.service", "own.service",
    ]  # fmt: skip
    assert found.pulled_by("plain.service") == ["qq.service", "plain.socket"]


@pytest.mark.parametrize(
    ("unit", "folders"),
    [
        ("a.service", ["a.service.d", "service.d"]),
        ("a-b-c.service", ["a-b-c.service.d", "a-b-.service.d", "a-.service.d", "service.d"]),
        ("a-b@1.socket", ["a-b@1.socket.d", "a-b@.socket.d", "a-.socket.d", "socket.d"]),
        ("-.mount", ["-.mount.d", "mount.d"]),
    ],
)
def test_folders_of_dropins_the_most_specific_first(unit: str, folders: list[str]) -> None:
    assert unitfiles.dropin_folders(unit) == folders


def test_an_instance_that_is_a_link_to_its_template_is_no_alias(tmp_path: Path) -> None:
    found = units(tmp_path, {f"{LOW}/a@.service": "[Service]\n", f"{LOW}/a@1.service": "->a@.service"})
    assert found.canonical("a@1.service") == "a@1.service"
    assert found.exists("a@1.service")


def test_what_is_longer_than_a_unit_s_name_pulls_in_nothing(tmp_path: Path) -> None:
    """A file may be one word of specifiers, each a name long."""
    found = units(tmp_path, {f"{LOW}/x@.service": f"[Unit]\nWants={'%i' * 200}.service b.service\n"})
    assert found.pulled_by("x@1.service") == ["b.service"]
