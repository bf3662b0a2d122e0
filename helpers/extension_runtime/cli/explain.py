#  SPDX-License-Identifier: MIT
"""extensionctl explain: everything that decided about one extension."""

from __future__ import annotations

from extension_manifests import search
from extension_manifests.classes import CLASSES
from extension_manifests.errors import ExtensionError
from extension_manifests.escape import mount_unit, service_unit

from extension_runtime.cli import risks, table
from extension_runtime.cli.facts import ROOT_ONLY, Extension, Facts, gather
from extension_runtime.cli.options import DONE, Options, note
from extension_runtime.image import find, host, inspect
from extension_runtime.merge import harm
from extension_runtime.merge.outlook import Outlook
from extension_runtime.overlay import hierarchy
from extension_runtime.paths import Paths
from extension_runtime.pid1 import queries

TYPE_CHECKING = False
if TYPE_CHECKING:
    import argparse

    from extension_manifests.manifest import Manifest
    from extension_manifests.origin import Origin

Paragraphs = dict[str, list[str]]
INDENT = 13
NAMED_MAX = 20  # values of a paragraph that a person reads


def arguments(parser: argparse.ArgumentParser) -> None:
    """The extension."""
    parser.add_argument("name", metavar="NAME", help="name of the extension")


def run(options: Options) -> int:
    """Print what decided about `options.name`.  Raises ExtensionError for an extension that nobody knows."""
    facts = gather(options.root)
    name = options.name.removesuffix(".extension")
    extensions = {extension.name: extension for extension in facts.extensions()}
    if name not in extensions:
        names = ", ".join(extensions) or "none"
        raise ExtensionError(f"{name} is neither merged nor is there a manifest {name}.extension; known: {names}")
    if not facts.readable:
        note(ROOT_ONLY)
    extension = extensions[name]
    found = collect(facts, extension)
    if options.json != "off":
        print(table.json_text({**extension.data(), "explanation": found}, options.json))
        return DONE
    screen = table.screen()
    colour = table.STATE_COLOURS[extension.state]
    lines = [f"{screen.paint('●', colour)} {name}: {screen.paint(extension.state, colour)}"]
    for key, values in found.items():
        more = [f"and {len(values) - NAMED_MAX} more; --json=pretty names them"] if len(values) > NAMED_MAX else []
        lines += table.paragraph(key, [*values[:NAMED_MAX], *more], screen, indent=INDENT)
    table.show(lines, screen, pager=options.pager)
    return DONE


def collect(facts: Facts, extension: Extension) -> Paragraphs:
    """What decided, under the words that a person reads, in the order in which it was decided."""
    found: Paragraphs = {"Reason": [extension.reason] if extension.reason else [], "Remarks": list(extension.remarks)}
    found.update(_manifest_files(facts, extension.name))
    problems = facts.plan.broken.get(extension.name, [])
    found["Mistakes"] = [str(problem) for problem in problems]
    manifests = [m for m in facts.plan.extensions if m.name == extension.name]
    if manifests:
        if not facts.root:
            found.update(_units(facts, extension.name))
        found.update(_image(facts, manifests[0]))
        found["Risks"] = [str(risk) for risk in risks.of_one(facts.root, manifests[0])]
        found.update(_layer(facts, extension))
        found["May hide"] = list(manifests[0].hides)
        found["On change"] = _reload(manifests[0])
    if extension.state == "merged" and facts.readable:
        found.update(_impact(facts, extension.name))
    return {key: values for key, values in found.items() if values}


def _manifest_files(facts: Facts, name: str) -> Paragraphs:
    """The file that counts, those it hides, and drop-ins."""
    items, _ = search.find(facts.origin, ".extension")
    item = next((item for item in items if item.name == name), None)
    if item is None:
        return {"Manifest": ["none; it was removed after the merge"]}
    all_of_name = [f"{directory}/{name}.extension" for directory in search.DIRECTORIES]
    return {
        "Manifest": [f"{item.path} (masks the name)" if item.masked else item.path],
        "Hides": [path for path in all_of_name if path != item.path and _exists(facts.origin, path)],
        "Drop-ins": [dropin.path for dropin in item.dropins],
    }


def _exists(origin: Origin, path: str) -> bool:
    """Whether there is something called `path`."""
    try:
        return origin.entry(path) is not None
    except OSError:
        return False  # a loop of links on the way


