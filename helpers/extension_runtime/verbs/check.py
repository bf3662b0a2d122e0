#  SPDX-License-Identifier: MIT
"""extensionctl check: mistakes as `path:line: what is wrong; what to write instead`, before a boot finds them."""

from __future__ import annotations

import os

from extension_generator import load, manifest, search, settings, tree, unitfile
from extension_generator.errors import Diagnostic, ExtensionError, ManifestError, printable
from extension_generator.names import SUFFIX, name_problem

from extension_runtime import table
from extension_runtime.verbs import DONE, FAILED, Options

TYPE_CHECKING = False
if TYPE_CHECKING:
    from extension_generator.unitfile import Entry

    from extension_runtime.host import Host

SETTINGS = "extensions.conf"
DROPIN = ".conf"
SUFFIXES = (SUFFIX, ".action")


def check(options: Options) -> int:
    """Look at the files of the command line, or at all of the system.  1 when there is an error."""
    if options.files:
        system = _system(options)
        found = unique([problem for path in options.files for problem in file_problems(path, system)])
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


def _system(options: Options) -> Host:
    from extension_runtime import host
    from extension_runtime.verbs import probe

    return probe.system_of(options.os_release) if options.os_release else host.read(options.root or "/")


def system_problems(root: str) -> list[Diagnostic]:
    """All mistakes in manifests and settings below `root`; paths are as seen inside it."""
    plan = load.load(root)
    found = list(plan.diagnostics)
    items, _ = search.find(root, SUFFIX)
    for item in items:
        if item.name in plan.broken:
            try:
                texts = search.texts(root, item)
            except ManifestError:
                continue
            found += manifest_problems(item.name, item.path, texts)
    found += action_problems(root)
    return unique(found)


def unique(problems: list[Diagnostic]) -> list[Diagnostic]:
    """Each problem once, by file and line."""
    by_text = {(p.path, p.line, p.message): p for p in problems}
    return [by_text[key] for key in sorted(by_text)]


def manifest_problems(name: str, path: str, texts: list[tuple[str, str]]) -> list[Diagnostic]:
    """All mistakes of one manifest given as (path, text) of it and its drop-ins, not just the first."""
    mistakes: list[ManifestError] = []
    entries: list[Entry] = []
    for part, text in texts:
        entries += unitfile.parse(text, part, mistakes)
    found = [mistake.diagnostic for mistake in mistakes]
    while True:
        warnings: list[Diagnostic] = []
        try:
            manifest.build(name, path, entries, warnings)
            return found + warnings
        except ManifestError as error:
            wrong = error.diagnostic
        found.append(wrong)
        # Once more without the wrong assignment, for what else there is.
        rest = [entry for entry in entries if (entry.path, entry.line) != (wrong.path, wrong.line)]
        if len(rest) == len(entries):
            return found
        entries = rest


def settings_problems(path: str, text: str) -> list[Diagnostic]:
    """All mistakes of a settings file or a drop-in for it."""
    mistakes: list[ManifestError] = []
    entries = unitfile.parse(text, path, mistakes)
    found = [mistake.diagnostic for mistake in mistakes]
    settings.build(entries, "", found)
    return found


def action_problems(root: str) -> list[Diagnostic]:
    """All mistakes in .action files below `root`."""
    return []


def file_problems(path: str, system: Host) -> list[Diagnostic]:
    """All mistakes of one file of the command line, whatever kind of file it is."""
    path = path.rstrip("/") or "/"
    if not os.path.lexists(path):
        return [Diagnostic(path, 0, "does not exist")]
    base = os.path.basename(path)
    folder = os.path.basename(os.path.dirname(os.path.abspath(path)))
    try:
        if os.path.isdir(path) and any(entry.endswith(SUFFIX) for entry in os.listdir(path)):
            inside = sorted(name for name in os.listdir(path) if name.endswith(SUFFIXES) or name == SETTINGS)
            return [problem for entry in inside for problem in file_problems(f"{path}/{entry}", system)]
        if base.endswith(SUFFIX):
            return _one_manifest(base.removesuffix(SUFFIX), path)
        if base.endswith(DROPIN) and folder.endswith("extension.d"):
            return manifest_problems("any", path, [(path, _text(path))])
        if base == SETTINGS or (base.endswith(DROPIN) and folder == SETTINGS + ".d"):
            return settings_problems(path, _text(path))
        return _one_image(path, system)
    except ManifestError as error:
        return [error.diagnostic]
    except OSError as error:
        return [Diagnostic(path, 0, f"cannot be read: {error.strerror}")]


def _text(path: str) -> str:
    real = os.path.realpath(path)
    return "" if tree.is_mask("", real) else tree.read_text("", real, path)


def _one_manifest(name: str, path: str) -> list[Diagnostic]:
    problem = name_problem(name)
    if problem:
        return [Diagnostic(path, 0, problem)]
    return manifest_problems(name, path, [(path, _text(path))])


def _one_image(path: str, system: Host) -> list[Diagnostic]:
    """What is wrong with an image; that it was made for another system is an error, too: somebody asked."""
    from extension_runtime import image
    from extension_runtime.verbs import probe

    try:
        with image.find("/", os.path.realpath(path), ("sysext", "confext")) as picked:
            classes = probe.classes_of(picked) if picked.kind == "directory" else ()
            verdict = probe.probe(picked, classes, system)
    except ExtensionError as error:
        return [_located(path, str(error))]
    return [_located(path, verdict.mismatch)] if verdict.mismatch else []


def _located(path: str, message: str) -> Diagnostic:
    """A diagnostic at `path` of a message that may begin with it, and with a file inside the image."""
    return Diagnostic(path, 0, message.removeprefix(f"{os.path.realpath(path)}: "))
