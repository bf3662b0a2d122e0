#  SPDX-License-Identifier: MIT
"""What must hold of everything that reads images, their records and the mount table."""

from __future__ import annotations

import json
from copy import deepcopy
from random import Random

from extension_manifests import names
from extension_manifests.errors import ExtensionError, ImageError
from extension_runtime import jsontext
from extension_runtime.image import formats, osrelease, record, records, release, request, versions
from extension_runtime.image import main as mount_helper
from extension_runtime.image.host import Host
from extension_runtime.image.record import Record
from extension_runtime.kernel import mountinfo

from fuzz.engine import Target
from fuzz.of_manifests import CHECKED, FILE_MAX, one_line
from fuzz.texts import argument, files, readable, some, word

RELEASES = files("tests/golden/**/os-release", "catalog/**/extension-release*", "examples/**/extension-release*")
FIELDS = (
    "ID", "VERSION_ID", "SYSEXT_LEVEL", "CONFEXT_LEVEL", "SYSEXT_SCOPE", "ARCHITECTURE", "NAME", "ID_LIKE",
    "PRETTY_NAME",
)  # fmt: skip
TEXTS = ("debian", "13", '"a b"', "'x'", "_any", "x86-64", "system portable", '"a \\"b\\" \\$c"', "2.0", "", "a\\ b")
HOST = Host("debian", ("ubuntu", "x"), "13", "2.0", "3", "x86-64", "system")


def refused(error: Exception) -> None:
    one_line(str(error))


# os-release and release files


def make_osrelease(rng: Random) -> str:
    if RELEASES and rng.random() < 0.1:
        return rng.choice(RELEASES)
    return some(rng, lambda: f"{word(rng, FIELDS)}={word(rng, TEXTS)}\n", 8)


def check_osrelease(text: str) -> None:
    text = readable(text)
    try:
        found = osrelease.parse(text, "/os-release")
    except ImageError as error:
        refused(error)
        found = {}
    for key in found:
        assert key == key.strip()
        assert key[0] not in "#;"
    if len(text) > CHECKED:
        return
    plain = text.replace("\n", " ")
    quoted = plain
    for char in '\\"`$':
        quoted = quoted.replace(char, "\\" + char)
    assert osrelease.parse(f'A="{quoted}"\n', "x") == {"A": plain}
    for class_ in ("sysext", "confext"):
        why = release.match(found, HOST, class_)
        if why is not None:
            one_line(why)
        assert why is None or found.get("ID") != "_any" or not why.startswith("made for ID=")
    assert release.match({**found, "ID": ""}, HOST, "sysext") is not None


def make_choice(rng: Random) -> str:
    parts = ("demo", "demo_1", "demo+3", "other", "a.b", "demo_2+1-2", "")
    return "\n".join([word(rng, parts) + rng.choice(("", "!")) for _ in range(1 + int(rng.random() * 5))])


def check_choice(text: str) -> None:
    name, *suffixes = argument(text).split("\n")
    candidates = {suffix.rstrip("!"): suffix.endswith("!") for suffix in suffixes}
    try:
        found = release.choose(name, candidates, "/release.d")
    except ImageError as error:
        refused(error)
        assert name not in candidates
    else:
        assert found in candidates
        assert found == name or name not in candidates


# The first bytes

MAGIC = (
    "0 hsqs", "1024 \xe2\xe1\xf5\xe0", "65600 _BHRfS_M", "1080 \x53\xef", "512 EFI PART", "4096 EFI PART", "257 ustar",
    "510 \x55\xaa", "40 \x00\x10\x00\x00\x00\x00\x00\x00", "1060 \x10\x00\x00\x00", "1036 \x0c",
    "1028 \x00\x00\x10\x00", "1048 \x02", "65648 \x00\x00\x10\x00\x00\x00\x00\x00",
    "1036 \xff", "1048 \xff\xff\xff\xff", "40 " + "\xff" * 8,
)  # fmt: skip
SIZES = ("0", "1", "95", "96", "512", "1152", "4096", "69631", "69632", "1048576", "9223372036854775807")


def make_head(rng: Random) -> str:
    return f"{rng.choice(SIZES)} {rng.choice(SIZES)}\n" + some(rng, lambda: rng.choice(MAGIC), 5, "\n")


def check_formats(text: str) -> None:
    """The first line is the length of the head and the size of the file, each other one an offset and bytes."""
    sizes, *lines = text.split("\n")
    numbers = [int(part[:19]) for part in sizes.split(" ") if part.isascii() and part.isdigit()]
    length, size = (*numbers, 4096, 4096)[:2]
    length = min(length, size, formats.HEAD)
    head = bytearray(length)
    for line in lines:
        offset, _, data = line.partition(" ")
        at = int(offset[:6]) if offset.isascii() and offset.isdigit() else 0
        head[at : at + len(data)] = data.encode("latin-1", "replace")
    head = head[:length]
    try:
        found = formats.detect(bytes(head), size)
    except ImageError as error:
        refused(error)
        assert str(error).startswith("is ")
    else:
        assert found in formats.RAW
        assert formats.detect(bytes(head), size + 1) == found


