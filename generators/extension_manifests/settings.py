#  SPDX-License-Identifier: MIT
"""Settings: extensions.conf(5) and the kernel command line."""

from __future__ import annotations

from extension_manifests import keys, values
from extension_manifests.classes import HIERARCHIES
from extension_manifests.errors import ManifestError, warning
from extension_manifests.keys import gather, one, unknown

TYPE_CHECKING = False
if TYPE_CHECKING:
    from extension_manifests.errors import Diagnostic
    from extension_manifests.unitfile import Entry
    from extension_manifests.values import Value


SECTIONS = ("Usr", "Opt", "Etc", "Refresh")
TABLE = {(key.section, key.name): key for key in keys.SETTINGS}


class HierarchySettings:
    """How one hierarchy is merged: mode "auto", "read-only", "ephemeral" or "persistent"; upper: path of the
    persistent one; import_: whether that is one more read-only layer."""

    __slots__ = ("import_", "mode", "upper")

    def __init__(self, mode: str, upper: str, import_: bool) -> None:
        self.mode = mode
        self.upper = upper
        self.import_ = import_


class Settings:
    """usr, opt, etc: HierarchySettings; refresh_rollback; timeout_sec: seconds, maybe infinite.

    enabled: not extensions=0.  mistakes: all that is wrong with files and command line; while there is any, it is not
    known which modes somebody wants."""

    __slots__ = ("enabled", "etc", "mistakes", "opt", "refresh_rollback", "timeout_sec", "usr")

    def __init__(self) -> None:
        self.mistakes: list[Diagnostic] = []
        self.enabled = True
        self.refresh_rollback = True
        self.timeout_sec = 90.0
        self.usr = HierarchySettings("auto", "/var/lib/extensions.mutable/usr", False)
        self.opt = HierarchySettings("auto", "/var/lib/extensions.mutable/opt", False)
        self.etc = HierarchySettings("auto", "/var/lib/extensions.mutable/etc", False)

    def hierarchy(self, name: str) -> HierarchySettings:
        """The HierarchySettings of "usr", "opt" or "etc"."""
        return {"usr": self.usr, "opt": self.opt, "etc": self.etc}[name]


def build(entries: list[Entry], cmdline: str, diagnostics: list[Diagnostic]) -> Settings:
    """Settings of `entries`, the kernel command line over them. A wrong value is a diagnostic, the default stays.

    What `diagnostics` holds in the end are the mistakes."""
    settings = Settings()
    gathered, strange = gather(entries, TABLE)
    unknown(strange, SECTIONS, list(TABLE), diagnostics)
    for place, given in gathered.items():
        if not given:
            continue
        entry = given[-1][1]
        try:
            put(settings, place[0], TABLE[place], one(entry, TABLE[place].kind), entry)
        except ManifestError as error:
            diagnostics.append(error.diagnostic)
    for word in split_cmdline(cmdline):
        from_cmdline(settings, word, diagnostics)
    settings.mistakes = list(diagnostics)
    return settings


def put(settings: Settings, section: str, key: keys.Key, value: Value, entry: Entry) -> None:
    """Stores one value. Raises ManifestError for an upper that a merge would hide."""
    if key.attribute == "upper":
        for name in HIERARCHIES:
            if f"{value}/".startswith(f"/{name}/"):
                raise entry.error(
                    f"Upper= lies below /{name}, which gets merged over; write a path elsewhere, as below /var/lib"
                )
    setattr(settings if section == "Refresh" else settings.hierarchy(section.lower()), key.attribute, value)


def from_cmdline(settings: Settings, word: str, diagnostics: list[Diagnostic]) -> None:
    """Applies one word of the kernel command line; unknown ones belong to others."""
    name, equals, value = word.partition("=")
    message = ""
    if name == "extensions":
        try:
            settings.enabled = values.boolean(value) if equals else True
        except ValueError as error:
            message = str(error)
    elif name in ("extensions.usr", "extensions.opt", "extensions.etc"):
        try:
            settings.hierarchy(name[11:]).mode = str(values.convert(TABLE[name[11:].capitalize(), "Mode"].kind, value))
        except ValueError as error:
            message = str(error)
    if message:
        diagnostics.append(warning("/proc/cmdline", f"{name}= {message}"))


def split_cmdline(text: str) -> list[str]:
    """Words of a kernel command line; quotes hold blanks together and are dropped."""
    words: list[str] = []
    word, quote, inside = "", "", False
    for char in text:
        if quote:
            if char == quote:
                quote = ""
            else:
                word += char
        elif char in "\"'":
            quote, inside = char, True
        elif char in " \t\n\r\0":
            if inside:
                words.append(word)
            word, inside = "", False
        else:
            word += char
            inside = True
    return [*words, word] if inside else words
