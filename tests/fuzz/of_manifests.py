#  SPDX-License-Identifier: MIT
"""What must hold of everything in extension_manifests that reads texts."""

from __future__ import annotations

from itertools import permutations
from random import Random

from extension_generator import render
from extension_manifests import escape, keys, manifest, names, resolve, settings, unitfile, values, version
from extension_manifests.classes import HIERARCHIES
from extension_manifests.errors import Diagnostic, ManifestError
from extension_manifests.manifest import Manifest
from extension_manifests.unitfile import Entry
from extension_runtime.image import main as mount_helper
from extension_runtime.image import request

from fuzz.engine import Target
from fuzz.texts import JUNK, argument, files, readable, some, word

PATH = "/etc/extensions.d/demo.extension"
FILE_MAX = 1 << 20  # bytes that readers of unit files let through
CHECKED = 20_000  # characters; of more only the time is looked at
MANIFESTS = files("examples/**/*.extension", "tests/golden/**/*.extension", "tests/asserts/*", "catalog/**/*.extension")
SETTINGS = files("tests/golden/**/extensions.conf", "examples/**/extensions.conf", "catalog/**/extensions.conf")
UNITS = files("units/*", "examples/**/*.service", "actions/*")

KINDS = sorted({key.kind.rstrip("*") for key in (*keys.MANIFEST, *keys.SETTINGS, *keys.unit_keys())})
GOOD = {
    "bool": ("yes", "no", "1", "off", "True", "Y"),
    "span": ("90", "5s", "1min 30s", "infinity", "1.5h", "0", "2 weeks", "100ms", "1w1d1h", "."),
    "path": ("/a", "/var/lib/x", "//a//b/./c", "/usr/x", "/a b", "/é", "/"),
    "image": ("demo", "a_1.2", "/images/a.raw", "a@b+3", "/x/a.v"),
    "class": ("sysext", "confext"),
    "extension": ("a.extension", "demo.extension", "b-c.extension", "a.extension.extension"),
    "unit": ("a.service", "b@c.socket", "d\\x2de.mount", "x-y.target", "a@.service"),
    "target": ("multi-user.target", "a.extension", "a.service"),
    "dependency": ("a.service", "b.extension", "local-fs.target", "sysinit.target", "x@%i.service", "network.target"),
    "policy": ("root=verity+signed:swap=absent", "*", "~", "-"),
    "roothash": ("ab" * 32, "/a/hash", "AB" * 16, "abc"),
    "signature": ("base64:abcd", "/a/sig", "base64:", "base64:+/="),
    "glob": ("/usr/share/doc/*", "/usr/sbin", "/**", "/etc/[a-c]", "/etc/[c-a]", "/[", "usr"),
    "text": ("a text", "%n", "!x", "|/path", "a\\", '"a b"'),
}
WORDS = [
    *(text for kind in GOOD.values() for text in kind),
    *(f"[{name}]" for name in ("Unit", "Extension", "Reload", "Etc")),
    *(key.name for key in (*keys.MANIFEST, *keys.SETTINGS)), "=", "\\\n", "# x\n", "; x\n", "X-a=b\n", "[X-A]\n",
]  # fmt: skip


def one_line(text: str) -> None:
    """What people are shown fits into a line of a log."""
    assert text.isprintable(), text
    assert text.strip()


def shown(problem: Diagnostic | ManifestError) -> None:
    one_line(str(problem))
    assert str(problem).startswith("/")


# A file of sections and keys


def value(rng: Random, kind: str) -> str:
    if kind.startswith("choice:"):
        return word(rng, kind[7:].split())
    if kind.endswith("*"):
        return some(rng, lambda: word(rng, GOOD[kind[:-1]]), 4, " ")
    return word(rng, GOOD[kind])


def make_file(rng: Random, table: tuple[keys.Key, ...], corpus: tuple[str, ...]) -> str:
    if corpus and rng.random() < 0.2:
        return rng.choice(corpus)
    by_section: dict[str, list[str]] = {}
    for _ in range(int(rng.random() * 12)):
        key = rng.choice(table)
        line = f"{key.name}={value(rng, key.kind)}" if rng.random() < 0.9 else f"{key.name}="
        by_section.setdefault(key.section, []).append(line)
    parts = [f"[{section}]\n" + "\n".join(lines) + "\n" for section, lines in by_section.items()]
    return "\n".join(parts)


MANIFEST_KEYS = (*keys.MANIFEST, *keys.MANIFEST, *keys.unit_keys())


def make_manifest(rng: Random) -> str:
    return make_file(rng, MANIFEST_KEYS, MANIFESTS)


