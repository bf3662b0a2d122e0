#  SPDX-License-Identifier: MIT
"""What layers do to the base: every kind over every kind, and made-up trees against a walk of the whole merged tree."""

from __future__ import annotations

import errno
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from fnmatch import fnmatchcase
from itertools import count, product

import pytest
from extension_runtime.layers import harm
from extension_runtime.layers.harm import FILE, FOLDER, LINK, SPECIAL, WHITE, Ground, Impact, Part, Traits
from hypothesis import given, settings
from hypothesis import strategies as st

# The model: a tree of nodes


class Node:
    """One thing in a tree: its `kind`, and what a thing of that kind is."""

    def __init__(
        self,
        kind: str,
        text: str = "",
        inside: Mapping[str, Node] | None = None,
        mode: int = 0o755,
        bent: str = "",
        owner: int = 0,
        labels: Mapping[str, bytes] | None = None,
    ) -> None:
        self.kind = kind
        self.text = text  # the content of a file, the target of a link
        self.inside = dict(inside or {})
        self.mode = mode
        self.bent = bent
        self.owner = owner
        self.labels = dict(labels or {})
        self.hides = kind == WHITE and text == "attribute"

    def __repr__(self) -> str:
        return f"{self.kind}({self.text}{self.bent}{self.inside or ''})"

    def at(self, path: str) -> Node | None:
        found: Node | None = self
        for name in path.split("/") if path else []:
            found = found.inside.get(name) if found is not None else None
        return found

    def flat(self, prefix: str = "") -> dict[str, Node]:
        found: dict[str, Node] = {}
        for name, node in self.inside.items():
            found[prefix + name] = node
            found.update(node.flat(f"{prefix}{name}/"))
        return found


def file(text: str = "1") -> Node:
    return Node(FILE, text)


def link(target: str) -> Node:
    return Node(LINK, target)


def folder(mode: int = 0o755, bent: str = "", **inside: Node) -> Node:
    return Node(FOLDER, inside=inside, mode=mode, bent=bent)


def tree(**inside: Node) -> Node:
    return Node(FOLDER, inside=inside)


def white() -> Node:
    return Node(WHITE)


def hiding_file() -> Node:
    """An empty file that an attribute makes a whiteout."""
    return Node(WHITE, "attribute")


_numbers = count()


def special() -> Node:
    """A device; of no two it is known that they are the same."""
    return Node(SPECIAL, str(next(_numbers)))


class Fake:
    """A tree of the model, as a comparison reads it; `broken` paths cannot be read."""

    def __init__(self, top: Node, broken: Collection[str] = ()) -> None:
        self.top = top
        self.broken = broken
        self.asked: list[str] = []

    def _node(self, path: str) -> Node:
        if path in self.broken:
            raise OSError(errno.EIO, "Input/output error")
        node = self.top.at(path)
        if node is None:
            raise FileNotFoundError(errno.ENOENT, "No such file or directory", path)
        return node

    def kinds(self, path: str) -> dict[str, str]:
        self.asked.append(path)
        if self.top.at(path) is None:
            return {}
        # Some whiteouts are files at first sight.
        return {name: FILE if node.hides else node.kind for name, node in self._node(path).inside.items()}

    def hides(self, path: str) -> bool:
        return self._node(path).hides

    def traits(self, path: str) -> Traits:
        node = self._node(path)
        return Traits(node.mode, node.owner, node.owner, node.labels, node.bent)

    def target(self, path: str) -> str:
        return self._node(path).text

    def blocks(self, path: str) -> Iterator[bytes]:
        text = self._node(path).text.encode()
        yield from (text[start : start + 2] for start in range(0, len(text), 2))


def allows(*globs: str) -> object:
    return lambda path: any(fnmatchcase(path, glob) for glob in globs)


def never(_path: str) -> bool:
    return False


