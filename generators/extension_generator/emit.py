#  SPDX-License-Identifier: MIT
"""Writes units, exclusively: what is there already belongs to someone else."""

from __future__ import annotations

import os

from extension_manifests.errors import EmitError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from extension_generator.render import Output


def emit(directory: str, output: Output) -> list[EmitError]:
    """Writes `output` below `directory`; returns what could not be written, the rest is there."""
    errors = []
    made: set[str] = set()
    for path, content in output.items():
        target = f"{directory}/{path}"
        parent = target.rpartition("/")[0]
        try:
            if parent not in made:
                make(parent)
                made.add(parent)
            if isinstance(content, str):
                write(target, content)
            else:
                os.symlink(content.target, target)
        except FileExistsError:
            errors.append(
                EmitError(f"{target} exists already, {owner(target)}; remove the other or rename the extension")
            )
        except OSError as error:
            errors.append(EmitError(f"{target} cannot be written: {error.strerror}"))
    return errors


def make(directory: str) -> None:
    try:
        os.mkdir(directory, 0o755)
    except FileExistsError:
        pass
    except FileNotFoundError:
        os.makedirs(directory, 0o755, exist_ok=True)


def write(path: str, text: str) -> None:
    fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o644)
    try:
        data = text.encode("utf-8", "surrogateescape")
        while data:
            data = data[os.write(fd, data) :]
    finally:
        os.close(fd)


def owner(path: str) -> str:
    """Where the unit at `path` says that it comes from."""
    try:
        if os.path.islink(path):
            return f"a link to {os.readlink(path)}"
        with open(path, encoding="utf-8", errors="replace") as file:
            for line in file:
                if line.startswith("SourcePath="):
                    return f"made from {line[11:].strip()}"
    except OSError:
        pass
    return "made by another generator"


def listing(output: Output) -> str:
    """`output` as text, each unit below its path."""
    parts = []
    for path, content in output.items():
        parts.append(f"# {path}\n{content}\n" if isinstance(content, str) else f"# {path} -> {content.target}\n\n")
    return "".join(parts)
