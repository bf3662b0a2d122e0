#  SPDX-License-Identifier: MIT
"""A root's manifests and settings to a Plan: the one reading that generator and runtime share."""

from __future__ import annotations

import os

from extension_manifests import manifest, resolve, search, textfile
from extension_manifests.errors import Diagnostic, ManifestError, reason_of
from extension_manifests.names import SUFFIX, name_problem
from extension_manifests.origin import Origin, origin_of
from extension_manifests.settings import build
from extension_manifests.unitfile import Entry, parse

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

    from extension_manifests.manifest import Manifest
    from extension_manifests.search import Found
    from extension_manifests.settings import Settings


class Plan:
    """extensions: Manifests, lowest layer first. masked: name -> path of the mask. broken: name -> its diagnostics.
    diagnostics: all of them, in order. settings: Settings. Paths are as seen inside the root."""

    __slots__ = ("broken", "diagnostics", "extensions", "masked", "settings")

    def __init__(
        self,
        extensions: tuple[Manifest, ...],
        masked: dict[str, str],
        broken: dict[str, list[Diagnostic]],
        settings: Settings,
        diagnostics: list[Diagnostic],
    ) -> None:
        self.extensions = extensions
        self.masked = masked
        self.broken = broken
        self.settings = settings
        self.diagnostics = diagnostics

    def names(self) -> list[str]:
        """Every known name, sorted."""
        return sorted({item.name for item in self.extensions} | set(self.masked) | set(self.broken))


def load(root: str | Origin, cmdline: str | None = None) -> Plan:
    """The Plan of what lies below `root` ("" or "/": this machine), whatever is merged there. `cmdline`: text of the
    kernel command line, read when None. Never raises for what a file holds: that is in the diagnostics."""
    origin = origin_of(root)
    if cmdline is None:
        cmdline = read_cmdline(origin, os.environ)
    found, diagnostics = search.find(origin, SUFFIX)
    manifests: dict[str, Manifest] = {}
    masked: dict[str, str] = {}
    broken: dict[str, list[Diagnostic]] = {}
    for item in found:
        problem = name_problem(item.name)
        if problem:
            # Such a name is never used further: it could be a path.
            diagnostics.append(Diagnostic(item.path, 0, problem))
        elif item.masked:
            masked[item.name] = item.path
        else:
            warnings: list[Diagnostic] = []
            try:
                manifests[item.name] = read(item, warnings)
            except Exception as error:
                # Also for a mistake of this program: one manifest must never cost a boot the others.
                wrong = error.diagnostic if isinstance(error, ManifestError) else None
                wrong = wrong or Diagnostic(item.path, 0, reason_of(error))
                broken[item.name] = [wrong]
                diagnostics.append(wrong)
            diagnostics += warnings
    chosen = load_settings(origin, cmdline, diagnostics)
    ordered = resolve.order(manifests, diagnostics)
    for name, others in resolve.unordered(manifests, diagnostics).items():
        manifests[name].unordered = others
    diagnostics += resolve.check(manifests, masked, set(broken))
    return Plan(tuple(ordered), masked, broken, chosen, diagnostics)


def read(item: Found, warnings: list[Diagnostic]) -> Manifest:
    """The Manifest of one found file. Raises ManifestError."""
    entries: list[Entry] = []
    for path, text in search.texts(item):
        entries += parse(text, path)
    return manifest.build(item.name, item.path, entries, warnings)


def load_settings(root: str | Origin, cmdline: str, diagnostics: list[Diagnostic]) -> Settings:
    """Settings of extensions.conf, its drop-ins and the kernel command line; what is wrong goes to `diagnostics`."""
    found, mistakes = search.find(root, "extensions.conf")
    told = len(mistakes)  # those of manifests have them, too
    entries: list[Entry] = []
    for item in found:
        for part in [item, *item.dropins]:
            if part.masked:
                continue
            problems: list[ManifestError] = []
            try:
                if part.problem:
                    raise part.problem
                entries += parse(textfile.read_text(part.real, part.path), part.path, problems)
            except ManifestError as error:
                problems.append(error)
            except Exception as error:
                problems.append(ManifestError(part.path, 0, reason_of(error)))
            mistakes += [problem.diagnostic for problem in problems]
    settings = build(entries, cmdline, mistakes)
    diagnostics += mistakes[told:]
    return settings


def read_cmdline(root: str | Origin, environ: Mapping[str, str]) -> str:
    """The kernel command line: ROOT/proc/cmdline or, without a root, $SYSTEMD_PROC_CMDLINE, in a container that of
    PID 1, else /proc/cmdline (proc_cmdline() of systemd). Empty when there is none."""
    origin = origin_of(root)
    if origin.root:
        try:
            return textfile.read_text(origin.real("/proc/cmdline"), "/proc/cmdline")
        except (OSError, ManifestError):
            return ""
    if "SYSTEMD_PROC_CMDLINE" in environ:
        return environ["SYSTEMD_PROC_CMDLINE"]
    container = environ.get("SYSTEMD_VIRTUALIZATION", "").startswith("container:") or os.path.exists(
        "/run/systemd/container"
    )
    try:
        with open("/proc/1/cmdline" if container else "/proc/cmdline", "rb") as file:
            text = file.read().decode("utf-8", "replace")
    except OSError:
        return ""
    # Arguments of PID 1 are separated by NUL.
    return text.replace("\0", " ")
