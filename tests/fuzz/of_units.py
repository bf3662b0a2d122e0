#  SPDX-License-Identifier: MIT
"""What must hold of everything that reads units and actions, and what systemctl says of units."""

from __future__ import annotations

from collections.abc import Mapping
from random import Random
from typing import cast

from extension_manifests import names, unitfile
from extension_manifests.errors import Diagnostic, ManifestError
from extension_manifests.globs import Glob, fixed_part
from extension_runtime.layers.tree import View
from extension_runtime.pid1 import properties
from extension_runtime.pid1.commands import Completed
from extension_runtime.pid1.systemctl import Systemd
from extension_runtime.react import actionfile, unitfiles
from extension_runtime.react.unitfiles import UnitFiles

from fuzz import globs
from fuzz.engine import Target
from fuzz.of_manifests import CHECKED, FILE_MAX, GOOD, UNITS, shown
from fuzz.texts import argument, files, readable, some, word

ACTIONS = files("actions/*.action", "examples/**/*.action")
ACTION_GOOD = {
    "path": ("/usr/lib/a", "/", "a"),
    "glob": ("/usr/lib/a/*.conf", "/etc/**", "/usr/share/", "/a?[bc]", "/[!a]", "/[]]", "/["),
    "verb": actionfile.VERBS,
    "unit": GOOD["unit"],
    "flag": ("yes", "no", "x"),
    "append": ("existing", "none"),
    "number": ("1", "-5", "50", "--5", "٣", "1.5"),
    "command": ("/bin/true", "/bin/sh -c 'a b'", '/bin/echo "a\\"b" \\x', "true", "'", '""'),
}


# Actions


def make_action(rng: Random) -> str:
    if rng.random() < 0.3:
        return rng.choice(ACTIONS)
    lines: dict[str, list[str]] = {"Trigger": [], "Action": []}
    for _ in range(int(rng.random() * 10)):
        key = rng.choice(actionfile.KEYS)
        many = 3 if key.kind.endswith("*") else 1
        value = " ".join(word(rng, ACTION_GOOD[key.kind.rstrip("*")]) for _ in range(many))
        lines[key.section].append(f"{key.name}={value}\n")
    return "".join(f"[{section}]\n{''.join(found)}" for section, found in lines.items())


def check_action(text: str) -> None:
    problems: list[ManifestError] = []
    entries = unitfile.parse(readable(text), "/a.action", problems)
    warnings: list[Diagnostic] = []
    try:
        action = actionfile.build("a", "/a.action", entries, warnings)
    except ManifestError as error:
        return shown(error)
    for warning in warnings[:100]:
        shown(warning)
    assert action.paths
    assert all(path.startswith("/") for path in (*action.paths, *action.exists, *action.writable))
    assert all(map(names.is_unit, (*action.start, *action.restart, *action.reload)))
    assert set(action.on) <= set(actionfile.VERBS)
    assert not action.exec or action.exec[0].startswith("/")
    for path in action.paths[:100]:
        assert fixed_part(path).startswith("/") or not fixed_part(path)
    return None


GLOB = ("*", "**", "?", "/", "a", "b", ".", "*.conf", "/usr", "***", "*a", "[ab]", "[!a]", "[", "]", "[z-a]")
PLAIN = ("/", "a", "b", ".", ".conf", "/usr", "\n", "é")


def make_glob(rng: Random) -> str:
    glob = "/" + some(rng, lambda: word(rng, GLOB, 0.03), 7)
    if rng.random() < 0.02:
        glob = "/" + rng.choice(GLOB[:9]) * int(rng.random() * 100)
    paths = ["/" + some(rng, lambda: word(rng, PLAIN, 0.03), 8) for _ in range(3)]
    paths += [glob.replace("*", "a").replace("?", "b"), "/" + "a" * 3000]
    return "\0".join((glob, *paths))


def check_glob(text: str) -> None:
    glob, *paths = text.split("\0")
    if len(glob) > 4095 or not glob.startswith("/"):
        return
    try:
        fits = Glob(glob).matches
    except ValueError as error:
        assert len(str(error)) < 400  # an entry makes one line of it
        return
    for path in paths[:20]:
        found = fits(path[:4095])
        if "[" not in glob and len(path) < 50 and len(glob) < 50:
            assert found is globs.means(glob, path), (glob, path)


# Units of a view

FOLDERS = (
    "/etc/systemd/system", "/usr/lib/systemd/system", "/run/systemd/generator", "/usr/lib/systemd/system/a.service.d",
    "/etc/systemd/system/multi-user.target.wants", "/etc/systemd/system/service.d",
    "/usr/lib/systemd/system/a-.service.d", "/etc/systemd/system/a@.service.requires",
)  # fmt: skip
UNIT = (
    "a.service",
    "a@.service",
    "a@b.service",
    "a-b-c.service",
    "multi-user.target",
    "50-x.conf",
    "b.socket",
    "a.slice",
)
TARGETS_OF_LINKS = (
    "/dev/null",
    "a.service",
    "../a@.service",
    "/usr/lib/systemd/system/a.service",
    "a@c.service",
    "",
    "/",
)
LINES = (
    "[Unit]", "[Install]", "[Service]", "After=a.service", "Wants=b.socket a@%i.service", "Requires=", "X=1",
    "RefuseManualStart=yes", "WantedBy=%p.target", "PartOf=a.service \\", "BindsTo=%I", "# x", "=", "[",
)  # fmt: skip


def make_view(rng: Random) -> str:
    """Files as "=== path", links as "=== path -> target"."""

    def file() -> str:
        path = f"=== {rng.choice(FOLDERS)}/{word(rng, UNIT, 0.05)}"
        if rng.random() < 0.3:
            return f"{path} -> {word(rng, TARGETS_OF_LINKS)}\n"
        return f"{path}\n" + some(rng, lambda: word(rng, LINES) + "\n", 6)

    return some(rng, file, 8)