# Versions in a folder


def make_versioned(rng: Random) -> str:
    def name() -> str:
        architecture = rng.choice(("", "", "_x86-64", "_arm64", "_x86", "_sparc"))
        tries = rng.choice(("", "", "+0", "+3", "+2-1", "+0-5", "+x", "+-"))
        stem = some(rng, lambda: word(rng, ("1", ".", "2", "10", "~rc", "-", "^", "a", "_", "+"), 0.03), 5)
        return f"demo_{stem}{architecture}{tries}.raw"

    return "demo\n.raw\nx86-64\n" + some(rng, name, 6, "\n")


def check_versions(text: str) -> None:
    base, suffix, native, *found = (*argument(text).split("\n"), "", "", "")[:2003]
    picked = versions.pick(found, base, suffix, native)
    again = versions.pick(found[::-1], base, suffix, native)
    assert (picked and picked.filename) == (again and again.filename)
    if picked:
        assert picked.filename in found
        assert picked.version
        assert picked.filename.startswith(f"{base}_{picked.version}")
    if len(found) < 20:
        split = [one for name in dict.fromkeys(found) if (one := versions.split(name, base, suffix))]
        for one in split:
            for other in split:
                assert one is other or versions.better(one, other, native) != versions.better(other, one, native)


# Records


def make_record(rng: Random) -> str:
    data: dict[str, object] = {key: word(rng, ("demo", "a", "", "x y"), 0.3) for key in record.TEXTS}
    data["state"] = word(rng, record.STATES, 0.05)
    data |= {key: [word(rng, ("usr", "sysext", ""), 0.2) for _ in range(int(rng.random() * 3))] for key in record.LISTS}
    return damaged_json(rng, data)


ODD: tuple[object, ...] = (None, True, 0, -1, 1.5, "", "x", [], {}, [[]], [1], {"a": 1}, 10**30, "\ud800", [None])


def damaged_json(rng: Random, data: object) -> str:
    """JSON of `data`, a value in it replaced or taken out at times."""
    while rng.random() < 0.4:
        places: list[tuple[dict[str, object] | list[object], object]] = []
        todo: list[object] = [data]
        while todo:
            at = todo.pop()
            if isinstance(at, dict):
                places += [(at, key) for key in at]
                todo += at.values()
            elif isinstance(at, list):
                places += [(at, key) for key in range(len(at))]
                todo += at
        if not places:
            break
        holder, key = rng.choice(places)
        if rng.random() < 0.2:
            del holder[key]  # type: ignore[arg-type]
        else:
            holder[key] = deepcopy(rng.choice(ODD))  # type: ignore[index,call-overload]
    return json.dumps(data, ensure_ascii=rng.random() < 0.5)


def check_record(text: str) -> None:
    if len(text) < CHECKED:
        given = Record("demo", "failed", classes=argument(text).split("\n")[:3])
        for key, part in zip(record.TEXTS, given.classes, strict=False):
            setattr(given, key, part)
        written(given)
    try:
        found = records.from_json(text, "/a.json")
    except records.RecordError as error:
        assert str(error).isprintable()
        return
    assert found.state in record.STATES
    assert all(isinstance(getattr(found, key), str) for key in record.TEXTS)
    assert all(isinstance(item, str) for key in record.LISTS for item in getattr(found, key))
    written(found)


def written(given: Record) -> None:
    line = record.to_json(given)
    assert line.isascii()
    assert line.isprintable() or line[:-1].isprintable()
    data = json.loads(line)
    for key in (*record.TEXTS, *record.LISTS):
        # A pair of surrogates that stand for one character is that character in JSON.
        assert data[key] == json.loads(json.dumps(getattr(given, key))), key
    if given.state in record.STATES:
        again = records.from_json(line, "/a.json")
        assert record.to_json(again) == line


def make_json(rng: Random, depth: int = 0) -> str:
    kind = rng.random()
    if depth > 3 or kind < 0.4:
        return word(
            rng, ("1", "-0", "1.5e3", "true", "false", "null", '"a"', '"\\u00e9"', '"\\ud83d\\ude00"', '""'), 0.05
        )
    if kind < 0.7:
        return "[" + some(rng, lambda: make_json(rng, depth + 1), 4, ", ") + "]"
    return "{" + some(rng, lambda: f'"{word(rng, ("a", "b", ""))}": {make_json(rng, depth + 1)}', 4, ",") + "}"