def leads_in(base: Node, hierarchy: str = "usr") -> object:
    """Whether a link ends at a folder, where all links lead to a name beside them."""

    def leads(path: str) -> bool:
        parent, _, name = path.removeprefix(f"/{hierarchy}/").rpartition("/")
        for _ in range(10):
            node = base.at(f"{parent}/{name}".lstrip("/"))
            if node is None or node.kind != LINK:
                return node is not None and node.kind == FOLDER
            name = node.text
        return False

    return leads


def compared(
    base: Node,
    *layers: Node,
    hierarchy: str = "usr",
    mounts: Mapping[str, bool] | None = None,
    vital: Collection[str] = (),
    hides: Collection[str] = (),
    stale: Collection[int] = (),
    broken: Collection[str] = (),
    broken_base: Collection[str] = (),
) -> list[Impact]:
    """The impacts of `layers`, lowest first, of which those numbered in `stale` were compared before."""
    ground = Ground(
        hierarchy, Fake(base, broken_base), mounts or {}, allows(*vital), leads_in(base, hierarchy)  # type: ignore[arg-type]
    )  # fmt: skip
    parts = [
        Part(f"e{number}", Fake(layer, broken), allows(*hides), number not in stale)  # type: ignore[arg-type]
        for number, layer in enumerate(layers)
    ]
    found = harm.compare(ground, parts)
    assert list(found) == [part.name for part in parts]
    return list(found.values())


def said(impact: Impact) -> tuple[list[str], list[str], dict[str, list[str]]]:
    return impact.harms, impact.stops, impact.overrides


# Every kind over every kind

KINDS: dict[str, Callable[[str], dict[str, Node]]] = {
    "nothing": lambda _inside: {},
    "file": lambda _inside: {"x": file("2")},
    "folder": lambda inside: {"x": Node(FOLDER, inside={inside: file()})},
    "empty folder": lambda _inside: {"x": folder()},
    "link to a folder": lambda _inside: {"x": link("d")},
    "link to a file": lambda _inside: {"x": link("f")},
    "dangling link": lambda _inside: {"x": link("gone")},
    "whiteout": lambda _inside: {"x": white()},
    "whiteout by attribute": lambda _inside: {"x": hiding_file()},
    "special": lambda _inside: {"x": special()},
}
FILES = ("file", "link to a file", "dangling link")
FOLDERS = ("folder", "empty folder")


def expected(above: str, below: str) -> str:
    """What comes of it: "", override or harm; by the words in extension(5), not by the code."""
    if "nothing" in (above, below) or below.startswith("whiteout"):
        return ""
    if above in FOLDERS and below in FOLDERS:
        return ""
    if above == below == "link to a folder":
        return "override"
    if above in (*FILES, "link to a folder") and below in FILES:
        return "override"
    return "harm"


@pytest.mark.parametrize(("above", "below"), list(product(KINDS, KINDS)))
def test_every_kind_over_every_kind(above: str, below: str) -> None:
    around = {"d": folder(y=file()), "f": file()}
    base, layer = tree(**around, **KINDS[below]("old")), tree(**KINDS[above]("new"))
    (impact,) = compared(base, layer)
    what = expected(above, below)
    assert impact.stops == impact.unseen == impact.mends == []
    assert impact.overrides == ({"": ["/usr/x"]} if what else {})
    assert len(impact.harms) == (what == "harm")
    assert impact.risky is (what == "harm")
    for line in impact.harms:
        assert line.startswith("/usr/x: a ")
        assert line.endswith("; build the image without it, or allow it with Hides=/usr/x")
        assert "\n" not in line
    (allowed,) = compared(base, layer, hides=["/usr/x"])
    assert allowed.harms == allowed.stops == []
    assert allowed.overrides == impact.overrides
    # What nobody can do without stays as it is, be it another file or link.
    (vital,) = compared(base, layer, vital=["/usr/x"])
    same = above == below and above.endswith(("link", "to a file", "to a folder", "file"))
    assert bool(vital.harms) is (bool(what) and not (what == "override" and same))