def _units(facts: Facts, name: str) -> Paragraphs:
    """How PID 1 sees the extension."""
    mount, service = mount_unit(name), service_unit(name)
    lines = []
    for unit in (mount, service):
        properties = facts.units.get(unit)
        if properties is None:
            lines.append(f"{unit}: PID 1 cannot be asked")
        elif properties.get("LoadState") == "not-found":
            lines.append(f"{unit}: PID 1 does not know it; run systemctl daemon-reload")
        else:
            text = f"{unit}: {properties.get('ActiveState', '')} ({properties.get('SubState', '')})"
            if properties.get("NeedDaemonReload") == "yes":
                text += "; its file changed, run systemctl daemon-reload"
            lines.append(text)
    loaded = facts.units.get(mount, {}).get("LoadState") == "loaded"
    asked = [*queries.conditions(mount), *queries.conditions(mount, "Asserts")] if loaded else []
    return {"Units": lines, "Conditions": [f"{text}: {result}" for text, result in asked]}


def _image(facts: Facts, manifest: Manifest) -> Paragraphs:
    """Where the image was looked for, which version was picked, and whether it matches this system."""
    wanted = f"{manifest.image} ({' and '.join(manifest.classes)})"
    searched = "" if manifest.image.startswith("/") else f", looked for in {', '.join(find.folders(manifest.classes))}"
    found: Paragraphs = {"Image": [wanted + searched]}
    record = facts.records.get(manifest.name)
    try:
        with find.find(facts.origin, manifest.image, manifest.classes) as picked:
            found["Picked"] = [f"{picked.path}{f', version {picked.version}' if picked.version else ''}"]
            verdict = inspect.probe(picked, manifest.classes, facts.host)
        seen = "matches this system" if picked.kind == "directory" else "compared with this system when it is attached"
        found["Picked"].append(verdict.mismatch or f"{verdict.format}, {seen}")
    except ExtensionError as error:
        found.setdefault("Picked", []).append(str(error))
    if record is not None:
        text = f"{record.image} ({record.format})" if record.image else "nothing"
        found["Attached"] = [f"{text}: {record.state}{f', {record.reason}' if record.reason else ''}"]
    found["System"] = [describe(facts.host)]
    return found


def describe(system: host.Host) -> str:
    """What release files are compared with, as os-release(5) would write it."""
    fields = (
        ("ID", system.id),
        ("ID_LIKE", " ".join(system.id_like)),
        ("VERSION_ID", system.version_id),
        *((class_.level, system.level(name)) for name, class_ in CLASSES.items()),
        ("ARCHITECTURE", system.architecture),
        ("SCOPE", system.scope),
    )
    return " ".join(f"{key}={value}" for key, value in fields if value)


def _layer(facts: Facts, extension: Extension) -> Paragraphs:
    """Its place among the layers of each hierarchy; while it is not merged, among all manifests."""
    if extension.state == "merged":
        orders = {f"/{h}: ": facts.layers(h)[::-1] for h in extension.hierarchies}
    else:
        orders = {"by manifests: ": [m.name for m in facts.plan.extensions]}
    return {
        "Layer": [where + _place(extension.name, order) for where, order in orders.items() if extension.name in order]
    }


def _impact(facts: Facts, name: str) -> Paragraphs:
    """What the extension does to the base and to others, as it is now."""
    paths = Paths(facts.root)
    outlook = Outlook(paths, facts.state, facts.plan, hierarchy.find(paths).found, set())
    impact = harm.impact_of(outlook, name)
    return {
        "Replaces": [
            f"{file}{f', of {owner}' if owner else ''}" for owner, files in impact.overrides.items() for file in files
        ],
        "Takes away": [*impact.stops, *impact.harms],
        "Keeps": [f"{folder}, as it is on the system" for folder in impact.mends],
    }


def _place(name: str, order: list[str]) -> str:
    """Where `name` is in `order`, lowest first."""
    place = order.index(name)
    if len(order) == 1:
        return "the only one"
    below = f"on top of {order[place - 1]}" if place else "lowest"
    above = f"below {order[place + 1]}" if place + 1 < len(order) else "topmost"
    return f"{place + 1} of {len(order)}, {below}, {above}"


def _reload(manifest: Manifest) -> list[str]:
    """What is done with services, in the words of the manifest."""
    lists = (
        ("Start", manifest.start),
        ("Restart", manifest.restart),
        ("ReloadOrRestart", manifest.reload_or_restart),
        ("Stop", manifest.stop),
    )
    words = [f"{key}={' '.join(units)}" for key, units in lists if units]
    rollback = "yes" if manifest.rollback else "no"
    return [
        *words,
        f"Units={manifest.units} Actions={manifest.actions} Rollback={rollback} Stale={manifest.stale}",
    ]