def check_json(text: str) -> None:
    expected: object
    try:
        expected = json.loads(text)
    except (ValueError, RecursionError):
        expected = ValueError
    try:
        found = jsontext.loads(text)
    except ValueError as error:
        assert expected is ValueError, error
        return
    if expected is ValueError:
        # How deep is too deep is the interpreter's to say.
        assert len(text) > 100
        return
    assert repr(found) == repr(expected)
    line = jsontext.dumps(found)
    assert line == json.dumps(found, sort_keys=True)
    assert repr(jsontext.loads(line)) == repr(json.loads(line))


# The mount table

FOLDERS = (
    "/",
    "/usr",
    "/run/extension/a",
    "/a b",
    "/a\tb",
    "/a\nb",
    "/a\\b",
    "/a\rb",
    "/a\u2028b",
    "/é",
    "/a - b",
    "/#",
)


def kernel(text: str) -> str:
    """As the kernel writes it."""
    return "".join(f"\\{ord(char):03o}" if char in " \t\n\\#" else char for char in text)


def make_mountinfo(rng: Random) -> str:
    def line() -> str:
        left = f"{int(rng.random() * 30)} {int(rng.random() * 30)} 0:{int(rng.random() * 90)}"
        tags = some(rng, lambda: word(rng, ("shared:1", "master:2", "propagate_from:3", "unbindable"), 0), 2, " ")
        folder = kernel(argument(word(rng, FOLDERS)))
        source = kernel(argument(word(rng, ("none", "/dev/a", "", "a b", "a\\b"))))
        return f"{left} {folder} {folder} ro,nosuid {tags + ' ' if tags else ''}- tmpfs {source} rw,size=1k\n"

    return some(rng, line, 8)


def check_mountinfo(text: str) -> None:
    text = argument(text)
    path = "/" + text[:CHECKED]
    mount = mountinfo.Mount(f"1 2 0:3 / {kernel(path)} rw shared:9 - tmpfs {kernel(path)} rw")
    assert (mount.path, mount.source, mount.shared) == (path, path, True)
    try:
        table = mountinfo.Table(text)
    except ValueError:
        return
    for number, mount in list(table.mounts.items())[:50]:
        stack = table.stack(number)
        assert stack[-1] is mount
        assert len({id(one) for one in stack}) == len(stack)
        assert all(child.parent == number for child in table.submounts(mount))
        assert mount in table.below(mount.path)
        assert set(mount.flags) <= set(mountinfo.FLAGS)


# The call of the mount helper

CALL = (
    "demo", "/images/a.raw", "/run/extension/demo", "/root/run/extension/demo", "-o", "-t", "extension", "-f", "-s",
    "-n", "-sfnv", "--", "-", "-orw,ext.class=sysext", "ext.class=sysext:confext,ext.mismatch=fail",
    "rw,ext.noexec=1,nosuid", "ext.error=a\\x20b", "ext.roothash=ab", "ext.x=1", "ext.nosuid=2", "remount",
    "ext.image=\\x2fa", "ext.class=", "/run/extension/..", "/run/extension/", "-oext.class=\\x", "/run/extension/a/b",
)  # fmt: skip


def make_call(rng: Random) -> str:
    call = some(rng, lambda: word(rng, CALL), 6, "\n")
    return f"demo\n/run/extension/demo\n-o\n{call}" if rng.random() < 0.5 else call


def check_call(text: str) -> None:
    try:
        call = mount_helper.parse(argument(text).split("\n"))
        root, name = mount_helper.split_target(call.target)
        assert not names.name_problem(name), name
        assert call.target.rstrip("/") == f"{root}/run/extension/{name}"
        wanted = request.of_options(root, name, mount_helper.ours(call.options))
    except ExtensionError as error:
        refused(error)
    else:
        assert set(wanted.classes) <= {"sysext", "confext"}
        assert wanted.classes


JSON_WORDS = ('"', "{", "}", "[", "]", ":", ",", "null", "true", "\\u", "\\ud800", "1e999", "NaN", "-Infinity", '"a":')

TARGETS = [
    Target("osrelease", make_osrelease, check_osrelease, words=(*FIELDS, *TEXTS), large=osrelease.SIZE_MAX),
    Target("release", make_choice, check_choice, words=("demo", "!", "\n"), large=1 << 17),
    Target("formats", make_head, check_formats, words=MAGIC, large=1 << 17),
    Target("versions", make_versioned, check_versions, words=("_", "+1", ".raw", "_x86-64"), large=1 << 17),
    Target("record", make_record, check_record, words=(*JSON_WORDS, *record.TEXTS, *record.LISTS), large=1 << 17),
    Target("json", make_json, check_json, words=JSON_WORDS, large=FILE_MAX),
    Target("mountinfo", make_mountinfo, check_mountinfo, words=(" - ", "\\040", "shared:1", "0:1"), large=FILE_MAX),
    Target("mountcall", make_call, check_call, words=CALL, large=1 << 17),
]