def same(one: list[Entry], other: list[Entry], lines: bool = True) -> bool:
    return [(e.section, e.key, e.value, e.line * lines) for e in one] == [
        (e.section, e.key, e.value, e.line * lines) for e in other
    ]


def check_unitfile(text: str) -> None:
    text = readable(text)
    problems: list[ManifestError] = []
    entries = unitfile.parse(text, PATH, problems)
    try:
        strict = unitfile.parse(text, PATH)
    except ManifestError as error:
        assert str(error) == str(problems[0])
        strict = None
    else:
        assert not problems
    if len(text) > CHECKED:
        return
    assert strict is None or same(strict, entries)
    for problem in problems:
        shown(problem)
    lines = text.count("\n") + text.count("\r") + 1
    for entry in entries:
        assert entry.section
        assert entry.key == entry.key.strip(unitfile.WHITE) != ""
        assert entry.value == entry.value.strip(unitfile.WHITE)
        assert 1 <= entry.line <= lines
        assert not {"\n", "\0", "\x1b", "\x7f", "\x85"} & set(entry.section + entry.key + entry.value)
    written = "".join(f"[{e.section}]\n{e.key}={escape.line_value(e.value)}\n" for e in entries)
    assert same(unitfile.parse(written, PATH), entries, lines=False)


def check_manifest(text: str) -> None:
    text = readable(text)
    problems: list[ManifestError] = []
    entries = unitfile.parse(text, PATH, problems)
    warnings: list[Diagnostic] = []
    try:
        item = manifest.build("demo", PATH, entries, warnings)
    except ManifestError as error:
        return shown(error)
    finally:
        assert len(warnings) <= keys.UNKNOWN_MAX + 1
        for warning in warnings:
            shown(warning)
    for name in (*item.above, *item.below):
        assert not names.name_problem(name)
        assert name != "demo"
    assert all(map(names.is_unit, (*item.start, *item.restart, *item.reload_or_restart, *item.stop)))
    assert 0 <= item.health_sec < float("inf")
    if len(text) <= CHECKED:
        rendered(item)
    return None


def rendered(item: Manifest) -> None:
    """What is written for PID 1 holds what was meant and nothing else, and the mount helper understands it."""
    out: render.Output = {}
    render.extension(item, out)
    for name, content in out.items():
        assert name.count("/") <= 1
        assert not name.startswith(("/", "../"))
        if isinstance(content, str):
            unitfile.parse(content, name)
    text = out[escape.mount_unit("demo")]
    assert isinstance(text, str)
    entries = unitfile.parse(text, "unit")
    assert {entry.section for entry in entries} == {"Unit", "Mount"}
    mount = {entry.key: entry.value for entry in entries if entry.section == "Mount"}
    assert [entry.key for entry in entries if entry.section == "Mount"] == [
        "What", "Where", "Type", "LazyUnmount", "Options",
    ]  # fmt: skip
    assert mount["What"] == "extension:demo"
    assert not set(mount["Options"]) & set(" \"'%")
    found = mount_helper.ours(mount["Options"].split(","))
    assert found.get("policy", "") == item.image_policy
    assert found.get("roothash", "") == item.root_hash
    assert found.get("signature", "") == item.signature
    assert set(found["class"].split(":")) == set(item.classes)
    asked = request.of_options("", "demo", found)
    assert (asked.noexec, asked.nosuid, asked.mismatch) == (item.noexec, item.nosuid, item.mismatch)
    assert (asked.image, asked.options) == (item.image, request.of_manifest("", item).options)


def make_settings(rng: Random) -> str:
    line = some(rng, lambda: word(rng, CMDLINE), 5, " ")
    return line.replace("\n", " ") + "\n" + make_file(rng, keys.SETTINGS, SETTINGS)


CMDLINE = (
    "quiet", "extensions=0", "extensions=yes", "extensions", "extensions.usr=ephemeral", "extensions.etc=persistent",
    "extensions.opt=x", '"extensions=0"', "'a b'", 'a"b c"d', "extensions.usr=", "extensions.x=1",
)  # fmt: skip


def check_settings(text: str) -> None:
    cmdline, _, text = text.partition("\n")
    problems: list[ManifestError] = []
    entries = unitfile.parse(readable(text), PATH, problems)
    diagnostics: list[Diagnostic] = []
    found = settings.build(entries, cmdline, diagnostics)
    for diagnostic in diagnostics[:100]:
        shown(diagnostic)
    for name in HIERARCHIES:
        hierarchy = found.hierarchy(name)
        assert hierarchy.mode in ("auto", "read-only", "ephemeral", "persistent")
        assert hierarchy.upper.startswith("/")
        assert not f"{hierarchy.upper}/".startswith(tuple(f"/{other}/" for other in HIERARCHIES))
        assert type(hierarchy.import_) is bool
    assert found.timeout_sec >= 0
    out: render.Output = {}
    render.modes(found, out)
    for content in out.values():
        assert {entry.key for entry in unitfile.parse(str(content), "unit")} == {"RequiresMountsFor"}


