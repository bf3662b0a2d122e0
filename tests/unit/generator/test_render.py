#  SPDX-License-Identifier: MIT
"""A Plan becomes text and links, and nothing in a manifest can add a line of its own."""

from __future__ import annotations

from extension_generator import render
from extension_manifests import escape
from extension_manifests.errors import Diagnostic
from extension_manifests.load import Plan
from extension_manifests.manifest import Manifest
from extension_manifests.settings import Settings

MOUNT = "run-extension-a.mount"


def plan(*manifests: Manifest, **broken: list[Diagnostic]) -> Plan:
    return Plan(manifests, {}, broken, Settings(), [])


def text(output: render.Output, path: str) -> str:
    content = output[path]
    assert isinstance(content, str)
    return content


def test_nothing_for_nothing() -> None:
    assert render.render(plan()) == {}


def test_off_is_nothing() -> None:
    made = plan(Manifest("a", "/m"), b=[Diagnostic("/m", 1, "wrong")])
    made.settings.enabled = False
    assert render.render(made) == {}


def test_sorted_and_the_same_in_any_order() -> None:
    one, two = Manifest("a", "/m/a"), Manifest("b", "/m/b")
    output = render.render(plan(one, two))
    assert list(output) == sorted(output)
    assert list(output.items()) == list(render.render(plan(two, one)).items())


def test_modes_wait_for_the_uppers_in_use() -> None:
    made = plan()
    made.settings.etc.mode = "persistent"
    made.settings.opt.import_ = True
    made.settings.opt.upper = made.settings.etc.upper
    made.settings.usr.mode = "ephemeral"
    output = render.render(made)
    assert list(output) == ["extensions-merge.service.d/50-modes.conf"]
    assert text(output, render.MODES).count("RequiresMountsFor=/var/lib/extensions.mutable/etc\n") == 1


def test_required_by_never_requires_the_mount() -> None:
    # A restart of the mount in a refresh would take the other unit down.
    output = render.render(plan(Manifest("a", "/m", wanted_by=(), required_by=("x.service",))))
    links = {path for path, content in output.items() if isinstance(content, render.Symlink)}
    assert links == {"x.service.requires/extension@a.service", "x.service.wants/run-extension-a.mount"}


def test_links_are_relative_or_static() -> None:
    output = render.render(plan(Manifest("a", "/m", wanted_by=("b.extension", "x.target"))))
    assert output["run-extension-b.mount.wants/run-extension-a.mount"] == render.Symlink("../run-extension-a.mount")
    assert output["x.target.wants/extension@a.service"] == render.Symlink("/usr/lib/systemd/system/extension@.service")
    assert len([content for content in output.values() if isinstance(content, render.Symlink)]) == 3


def test_no_diagnostic_breaks_out_of_its_line() -> None:
    wrong = Diagnostic(
        "/etc/extensions.d/a.extension.d/x\n[Mount]\nWhat=evil.conf", 3, 'a "b", %c \\ \x1b' + "x" * 5000
    )
    mount = text(render.render(plan(a=[wrong])), "run-extension-a.mount")
    assert [line for line in mount.splitlines() if line.startswith("[")] == ["[Unit]", "[Mount]"]
    (options,) = [line for line in mount.splitlines() if line.startswith("Options=")]
    assert "%" not in options
    assert options.count(",") == 0
    assert escape.decode(options.removeprefix("Options=ext.error=")) == str(wrong)[: render.ERROR_MAX]


def test_unordered_loses_order_but_not_the_need() -> None:
    made = Manifest("a", "/m", (("Requires", "b.extension c.extension"), ("Before", "b.extension")))
    made.unordered = frozenset(["b"])
    mount = text(render.render(plan(made)), "run-extension-a.mount").splitlines()
    assert "Requires=run-extension-b.mount run-extension-c.mount" in mount
    assert "After=run-extension-c.mount" in mount
    assert not [line for line in mount if line.startswith("Before=run-")]


def test_specifiers_of_unit_values_stay_those_of_a_path_do_not() -> None:
    made = Manifest("a", "/m", (("ConditionPathExists", "/x/%b"),), image="/srv/100% of it")
    mount = text(render.render(plan(made)), "run-extension-a.mount").splitlines()
    assert "ConditionPathExists=/x/%b" in mount
    assert 'RequiresMountsFor="/srv/100%% of it"' in mount


def test_only_dependencies_refer() -> None:
    pairs = (("Description", "What  b.extension  is"), ("ConditionPathExists", "/etc/x/b.extension"))
    mount = text(render.render(plan(Manifest("a", "/m", pairs))), "run-extension-a.mount").splitlines()
    assert "Description=What  b.extension  is" in mount
    assert "ConditionPathExists=/etc/x/b.extension" in mount


def test_a_link_is_known_by_its_target() -> None:
    one = render.Symlink("x")
    assert one == render.Symlink("x") != render.Symlink("y")
    assert one != "x"
    assert {one, render.Symlink("x")} == {one}
    assert repr(one) == "Symlink('x')"


def test_references_are_the_units_of_extensions() -> None:
    made = Manifest("a", "/m", (("Wants", "x.service a.extension b.extension"), ("Conflicts", "a.extension")))
    mount = text(render.render(plan(made)), "run-extension-a.mount").splitlines()
    assert [line for line in mount if line.startswith(("Wants=", "Conflicts=", "Requires="))] == [
        "Wants=x.service run-extension-b.mount"
    ]


def test_a_need_is_an_order_too() -> None:
    mount = text(render.render(plan(Manifest("a", "/m", (("Requires", "x.service b.extension"),)))), MOUNT).splitlines()
    assert [line for line in mount if line.startswith(("Requires=", "After=run-", "After=x"))] == [
        "Requires=x.service run-extension-b.mount",
        "After=run-extension-b.mount",
    ]


def test_the_last_description_is_that_of_the_service() -> None:
    output = render.render(plan(Manifest("a", "/m", (("Description", "one"), ("Description", "two\\")))))
    assert "Description=two\\ \n" in text(output, "extension@a.service.d/50-manifest.conf")
    assert "Description=one\n" not in text(output, "extension@a.service.d/50-manifest.conf")
    assert "Image of Extension" not in text(output, MOUNT)
