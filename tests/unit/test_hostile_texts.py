#  SPDX-License-Identifier: MIT
"""Whatever files, images and manifests are called and say: one line stays one line, and nothing reaches a terminal or
forges an entry of the journal; nor does it end what is done with a traceback.
"""

from __future__ import annotations

import io
import os
import re
import socket
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest
from cli_root import Root
from extension_generator.log import ERROR, Log
from extension_manifests.escape import option
from extension_runtime import log
from extension_runtime.cli import change, main, options, table
from extension_runtime.image import main as helper
from extension_runtime.merge import main as merge_main
from extension_runtime.merge import tell
from extension_runtime.merge.choose import NONE, Choice
from extension_runtime.merge.result import Result
from extension_runtime.merge.state import Merged, Stale, Standing, State
from extension_runtime.pid1 import journal
from extension_runtime.react.actionfile import Action
from extension_runtime.react.reaction import Reaction
from extension_runtime.react.trigger import Triggered
from extension_runtime.react.wish import Change, Machine
from extension_runtime.steps import Step
from fake_systemd import FakeSystemd

HOSTILE = {
    "newline": "x\n<0>forged",
    "first": "<0>x",
    "return": "x\r<0>forged",
    "escape": "\x1b[2J\x1b]0;title\x07",
    "csi": "\x9b2J",
    "not utf-8": "x\udcff\udc80",
    "half a pair": "\ud800",
    "separators": "a\u2028b\u2029c\x85d\x0be",
    "turned round": "\u202egpj.exe",
    "nul": "a\0b",
    "long": "\n<0>" * 2000,
}
PRIORITY = re.compile("<[3-6]>")

SCREEN = table.Screen(False, False, 0, 0)

Place = Callable[[str], None]


def _reaction(text: str) -> Reaction:
    reaction = Reaction(Change("refresh"), [], FakeSystemd(), Machine({}, {}, {}), {})
    reaction.outcome.failed_actions = [text]
    reaction.outcome.problems = [f"{text}: {text}"]
    return reaction


def _told(text: str) -> None:
    choice = Choice(text, NONE, Standing(text, "failed", text, text), left_out=True)
    state = State(Merged(4, 0, {}, {}), stale=[Stale(text, text)])
    tell.done(text, "refresh", state, [choice], _reaction(text))
    tell.rolled_back("refresh", state, f"{text}: {text}")


def _say(json: str) -> Place:
    def say(text: str) -> None:
        asked = options.Options()
        asked.json = json
        assert change.say(asked, 1, [text, f"a {text}"], [text]) == 1

    return say


def _by_mount(text: str) -> None:
    assert helper.main(["x", "/nowhere", "-o", f"ext.error={option(text.replace(chr(0xD800), ''))}"]) == 32
    assert helper.main(["x", text]) == helper.main([text]) == helper.main([f"-{text}"]) == 32


PLACES: dict[str, Place] = {
    "log.line": lambda text: log.line(text, log.WARNING),
    "journal.send": lambda text: journal.send(text, "left-out", log.WARNING, REASON=text, ACTION=text),
    "tell": _told,
    "note": options.note,
    "complain": main.complain,
    "say": _say("off"),
    "say json": _say("short"),
    "say pretty": _say("pretty"),
    "table": lambda text: table.show(table.table(("a", "b"), [(text, text)], SCREEN), SCREEN),
    "paragraph": lambda text: table.show(table.paragraph("Key", [text], SCREEN), SCREEN),
    "mount.extension": _by_mount,
}
FOR_THE_JOURNAL = ("log.line", "journal.send", "tell", "mount.extension")


def clean(text: str, journal: bool = False) -> None:
    """Hold that `text` is plain lines, and for the journal each with its own priority in front."""
    text.encode()
    for line in text.removesuffix("\n").split("\n"):
        assert line.replace("\t", "").isprintable(), line
        assert not journal or PRIORITY.match(line), line


@pytest.fixture(params=sorted(HOSTILE))
def hostile(request: pytest.FixtureRequest) -> str:
    return HOSTILE[request.param]


