#  SPDX-License-Identifier: MIT
"""extensionctl check: mistakes as `path:line: what is wrong; what to write instead`, before a boot finds them."""

from __future__ import annotations

import os

from extension_manifests import load, manifest, search, settings, textfile, unitfile
from extension_manifests.errors import Diagnostic, ManifestError, printable
from extension_manifests.names import SUFFIX, name_problem
from extension_manifests.origin import Origin

from extension_runtime.cli import risks, table
from extension_runtime.cli.options import DONE, FAILED, Options
from extension_runtime.react import actionfile

TYPE_CHECKING = False
if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable

    from extension_manifests.manifest import Manifest
    from extension_manifests.unitfile import Entry

    Build = Callable[[str, str, list[Entry], list[Diagnostic]], object]

SETTINGS = "extensions.conf"
DROPIN = ".conf"
BUILDERS: dict[str, Build] = {SUFFIX: manifest.build, actionfile.SUFFIX: actionfile.build}


def arguments(parser: argparse.ArgumentParser) -> None:
    """What to look at, and for which system."""
    parser.add_argument("files", metavar="FILE", nargs="*", default=[], help="manifest, action, settings or image")
    parser.add_argument("--os-release", metavar="FILE", help="match images against this os-release file")
    parser.add_argument("--os-root", metavar="DIR", help="compare images with the system below DIR")


def run(options: Options) -> int:
    """Look at the files of the command line, or at all of the system.  1 when there is an error."""
    if options.files:
        images: list[str] = []
        found = [problem for path in options.files for problem in file_problems(path, images)]
        found = unique([*found, *(_of_images(images, options) if images else ())])
    else:
        found = system_problems(options.root)
    errors = sum(problem.severity == "error" for problem in found)
    if options.json != "off":
        data = [{"path": p.path, "line": p.line, "severity": p.severity, "message": p.message} for p in found]
        print(table.json_text(data, options.json))
        return FAILED if errors else DONE
    screen = table.screen()
    table.show([_line(problem, screen) for problem in found], screen, pager=options.pager)
    if not found and options.legend:
        print("No mistakes found.")
    return FAILED if errors else DONE


def _line(problem: Diagnostic, screen: table.Screen) -> str:
    where = f"{problem.path}:{problem.line}: " if problem.line else f"{problem.path}: "
    kind = screen.paint("warning: ", "yellow") if problem.severity == "warning" else ""
    return printable(where) + kind + printable(problem.message)


def _of_images(images: list[str], options: Options) -> list[Diagnostic]:
    """What is wrong with images, on the system that the command line names."""
    from extension_runtime.cli import images as of_images
    from extension_runtime.image import host, inspect

    root = options.os_root or options.root
    system = inspect.system_of(options.os_release) if options.os_release else host.read(root or "/")
    manifests = [found for path in options.files for found in _manifests(path)]
    given = {one.name for one in manifests}
    manifests += [one for one in load.load(root).extensions if one.name not in given]
    return of_images.problems(images, system, root, manifests)


def _manifests(path: str) -> list[Manifest]:
    """The manifest `path`, if it is a right one."""
    name = os.path.basename(path).removesuffix(SUFFIX)
    if not path.endswith(SUFFIX) or name_problem(name):
        return []
    try:
        return [manifest.build(name, path, unitfile.parse(_text(path), path), [])]
    except (ManifestError, OSError):
        return []  # said where it is checked


def system_problems(root: str) -> list[Diagnostic]:
    """All mistakes in manifests and settings below `root`; paths are as seen inside it."""
    origin = Origin(root)
    plan = load.load(origin)
    _, of_actions = actionfile.load(origin)
    found = [*plan.diagnostics, *of_actions]
    # Those end at the first mistake of a file; a person wants to know all.
    broken = {problem.path for problem in found if problem.severity == "error"}
    for suffix, build in BUILDERS.items():
        items, _ = search.find(origin, suffix)
        for item in items:
            if not item.masked and not broken.isdisjoint([item.path, *(part.path for part in item.dropins)]):
                try:
                    texts = search.texts(item)
                except ManifestError:
                    continue
                found += mistakes_of(build, item.name, item.path, texts)
    return unique([*found, *risks.of_system(root, plan)])