def make_cmdline(rng: Random) -> str:
    return some(rng, lambda: word(rng, CMDLINE), 8, " ")


def check_cmdline(text: str) -> None:
    found = settings.split_cmdline(text)
    if len(text) > CHECKED:
        return
    assert sum(map(len, found)) <= len(text)
    if not set(text) & set("\"'"):
        plain = text
        for char in "\t\n\r\0":
            plain = plain.replace(char, " ")
        assert found == [part for part in plain.split(" ") if part]
    quoted = " ".join(f'"{part}"' for part in found)
    if '"' not in "".join(found):
        assert settings.split_cmdline(quoted) == found


# Values, names, escapes


def make_values(rng: Random) -> str:
    def line() -> str:
        kind = rng.choice(KINDS)
        return f"{kind}\t{value(rng, kind)}"

    return "\n".join([line() for _ in range(rng.choice((1, 3, 8)))])


def check_values(text: str) -> None:
    for line in text.split("\n") if len(text) < FILE_MAX // 2 else [text]:
        kind, _, given = line.partition("\t")
        if kind not in KINDS:
            kind = KINDS[len(given) % len(KINDS)]
        try:
            found = values.convert(kind, given)
        except ValueError as error:
            assert not isinstance(error, UnicodeError) or not given.isprintable(), "no words of ours"
            continue
        if isinstance(found, str):
            # The converter of "extension" takes its suffix off.
            assert values.convert(kind, found + names.SUFFIX * (kind == "extension")) == found
            assert not found.startswith("/") or len(found.encode(errors="replace")) < 4096 or kind == "text"
        elif isinstance(found, float):
            assert found >= 0
        if kind in ("unit", "target", "dependency", "extension"):
            assert len(str(found)) <= names.UNIT_MAX or "%" in str(found)
        assert kind != "bool" or values.says(given, not found) is found


def make_name(rng: Random) -> str:
    if rng.random() < 0.2:
        return rng.choice("a-.é/%~") * int(rng.random() * 260) + rng.choice(("", ".service", ".extension"))
    parts = ("a", "demo", "-", ".", "_", "x1", "@", "\\x2d", ":", "/")
    return some(rng, lambda: word(rng, parts), 6) + rng.choice(("", ".service", ".mount", ".extension"))


def check_names(text: str) -> None:
    problem = names.name_problem(text)
    if problem:
        one_line(problem)
        assert names.referred(text + names.SUFFIX) is None
    else:
        assert names.referred(text + names.SUFFIX) == text
        mount = escape.mount_unit(text)
        assert names.is_unit(mount)
        assert names.is_unit(escape.service_unit(text))
        assert "/" + escape.unescape(mount.removesuffix(".mount")) == f"{escape.IMAGE_ROOT}/{text}"
        assert "/" not in text
        assert text not in (".", "..")
    assert not names.is_unit(text) or not set(text) & set("/ \n\0%")
    referred = names.referred(text)
    assert referred is None or referred + names.SUFFIX == text


def make_escape(rng: Random) -> str:
    return some(
        rng, lambda: word(rng, ("a", "/", "-", ".", "\\x2d", "\\x", "é", "\\xc3\\xa9", "%", " ", ",", "\\"), 0.3), 10
    )


def check_escape(text: str) -> None:
    text = argument(text)
    data = text.encode("utf-8", "surrogateescape")
    for made, undo in ((escape.escape(text), escape.unescape), (escape.option(text), escape.decode)):
        assert made.isascii()
        assert undo(made).encode("utf-8", "surrogateescape") == data
    assert not set(escape.option(text)) & set(" ,%\"'\t\n;#")
    try:
        decoded = escape.decode(text)
    except ValueError as error:
        assert "\\" in text, error
    else:
        assert escape.decode(escape.option(decoded)) == decoded
        assert "\\" in text or decoded == text
    try:
        unit = escape.unit_name_from_path(text, "mount")
    except ValueError:
        assert ".." in text.split("/")
    else:
        assert unit.endswith(".mount")
        assert not set(unit) & set("/ %")
    assert escape.percent(text).replace("%%", "") == text.replace("%", "")
    if text.isprintable():
        lines = unitfile.parse(f"[A]\nB=x{escape.line_value(text)}\nC=\n", "unit")
        assert [entry.key for entry in lines] == ["B", "C"]


# Orders


