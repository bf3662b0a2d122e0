#  SPDX-License-Identifier: MIT
"""What of a system makes what is merged less than safe: who else may change it, what is promised and cannot be kept.

For `check`, all of it, and `explain`, what concerns one extension.
"""

from __future__ import annotations

import os

from extension_manifests import classes, search
from extension_manifests.errors import Diagnostic, ExtensionError, warning

from extension_runtime.cli.options import may_read
from extension_runtime.image import exposed, find, programs, request
from extension_runtime.kernel import chase
from extension_runtime.paths import Paths

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from extension_manifests.load import Plan
    from extension_manifests.manifest import Manifest

SUFFIXES = (".extension", ".action", "extensions.conf")


def of_system(root: str, plan: Plan) -> list[Diagnostic]:
    """All risks below `root`, whose manifests are in `plan`; paths are as seen inside it."""
    items = [item for suffix in SUFFIXES for item in search.find(root, suffix)[0]]
    paths = [*search.DIRECTORIES, *(part.path for item in items for part in (item, *item.dropins))]
    found: list[Diagnostic] = []
    for manifest in plan.extensions:
        paths += [*find.folders(manifest.classes), *_image(root, manifest)]
        found += _unverified(root, manifest)
    found += [warning(path, remark) for path, remark in exposed.remarks(root, paths)]
    harmless = [class_ for class_ in classes.CLASSES.values() if class_.harmless]
    for class_ in harmless:
        if any(class_.name in manifest.classes for manifest in plan.extensions):
            found += [problem for hierarchy in class_.hierarchies for problem in _losing(root, hierarchy)]
    return found


def of_one(root: str, manifest: Manifest) -> list[Diagnostic]:
    """The risks of one extension."""
    items = [item for item in search.find(root, SUFFIXES[0])[0] if item.name == manifest.name]
    paths = [part.path for item in items for part in (item, *item.dropins)]
    remarks = exposed.remarks(root, [*paths, *_image(root, manifest)])
    return [*_unverified(root, manifest), *(warning(path, remark) for path, remark in remarks)]


def _image(root: str, manifest: Manifest) -> list[str]:
    try:
        with find.find(root or "/", manifest.image, manifest.classes) as picked:
            return [picked.path]
    except ExtensionError:
        return []  # told with the extension's state


def _unverified(root: str, manifest: Manifest) -> Iterator[Diagnostic]:
    refused = request.of_manifest(root, manifest).refused
    if refused:
        yield Diagnostic(manifest.path, 0, refused)


def _losing(root: str, hierarchy: str) -> Iterator[Diagnostic]:
    """What gives rights in the base of `hierarchy`, over which a merge is nosuid."""
    paths = Paths(root)
    merged = may_read(paths.run) and os.path.isdir(f"{paths.base}/{hierarchy}")
    tree = chase.open_root(paths.base if merged else root or "/")
    try:
        for path, what in programs.found(tree, hierarchy):
            yield warning(f"/{path}", f"{what}, which has no effect while a confext is merged; put it into /usr")
    except ExtensionError as error:
        if os.geteuid() == 0:  # others may not look everywhere
            yield warning(f"/{hierarchy}", str(error))
    finally:
        os.close(tree)