@pytest.mark.parametrize(
    ("base", "layer", "words"),
    [
        (folder(a=file()), white(), "a whiteout in the image takes away a folder of the base"),
        (link("d"), white(), "a whiteout in the image takes away a link of the base"),
        (folder(a=file()), link("d"), "a link in the image in place of a folder in the base: what the base has there "
         "would be gone"),
        (file(), folder(), "a folder in the image in place of a file in the base"),
        (link("d"), folder(), "a folder in the image in place of a link to d in the base: what the base has there "
         "would be gone"),
        (link("d"), file(), "a file in the image in place of a link to the folder d in the base"),
        (link("d"), link("f"), "a link in the image in place of a link to the folder d in the base"),
        (file(), special(), "a device, FIFO or socket in the image in place of a file in the base"),
        (special(), file(), "a file in the image in place of a device, FIFO or socket in the base"),
        (folder(a=file()), folder(bent="opaque"), "a folder in the image, marked opaque, which hides all that the base "
         "has in it"),
        (folder(a=file()), folder(bent="redirect"), "a folder in the image, redirected, which hides all that the base "
         "has in it"),
    ],
)  # fmt: skip
def test_the_words(base: Node, layer: Node, words: str) -> None:
    (impact,) = compared(tree(x=base, d=folder(a=file()), f=file()), tree(x=layer))
    assert impact.harms == [f"/usr/x: {words}; build the image without it, or allow it with Hides=/usr/x"]


@pytest.mark.parametrize("bent", ["opaque", "redirect"])
def test_a_folder_that_shows_something_else_harms_where_the_base_has_anything(bent: str) -> None:
    layer = tree(x=folder(bent=bent, a=file()))
    (impact,) = compared(tree(x=folder(b=file())), layer)
    assert (len(impact.harms), impact.overrides, impact.risky) == (1, {"": ["/usr/x"]}, True)
    (impact,) = compared(tree(x=folder(b=file())), layer, hides=["/usr/x"])
    assert (impact.harms, impact.overrides) == ([], {"": ["/usr/x"]})
    for nothing in (folder(), folder(b=white())):
        (impact,) = compared(tree(x=nothing), layer)
        assert said(impact) == ([], [], {})
    lower = tree(x=folder(c=file()))
    one, two = compared(tree(), lower, layer)
    assert said(one) == ([], [], {})
    assert said(two) == ([], [], {"e0": ["/usr/x"]})
    # It hides what comes below it, too, when it was there first.
    one, two = compared(tree(), lower, layer, stale=[1])
    assert two.overrides == {"e0": ["/usr/x"]}


def test_links_are_the_same_when_they_lead_to_the_same() -> None:
    base = tree(sbin=link("bin"), bin=folder(a=file()))
    for target in ("bin", "/usr/bin", "../usr/bin", "./bin/", "../../usr//bin"):
        (impact,) = compared(base, tree(sbin=link(target)))
        assert said(impact) == ([], [], {"": ["/usr/sbin"]})
        (impact,) = compared(base, tree(sbin=link(target)), vital=["/usr/sbin"])
        assert impact.harms == []
    for target in ("lib", "/bin", "../bin", "bin/.."):
        assert compared(base, tree(sbin=link(target)))[0].harms


@pytest.mark.parametrize(
    ("below", "above", "same"),
    [
        (file("12345"), file("12345"), True),
        (file("12345"), file("12345678"), False),
        (file("12345678"), file("12345"), False),
        (file("12345"), file("12346"), False),
        (file(""), file(""), True),
        (link("f"), link("f"), True),
        (link("f"), link("g"), False),
        (file(), link("f"), False),
        (link("f"), file(), False),
    ],
)
def test_what_is_vital_may_be_replaced_by_the_same_alone(below: Node, above: Node, same: bool) -> None:
    base = tree(x=below, f=file())
    (impact,) = compared(base, tree(x=above), vital=["/usr/x"])
    words = f"/usr/x: a {above.kind} in the image replaces what this machine cannot do without; "
    assert [line.startswith(words) for line in impact.harms] == ([] if same else [True])
    assert impact.overrides == {"": ["/usr/x"]}
    assert compared(base, tree(x=above), vital=["/usr/x"], hides=["/usr/x"])[0].harms == []
    assert compared(tree(f=file()), tree(x=above), vital=["/usr/x"])[0].harms == []