@pytest.fixture(params=[False, True])
def journal_reads(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> bool:
    """Whether standard error is the journal's; the binding is missing."""
    monkeypatch.setitem(sys.modules, "systemd", None)
    monkeypatch.delenv("JOURNAL_STREAM", raising=False)
    if request.param:
        monkeypatch.setenv("JOURNAL_STREAM", "8:1")
    return bool(request.param)


@pytest.mark.parametrize("place", sorted(PLACES))
def test_every_place_that_prints(
    place: str, hostile: str, journal_reads: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    # As strict as a stream can be, and every line seen as it is written.
    streams = [io.TextIOWrapper(io.BytesIO(), encoding="utf-8", newline="\n") for _ in range(2)]
    monkeypatch.setattr(sys, "stdout", streams[0])
    monkeypatch.setattr(sys, "stderr", streams[1])
    PLACES[place](hostile)
    written = ""
    for stream in streams:
        stream.flush()
        written += stream.buffer.getvalue().decode()
    assert written
    clean(written, journal_reads and place in FOR_THE_JOURNAL)


def test_what_the_binding_is_given(hostile: str, monkeypatch: pytest.MonkeyPatch) -> None:
    sent: list[bytes] = []
    package, module = ModuleType("systemd"), ModuleType("systemd._journal")
    module.sendv = lambda *fields: sent.extend(fields)  # type: ignore[attr-defined]
    package._journal = module  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "systemd", package)
    monkeypatch.setitem(sys.modules, "systemd._journal", module)
    _told(hostile)
    assert sent
    for field in sent:
        key, equals, value = field.decode().partition("=")
        assert key.isascii() and key.isidentifier() and equals and value.isprintable()


def test_what_pid_1_is_told(hostile: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as server:
        server.bind("notify")
        server.settimeout(10)
        monkeypatch.setenv("NOTIFY_SOCKET", "notify")
        merge_main._progress(Step("x", hostile))
        said = server.recv(100_000).decode()
    assert said.startswith("STATUS=") and said.isprintable()


def test_a_failed_action_ends_nothing(hostile: str, journal_reads: bool, capsys: pytest.CaptureFixture[str]) -> None:
    if "\0" in hostile or "\ud800" in hostile:
        return  # no name of a file
    action = Action("act", "/act.action")
    action.exec = ("/bin/sh", "-c", "exit 3", hostile)
    reaction = Reaction(Change("refresh"), [], FakeSystemd(), Machine({}, {}, {}), {})
    reaction.actions = [Triggered(action, [f"/usr/{hostile}"])]
    outcome = reaction.after()
    assert outcome.failed_actions == ["act"]
    tell.done("refresh done", "refresh", State(), [], reaction)
    for message in outcome.problems:
        log.line(message)
    clean(capsys.readouterr().err, journal_reads)


def test_a_verb_of_the_units(
    hostile: str, journal_reads: bool, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from extension_runtime.merge import transaction

    def run(_verb: str, _root: str, **more: object) -> Result:
        more["log"](hostile)  # type: ignore[operator]
        return Result(3, [hostile], [])

    monkeypatch.setattr(transaction, "run", run)
    assert merge_main.main(["refresh"]) == 3
    clean(capsys.readouterr().err, journal_reads)


def test_the_generator_logs_one_line(hostile: str, capfd: pytest.CaptureFixture[str]) -> None:
    Log({}, booting=False).write(ERROR, hostile)
    assert capfd.readouterr().err.count("\n") == 1


@pytest.fixture
def full(root_of_hostiles: Root) -> Root:
    return root_of_hostiles


@pytest.fixture
def root_of_hostiles(tmp_path: Path, hostile: str) -> Root:
    """A root in which everything that may have a name or a text of others has a hostile one."""
    root = Root(tmp_path)
    text = hostile[:1000].replace("\ud800", "")
    root.merged(app=dict.fromkeys(("reason", "image", "version", "manifest", "identity"), text))
    state = root.path / "run/extensionctl/state.json"
    state.write_text(state.read_text().replace('"history": []', _history(text)))
    name = text[:100].replace("\0", "").replace("/", "") or "x"
    for path in (
        "etc/extensions.d/{}.extension",
        "etc/extensions.d/app.extension.d/{}.conf",
        "etc/extensions.d/{}.action",
    ):
        root.write(path.format(name), "[Extension]\nMismatch=no\n")
    broken = text.replace("\0", "").encode("utf-8", "surrogateescape").decode("utf-8", "replace")
    (root.path / "etc/extensions.d/raw.extension").write_bytes(os.fsencode(f"[Extension]\nImage={text}\n"))
    root.manifest("broken", f"[Extension]\nImage={broken}\n[{broken}]\n{broken}={broken}\n")
    root.manifest("app", "[Extension]\n")
    root.image("app", f"ID={broken}\nIMAGE_VERSION={broken}\n")
    root.manifest("found")
    (root.path / f"var/lib/extensions/found.v/found_{name}").mkdir(parents=True)
    return root


def _history(text: str) -> str:
    import json

    entry = {"verb": text, "result": text, "reason": text, "when": 0, "generation": 1}
    return f'"history": [{json.dumps(entry)}]'


@pytest.mark.parametrize("style", ["off", "short"])
@pytest.mark.parametrize(
    "verb", ["list", "status", "history", "check", "plan", "explain app", "explain broken", "explain found"]
)
def test_every_verb_that_reads(
    verb: str, style: str, full: Root, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    if verb == "plan" and os.geteuid() != 0:
        monkeypatch.setattr("os.geteuid", lambda: 0)
    status = main.main([*verb.split(), f"--root={full.path}", f"--json={style}"])
    said = capsys.readouterr()
    assert status in (0, 1, 3), said
    assert "this should not have happened" not in said.err
    clean(said.out)
    clean(said.err)
    assert said.out or said.err