def make_versions(rng: Random) -> str:
    pieces = ("~", "-", "^", ".", "_", "+", "0", "1", "10", "007", "a", "B", "rc", "é", "")
    return "\n".join([some(rng, lambda: word(rng, pieces, 0.02), 7) for _ in range(3)])


def check_version(text: str) -> None:
    found = text.split("\n")[:3]
    if len(text) > CHECKED:
        version.compare(found[0], found[-1])
        return
    for a in found:
        assert version.compare(a, a) == 0
        for b in found:
            assert version.compare(a, b) == -version.compare(b, a)
    for a, b, c in permutations((*found, "", "")[:3]):
        if version.compare(a, b) <= 0 and version.compare(b, c) <= 0:
            expected = min(version.compare(a, b), version.compare(b, c))
            assert version.compare(a, c) == expected, (a, b, c)
    assert len({tuple(version.ordered(list(order))) for order in permutations(found)}) == 1


NAMES = ("a", "b", "c", "d", "e-1", "e-2", "f")
RELATIONS = ("above", "below", "After", "Before", "Requires", "BindsTo", "Conflicts", "Wants")


def make_relations(rng: Random) -> str:
    def line() -> str:
        many = some(rng, lambda: word(rng, NAMES, 0.02), 4, " ")
        return f"{word(rng, NAMES, 0.02)} {rng.choice(RELATIONS)} {many}"

    if rng.random() < 0.002:
        size = int(rng.random() * 1500)
        key = rng.choice(RELATIONS)
        return "\n".join(f"n{i} {key} n{(i + 1) % size}" for i in range(size))
    return some(rng, line, 10, "\n")


def check_resolve(text: str) -> None:
    given: dict[str, dict[str, list[str]]] = {}
    for line in text.split("\n")[:2000]:
        name, *rest = line.split()[:12] or [""]
        if not names.name_problem(name):
            key = rest[0] if rest and rest[0] in RELATIONS else "above"
            others = [other for other in rest if not names.name_problem(other) and other != name]
            given.setdefault(name, {}).setdefault(key, []).extend(others)
    manifests = {
        name: Manifest(
            name,
            f"/m/{name}",
            tuple((key, " ".join(f"{o}.extension" for o in others)) for key, others in found.items() if key[0] < "a"),
            above=tuple(found.get("above", ())),
            below=tuple(found.get("below", ())),
        )
        for name, found in given.items()
    }
    diagnostics: list[Diagnostic] = []
    order = [item.name for item in resolve.order(manifests, diagnostics)]
    circles = resolve.unordered(manifests, diagnostics)
    diagnostics += resolve.check(manifests, {}, set())
    assert sorted(order) == sorted(manifests)
    for diagnostic in diagnostics[:100]:
        shown(diagnostic)
    if len(manifests) > 20:
        return
    turned = dict(reversed(manifests.items()))
    assert [item.name for item in resolve.order(turned, [])] == order
    assert resolve.unordered(turned, []) == circles
    edges = {(lower, name) for name, item in manifests.items() for lower in item.above if lower in manifests}
    edges |= {(name, upper) for name, item in manifests.items() for upper in item.below if upper in manifests}
    reach = closure(edges)
    for low, high in edges:
        assert (high, low) in reach or order.index(low) < order.index(high)
    for name, circle in circles.items():
        assert name in circle
        assert len(circle) > 1
        assert all(circles[other] == circle for other in circle)


def closure(edges: set[tuple[str, str]]) -> set[tuple[str, str]]:
    """All pairs that one can go from and to."""
    found = set(edges)
    for middle in {end for edge in edges for end in edge}:
        found |= {(a, d) for a, b in found if b == middle for c, d in found if c == middle}
    return found


TARGETS = [
    Target("unitfile", make_manifest, check_unitfile, words=WORDS, others=MANIFESTS + UNITS, large=FILE_MAX),
    Target("manifest", make_manifest, check_manifest, words=WORDS, others=MANIFESTS, large=FILE_MAX),
    Target("settings", make_settings, check_settings, words=WORDS + list(CMDLINE), others=SETTINGS, large=FILE_MAX),
    Target("cmdline", make_cmdline, check_cmdline, words=CMDLINE, large=1 << 17),
    Target("values", make_values, check_values, words=WORDS, large=FILE_MAX),
    Target("names", make_name, check_names, words=WORDS, large=FILE_MAX),
    Target("escape", make_escape, check_escape, words=JUNK, large=1 << 17),
    Target("version", make_versions, check_version, words=("~", "^", "00"), large=FILE_MAX),
    Target("resolve", make_relations, check_resolve, words=(*NAMES, *RELATIONS), large=1 << 17),
]
