#  SPDX-License-Identifier: MIT
"""What must hold of everything that reads what earlier runs wrote, and of the command line."""

from __future__ import annotations

import contextlib
import io
import os
import tempfile
from pathlib import Path
from random import Random

from extension_manifests.classes import HIERARCHIES
from extension_runtime import jsontext
from extension_runtime.cli import main as command_line
from extension_runtime.cli.options import UsageError
from extension_runtime.merge import state
from extension_runtime.merge.state import Event, Merged, Spec, Stacked, Stale, Standing, State
from extension_runtime.stale import search, swaps

from fuzz.engine import Target
from fuzz.of_images import JSON_WORDS, damaged_json, make_mountinfo
from fuzz.of_manifests import FILE_MAX, one_line
from fuzz.texts import argument, files, some, word

STATES = files("tests/unit/merge/state-format-*.json")
SAID = ("", "a", "demo", "/usr", "attached", "x y")


# state.json


def make_state(rng: Random) -> str:
    if rng.random() < 0.05:
        return rng.choice(STATES)

    def text() -> str:
        # Not the two halves of one character, which JSON puts together.
        return argument(word(rng, SAID))

    def layers() -> list[tuple[str, str]]:
        return [(text(), text()) for _ in range(int(rng.random() * 3))]

    def stacked() -> Stacked:
        flag = rng.random() < 0.5
        return Stacked(text(), text(), flag, not flag, text(), layers(), 3, Spec(text(), layers(), text(), flag, flag))

    def merged() -> Merged:
        extensions = {
            name: Standing(name, text(), text(), text(), layer=text(), classes=["sysext"]) for name in SAID[:2]
        }
        hierarchies = {name: stacked() for name in HIERARCHIES if rng.random() < 0.3}
        return Merged(int(rng.random() * 9), 1, hierarchies, extensions if rng.random() < 0.5 else {})

    def event() -> Event:
        return Event(text(), text(), text(), 7, rng.choice((None, 3)))

    made = State(
        merged(),
        merged() if rng.random() < 0.3 else None,
        event() if rng.random() < 0.5 else None,
        [event()] if rng.random() < 0.5 else [],
        [Stale(text(), text())] if rng.random() < 0.5 else [],
    )
    assert State.of(jsontext.loads(jsontext.dumps(made.data()))) == made
    return damaged_json(rng, jsontext.loads(jsontext.dumps(made.data())))


def check_state(text: str) -> None:
    try:
        data = jsontext.loads(text)
    except ValueError:
        return
    try:
        found = State.of(data)
    except state.FormatError as error:
        one_line(str(error))
        return
    assert State.of(jsontext.loads(jsontext.dumps(found.data()))) == found
    assert repr(found)
    assert found.used_layers >= found.now.layers()


# views.json


class Folder:
    """A folder of this process, made when it is first needed."""

    path = ""

    @classmethod
    def get(cls) -> str:
        if not cls.path:
            # In memory: there is a file for each input.
            shm = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None
            holder = tempfile.TemporaryDirectory(prefix="fuzz-", dir=shm)
            cls.holder = holder
            cls.path = holder.name
        return cls.path

    holder: tempfile.TemporaryDirectory[str]


VIEW_WORDS = (*JSON_WORDS, "0:45", '"/usr"', '"swapped"', '"covered"', '"changed"', "0:", "x:y", "99999999999:1")


def make_views(rng: Random) -> str:
    def swap() -> dict[str, object]:
        return {
            "swapped": {word(rng, ("0:45", "0:46", "8:1")): word(rng, ("/usr", "/etc"))},
            "covered": {word(rng, ("0:45", "8:2")): ""} if rng.random() < 0.4 else {},
            "changed": [word(rng, ("/usr/bin/a", "/etc/b")) for _ in range(int(rng.random() * 3))],
        }

    views = damaged_json(rng, [swap() for _ in range(int(rng.random() * 3))])
    return make_mountinfo(rng).replace("\0", "") + "\0" + views


def check_views(text: str) -> None:
    """A mount table, NUL, views.json."""
    table, _, views = text.partition("\0")
    run = Folder.get()
    lines = [line for line in argument(table).split("\n") if len(line.split(" ")) > 9 and " - " in line]
    _write(f"{run}/proc/self/mountinfo", "".join(line + "\n" for line in lines))
    _write(f"{run}/proc/1/mountinfo", "".join(line + "\n" for line in lines))
    for name, content in (("cgroup", "0::/a.service\n"), ("maps", ""), ("comm", "a\n")):
        if not os.path.exists(f"{run}/proc/1/{name}"):
            _write(f"{run}/proc/1/{name}", content)
    for name, target in (("ns/mnt", "mnt:[1]"), ("exe", "/bin/a")):
        if not os.path.lexists(f"{run}/proc/1/{name}"):
            os.makedirs(os.path.dirname(f"{run}/proc/1/{name}"), exist_ok=True)
            os.symlink(target, f"{run}/proc/1/{name}")
    os.makedirs(f"{run}/proc/1/fd", exist_ok=True)
    _write(f"{run}/views.json", views)
    found = swaps.find(run, f"{run}/proc")
    assert all(isinstance(view, search.StaleView) for view in found)
    swaps.record(run, {"0:77": "/usr"}, ["/usr/a"])
    kept = jsontext.loads(Path(f"{run}/views.json").read_text())
    assert kept[-1] == {"swapped": {"0:77": "/usr"}, "covered": {}, "changed": ["/usr/a"]}
    assert len(kept) <= swaps.KEPT


def _write(path: str, text: str) -> None:
    data = text.encode("utf-8", "surrogateescape" if "mountinfo" in path else "surrogatepass")
    for _ in range(2):
        try:
            with open(path, "wb", buffering=0) as file:
                file.write(data)
            return
        except FileNotFoundError:
            os.makedirs(os.path.dirname(path), exist_ok=True)


# The command line

ARGUMENTS = (
    *(verb for verb, _ in command_line.VERBS), "--json=short", "--json", "pretty", "--root=/", "--root", "/nowhere",
    "--no-legend", "--no-pager", "--dry-run", "--always-refresh=yes", "--always", "--help", "-h", "--", "-", "-x",
    "demo", "--root=", "--os-release=x", "--js", "a.extension", "@/etc/passwd", "",
)  # fmt: skip


def make_arguments(rng: Random) -> str:
    verb = word(rng, ARGUMENTS[: len(command_line.VERBS)], 0.02)
    return "\n".join((verb, some(rng, lambda: word(rng, ARGUMENTS), 4, "\n")))


def check_arguments(text: str) -> None:
    said = io.StringIO()
    with contextlib.redirect_stderr(said), contextlib.redirect_stdout(io.StringIO()):
        try:
            found = command_line.parse(argument(text).split("\n")[:500])
        except SystemExit as done:
            assert done.code in (0, 2)
            if done.code:
                one_line(said.getvalue().removesuffix("\n"))
                assert said.getvalue().startswith("extensionctl: ")
            return
        except UsageError as error:
            command_line.complain(str(error))
            one_line(said.getvalue().removesuffix("\n"))
            return
    assert not said.getvalue()
    assert found.verb in dict(command_line.VERBS)
    assert found.root == "" or found.root.startswith("/")


TARGETS = [
    Target("state", make_state, check_state, words=(*JSON_WORDS, '"format": 1'), others=STATES, large=FILE_MAX),
    Target("views", make_views, check_views, words=VIEW_WORDS, large=FILE_MAX),
    Target("cli", make_arguments, check_arguments, words=ARGUMENTS, large=1 << 15),
]