def unique(problems: list[Diagnostic]) -> list[Diagnostic]:
    """Each problem once, by file and line."""
    by_text = {(p.path, p.line, p.message): p for p in problems}
    return [by_text[key] for key in sorted(by_text)]


def mistakes_of(build: Build, name: str, path: str, texts: list[tuple[str, str]]) -> list[Diagnostic]:
    """All mistakes, not just the first, of one manifest or action given as (path, text) of it and its drop-ins."""
    mistakes: list[ManifestError] = []
    entries: list[Entry] = []
    for part, text in texts:
        entries += unitfile.parse(text, part, mistakes)
    found = [mistake.diagnostic for mistake in mistakes]
    left_out: set[str] = set()
    while True:
        warnings: list[Diagnostic] = []
        try:
            build(name, path, entries, warnings)
            return found + warnings
        except ManifestError as error:
            wrong = error.diagnostic
        # Once more without the wrong assignment, for what else there is.
        rest = [entry for entry in entries if (entry.path, entry.line) != (wrong.path, wrong.line)]
        if len(rest) == len(entries):
            # About the whole file: maybe just because of an assignment that was left out here.
            follows = any(f"{key}=" in wrong.message for key in left_out)
            return [*found, *warnings] if follows else [*found, wrong, *warnings]
        found.append(wrong)
        left_out.update(entry.key for entry in entries if entry not in rest)
        entries = rest


def settings_problems(path: str, text: str) -> list[Diagnostic]:
    """All mistakes of a settings file or a drop-in for it."""
    mistakes: list[ManifestError] = []
    entries = unitfile.parse(text, path, mistakes)
    found = [mistake.diagnostic for mistake in mistakes]
    settings.build(entries, "", found)
    return found


def file_problems(path: str, images: list[str]) -> list[Diagnostic]:
    """All mistakes of one file of the command line, whatever kind of file it is; an image is added to `images`."""
    path = path.rstrip("/") or "/"
    if not os.path.lexists(path):
        return [Diagnostic(path, 0, "does not exist")]
    base = os.path.basename(path)
    folder = os.path.basename(os.path.dirname(os.path.abspath(path)))
    try:
        if os.path.isdir(path) and any(entry.endswith(tuple(BUILDERS)) for entry in os.listdir(path)):
            inside = sorted(name for name in os.listdir(path) if name.endswith(tuple(BUILDERS)) or name == SETTINGS)
            return [problem for entry in inside for problem in file_problems(f"{path}/{entry}", images)]
        for suffix, build in BUILDERS.items():
            if base.endswith(suffix):
                return _one_file(build, base.removesuffix(suffix), path)
        if base.endswith(DROPIN) and folder.endswith("extension.d"):
            return mistakes_of(manifest.build, "any", path, [(path, _text(path))])
        if base == SETTINGS or (base.endswith(DROPIN) and folder == SETTINGS + ".d"):
            return settings_problems(path, _text(path))
        images.append(path)
        return []
    except ManifestError as error:
        return [error.diagnostic]
    except OSError as error:
        return [Diagnostic(path, 0, f"cannot be read: {error.strerror}")]


def _text(path: str) -> str:
    real = os.path.realpath(path)
    return "" if textfile.is_mask(real) else textfile.read_text(real, path)


def _one_file(build: Build, name: str, path: str) -> list[Diagnostic]:
    problem = name_problem(name)
    if problem:
        return [Diagnostic(path, 0, problem)]
    text = _text(path)
    return mistakes_of(build, name, path, [(path, text)]) if text else []
