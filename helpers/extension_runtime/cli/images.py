#  SPDX-License-Identifier: MIT
"""What `extensionctl check` says of images: whether they are sound, for this system, and do it no harm."""

from __future__ import annotations

import os
from contextlib import ExitStack

from extension_manifests import classes
from extension_manifests.errors import Diagnostic, ExtensionError, printable, warning
from extension_manifests.origin import Origin

from extension_runtime.image import find, inspect
from extension_runtime.layers import harm
from extension_runtime.layers.harm import Impact, Part
from extension_runtime.layers.outline import Outline
from extension_runtime.merge.harm import ground, matcher
from extension_runtime.overlay import hierarchy as hierarchies
from extension_runtime.paths import Paths

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from extension_manifests.manifest import Manifest

    from extension_runtime.image.host import Host
    from extension_runtime.layers.harm import Ground

NAMED_MAX = 100  # files of a kind that are named


class _Image:
    """One image that was looked into: `tree` is a descriptor of its top directory."""

    def __init__(self, path: str, name: str, tree: int, seen: inspect.Probe) -> None:
        self.path = path
        self.name = name
        self.tree = tree
        self.seen = seen


def problems(paths: Sequence[str], system: Host, root: str, manifests: Sequence[Manifest]) -> list[Diagnostic]:
    """What is wrong with the images `paths`, lowest first, on the system below `root` ("": this machine).

    That one was made for another system is an error, too: somebody asked.  `manifests` say what images may hide.
    """
    found: list[Diagnostic] = []
    with ExitStack() as opened:
        images = []
        for path in paths:
            try:
                image = _look(path, system, opened, found)
            except ExtensionError as error:
                found.append(_located(path, str(error)))
                continue
            if image is not None:
                images.append(image)
        for image, impact in zip(images, _impacts(images, root, manifests), strict=True):
            found += _told(image, impact)
    return found


def _look(path: str, system: Host, opened: ExitStack, found: list[Diagnostic]) -> _Image | None:
    picked = opened.enter_context(find.find(Origin(as_seen=True), os.path.realpath(path), classes.NAMES))
    format_, tree = inspect.top_of(picked)
    if tree < 0:
        found.append(warning(path, f"only root can look into a {format_} image; use sudo"))
        return None
    opened.callback(os.close, tree)
    seen = inspect.judge(tree, format_, picked, inspect.classes_of(tree, picked), system)
    if seen.mismatch:
        found.append(_located(path, seen.mismatch))
    found += [warning(path, remark) for remark in seen.remarks]
    return _Image(path, picked.name, tree, seen)


def _impacts(images: Sequence[_Image], root: str, manifests: Sequence[Manifest]) -> list[Impact]:
    """What each image does to the system and to those before it."""
    # By number: two of them may have one name.
    impacts = [Impact() for _image in images]
    for hierarchy in hierarchies.find(Paths(root)).found.values():
        parts = [
            Part(str(number), Outline(f"/proc/self/fd/{image.tree}/{hierarchy.name}"), _hides(image, manifests))
            for number, image in enumerate(images)
            if hierarchy.name in image.seen.hierarchies
        ]
        for number, impact in harm.compare(_ground(root, hierarchy), parts).items():
            impacts[int(number)].add(impact)
    for impact in impacts:
        impact.overrides = {
            images[int(owner)].name if owner else "": files for owner, files in impact.overrides.items()
        }
    return impacts


def _ground(root: str, hierarchy: hierarchies.Hierarchy) -> Ground:
    try:
        base = hierarchy.base if hierarchy.has_base else hierarchy.target
    except PermissionError:
        base = hierarchy.target  # what is merged is for root to see: with it, it is compared with that
    return ground(root, hierarchy, base)


def _hides(image: _Image, manifests: Sequence[Manifest]) -> Callable[[str], bool]:
    real = os.path.realpath(image.path)
    return matcher([glob for m in manifests if m.image in (image.name, real) for glob in m.hides])


def _told(image: _Image, impact: Impact) -> list[Diagnostic]:
    """What an image does, as diagnostics."""
    harms = (*impact.stops, *impact.harms)
    found = [Diagnostic(image.path, 0, text) for text in harms]
    said = {text.partition(": ")[0] for text in harms}
    for owner, replaced in sorted(impact.overrides.items()):
        files = [file for file in replaced if owner or file not in said]
        whose = f"that of {owner}" if owner else "that of the system"
        found += [warning(image.path, f"{file}: replaces {whose}") for file in files[:NAMED_MAX]]
        if len(files) > NAMED_MAX:
            found.append(warning(image.path, f"{len(files) - NAMED_MAX} more files replace {whose}"))
    if impact.mends:
        more = f" and {len(impact.mends) - 1} more" if len(impact.mends) > 1 else ""
        text = f"{impact.mends[0]}{more}: has another mode, owner or attribute than on the system, whose are kept"
        found.append(warning(image.path, text))
    if impact.unseen:
        found.append(
            warning(image.path, f"{', '.join(impact.unseen)}: not seen, because something else is mounted there")
        )
    return found


def _located(path: str, message: str) -> Diagnostic:
    """A diagnostic at `path` of a message that may begin with it, and with a file inside the image."""
    return Diagnostic(path, 0, printable(message.removeprefix(f"{os.path.realpath(path)}: ")))
