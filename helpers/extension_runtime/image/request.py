#  SPDX-License-Identifier: MIT
"""What is to be attached and under which promises: the one gate for every way of attaching.

PID 1's mount helper has it from mount options, everybody else from the manifest; both are the same pairs, and become a
request here and nowhere else.
"""

from __future__ import annotations

from extension_manifests import classes, options
from extension_manifests.errors import ExtensionError, printable
from extension_manifests.options import VERIFYING

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from extension_manifests.manifest import Manifest


class RequestError(ExtensionError):
    """Mount options that ask for nothing that is known."""


class Request:
    """What to attach: the extension `name`, its `image` (a name or an absolute path) and how; see `of_options`."""

    __slots__ = (
        "classes", "image", "image_policy", "mismatch", "name", "noexec", "nosuid", "root", "root_hash", "signature",
    )  # fmt: skip

    def __init__(
        self,
        root: str,
        name: str,
        image: str,
        classes_: Sequence[str] = classes.DEFAULT,
        mismatch: str = "skip",
        noexec: bool = False,
        nosuid: bool | None = None,
        image_policy: str = "",
        root_hash: str = "",
        signature: str = "",
    ) -> None:
        self.root = root
        self.name = name
        self.image = image
        self.classes = tuple(classes_)
        self.mismatch = mismatch  # "skip" or "fail"
        self.noexec = noexec
        # None: as manifests have it by default
        self.nosuid = classes.harmless(self.classes) if nosuid is None else nosuid
        self.image_policy = image_policy
        self.root_hash = root_hash
        self.signature = signature

    @property
    def options(self) -> str:
        """All that decides about its image, as mount options."""
        return options.text(options.told(self))

    @property
    def refused(self) -> str:
        """Why no image can be attached so, or "": a verification is asked for that cannot be done."""
        pairs = options.told(self)
        for option, key in VERIFYING.items():
            if options.verifies(option, pairs.get(option, "")):
                return f"{key} is not yet supported, so this image is not attached; remove the setting"
        return ""


def of_manifest(root: str, manifest: Manifest) -> Request:
    """What `manifest` asks for: the same as the mount unit made of it."""
    return of_options(root, manifest.name, options.told(manifest))


def of_options(root: str, name: str, pairs: Mapping[str, str]) -> Request:
    """What mount options (see options.told) ask for.  Raises RequestError."""
    for key in pairs:
        if key not in ("class", "mismatch", "noexec", "nosuid", "image", *VERIFYING):
            raise RequestError(printable(f"unknown option ext.{key}"))
    if not pairs.get("image"):
        raise RequestError("ext.image= is missing: it names the image; run systemctl daemon-reload for a unit of old")
    asked = {}
    for key in ("noexec", "nosuid"):
        if key in pairs:
            if pairs[key] not in ("0", "1"):
                raise RequestError(printable(f"ext.{key}={pairs[key]}: write 0 or 1"))
            asked[key] = pairs[key] == "1"
    asked_classes = tuple(pairs.get("class", ":".join(classes.DEFAULT)).split(":"))
    if not set(asked_classes) <= set(classes.NAMES):
        known = f"{', '.join(classes.NAMES)} or {':'.join(classes.NAMES)}"
        raise RequestError(printable(f"ext.class={':'.join(asked_classes)}: write {known}"))
    mismatch = pairs.get("mismatch", "skip")
    if mismatch not in ("skip", "fail"):
        raise RequestError(printable(f"ext.mismatch={mismatch}: write skip or fail"))
    return Request(
        root,
        name,
        pairs["image"],
        asked_classes,
        mismatch,
        asked.get("noexec", False),
        asked.get("nosuid"),
        pairs.get("policy", ""),
        pairs.get("roothash", ""),
        pairs.get("signature", ""),
    )
