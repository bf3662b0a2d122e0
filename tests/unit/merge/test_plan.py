#  SPDX-License-Identifier: MIT
"""From what there is to the steps of a verb and the goal they reach: a dry run walks the same steps and does none."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import pytest
from extension_runtime import steps
from extension_runtime.merge import outlook, plan
from extension_runtime.merge.choose import NEW, NONE
from extension_runtime.merge.elsewhere import Elsewhere
from extension_runtime.merge.goal import Goal, Order
from extension_runtime.merge.result import TransactionError
from extension_runtime.merge.state import Merged, Spec, Stacked, Standing, State
from extension_runtime.paths import Paths


class Root:
    """A root of folders, without mounts, on which verbs are planned."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.paths = Paths(str(path))
        self.pinned: set[str] = set()
        for name in ("usr", "opt", "etc/extensions.d"):
            (path / name).mkdir(parents=True)

    def settings(self, text: str) -> None:
        (self.path / "etc/extensions.d/extensions.conf").write_text(text)

    def extension(self, name: str, more: str = "") -> None:
        (self.path / f"etc/extensions.d/{name}.extension").write_text(f"[Extension]\n{more}")
        folder = self.path / f"var/lib/extensions/{name}/usr/lib/extension-release.d"
        folder.mkdir(parents=True)
        (folder / f"extension-release.{name}").write_text("ID=_any\n")

    def order(self, verb: str, state: State | None = None, always: bool = False) -> tuple[list[str], Goal]:
        """The names of the steps of a dry run, and the goal."""
        view = outlook.look(self.paths, state or State())
        view.pinned |= self.pinned
        order = Order(verb, dry_run=True, always=always)
        side = Elsewhere(self.paths, lambda _text: None)
        found, goal = steps.list_of(plan.steps(view, order, side, lambda _text: None))
        return [step.name for step in found], goal

    def merged(self, *names: str, generation: int = 3) -> Merged:
        """A merge of these over /usr, whose layers are there."""
        stood = {
            n: Standing(n, "merged", "", "/m", hierarchies=["usr"], layer=self.layer(n, generation)) for n in names
        }
        self.pinned |= {item.layer for item in stood.values()}
        layers = [(name, f"{item.layer}/usr") for name, item in stood.items()]
        spec = Spec("auto", layers, "", False, bool(names))
        usr = Stacked(f"{self.path}/usr", "auto", bool(names), False, "", layers, generation if names else 0, spec)
        return Merged(generation, 0, {"usr": usr}, stood)

    def layer(self, name: str, generation: int) -> str:
        return f"{self.paths.layers}/{generation}/{name}"


@pytest.fixture
def root(tmp_path: Path) -> Root:
    return Root(tmp_path)


def states(goal: Goal) -> dict[str, str]:
    return {choice.name: choice.source for choice in goal.choices}


def test_a_first_merge_attaches_pins_binds_stages_swaps_and_writes(root: Root) -> None:
    root.extension("a")
    root.extension("b")
    names, goal = root.order("merge")
    assert names == [
        "attach:a", "attach:b", "pin:a", "pin:b", "base:usr", "stage:usr", "swap:usr", "mark", "commit",
    ]  # fmt: skip
    assert (states(goal), goal.changed) == ({"a": NEW, "b": NEW}, True)
    assert goal.new.now.generation == 1
    assert goal.new.now.extensions["a"].layer == root.layer("a", 1)
    assert goal.new.now.hierarchies["usr"].layers == [
        ("a", f"{root.layer('a', 1)}/usr"),
        ("b", f"{root.layer('b', 1)}/usr"),
    ]
    assert not goal.new.now.hierarchies["etc"].merged


def test_an_image_that_is_not_there_is_left_out(root: Root) -> None:
    root.extension("a")
    (root.path / "etc/extensions.d/missing.extension").write_text("[Extension]\n")
    names, goal = root.order("merge")
    assert "pin:missing" not in names
    assert [(choice.name, choice.left_out) for choice in goal.choices] == [("a", False), ("missing", True)]


def test_a_mutable_hierarchy_is_staged_last_so_that_its_upper_is_in_two_overlays_for_a_short_time_only(
    root: Root,
) -> None:
    root.extension("a")
    root.settings("[Usr]\nMode=ephemeral\n[Etc]\nMode=read-only\n")
    names, goal = root.order("merge")
    assert [name for name in names if name.startswith("stage:")] == ["stage:etc", "stage:usr"]
    assert [name for name in names if name.startswith("swap:")] == ["swap:etc", "swap:usr"]
    assert {item.name for item in goal.wanted if item.merged} == {"usr", "etc"}


