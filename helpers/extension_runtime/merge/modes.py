#  SPDX-License-Identifier: MIT
"""While the settings have a mistake, each hierarchy keeps the mode that it had: nobody knows which one is meant.

A typo in extensions.conf must not take the users and passwords off that a persistent /etc holds.  What is merged is in
the state; since that goes with a reboot, modes that are no defaults are remembered beside the uppers, too.
"""

from __future__ import annotations

import os

from extension_manifests.classes import HIERARCHIES
from extension_manifests.settings import Settings

from extension_runtime import boundary, files, jsontext
from extension_runtime.kernel import chase
from extension_runtime.merge.sound import MODES
from extension_runtime.overlay.upper import DEFAULT_PARENT

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from extension_runtime.merge.state import State
    from extension_runtime.paths import Paths

NAME = ".modes.json"
SIZE_MAX = 64 << 10  # bytes
KEPT = "until that is mended, hierarchies keep the mode that they had last"
Modes = dict[str, tuple[str, str, bool]]  # hierarchy: mode, upper, whether it is imported


def keep(paths: Paths, settings: Settings, state: State) -> list[str]:
    """Have `settings` with a mistake ask for what was merged last; lines that say so, none without a mistake."""
    if not settings.mistakes:
        return []
    apply(settings, {**read(paths), **of_state(state)})
    said = [str(mistake) for mistake in settings.mistakes]
    return [*said[:-1], f"{said[-1]}; {KEPT}"]


def of_state(state: State) -> Modes:
    """The modes that hierarchies are merged with."""
    return {
        name: (item.mode, item.spec.upper, item.spec.imported)
        for name, item in state.now.hierarchies.items()
        if item.merged
    }


def of_settings(settings: Settings) -> Modes:
    """What settings ask for, but for the defaults."""
    default, found = Settings(), {}
    for name in HIERARCHIES:
        asked = settings.hierarchy(name)
        if asked.mode != default.hierarchy(name).mode or asked.import_:
            found[name] = (asked.mode, asked.upper, asked.import_)
    return found


def apply(settings: Settings, modes: Modes) -> None:
    """Have `settings` ask for `modes`, and for the default where they have none."""
    default = Settings()
    for name in HIERARCHIES:
        asked, usual = settings.hierarchy(name), default.hierarchy(name)
        asked.mode, upper, asked.import_ = modes.get(name, (usual.mode, "", usual.import_))
        asked.upper = upper or usual.upper


def read(paths: Paths) -> Modes:
    """The modes that are remembered; none where that is not what this program wrote."""
    try:
        found = jsontext.loads(files.read(_place(paths), SIZE_MAX))
        return {name: _mode(item) for name, item in found.items() if name in HIERARCHIES}
    except FileNotFoundError:
        return {}
    except Exception as error:
        boundary.reason(error, NAME)
        return {}


def _mode(item: Any) -> tuple[str, str, bool]:
    mode, upper, imported = item
    if mode not in MODES or not isinstance(upper, str) or not upper.startswith("/") or type(imported) is not bool:
        raise ValueError("no mode of a hierarchy")
    return mode, upper, imported


def remember(paths: Paths, settings: Settings) -> None:
    """Remember what right settings ask for, if that is another thing than before.  Raises ExtensionError, OSError."""
    wanted = of_settings(settings)
    if settings.mistakes or wanted == read(paths):
        return
    place = _place(paths)
    if wanted:
        files.folder(os.path.dirname(place), 0o755)
        files.replace(place, jsontext.dumps(wanted) + "\n")
    else:
        os.unlink(place)  # what it holds is something, so it is there


def _place(paths: Paths) -> str:
    parent = chase.real_path(paths.root, DEFAULT_PARENT) if paths.root else DEFAULT_PARENT
    return f"{parent}/{NAME}"
