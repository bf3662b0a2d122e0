#  SPDX-License-Identifier: MIT
"""Decides whether an image is made for a host: reads, matches and chooses release files.  Touches no file.

The rules are those of systemd-sysext(8), systemd-confext(8) and os-release(5).
"""

from __future__ import annotations

from extension_manifests.classes import CLASSES
from extension_manifests.errors import ImageError, printable

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

    from extension_runtime.image.host import Host


PREFIX = "extension-release."
_DEFAULT_SCOPE = "system portable"


def match(release: Mapping[str, str], host: Host, class_: str) -> str | None:
    """None when an image with the release data `release` is made for `host`, otherwise why it is not.

    `class_` is sysext or confext.  The first decision wins, in the order of extension_release_validate()
    (systemd, src/shared/extension-util.c).
    """
    if not release:
        return "the release file holds no data"
    level_key, scope_key = CLASSES[class_].level, CLASSES[class_].scope
    if host.scope not in release.get(scope_key, _DEFAULT_SCOPE).split():
        return printable(f"made for {scope_key}={release.get(scope_key, _DEFAULT_SCOPE)}, this is {host.scope}")
    architecture = release.get("ARCHITECTURE", "")
    if architecture not in ("", "_any", host.architecture):
        return printable(f"made for ARCHITECTURE={architecture}, this host is {host.architecture}")
    made_for = release.get("ID", "")
    if not made_for:
        return "the release file has no ID="
    if made_for == "_any":
        return None
    if made_for != host.id and made_for not in host.id_like:
        return printable(f"made for ID={made_for}, this host is ID={host.id or '(none)'}")
    host_level = host.level(class_)
    if not host.version_id and not host_level:
        return None
    level = release.get(level_key, "")
    if host_level and level:
        if level == host_level:
            return None
        return printable(f"made for {level_key}={level}, this host is {level_key}={host_level}")
    version = release.get("VERSION_ID", "")
    if host.version_id and version != host.version_id:
        return printable(f"made for VERSION_ID={version or '(none)'}, this host is VERSION_ID={host.version_id}")
    return None


def base_name(name: str) -> str:
    """An image's name without what deployment adds to it: a version after "_", tries after "+"."""
    return name.partition("_")[0].partition("+")[0]


def choose(name: str, candidates: Mapping[str, bool], shown: str) -> str:
    """Which release file counts for the image `name` that has none of exactly this name: the key of the one chosen.

    `candidates` are the regular files named extension-release.SUFFIX, as SUFFIX -> whether the file is marked
    with user.extension-release.strict=0; `shown` is the directory for messages.
    Raises ImageError when there is none, or more than one.
    """
    if name in candidates:
        return name
    base = base_name(name)
    fitting = sorted(suffix for suffix, relaxed in candidates.items() if relaxed or suffix == base)
    if len(fitting) == 1:
        return fitting[0]
    wanted = f"{shown}/{PREFIX}{name}"
    if not fitting:
        others = ", ".join(PREFIX + suffix for suffix in sorted(candidates)[:3])
        there = f" (there is {others})" if others else ""
        raise ImageError(printable(f"{wanted}: missing{there}; an image needs a release file of its own name"))
    raise ImageError(
        printable(f"{wanted}: missing, and more than one could stand in: {', '.join(fitting[:3])}; leave one of them")
    )
