#  SPDX-License-Identifier: MIT
"""What the mount helper is told of an extension, in the options of its mount unit, and what of that is a promise.

One table for all ways of attaching: the generator writes it into units, and what attaches without a unit reads it from
the manifest.  What was told is kept with what was attached, so that a change of it is a change.
"""

from __future__ import annotations

from extension_manifests import classes
from extension_manifests.escape import decode, option

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Protocol

    class Asking(Protocol):
        """What has the attributes of a manifest that count for its image."""

        image: str
        classes: tuple[str, ...]
        mismatch: str
        noexec: bool
        nosuid: bool
        image_policy: str
        root_hash: str
        signature: str


PREFIX = "ext."
VERIFYING = {"policy": "ImagePolicy=", "roothash": "RootHash=", "signature": "Signature="}
"""Option to the key of a manifest that asks for a verification."""
PROMISING = (*VERIFYING.values(), "NoExec=", "NoSuid=")
"""Keys of a manifest that promise something about the content of an image."""
_OPEN = frozenset(("unprotected", "open"))
_PROTECTING = frozenset(("verity", "signed", "encrypted", "unused", "absent"))


def told(asking: Asking) -> dict[str, str]:
    """Option, without its prefix, to value; what has no value is left out."""
    pairs = {
        "image": asking.image,
        "class": ":".join(class_.name for class_ in classes.of(asking.classes)),
        "mismatch": asking.mismatch,
        "noexec": str(int(asking.noexec)),
        "nosuid": str(int(asking.nosuid)),
        "policy": asking.image_policy,
        "roothash": asking.root_hash,
        "signature": asking.signature,
    }
    return {key: value for key, value in pairs.items() if value}


def text(pairs: Mapping[str, str]) -> str:
    """`pairs` as mount options, in which nobody on the way sees anything to interpret."""
    return ",".join(f"{PREFIX}{key}={option(value)}" for key, value in pairs.items())


def read(options: str) -> dict[str, str]:
    """The pairs that `text` was made of; none for what it did not make, as of another version."""
    pairs = [word.removeprefix(PREFIX).partition("=") for word in options.split(",") if word.startswith(PREFIX)]
    try:
        return {key: decode(value) for key, _, value in pairs}
    except ValueError:
        return {}


def promises(pairs: Mapping[str, str]) -> list[str]:
    """What is promised of the content of an image that is attached so, in the words of a manifest.

    Class by class, since only what is merged for one is looked through.  What the mount over a hierarchy keeps
    whatever lies below it, as nosuid over that of a confext, needs no promise.
    """
    named = classes.of(pairs.get("class", "").split(":"))
    found = [f"{key}{pairs[name]}" for name, key in VERIFYING.items() if verifies(name, pairs.get(name, ""))]
    if pairs.get("noexec") == "1":
        found += [f"NoExec=yes ({class_.name})" for class_ in named]
    if pairs.get("nosuid") == "1":
        found += [f"NoSuid=yes ({class_.name})" for class_ in named if not class_.harmless]
    return found


def unkept(asking: Asking, options: str) -> list[str]:
    """What is promised now and was not when an image was attached with `options`."""
    kept = promises(read(options))
    return [promise for promise in promises(told(asking)) if promise not in kept]


def verifies(name: str, value: str) -> bool:
    """Whether the option `name` with `value` asks for anything to be verified."""
    return bool(value) and not (name == "policy" and _takes_anything(value))


def _takes_anything(policy: str) -> bool:
    """Whether an image policy is content with a file system that nothing protects, as an image of ours is.

    The rule for the root partition counts for an image without partitions, else that for all others; a policy that is
    not understood to the last word is not content (systemd.image-policy(7)).
    """
    if policy == "*":
        return True
    rules: dict[str, list[str]] = {}
    for rule in policy.split(":"):
        partition, equals, flags = rule.partition("=")
        if not equals or partition in rules:
            return False
        rules[partition] = flags.split("+")
    root = set(rules.get("root", rules.get("", ())))
    return bool(root & _OPEN) and root <= _OPEN | _PROTECTING