def test_nothing_is_staged_or_bound_where_nothing_is_to_be_merged(root: Root) -> None:
    names, goal = root.order("refresh")
    assert names == ["mark", "commit"]
    assert not goal.changed
    assert goal.new.last is not None
    assert goal.new.last.result == "unchanged"


def test_an_extension_that_goes_leaves_the_base(root: Root) -> None:
    before = root.merged("a")
    names, goal = root.order("refresh", State(before))
    assert names == ["stage:usr", "swap:usr", "mark", "commit"]
    assert goal.new.now.generation == 4
    assert goal.new.now.hierarchies["usr"].generation == 0
    assert goal.new.previous == before


def test_an_unmerge_takes_all_off_whatever_the_settings_say(root: Root) -> None:
    root.extension("a")
    root.settings("[Etc]\nMode=read-only\n")
    names, goal = root.order("unmerge", State(root.merged("a")))
    assert names == ["stage:usr", "swap:usr", "mark", "commit"]
    assert states(goal) == {"a": NONE}
    assert not any(item.merged for item in goal.wanted)


def test_the_kernel_command_line_makes_every_verb_an_unmerge(root: Root) -> None:
    root.extension("a")
    (root.path / "proc").mkdir()
    (root.path / "proc/cmdline").write_text("extensions=0")
    names, goal = root.order("refresh", State(root.merged("a")))
    assert names == ["stage:usr", "swap:usr", "mark", "commit"]
    assert [choice.standing.reason for choice in goal.choices] == ["extensions=0 on the kernel command line"]


def test_a_rollback_stacks_the_layers_of_the_merge_before(root: Root) -> None:
    before = root.merged("a", "b", generation=2)
    root.extension("a")
    names, goal = root.order("rollback", State(root.merged("a"), before))
    assert names == ["stage:usr", "swap:usr", "mark", "commit"]
    assert goal.new.now.hierarchies["usr"].layers == before.hierarchies["usr"].layers
    assert goal.new.previous is None


def test_a_rollback_to_nothing_or_to_layers_that_are_gone_is_refused(root: Root) -> None:
    before = root.merged("b", generation=2)
    root.pinned.clear()
    for state in (State(root.merged("a")), State(root.merged("a"), before)):
        with pytest.raises(TransactionError, match=r"^rollback: there is no earlier merge to go back to$"):
            root.order("rollback", state)


def test_what_is_masked_is_told_in_the_new_state(root: Root) -> None:
    (root.path / "etc/extensions.d/a.extension").write_text("")
    _names, goal = root.order("refresh", State(root.merged("a")))
    assert goal.new.now.extensions["a"].reason == "masked by /etc/extensions.d/a.extension"


def test_a_changed_reason_alone_is_a_change(root: Root) -> None:
    (root.path / "etc/extensions.d/a.extension").write_text("[Extension]\n")
    names, goal = root.order("refresh")
    assert names == ["attach:a", "mark", "commit"]
    assert goal.changed
    now = goal.new.now
    names, goal = root.order("refresh", State(now))
    assert not goal.changed


def texts(found: Iterable[steps.Step]) -> list[str]:
    return [step.text for step in found]


def test_steps_are_made_when_those_before_are_done(root: Root) -> None:
    """What an image is shows only when it is attached: until then nothing is known of what is pinned."""
    root.extension("a")
    view = outlook.look(root.paths, State())
    made = plan.steps(view, Order("merge"), Elsewhere(root.paths, lambda _text: None), lambda _text: None)
    assert next(made).name == "attach:a"
    # Nobody did that step, so nothing is attached, and nothing is pinned.
    assert texts(made) == ["mark what is merged for extension@.service", f"write {root.paths.state}"]


def test_what_the_state_tells_of_and_nobody_sees_is_staged_again(root: Root) -> None:
    """After a reboot, or when somebody has unmounted it."""
    root.settings("[Etc]\nMode=read-only\n")
    spec = Spec("read-only", [], "", False, True)
    etc = Stacked(f"{root.path}/etc", "read-only", True, False, "", [], 3, spec)
    names, goal = root.order("refresh", State(Merged(3, 0, {"etc": etc}, {})))
    assert names == ["base:etc", "stage:etc", "swap:etc", "mark", "commit"]
    assert goal.new.now.generation == 4


def test_only_what_is_merged_is_marked(root: Root) -> None:
    root.extension("a")
    (root.path / "etc/extensions.d/missing.extension").write_text("[Extension]\n")
    view = outlook.look(root.paths, State())
    side = Elsewhere(root.paths, lambda _text: None)
    found, _goal = steps.list_of(plan.steps(view, Order("merge", dry_run=True), side, lambda _text: None))
    Path(root.paths.merged).mkdir(parents=True)
    [mark] = [step for step in found if step.name == "mark"]
    mark.do()
    assert [path.name for path in Path(root.paths.merged).iterdir()] == ["a"]
