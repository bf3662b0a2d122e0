#  SPDX-License-Identifier: MIT
"""What an image of each class extends, where it is found, and whether it is harmless by itself."""

from __future__ import annotations

import pytest
from extension_manifests import classes


def test_the_table() -> None:
    assert classes.NAMES == ("sysext", "confext")
    assert classes.HIERARCHIES == ("usr", "opt", "etc")
    assert classes.DEFAULT == ("sysext",)
    assert all(classes.CLASSES[name].name == name for name in classes.NAMES)


def test_fields_of_release_files_are_named_after_the_class() -> None:
    assert (classes.SYSEXT.level, classes.SYSEXT.scope) == ("SYSEXT_LEVEL", "SYSEXT_SCOPE")
    assert (classes.CONFEXT.level, classes.CONFEXT.scope) == ("CONFEXT_LEVEL", "CONFEXT_SCOPE")


@pytest.mark.parametrize("class_", classes.CLASSES.values(), ids=lambda class_: class_.name)
def test_release_files_lie_in_what_the_class_extends(class_: classes.Class) -> None:
    assert class_.releases.partition("/")[0] in class_.hierarchies


def test_of_is_in_the_order_of_the_table() -> None:
    assert classes.of(["confext", "sysext"]) == [classes.SYSEXT, classes.CONFEXT]
    assert classes.of({"confext"}) == [classes.CONFEXT]
    assert classes.of(()) == []
    assert classes.of(["other"]) == []


@pytest.mark.parametrize(
    ("names", "harmless"), [(("sysext",), False), (("confext",), True), (("confext", "sysext"), False)]
)
def test_one_harmful_class_makes_it_harmful(names: tuple[str, ...], harmless: bool) -> None:
    assert classes.harmless(names) is harmless
