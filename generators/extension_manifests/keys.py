#  SPDX-License-Identifier: MIT
"""The one table of keys: parsing, messages, manual and completion are made from it."""

from __future__ import annotations

from extension_manifests import values
from extension_manifests.classes import DEFAULT
from extension_manifests.errors import warning

TYPE_CHECKING = False
if TYPE_CHECKING:
    from extension_manifests.errors import Diagnostic
    from extension_manifests.unitfile import Entry
    from extension_manifests.values import Value

UNKNOWN_MAX = 10  # warnings about unknown keys per file


class Key:
    """One key. `kind` names its converter in `values`, "*" behind it means a list: repeated keys add.
    `default` is text as a user would write it ("" for none); `attribute` is where the value goes."""

    __slots__ = ("attribute", "default", "doc", "kind", "name", "section")

    def __init__(self, section: str, name: str, kind: str, default: str, attribute: str, doc: str) -> None:
        self.section = section
        self.name = name
        self.kind = kind
        self.default = default
        self.attribute = attribute
        self.doc = doc


# fmt: off
MANIFEST = (
    Key("Extension", "Image", "image", "", "image",
        "Name of the image, or its absolute path; default: the manifest's name."),
    Key("Extension", "Class", "class*", " ".join(DEFAULT), "classes",
        "What the image extends: sysext (/usr, /opt), confext (/etc), or both."),
    Key("Extension", "Above", "extension*", "", "above", "Extensions whose layers lie below this one's."),
    Key("Extension", "Below", "extension*", "", "below", "Extensions whose layers lie above this one's."),
    Key("Extension", "Mismatch", "choice:skip fail", "skip", "mismatch",
        "What an image made for another host is: skip or fail."),
    Key("Extension", "ImagePolicy", "policy", "", "image_policy", "Image policy as in systemd.image-policy(7)."),
    Key("Extension", "RootHash", "roothash", "", "root_hash",
        "Root hash that the image must verify against, hexadecimal or an absolute path."),
    Key("Extension", "Signature", "signature", "", "signature",
        "Signature of the root hash: an absolute path or base64:..."),
    Key("Extension", "Hides", "glob*", "", "hides",
        "Globs of paths of the base that this image may take away, or replace by another kind of file."),
    Key("Extension", "NoExec", "bool", "no", "noexec", "Whether an image that holds executable files is refused."),
    Key("Extension", "NoSuid", "bool", "", "nosuid",
        "Whether nothing in it gives another user's rights; default: yes for a confext alone."),
    Key("Reload", "Start", "unit*", "", "start", "Units to start once this extension is merged or has changed."),
    Key("Reload", "Restart", "unit*", "", "restart", "Units to restart when this extension has changed."),
    Key("Reload", "ReloadOrRestart", "unit*", "", "reload_or_restart",
        "Units to reload, or restart if they cannot, when this extension has changed."),
    Key("Reload", "Stop", "unit*", "", "stop", "Units to stop before this extension is taken off."),
    Key("Reload", "Units", "choice:auto none", "auto", "units",
        "auto: units that the change adds, alters or removes are started, restarted or stopped; or none."),
    Key("Reload", "Actions", "choice:auto none", "auto", "actions",
        "auto: actions run for what the change touches; or none."),
    Key("Reload", "Rollback", "bool", "yes", "rollback",
        "Whether a unit that fails after its restart takes the change back."),
    Key("Reload", "Stale", "choice:restart report", "report", "stale",
        "What happens to units that still see replaced files: restart or report."),
    Key("Reload", "HealthSec", "span", "1", "health_sec", "Time a restarted unit must stay up to count as healthy."),
    Key("Install", "WantedBy", "target*", "extensions.target", "wanted_by",
        "Units that want this extension when they start."),
    Key("Install", "RequiredBy", "target*", "", "required_by", "Units that require this extension when they start."),
)
# fmt: on
"""Keys of NAME.extension but for [Unit]."""

# fmt: off
SETTINGS = tuple(
    key
    for section, path in (("Usr", "usr"), ("Opt", "opt"), ("Etc", "etc"))
    for key in (
        Key(section, "Mode", "choice:auto read-only ephemeral persistent", "auto", "mode",
            f"Where writes to /{path} go: nowhere (auto, read-only), to /run (ephemeral), to Upper= (persistent)."),
        Key(section, "Upper", "path", f"/var/lib/extensions.mutable/{path}", "upper",
            f"Directory that keeps the writes to /{path} in persistent mode."),
        Key(section, "Import", "bool", "no", "import_",
            "Whether the persistent directory is one more read-only layer."),
    )
) + (
    Key("Refresh", "Rollback", "bool", "yes", "refresh_rollback",
        "Whether a refresh that fails goes back to the last good state."),
    Key("Refresh", "TimeoutSec", "span", "90", "timeout_sec",
        "Time a refresh may wait for units; infinity for no limit."),
)
# fmt: on
"""Keys of extensions.conf."""

