#  SPDX-License-Identifier: MIT
"""Entries become a Manifest: defaults, lists, resets, wrong values, unknown keys."""

from __future__ import annotations

import pytest
from extension_manifests import keys, values
from extension_manifests.errors import Diagnostic, ManifestError
from extension_manifests.keys import UNKNOWN_MAX
from extension_manifests.manifest import Manifest, build
from extension_manifests.unitfile import parse
from hypothesis import given, settings
from hypothesis import strategies as st


def read(text: str, name: str = "app") -> tuple[Manifest, list[str]]:
    warnings: list[Diagnostic] = []
    made = build(name, "m", parse(text, "m"), warnings)
    assert all(warning.severity == "warning" for warning in warnings)
    return made, [str(warning) for warning in warnings]


def test_defaults() -> None:
    made, warnings = read("")
    assert not warnings
    assert made.image == made.name == "app"
    assert made.classes == ("sysext",)
    assert (made.mismatch, made.units, made.actions, made.stale) == ("skip", "auto", "auto", "report")
    (health,) = [key.default for key in keys.MANIFEST if key.name == "HealthSec"]
    assert (made.rollback, made.health_sec) == (True, values.span(health))
    assert (made.noexec, made.nosuid) == (False, False)
    assert (made.wanted_by, made.required_by) == (("extensions.target",), ())
    assert (made.unit, made.start, made.above, made.root_hash) == ((), (), (), "")


def test_every_key_of_the_table_lands_in_its_attribute() -> None:
    sample = {
        "image": "/srv/x.raw", "class*": "confext", "extension*": "b.extension", "policy": "root=verity", "bool": "no",
        "roothash": "ab" * 32, "signature": "base64:AAAA", "unit*": "a.service", "span": "1min", "target*": "x.target",
        "glob*": "/usr/share/*",
    }  # fmt: skip
    for key in keys.MANIFEST:
        text = sample.get(key.kind) or key.kind.split()[-1]
        made, warnings = read(f"[{key.section}]\n{key.name}={text}\n")
        assert not warnings
        expected = values.convert(key.kind.rstrip("*"), text)
        assert getattr(made, key.attribute) == ((expected,) if key.kind.endswith("*") else expected), key.name


@pytest.mark.parametrize(
    ("text", "expected"),
    [("confext", True), ("sysext", False), ("sysext confext", False)],
)
def test_nosuid_default_follows_the_class(text: str, expected: bool) -> None:
    made, _ = read(f"[Extension]\nClass={text}\n")
    assert (made.noexec, made.nosuid) == (False, expected)
    made, _ = read(f"[Extension]\nClass={text}\nNoExec=yes\nNoSuid={'no' if expected else 'yes'}\n")
    assert (made.noexec, made.nosuid) == (True, not expected)


def test_lists_add_and_reset() -> None:
    made, _ = read("[Reload]\nRestart=a.service b.service\nRestart=a.service\nStart=c.service\n")
    assert made.restart == ("a.service", "b.service")
    made, _ = read("[Reload]\nRestart=a.service\nRestart=\nRestart=b.service\n[Install]\nWantedBy=\n")
    assert made.restart == ("b.service",)
    assert made.wanted_by == ()
    made, _ = read("[Extension]\nClass=confext\nClass=\nMismatch=fail\nMismatch=\n[Unit]\nAfter=a.service\nAfter=\n")
    assert made.classes == ("sysext",)
    assert made.mismatch == "skip"
    assert made.unit == ()