# What cannot be read


def test_a_layer_that_cannot_be_read_is_stopped_and_no_other_one() -> None:
    base = tree(d=folder(x=file()), f=file())
    bad, good = tree(d=folder(y=file()), f=file("2")), tree(d=folder(z=file()))
    for broken, path in (("", "/usr"), ("d", "/usr/d"), ("f", "/usr/f")):
        parts = [Part("bad", Fake(bad, [broken]), never), Part("good", Fake(good), never)]
        found = harm.compare(Ground("usr", Fake(base), {}, lambda _path: True, never), parts)
        assert f"{path}: cannot be read: Input/output error" in found["bad"].stops
        assert found["good"].stops == []
        parts[0].fresh = False
        found = harm.compare(Ground("usr", Fake(base), {}, lambda _path: True, never), parts)
        assert found["bad"].stops == found["good"].stops == []


def test_a_base_that_cannot_be_read_is_as_one_that_has_nothing_there() -> None:
    base, layer = tree(d=folder(x=file())), tree(d=folder(x=white(), y=file()))
    assert said(compared(base, layer, broken_base=[""])[0]) == ([], [], {})
    assert said(compared(base, tree(d=folder(x=file("2"))), broken_base=["d/x"])[0]) == ([], [], {})
    # Its folder is there, and what it is like is needed.
    assert compared(base, layer, broken_base=["d"])[0].stops == ["/usr/d: cannot be read: Input/output error"]


def test_an_error_without_words_of_the_kernel() -> None:
    class Odd(Fake):
        def kinds(self, path: str) -> dict[str, str]:
            raise OSError(f"{path}odd")

    found = harm.compare(Ground("usr", Fake(tree()), {}, never, never), [Part("e", Odd(tree()), never)])
    assert found["e"].stops == ["/usr: cannot be read: odd"]


# Folders that keep what the base has


def test_folders_with_another_mode_owner_or_label_are_mended() -> None:
    def one(**more: object) -> Node:
        return Node(FOLDER, **more)  # type: ignore[arg-type]

    base = tree(d=one(mode=0o750, owner=3, labels={"security.selinux": b"x"}, inside={"e": one()}))
    same = one(mode=0o750, owner=3, labels={"security.selinux": b"x"})
    assert compared(base, tree(d=same))[0].mends == []
    for other in (
        one(mode=0o755, owner=3, labels={"security.selinux": b"x"}),
        one(mode=0o750, owner=0, labels={"security.selinux": b"x"}),
        one(mode=0o750, owner=3, labels={"security.selinux": b"y"}),
        one(mode=0o750, owner=3, labels={"security.selinux": b"x", "user.more": b"x"}),
        one(mode=0o750, owner=3),
    ):
        (impact,) = compared(base, tree(d=other))
        assert (impact.mends, said(impact)) == (["/usr/d"], ([], [], {}))
    deep = tree(d=one(mode=0o700, inside={"e": one(mode=0o700, inside={"own": one(mode=0o700)})}))
    assert compared(base, deep)[0].mends == ["/usr/d", "/usr/d/e"]
    # Each layer has its own; what was compared before is not looked at.
    assert [impact.mends for impact in compared(base, deep, tree(d=same), deep, stale=[2])] == [
        ["/usr/d", "/usr/d/e"], [], [],
    ]  # fmt: skip


def test_an_allowed_folder_keeps_its_own_mode() -> None:
    base = tree(d=folder(x=file()))
    (impact,) = compared(base, tree(d=folder(0o700, "opaque")), hides=["/usr/d"])
    assert (impact.harms, impact.mends) == ([], [])