class FakeView:
    """As layers.tree.View, of a table."""

    def __init__(self, texts: Mapping[str, str], links: Mapping[str, str]) -> None:
        self.texts = texts
        self.links = links

    def names(self, folder: str) -> list[str]:
        prefix = folder + "/"
        below = {path[len(prefix) :].partition("/")[0] for path in self.texts if path.startswith(prefix)}
        return sorted(below - {""})

    def kind(self, path: str) -> tuple[str, str]:
        if path in self.links:
            return "link", self.links[path]
        return ("file", "") if path in self.texts else ("folder", "") if self.names(path) else ("", "")

    def resolve(self, path: str) -> str | None:
        for _ in range(40):
            if path not in self.links:
                return path if path in self.texts or path == "/dev/null" else None
            target = self.links[path]
            path = target if target.startswith("/") else f"{path.rpartition('/')[0]}/{target.removeprefix('../')}"
        return None

    def text(self, path: str) -> str:
        return self.texts.get(self.resolve(path) or "", "")


def check_view(text: str) -> None:
    texts: dict[str, str] = {}
    links: dict[str, str] = {}
    for block in ("\n" + readable(text)).split("\n=== ")[1:300]:
        first, _, rest = block.partition("\n")
        path, arrow, target = first.partition(" -> ")
        texts[path] = rest
        if arrow:
            links[path] = target
    found = UnitFiles(cast(View, FakeView(texts, links)))
    units = dict.fromkeys([*UNIT, *(path.rpartition("/")[2] for path in list(texts)[:20])])
    for unit in units:
        fragment = found.fragment(unit)
        assert not fragment or fragment in texts
        assert not found.exists(unit) or fragment
        assert not (found.exists(unit) and found.masked(unit))
        assert not found.canonical(unit).count("/")
        assert all(path.endswith(".conf") for path in found.dropins(unit))
        for values in found.settings(unit).values():
            assert all(values)
        pulled = found.pulled_by(unit)
        assert len(set(pulled)) == len(pulled)
        assert not any("%" in other for other in pulled)
        assert found.says(unit, "RefuseManualStart") in (True, False)
        folders = unitfiles.dropin_folders(unit)
        assert folders[0] == f"{unit}.d"
        template = unitfiles.template(unit)
        assert not template or unitfiles.instance_of(unit, template)


# Properties as systemctl shows them

ARGUMENTS = (
    "-a",
    "/etc/a.conf",
    "--file=/etc/b",
    "{",
    "}",
    "a b",
    ";",
    " ; ",
    "path=/x",
    "é",
    "\u2028",
    "=",
    "\x0b",
    "x\x85y",
)


def make_properties(rng: Random) -> str:
    def command() -> str:
        program = word(rng, ("/bin/a", "/usr/bin/b c", "/x"), 0)
        arguments = some(rng, lambda: word(rng, ARGUMENTS), 5, " ")
        return f"{{ path={program} ; argv[]={program} {arguments} ; ignore_errors=no }}"

    return some(rng, command, 3, "\n")


def check_properties(text: str) -> None:
    found = properties.program_paths({"ExecStart": text})
    assert len(found) == len(set(found))
    assert all(path.startswith("/") for path in properties.argument_paths({"ExecStart": text}))
    assert all(
        folder.startswith("/") or not folder for folder in properties.library_folders("A=b LD_LIBRARY_PATH=" + text)
    )
    if len(text) < CHECKED and "\n" not in text and " ; " not in f" {text} ":
        # Whatever is among the arguments, the next command is found.
        shown = f"{{ path=/bin/a ; argv[]=/bin/a {text} ; x=y }}\n{{ path=/bin/b ; argv[]=/bin/b /c/d ; x=y }}"
        assert properties.program_paths({"ExecStart": shown}) == ["/bin/a", "/bin/b"]
        assert properties.argument_paths({"ExecStart": shown})[-1] == "/c/d"
        words = [part for part in text.split() if part.startswith("/")]
        assert set(words) <= set(properties.argument_paths({"ExecStart": shown}))


def check_shown(text: str) -> None:
    """A text of somebody's unit is the value of its property, and no property besides."""
    value = argument(text).replace("\n", " ")
    answer = f"Id=a.service\nDescription={value}\nActiveState=active\n\nId=b.service\nActiveState=failed\n"
    systemd = Systemd(lambda *_argv, **_options: Completed(0, answer, ""))
    shown = systemd.show(["a.service", "b.service"], ("Id", "Description", "ActiveState"))
    assert shown["a.service"] == {"Id": "a.service", "Description": value, "ActiveState": "active"}
    assert shown["b.service"] == {"Id": "b.service", "ActiveState": "failed"}
    table = f"a.service loaded active running {value}\nb.service loaded failed failed x\n"
    systemd = Systemd(lambda *_argv, **_options: Completed(0, table, ""))
    assert list(systemd.units()) == ["a.service", "b.service"]


TARGETS = [
    Target(
        "action",
        make_action,
        check_action,
        words=[t for g in ACTION_GOOD.values() for t in g],
        others=ACTIONS,
        large=FILE_MAX,
    ),
    Target("glob", make_glob, check_glob, words=GLOB),
    Target("unitfiles", make_view, check_view, words=(*LINES, *UNIT, "=== ", " -> "), others=UNITS, large=FILE_MAX),
    Target("shown", make_properties, check_shown, words=("\u2028ActiveState=failed", "\x85Id=", "="), large=1 << 17),
    Target("properties", make_properties, check_properties, words=ARGUMENTS, large=1 << 17),
]