def test_unit_keeps_order_and_references() -> None:
    made, _ = read(
        "[Unit]\nRequires=b.extension dbus.socket\nConditionHost=x y\nAfter=c.extension\nRequires=d.extension"
    )
    assert [key for key, _ in made.unit] == ["Requires", "ConditionHost", "After", "Requires"]
    assert made.references("Requires") == ["b", "d"]
    assert made.references("After") == ["c"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[Extension]\nMismatch=ignore", 'm:2: Mismatch= "ignore" is not known; write skip or fail'),
        ("[Extension]\nClass=sysext bar", 'm:2: Class= "bar" is no class; write sysext, confext or both'),
        ("[Extension]\nImage=../x", 'm:2: Image= "../x" is no absolute path; start it with "/" and leave out ".."'),
        ("[Extension]\nImage=/", 'm:2: Image= "/" is no absolute path; start it with "/" and leave out ".."'),
        ("[Extension]\nAbove=b", 'm:2: Above= "b" is no extension; write b.extension'),
        ("[Extension]\nAbove=b.service", 'm:2: Above= "b.service" is no extension; write b.service.extension'),
        ("[Extension]\nAbove=.b.extension", 'm:2: Above= ".b.extension" is no extension; write NAME.extension'),
        ("[Extension]\nBelow=app.extension", "m: Below= names the extension itself; remove it"),
        ("[Extension]\nNoExec=maybe", 'm:2: NoExec= "maybe" is no boolean; write yes or no'),
        ("[Extension]\nRootHash=12",
         "m:2: RootHash= is no root hash; write at least 32 hexadecimal digits or an absolute path"),
        ("[Extension]\nSignature=base64:*",
         "m:2: Signature= is no base64; write base64: and the encoded signature, or an absolute path"),
        ("[Extension]\nImagePolicy=a,b", 'm:2: ImagePolicy= "a,b" is no image policy; see systemd.image-policy(7)'),
        ("[Reload]\nRestart=a.service\nRestart=nginx", 'm:3: Restart= "nginx" is no unit; write nginx.service'),
        ("[Reload]\nRestart=a/b.service", 'm:2: Restart= "a/b.service" is no unit; write NAME.service'),
        ("[Reload]\nHealthSec=soon", 'm:2: HealthSec= "soon" is no time span; write seconds or as 1min 30s'),
        ("[Reload]\nHealthSec=infinity", "m:2: HealthSec= cannot be infinity; write a time span as 5s"),
        ("[Install]\nWantedBy=multi-user", 'm:2: WantedBy= "multi-user" is no unit; write multi-user.target'),
        ("[Unit]\nRequires=containerd", 'm:2: Requires= "containerd" names no unit; write containerd.extension'),
        ("[Unit]\nAfter=a.service network.target",
         "m:2: After=network.target cannot be: images are attached between local-fs.target and sysinit.target; "
         "order the service that uses it instead"),
        ("[Unit]\nBefore=local-fs.target",
         "m:2: Before=local-fs.target cannot be: images are attached between local-fs.target and sysinit.target; "
         "order the service that uses it instead"),
    ],
)  # fmt: skip
def test_wrong_values(text: str, message: str) -> None:
    with pytest.raises(ManifestError) as caught:
        read(text)
    assert str(caught.value) == message


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[Extension]\nImag=x", "m:2: Imag= is not known in [Extension] and ignored; did you mean Image?"),
        ("[Extension]\nimage=x", "m:2: image= is not known in [Extension] and ignored; did you mean Image?"),
        ("[Extension]\nRestart=x", "m:2: Restart= is not known in [Extension] and ignored; it belongs to [Reload]"),
        ("[Extension]\nFrobnicate=x",
         "m:2: Frobnicate= is not known in [Extension] and ignored; remove it or write X- before it"),
        ("[Unit]\nAftre=x.service", "m:2: Aftre= is not known in [Unit] and ignored; did you mean After?"),
        ("[Unit]\nDefaultDependencies=yes",
         "m:2: DefaultDependencies= is not known in [Unit] and ignored; remove it or write X- before it"),
        ("[Extention]\nImage=x", "m:2: [Extention] is not known, Image= in it is ignored; did you mean Extension?"),
        ("[Service]\nA=b",
         "m:2: [Service] is not known, A= in it is ignored; write one of [Unit] [Extension] [Reload] [Install]"),
    ],
)  # fmt: skip
def test_unknown_keys_warn(text: str, message: str) -> None:
    _, warnings = read(text)
    assert warnings == [message]


def test_what_is_for_others_is_silent() -> None:
    _, warnings = read("[X-Vendor]\nA=b\n[Extension]\nX-Thing=c\n")
    assert not warnings


def test_a_dropin_repairs_a_wrong_value() -> None:
    assert read("[Extension]\nMismatch=wrong\nMismatch=fail\n")[0].mismatch == "fail"
    assert read("[Reload]\nStart=wrong\nStart=\n")[0].start == ()


KNOWN = [*keys.MANIFEST, *keys.unit_keys()]
LINE = st.builds(
    lambda key, value: f"[{key.section}]\n{key.name}={value}\n",
    st.sampled_from(KNOWN),
    st.text("abs/.-%:=\\ \"',@é0123", max_size=12)
    | st.sampled_from(["yes", "a.service", "b.extension", "infinity", ".mount"]),
)


@settings(max_examples=200, deadline=None, database=None)
@given(st.lists(LINE, max_size=6).map("".join))
def test_raises_nothing_but_its_own(text: str) -> None:
    try:
        read(text)
    except ManifestError as error:
        assert str(error).startswith("m:")


def test_an_unknown_attribute_is_a_mistake_of_the_caller() -> None:
    with pytest.raises(AttributeError, match=r"^colour$"):
        Manifest("a", "m", colour="red")
    assert repr(Manifest("a", "m")) == "Manifest(a)"


def test_many_unknown_keys_end_in_one_line() -> None:
    _, warnings = read("[Extension]\n" + "".join(f"K{number}x=1\n" * 2 for number in range(UNKNOWN_MAX + 5)))
    assert len(warnings) == UNKNOWN_MAX + 1
    assert warnings[-1] == f"m:{2 + 2 * UNKNOWN_MAX}: more keys are not known and ignored; see extension(5)"