def test_too_many_folders_to_mend_are_a_stop(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(harm, "MENDS_MAX", 3)
    base = tree(**{f"d{number}": folder() for number in range(9)})
    for number, stops in ((3, 0), (4, 1), (9, 1)):
        (impact,) = compared(base, tree(**{f"d{n}": folder(0o700) for n in range(number)}))
        assert len(impact.stops) == stops
        assert len(impact.mends) == min(number, 4)
        assert all("one folder more than 3 with another mode or owner" in line for line in impact.stops)


# What is mounted

MOUNTED = tree(a=folder(m=folder(x=file()), f=file(), y=file()), other=folder())


@pytest.mark.parametrize(
    ("layer", "mounts", "stop"),
    [
        # At it
        (tree(a=folder(m=folder())), {"a/m": True}, ""),
        (tree(a=folder(m=folder(bent="opaque"))), {"a/m": True}, ""),
        (tree(a=folder(m=file())), {"a/m": True}, "/usr/a/m: a file in the image, and a folder is mounted there"),
        (tree(a=folder(m=link("b"))), {"a/m": True}, "/usr/a/m: a link in the image, and a folder is mounted there"),
        (tree(a=folder(m=white())), {"a/m": True}, "/usr/a/m: a whiteout in the image, and a folder is mounted there"),
        (tree(a=folder(m=special())), {"a/m": True}, "/usr/a/m: a device, FIFO or socket in the image, and a folder"),
        (tree(a=folder(f=file())), {"a/f": False}, ""),
        (tree(a=folder(f=folder())), {"a/f": False}, "/usr/a/f: a folder in the image, and a file is mounted there"),
        (tree(a=folder(f=link("g"))), {"a/f": False}, "/usr/a/f: a link in the image, and a file is mounted there"),
        (tree(a=folder(f=white())), {"a/f": False}, "/usr/a/f: a whiteout in the image, and a file is mounted there"),
        # Above it
        (tree(a=folder()), {"a/m": True}, ""),
        (tree(a=white()), {"a/m": True}, "/usr/a: a whiteout in the image, and something is mounted below it"),
        (tree(a=link("other")), {"a/m": True}, "/usr/a: a link in the image, and something is mounted below it"),
        (tree(a=file()), {"a/f": False}, "/usr/a: a file in the image, and something is mounted below it"),
        (tree(a=folder(bent="opaque")), {"a/m": True}, "/usr/a: a folder that is marked opaque in the image, and"),
        (tree(a=folder(bent="redirect")), {"a/m": True}, "/usr/a: a folder that is marked redirect in the image, and"),
        # Below it, and elsewhere
        (tree(a=folder(m=folder(x=file()))), {"a/m": True}, ""),
        (tree(a=folder(m=folder(x=white()))), {"a/m": True}, ""),
        (tree(a=folder(m=folder(n=file()))), {"a/m": True, "a/m/n": True}, ""),
        (tree(a=folder(y=white()), other=white()), {"a/m": True, "a/f": False}, ""),
        (tree(a=folder(y=folder())), {"a/y-x": True}, ""),
        # Where only an earlier version of a layer had the place
        (tree(new=file()), {"new/m": True}, "/usr/new: a file in the image, and something is mounted below it"),
        (tree(new=folder(m=white())), {"new/m": True}, "/usr/new/m: a whiteout in the image, and a folder is mounted"),
        (tree(new=folder(m=folder())), {"new/m": True}, ""),
    ],
)  # fmt: skip
def test_what_is_mounted_keeps_its_place(layer: Node, mounts: Mapping[str, bool], stop: str) -> None:
    for hides in ([], ["*"]):  # nothing allows it
        (impact,) = compared(MOUNTED, layer, mounts=mounts, hides=hides)
        assert [line.startswith(stop) for line in impact.stops] == ([True] if stop else [])
        for line in impact.stops:
            assert line.endswith("; unmount it, or build the image without this")


@pytest.mark.parametrize(
    ("layer", "mounts", "unseen"),
    [
        (tree(a=folder(m=folder(z=file()))), {"a/m": True}, ["/usr/a/m"]),
        (tree(a=folder(m=folder())), {"a/m": True}, []),
        (tree(a=folder(f=file())), {"a/f": False}, ["/usr/a/f"]),
        (tree(a=folder(y=file())), {"a/f": False}, []),
        (tree(new=folder(m=folder(z=file()))), {"new/m": True}, ["/usr/new/m"]),
    ],
)
def test_what_is_under_a_mount_is_told(layer: Node, mounts: Mapping[str, bool], unseen: list[str]) -> None:
    (impact,) = compared(MOUNTED, layer, mounts=mounts)
    assert (impact.unseen, impact.stops) == (unseen, [])


# Several layers


def test_overrides_are_counted_for_who_is_replaced() -> None:
    base = tree(f=file("0"), d=folder(x=file("0")))
    one, two, three = tree(f=file("1"), n=file("1")), tree(n=file("2"), d=folder(x=file("2"))), tree(f=file("3"))
    found = [impact.overrides for impact in compared(base, one, two, three)]
    assert found == [{"": ["/usr/f"]}, {"e0": ["/usr/n"], "": ["/usr/d/x"]}, {"e0": ["/usr/f"]}]
    # What was compared before counts anew what came below it.
    found = [impact.overrides for impact in compared(base, one, two, three, stale=[1, 2])]
    assert found == [{"": ["/usr/f"]}, {"e0": ["/usr/n"]}, {"e0": ["/usr/f"]}]
    assert [impact.overrides for impact in compared(base, one, two, three, stale=[0, 1, 2])] == [{}, {}, {}]


def test_a_whiteout_hides_an_override_from_those_above() -> None:
    one, two, three = tree(n=file()), tree(n=white()), tree(n=file())
    assert [impact.overrides for impact in compared(tree(), one, two, three)] == [{}, {"e0": ["/usr/n"]}, {}]


def test_kinds_that_differ_between_layers_are_overrides() -> None:
    kinds: dict[str, Node] = {"f": file(), "d": folder(x=file()), "l": link("q"), "s": special()}
    for lower, upper in product(kinds, kinds):
        one, two = compared(tree(), tree(x=kinds[lower]), tree(x=kinds[upper]))
        inside = {"e0": ["/usr/x/x"]} if lower == upper == "d" else {"e0": ["/usr/x"]}
        assert (said(one), said(two)) == (([], [], {}), ([], [], inside))


def test_nothing_is_read_where_nothing_is_to_be_compared() -> None:
    base, kept, new = (Fake(tree(d=folder(x=file()), e=folder(y=file()))) for _ in range(3))
    new.top = tree(e=folder(z=file()))
    parts = [Part("kept", kept, never, False), Part("new", new, never)]
    harm.compare(Ground("usr", base, {}, never, never), parts)
    assert [sorted(fake.asked) for fake in (base, kept, new)] == [["", "e"], ["", "e"], ["", "e"]]


# What may mislead programs


@pytest.mark.parametrize(
    ("hierarchy", "base", "layer", "risky"),
    [
        ("usr", tree(lib=folder(a=file())), tree(lib=folder(a=file())), True),
        ("usr", tree(lib=folder()), tree(lib=folder(a=file())), False),
        ("usr", tree(lib=folder(m=folder(a=file()))), tree(lib=folder(m=folder(a=file()))), True),
        ("usr", tree(lib=folder(m=folder())), tree(lib=folder(m=tree(**{"glibc-hwcaps": folder()}))), True),
        ("usr", tree(bin=folder(a=file())), tree(bin=folder(a=file())), False),
        ("usr", tree(lib=folder(m=folder(n=folder(a=file())))), tree(lib=folder(m=folder(n=folder(a=file())))), True),
        ("etc", tree(), tree(**{"ld.so.preload": file()}), True),
        ("etc", tree(), tree(**{"ld.so.cache": file()}), True),
        ("etc", tree(a=file()), tree(a=file()), False),
        ("etc", tree(d=folder()), tree(d=tree(**{"ld.so.preload": file()})), False),
        ("opt", tree(lib=folder(a=file())), tree(lib=folder(a=file())), False),
    ],
)
def test_what_the_loader_may_find_instead(hierarchy: str, base: Node, layer: Node, risky: bool) -> None:
    (impact,) = compared(base, layer, hierarchy=hierarchy)
    assert impact.risky is risky
    assert compared(base, layer, hierarchy=hierarchy, stale=[0])[0].risky is False


def test_impacts_add_up() -> None:
    base = tree(x=file(), d=folder(0o700), m=folder())
    layer = tree(x=white(), d=folder(), m=folder(z=file()))
    (one,), (two,) = (compared(base, layer, hierarchy=name, mounts={"m": True}) for name in ("usr", "opt"))
    three, *_ = compared(tree(n=folder(a=file())), tree(n=link("x")), mounts={"n/a": False})
    both = Impact()
    for part in (one, two, three):
        both.add(part)
    assert [line.partition(":")[0] for line in both.harms] == ["/usr/x", "/opt/x"]
    assert both.overrides == {"": ["/usr/x", "/opt/x", "/usr/n"]}
    assert both.mends == ["/usr/d", "/opt/d"]
    assert both.unseen == ["/usr/m", "/opt/m"]
    assert (len(both.stops), both.risky) == (1, True)
    assert not Impact().risky


# Against the whole merged tree

names = st.sampled_from("abcd")
leaves = st.one_of(
    *(st.sampled_from("12").map(file), names.map(link), st.builds(white), st.builds(hiding_file)),
    *(st.builds(special), st.just(file("3"))),
)


def folders(inner: st.SearchStrategy[Node]) -> st.SearchStrategy[Node]:
    return st.builds(
        lambda inside, mode, bent: Node(FOLDER, inside=inside, mode=mode, bent=bent),
        st.dictionaries(names, inner, max_size=4),
        st.sampled_from([0o755, 0o755, 0o700]),
        st.sampled_from(["", "", "", "opaque", "redirect"]),
    )


trees = st.builds(
    lambda inside: Node(FOLDER, inside=inside),
    st.dictionaries(names, folders(st.one_of(leaves, folders(leaves))) | leaves, max_size=4),
)


def plain(node: Node) -> Node:
    """The base as an overlay shows it: no whiteouts; that it is lowest makes marks of folders mean nothing."""
    inside = {name: plain(child) for name, child in node.inside.items() if child.kind != WHITE}
    return Node(node.kind, node.text, inside, node.mode)


def over(below: Node, above: Node) -> Node:
    """Two folders as an overlay shows them, made from the bottom up, which is not how the code goes."""
    merged = {} if above.bent else dict(below.inside)
    for name, node in above.inside.items():
        under = merged.pop(name, None)
        if node.kind == FOLDER:
            merged[name] = over(under if under is not None and under.kind == FOLDER else tree(), node)
        elif node.kind != WHITE:
            merged[name] = node
    return Node(FOLDER, inside=merged, mode=above.mode)


def whole(base: Node, layers: Sequence[Node]) -> Node:
    merged = plain(base)
    for layer in layers:
        merged = over(merged, layer)
    return merged


def use(base: Node, path: str, node: Node | None) -> str:
    """What one can do with it, as far as the base's users could: it may become nothing else."""
    if node is None:
        return "gone"
    if node.kind == LINK and leads_in(base)(f"/usr/{path}"):  # type: ignore[operator]
        there = base.at(path)
        return f"leads to {node.text}" if there is not None and there.kind == LINK else "file"
    if node.kind == SPECIAL:
        return node.text
    return FILE if node.kind == LINK else node.kind


def changed(base: Node, layers: Sequence[Node]) -> set[str]:
    """The paths of the base that are gone, or have become something else, in the merged tree."""
    bare, merged = plain(base), whole(base, layers)
    hidden = {f"{path}/" for layer in layers for path, node in layer.flat().items() if node.bent}
    # Another file in a folder of its own, which is no folder of the base any more, is no override.
    return {path for path in bare.flat() if any(path.startswith(folder) for folder in hidden)} | {
        path for path, node in bare.flat().items() if use(bare, path, node) != use(bare, path, merged.at(path))
    }


def replaced(base: Node, layers: Sequence[Node]) -> list[tuple[int, int, str]]:
    """Every (layer, who it replaces, path), found by looking at every path there is; the base is -1."""
    stack = [plain(base).flat(), *(layer.flat() for layer in layers)]
    found = []
    for number, here in enumerate(stack):
        for path, node in here.items():
            under = next((n for n in reversed(range(number)) if path in stack[n]), None)
            if under is None or stack[under][path].kind == WHITE:
                continue
            both = node.kind == stack[under][path].kind == FOLDER
            anything = under > 0 or any(other.startswith(f"{path}/") for other in stack[0])
            if not both or (node.bent and anything):
                found.append((number - 1, under - 1, path))
    return sorted(found)


@given(base=trees, layers=st.lists(trees, min_size=1, max_size=3))
@settings(max_examples=250, deadline=None)
def test_no_harm_means_that_nothing_of_the_base_is_gone(base: Node, layers: list[Node]) -> None:
    impacts = compared(base, *layers)
    assert not any(impact.stops for impact in impacts)
    if not any(impact.harms for impact in impacts):
        assert changed(base, layers) == set()
    for layer, impact in zip(layers, impacts, strict=True):
        gone = changed(base, [layer])
        paths = [line.partition(":")[0].removeprefix("/usr/") for line in impact.harms]
        assert len(paths) == len(set(paths))
        assert bool(paths) == bool(gone)
        for path in paths:
            assert any(place == path or place.startswith(f"{path}/") for place in gone), (path, gone)
    found = [
        (number, int(owner.removeprefix("e") or -1), path.removeprefix("/usr/"))
        for number, impact in enumerate(impacts)
        for owner, paths in impact.overrides.items()
        for path in paths
    ]
    assert sorted(found) == replaced(base, layers)


@given(base=trees, layer=trees)
@settings(max_examples=100, deadline=None)
def test_what_is_mended_is_all_that_would_change_its_mode(base: Node, layer: Node) -> None:
    (impact,) = compared(base, layer)
    if not impact.harms:
        bare, merged = plain(base).flat(), whole(base, [layer]).flat()
        wrong = {path for path, node in bare.items() if node.kind == FOLDER and node.mode != merged[path].mode}
        assert {path.removeprefix("/usr/") for path in impact.mends} == wrong


@given(base=trees, layers=st.lists(trees, min_size=1, max_size=2), data=st.data())
@settings(max_examples=150, deadline=None)
def test_no_stop_means_that_every_mount_has_its_place(base: Node, layers: list[Node], data: st.DataObject) -> None:
    bare = plain(base).flat()
    places = sorted(path for path, node in bare.items() if node.kind in (FILE, FOLDER))
    if not places:
        return
    mounts = {path: bare[path].kind == FOLDER for path in data.draw(st.sets(st.sampled_from(places), max_size=3))}
    for layer, impact in zip(layers, compared(base, *layers, mounts=mounts), strict=True):
        lost = {path for path in mounts if not _has_place(bare, whole(base, [layer]), layer, path, mounts)}
        assert bool(impact.stops) == bool(lost), (impact.stops, lost)


def _has_place(bare: Mapping[str, Node], merged: Node, layer: Node, path: str, mounts: Collection[str]) -> bool:
    parts = path.split("/")
    above = ["/".join(parts[:end]) for end in range(1, len(parts))]
    if any(place in mounts for place in above):
        return True
    bent = any(node is not None and node.bent for node in map(layer.at, above))
    there = merged.at(path)
    return there is not None and there.kind == bare[path].kind and not bent
