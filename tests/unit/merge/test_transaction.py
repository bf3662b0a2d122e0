#  SPDX-License-Identifier: MIT
"""A verb as a whole, as far as nothing is mounted: idle roots, dry runs, what is refused, and the summary."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from extension_runtime.merge import outlook, statefile, transaction
from extension_runtime.merge.choose import LAST_GOOD, Choice
from extension_runtime.merge.goal import Goal, Order
from extension_runtime.merge.result import Result, TransactionError
from extension_runtime.merge.state import Event, Merged, Standing, State
from extension_runtime.merge.transaction import Transaction
from extension_runtime.paths import Paths


class Root:
    """A root of folders; verbs are run on it as by its owner."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.paths = Paths(str(path))
        self.logged: list[str] = []
        (path / "usr").mkdir()
        (path / "etc/extensions.d").mkdir(parents=True)

    def extension(self, name: str) -> None:
        (self.path / f"etc/extensions.d/{name}.extension").write_text("[Extension]\n")
        folder = self.path / f"var/lib/extensions/{name}/usr/lib/extension-release.d"
        folder.mkdir(parents=True)
        (folder / f"extension-release.{name}").write_text("ID=_any\n")

    def state(self, state: State | None = None) -> None:
        Path(self.paths.run).mkdir(parents=True, mode=0o700, exist_ok=True)
        statefile.write(self.paths, state or State())

    def run(self, verb: str, dry_run: bool = False) -> Result:
        return Transaction(Order(verb, dry_run=dry_run), self.paths, self.logged.append, lambda _step: None).run()


@pytest.fixture
def root(tmp_path: Path) -> Root:
    return Root(tmp_path)


def test_only_root_changes_anything(root: Root, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    for verb in ("merge", "refresh", "unmerge", "rollback"):
        with pytest.raises(TransactionError, match=f"^{verb}: needs root$"):
            transaction.run(verb, str(root.path))
    assert transaction.run("merge", str(root.path), dry_run=True).messages == ["no extensions"]


@pytest.mark.parametrize("verb", ["merge", "refresh", "unmerge"])
def test_an_idle_root_is_not_touched_at_all(root: Root, verb: str) -> None:
    found = root.run(verb)
    assert (found.exit_code, found.messages, found.steps) == (0, ["no extensions"], [])
    assert sorted(os.listdir(root.path)) == ["etc", "usr"]


def test_an_idle_root_stays_so_with_a_folder_of_the_state(root: Root) -> None:
    root.state()
    assert root.run("refresh").messages == ["no extensions"]
    assert sorted(os.listdir(root.paths.run)) == ["lock", "state.json"]


def test_a_dry_run_says_what_is_wrong_with_the_state_of_an_idle_root_too(root: Root) -> None:
    root.state()
    Path(root.paths.state).write_text("{")
    problem, nothing = root.run("refresh", dry_run=True).messages
    assert problem.startswith(f"{root.paths.state}: ")
    assert nothing == "no extensions"
    assert Path(root.paths.state).read_text() == "{"


def test_a_rollback_after_a_rollback_goes_nowhere(root: Root) -> None:
    root.state(State(Merged(3, 0, {}, {}), None, Event("rollback", "done", "", 0)))
    before = Path(root.paths.state).read_text()
    found = root.run("rollback")
    assert (found.exit_code, found.steps) == (0, [])
    assert found.messages == ["this is the previous merge already; there is nothing to go back to"]
    assert Path(root.paths.state).read_text() == before


def test_a_dry_run_tells_the_steps_and_takes_none(root: Root) -> None:
    root.extension("app")
    found = root.run("merge", dry_run=True)
    assert (found.exit_code, found.messages) == (0, [])
    assert found.steps == [
        "attach app: app",
        f"pin app as {root.paths.layers}/1/app",
        f"bind {root.path}/usr without extensions at {root.paths.base}/usr",
        f"stage {root.path}/usr: app over the base, auto",
        f"swap {root.path}/usr",
        "mark what is merged for extension@.service",
        f"write {root.paths.state}",
    ]
    assert not (root.path / "run").exists()


def test_a_dry_run_foresees_who_is_left_out(root: Root) -> None:
    (root.path / "etc/extensions.d/missing.extension").write_text("[Extension]\n")
    assert root.run("merge", dry_run=True).exit_code == 3


def test_a_dry_run_reads_a_state_that_is_none_as_an_empty_one_and_says_so(root: Root) -> None:
    root.extension("app")
    root.state()
    Path(root.paths.state).write_text("{")
    found = root.run("refresh", dry_run=True)
    assert found.messages[0].endswith("; the next merge or refresh puts it aside")
    assert Path(root.paths.state).read_text() == "{"


def test_a_dry_run_says_that_there_is_nothing_to_do(root: Root) -> None:
    root.state(State(Merged(3, 0, {}, {})))
    assert root.run("refresh", dry_run=True).messages == ["nothing to do"]
    with pytest.raises(TransactionError, match="there is no earlier merge to go back to"):
        root.run("rollback", dry_run=True)


def test_a_state_that_is_none_is_put_aside_under_the_lock_with_one_message(root: Root) -> None:
    root.state()
    Path(root.paths.state).write_text(json.dumps({"format": 99}))
    [said, nothing] = root.run("refresh").messages
    assert (nothing, root.logged) == ("no extensions", [])
    assert said.endswith(f"kept as {root.paths.state}.aside, and all extensions are merged anew")
    assert json.loads(Path(f"{root.paths.state}.aside").read_text()) == {"format": 99}


def test_what_was_done_is_told_in_one_line(root: Root) -> None:
    one = Transaction(Order("refresh"), root.paths, root.logged.append, lambda _step: None)
    stood = {n: Standing(n, "merged", "", "/m", layer=f"/l/4/{n}") for n in ("b", "a")}
    stood["out"] = Standing("out", "skipped", "x", "/m")
    state = State(Merged(4, 0, {}, stood))
    assert one._summary(Goal([], [], state, True)) == "refresh done: a, b merged (generation 4)"
    assert one._summary(Goal([], [], State(), True)) == "refresh done: no extension merged (generation 0)"
    assert one._summary(Goal([], [], state, False)) == "nothing has changed"


def test_who_was_left_out_makes_it_3_and_so_does_a_mistake(tmp_path: Path) -> None:
    view = outlook.look(Paths(str(tmp_path)), State())
    stood = Standing("a", "merged", "kept", "/m")
    assert transaction._exit_code(view, Goal([Choice("a", LAST_GOOD, stood, True)], [], State(), False)) == 3
    fine = Goal([Choice("a", LAST_GOOD, stood)], [], State(), True)
    assert transaction._exit_code(view, fine) == 0
    view.mistakes = ["extensions.conf:1: is wrong"]
    assert transaction._exit_code(view, fine) == 3
