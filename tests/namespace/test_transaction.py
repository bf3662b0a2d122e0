"""Merge, refresh, rollback and unmerge on a real root: what is seen, what is kept, what is left alone."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from extension_manifests.errors import ExtensionError
from extension_runtime.kernel import mountinfo
from extension_runtime.merge.result import TransactionError
from roots import Root, remove


def pair(namespace: Path) -> Root:
    """A root with the sysexts `app` and `tool` and the confext `conf`, not merged."""
    root = Root(namespace / "r")
    root.extension("app")
    root.extension("tool")
    root.extension("conf", class_="confext")
    return root


def test_merge_shows_every_layer_and_marks_it(namespace: Path) -> None:
    root = pair(namespace)
    assert root.merge().exit_code == 0
    assert root.read("usr/share/app") == root.read("usr/share/tool") == root.read("etc/share/conf") == "1"
    assert root.read("usr/bin/base") == root.read("etc/base.conf") == "base"
    assert {name: item["state"] for name, item in root.state["extensions"].items()} == dict.fromkeys(
        ("app", "tool", "conf"), "merged"
    )
    root.check()


def test_merged_hierarchies_are_read_only_and_others_are_left_alone(namespace: Path) -> None:
    root = pair(namespace)
    root.merge()
    with pytest.raises(OSError, match="Read-only"):
        (root / "etc/new").write_text("")
    (root / "opt/new").write_text("")
    assert root.top("opt").path == str(root.path)


def test_the_base_below_run_is_read_only(namespace: Path) -> None:
    """Every service sees it, also one that must not write to the hierarchy."""
    root = pair(namespace)
    root.merge()
    for name in ("usr", "etc"):
        with pytest.raises(OSError, match="Read-only"):
            (root / f"run/extensionctl/base/{name}/new").write_text("")
    root.run("unmerge")
    (root / "etc/new").write_text("")


def test_nothing_to_merge_touches_nothing(namespace: Path) -> None:
    root = Root(namespace / "r")
    before = root.snapshot()
    assert root.merge().messages == ["no extensions"]
    assert root.snapshot() == before
    assert not root.has("run/extensionctl")


def test_unmerge_gives_back_the_mount_table(namespace: Path) -> None:
    root = pair(namespace)
    before = root.snapshot()
    root.merge()
    root.install(root.tree("app", "2"))
    root.refresh()
    assert root.run("unmerge").exit_code == 0
    after = root.snapshot()
    assert after["mounts"] == before["mounts"]
    assert after["content"] == before["content"]
    assert root.state["previous"] is None


def test_refresh_shows_the_new_version(namespace: Path) -> None:
    root = pair(namespace)
    root.merge()
    root.install(root.tree("app", "2"))
    assert root.refresh().exit_code == 0
    assert (root.read("usr/share/app"), root.read("usr/share/tool")) == ("2", "1")
    root.check()


def test_only_what_changed_is_swapped(namespace: Path) -> None:
    root = pair(namespace)
    root.merge()
    etc = root.top("etc").id
    root.install(root.tree("app", "2"))
    steps = root.refresh().steps
    assert root.top("etc").id == etc
    assert not [step for step in steps if "tool" in step and step.startswith(("attach", "pin"))]


def test_dry_run_lists_the_steps_of_the_refresh_after_it(namespace: Path) -> None:
    from extension_runtime.merge import transaction

    root = pair(namespace)
    for verb in ("merge", "refresh", "unmerge"):
        before = root.snapshot()
        planned = transaction.run(verb, str(root.path), dry_run=True).steps
        after = root.snapshot()
        assert (after["mounts"], after["content"]) == (before["mounts"], before["content"])
        assert root.run(verb).steps == planned
        root.install(root.tree("tool", "2"))


# The last good layer


def truncate(root: Root) -> str:
    root.raw("app", "2")
    os.truncate(root / "var/lib/extensions/app.raw", 300)
    return "app.raw"


def mismatch(root: Root) -> str:
    image = root.tree("app", "2")
    (image / "usr/lib/extension-release.d/extension-release.app").write_text("ID=elsewhere\n")
    root.install(image)
    return "elsewhere"


def no_release(root: Root) -> str:
    image = root.tree("app", "2")
    (image / "usr/lib/extension-release.d/extension-release.app").unlink()
    root.install(image)
    return "extension-release"


def break_manifest(root: Root) -> str:
    root.manifest("app", more="Mismatch=perhaps\n")
    return "app.extension:3"


@pytest.mark.parametrize("damage", [truncate, mismatch, no_release, break_manifest])
def test_a_bad_new_version_leaves_the_last_good_one(namespace: Path, damage: object) -> None:
    assert callable(damage)
    root = pair(namespace)
    if damage is truncate:
        remove(root / "var/lib/extensions/app")
        root.raw("app")
    root.merge()
    said = damage(root)
    root.install(root.tree("tool", "2"))
    assert root.refresh().exit_code == 3
    entry = root.entry("app")
    assert (entry["state"], root.read("usr/share/app")) == ("merged", "1")
    assert said in entry["reason"]
    assert root.read("usr/share/tool") == "2"
    root.check()
    # It stays so, with the same layer, for as long as nothing better comes.
    for always in (False, True):
        assert root.refresh(always).exit_code == 3
        assert root.read("usr/share/app") == "1"
        root.check()
    if (root / "var/lib/extensions/app.raw").exists():
        (root / "var/lib/extensions/app.raw").unlink()
    root.manifest("app")
    root.install(root.tree("app", "3"))
    assert root.refresh().exit_code == 0
    assert (root.entry("app")["reason"], root.read("usr/share/app")) == ("", "3")
    root.check()


def test_a_removed_image_is_left_out_as_failed(namespace: Path) -> None:
    root = pair(namespace)
    root.merge()
    os.rename(root / "var/lib/extensions/app", root / "var/lib/gone")
    assert root.refresh().exit_code == 3
    entry = root.entry("app")
    assert (entry["state"], entry["layer"]) == ("failed", "")
    assert "no such image" in entry["reason"]
    assert not root.has("usr/share/app")
    assert root.has("usr/share/tool")
    root.check()
    os.rename(root / "var/lib/gone", root / "var/lib/extensions/app")
    assert root.refresh().exit_code == 0
    assert root.read("usr/share/app") == "1"
    root.check()


def test_a_removed_manifest_takes_its_layer_off(namespace: Path) -> None:
    root = pair(namespace)
    root.merge()
    (root / "run/extensions.d/app.extension").unlink()
    assert root.refresh().exit_code == 0
    assert not root.has("usr/share/app")
    assert "app" not in root.state["extensions"]
    assert not root.has("run/extension/app")


def test_what_cannot_be_attached_again_is_kept(namespace: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """`--always` attaches what did not change, too; that this fails is no reason to lose what is merged."""
    root = pair(namespace)
    root.raw("big")
    root.merge()

    def no_device(*_arguments: object) -> None:
        raise OSError(16, "no free loop device")

    monkeypatch.setattr("extension_runtime.kernel.loop.attach", no_device)
    assert root.refresh(always=True).exit_code == 3
    assert root.entry("big")["state"] == "merged"
    assert "no free loop device" in root.entry("big")["reason"]
    assert root.read("usr/share/big") == "1"


def test_the_last_good_layers_stay_until_a_merge_succeeded(namespace: Path) -> None:
    root = pair(namespace)
    root.merge()
    first = root.entry("app")["layer"]
    root.install(root.tree("app", "2"))
    root.put("run/extensions.d/extensions.conf", "[Usr]\nMode=persistent\nUpper=/nowhere\n")
    with pytest.raises(ExtensionError, match="/nowhere"):
        root.refresh()
    assert root.entry("app")["layer"] == first
    assert (Path(first) / "usr/share/app").read_text() == "1"
    (root / "run/extensions.d/extensions.conf").unlink()
    root.refresh()
    # One more merge back, for rollback, and then no longer.
    assert (Path(first) / "usr/share/app").read_text() == "1"
    root.install(root.tree("app", "3"))
    root.refresh()
    assert not os.path.exists(first)


# Rollback


def test_rollback_goes_back_once(namespace: Path) -> None:
    root = pair(namespace)
    root.merge()
    before = root.content()
    root.install(root.tree("app", "2"))
    root.extension("more")
    root.refresh()
    assert root.run("rollback").exit_code == 0
    assert root.content() == before
    root.check()
    again = root.run("rollback")
    assert again.exit_code == 0
    assert "nothing to go back to" in again.messages[0]
    assert root.content() == before
    root.refresh()
    assert root.read("usr/share/app") == "2"
    root.check()


def test_rollback_without_an_earlier_merge_fails(namespace: Path) -> None:
    root = pair(namespace)
    root.merge()
    with pytest.raises(TransactionError, match="no earlier merge"):
        root.run("rollback")


def test_a_rollback_that_failed_is_not_taken_for_one_that_is_done(namespace: Path) -> None:
    root = pair(namespace)
    root.merge()
    root.install(root.tree("app", "2"))
    root.refresh()

    def fail(step: object) -> None:
        if getattr(step, "name", "") == "swap:usr":
            raise TransactionError("injected")

    with pytest.raises(TransactionError, match="injected"):
        root.run("rollback", before=fail)
    assert root.read("usr/share/app") == "2"
    assert root.run("rollback").exit_code == 0
    assert root.read("usr/share/app") == "1"


def test_a_rollback_that_fails_leaves_what_is_attached_as_its_record_says(namespace: Path) -> None:
    """After a rollback the attached image is newer than its layer: a failed refresh must put that one back."""
    root = pair(namespace)
    root.merge()
    root.install(root.tree("app", "2"))
    root.refresh()
    root.run("rollback")
    newer = root / "var/lib/extensions/app"
    os.rename(newer, root / "var/lib/two")
    root.install(root.tree("app", "3"))

    def fail(step: object) -> None:
        if getattr(step, "name", "") == "swap:usr":
            raise TransactionError("injected")

    with pytest.raises(TransactionError, match="injected"):
        root.run("refresh", before=fail)
    assert root.read("run/extension/app/usr/share/app") == "2"
    remove(newer)


# Incremental


def test_no_change_is_nothing_done(namespace: Path) -> None:
    root = pair(namespace)
    root.raw("big")
    root.merge()
    before, loops = {m.id for m in root.mounts()}, root.loops()
    generation = root.state["generation"]
    result = root.refresh()
    assert result.messages == ["nothing has changed"]
    assert ({m.id for m in root.mounts()}, root.loops()) == (before, loops)
    assert root.state["generation"] == generation
    assert root.state["last"]["result"] == "unchanged"


def test_always_does_it_all_again(namespace: Path) -> None:
    root = pair(namespace)
    root.merge()
    before = root.top("usr").id
    (root / "var/lib/extensions/app/usr/share/app").unlink()
    root.put("var/lib/extensions/app/usr/share/deep", "2")
    assert root.refresh(always=True).messages == ["refresh done: app, conf, tool merged (generation 2)"]
    assert root.top("usr").id != before
    assert root.read("usr/share/deep") == "2"
    assert not root.has("usr/share/app")
    root.check()


@pytest.mark.parametrize("edited", ["usr/lib/extension-release.d/extension-release.app", "opt/app", "usr/new"])
def test_a_directory_that_is_edited_at_its_top_is_noticed(namespace: Path, edited: str) -> None:
    root = pair(namespace)
    root.merge()
    root.put(f"var/lib/extensions/app/{edited}", "ID=_any\nVERSION_ID=9\n")
    root.refresh()
    assert root.state["last"]["result"] == "done"
    assert root.has(edited)
    root.check()


def test_one_image_of_many_is_not_attached_again(namespace: Path) -> None:
    root = pair(namespace)
    root.raw("big")
    root.merge()
    mounted = mountinfo.visible(str(root / "run/extension/big"))
    root.install(root.tree("app", "2"))
    root.refresh()
    assert mountinfo.visible(str(root / "run/extension/big")) == mounted


# Layers


def test_the_order_of_layers_is_that_of_the_plan(namespace: Path) -> None:
    root = Root(namespace / "r")
    for name in ("a2", "a10", "b"):
        root.extension(name, files={"usr/share/which": name})
    root.merge()
    assert root.read("usr/share/which") == "b"
    root.manifest("a10", more="Above=b.extension\n")
    root.refresh()
    assert root.read("usr/share/which") == "a10"


def test_a_root_without_a_hierarchy_and_with_linked_ones(namespace: Path) -> None:
    root = Root(namespace / "r")
    (root / "opt").rmdir()
    os.rename(root / "usr", root / "var/system")
    os.symlink("/var/system", root / "usr")
    before = root.snapshot()
    root.extension("app", files={"opt/app/x": "x"})
    assert root.merge().exit_code == 0
    assert root.read("var/system/share/app") == "1"
    root.run("unmerge")
    assert root.snapshot()["mounts"] == before["mounts"]


def test_a_foreign_mount_over_the_extensions_is_left_alone(namespace: Path) -> None:
    from extension_runtime.kernel import syscalls

    root = pair(namespace)
    root.merge()
    syscalls.mount("mine", str(root / "usr"), "tmpfs", 0, None)
    before = root.snapshot()
    with pytest.raises(ExtensionError, match=r"usr: mine is mounted over the extensions; unmount it first"):
        root.refresh()
    assert root.snapshot() == before
    syscalls.umount(str(root / "usr"))
    assert root.refresh().exit_code == 0
    assert root.read("usr/share/app") == "1"