# fmt: off
DEPENDENCIES = (
    "After", "Before", "Requires", "Requisite", "Wants", "BindsTo", "PartOf", "Upholds", "Conflicts", "OnFailure",
    "OnSuccess", "PropagatesReloadTo", "ReloadPropagatedFrom", "PropagatesStopTo", "StopPropagatedFrom",
    "JoinsNamespaceOf",
)
PLAIN = (
    "Description", "Documentation", "RequiresMountsFor", "WantsMountsFor", "OnFailureJobMode", "OnSuccessJobMode",
    "IgnoreOnIsolate", "StopWhenUnneeded", "RefuseManualStart", "RefuseManualStop", "AllowIsolate",
    "SurviveFinalKillSignal", "CollectMode", "FailureAction", "SuccessAction", "FailureActionExitStatus",
    "SuccessActionExitStatus", "JobTimeoutSec", "JobRunningTimeoutSec", "JobTimeoutAction", "JobTimeoutRebootArgument",
    "StartLimitIntervalSec", "StartLimitBurst", "StartLimitAction", "RebootArgument", "DebugInvocation",
)
CHECKS = (
    "Architecture", "Firmware", "Virtualization", "Host", "KernelCommandLine", "KernelVersion", "Version", "Credential",
    "Environment", "Security", "Capability", "ACPower", "NeedsUpdate", "FirstBoot", "PathExists", "PathExistsGlob",
    "PathIsDirectory", "PathIsSymbolicLink", "PathIsMountPoint", "PathIsReadWrite", "PathIsEncrypted", "PathIsSocket",
    "DirectoryNotEmpty", "FileNotEmpty", "FileIsExecutable", "User", "Group", "ControlGroupController", "Memory",
    "CPUs", "CPUFeature", "OSRelease", "MemoryPressure", "CPUPressure", "IOPressure", "KernelModuleLoaded",
)
# fmt: on


def unit_keys() -> tuple[Key, ...]:
    """Keys of [Unit], which go to the image's mount unit: those of systemd.unit(5) that leave its place in the boot."""
    like = "As in systemd.unit(5)"
    referring = f"{like}; NAME.extension stands for that extension."
    checks = [
        Key("Unit", kind + name, "text*", "", "", f"{like}.") for kind in ("Condition", "Assert") for name in CHECKS
    ]
    dependencies = [Key("Unit", name, "dependency*", "", "", referring) for name in DEPENDENCIES]
    return (*dependencies, *(Key("Unit", name, "text*", "", "", f"{like}.") for name in PLAIN), *checks)


def listing() -> str:
    """All keys for `--keys`: FILE, SECTION, KEY, KIND, DEFAULT, line of documentation, separated by tabs."""
    lines = []
    for file, table in (("extension", (*unit_keys(), *MANIFEST)), ("extensions.conf", SETTINGS)):
        lines += [f"{file}\t{key.section}\t{key.name}\t{key.kind}\t{key.default}\t{key.doc}\n" for key in table]
    return "".join(lines)


def meant(word: str, known: list[str]) -> str:
    """ "; did you mean X?" for the nearest of `known`, or ""."""
    best = min(known, key=lambda other: (distance(word.lower(), other.lower()), other), default="")
    limit = 1 if len(word) < 5 else 2
    return f"; did you mean {best}?" if best and distance(word.lower(), best.lower()) <= limit else ""


def distance(a: str, b: str) -> int:
    """Levenshtein distance, cut off for what is far apart in length anyway."""
    if abs(len(a) - len(b)) > 2:
        return 9
    row = list(range(len(b) + 1))
    for i, char in enumerate(a, 1):
        before, row[0] = row[0], i
        for j, other in enumerate(b, 1):
            before, row[j] = row[j], min(row[j] + 1, row[j - 1] + 1, before + (char != other))
    return row[-1]


def default_of(key: Key) -> Value | tuple[str, ...]:
    if key.kind.endswith("*"):
        return tuple(key.default.split())
    return values.convert(key.kind, key.default) if key.default else ""


def gather(
    entries: list[Entry], table: dict[tuple[str, str], Key]
) -> tuple[dict[tuple[str, str], list[tuple[int, Entry]]], list[Entry]]:
    """For each (section, key) of `table` the entries since its last reset, numbered in order; and all others."""
    gathered: dict[tuple[str, str], list[tuple[int, Entry]]] = {}
    strange = []
    for number, entry in enumerate(entries):
        place = (entry.section, entry.key)
        if place not in table:
            strange.append(entry)
        elif entry.value:
            gathered.setdefault(place, []).append((number, entry))
        else:
            gathered[place] = []
    return gathered, strange


def words(entries: list[Entry], kind: str) -> tuple[str, ...]:
    """All words of the entries converted, each once. Raises ManifestError."""
    out: dict[str, None] = {}
    for entry in entries:
        for word in entry.value.split():
            try:
                out[str(values.convert(kind, word))] = None
            except ValueError as error:
                raise entry.error(f"{entry.key}= {error}") from None
    return tuple(out)


def one(entry: Entry, kind: str) -> Value:
    try:
        return values.convert(kind, entry.value)
    except ValueError as error:
        raise entry.error(f"{entry.key}= {error}") from None


def unknown(
    entries: list[Entry], sections: tuple[str, ...], table: list[tuple[str, str]], warnings: list[Diagnostic]
) -> None:
    """Warns about entries that no table has, each key once; "X-" is for others, as in systemd.syntax(7)."""
    told: set[tuple[str, str]] = set()
    for entry in entries:
        place = (entry.section, entry.key)
        if entry.section.startswith("X-") or entry.key.startswith("X-") or place in told:
            continue
        told.add(place)
        if len(told) > UNKNOWN_MAX:
            warnings.append(warning(entry.path, "more keys are not known and ignored; see extension(5)", entry.line))
            return
        section, key = entry.section[:80], entry.key[:80]
        if section not in sections:
            hint = meant(section, list(sections)) or "; write one of " + " ".join(f"[{name}]" for name in sections)
            message = f"[{section}] is not known, {key}= in it is ignored{hint}"
        else:
            hint = meant(key, [other for where, other in table if where == section])
            elsewhere = sorted(where for where, other in table if other == key)
            if elsewhere:
                hint = f"; it belongs to [{elsewhere[0]}]"
            message = f"{key}= is not known in [{section}] and ignored{hint or '; remove it or write X- before it'}"
        warnings.append(warning(entry.path, message, entry.line))
