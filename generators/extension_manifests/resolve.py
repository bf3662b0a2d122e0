#  SPDX-License-Identifier: MIT
"""Layer order, needs and conflicts. Pure: manifests in, order and warnings out."""

from __future__ import annotations

from extension_manifests.errors import warning
from extension_manifests.version import ordered

TYPE_CHECKING = False
if TYPE_CHECKING:
    from extension_manifests.errors import Diagnostic
    from extension_manifests.manifest import Manifest

NEEDS = ("Requires", "Requisite", "BindsTo")


def order(manifests: dict[str, Manifest], diagnostics: list[Diagnostic]) -> list[Manifest]:
    """The manifests, lowest layer first: by Above= and Below=, else by version order of names.

    Edges within a cycle are dropped and the cycle is a warning that names all of it."""
    names = ordered(list(manifests))
    above: dict[str, set[str]] = {}
    for name in names:
        for lower in manifests[name].above:
            if lower in manifests:
                above.setdefault(lower, set()).add(name)
        for upper in manifests[name].below:
            if upper in manifests:
                above.setdefault(name, set()).add(upper)
    if above:
        cut_cycles(names, above, manifests, "Above= and Below=", diagnostics)
        names = sort(names, above)
    return [manifests[name] for name in names]


def cut_cycles(
    names: list[str],
    edges: dict[str, set[str]],
    manifests: dict[str, Manifest],
    what: str,
    diagnostics: list[Diagnostic],
) -> list[set[str]]:
    """Removes the edges within each cycle from `edges`, warns, and returns the cycles."""
    cycles = [group for group in components(names, edges) if len(group) > 1]
    for group in cycles:
        for name in group:
            edges[name] -= group
        members = sorted(group)
        text = f"{what} go in a circle: {', '.join(members)}; remove one, until then those among them are ignored"
        diagnostics.append(warning(manifests[members[0]].path, text))
    return cycles


def unordered(manifests: dict[str, Manifest], diagnostics: list[Diagnostic]) -> dict[str, frozenset[str]]:
    """For each extension in a circle of After=, Before= and needs, all that are in it: PID 1 would break such a circle
    by dropping a job of the boot. Each circle is a warning."""
    edges: dict[str, set[str]] = {}
    for name, item in manifests.items():
        for key in ("After", *NEEDS):
            for other in item.references(key):
                edges.setdefault(other, set()).add(name)
        for other in item.references("Before"):
            edges.setdefault(name, set()).add(other)
    if not edges:
        return {}
    known = sorted(manifests)
    edges = {name: targets & manifests.keys() - {name} for name, targets in edges.items() if name in manifests}
    cycles = cut_cycles(known, edges, manifests, "After=, Before= and needs", diagnostics)
    # One set for all of them: a circle may be as long as there are manifests.
    return {name: whole for whole in map(frozenset, cycles) for name in whole}


def sort(names: list[str], edges: dict[str, set[str]]) -> list[str]:
    """`names` so that every edge goes forward, otherwise in the order given. `edges` has no cycle."""
    from heapq import heapify, heappop, heappush

    rank = {name: number for number, name in enumerate(names)}
    waiting = dict.fromkeys(names, 0)
    for targets in edges.values():
        for target in targets:
            waiting[target] += 1
    ready = [rank[name] for name in names if not waiting[name]]
    heapify(ready)
    out = []
    while ready:
        name = names[heappop(ready)]
        out.append(name)
        for target in edges.get(name, ()):
            waiting[target] -= 1
            if not waiting[target]:
                heappush(ready, rank[target])
    return out


def components(names: list[str], edges: dict[str, set[str]]) -> list[set[str]]:
    """Strongly connected components (Tarjan), without recursion: a chain may be as long as there are manifests."""
    index: dict[str, int] = {}
    low: dict[str, int] = {}
    stack: list[str] = []
    on_stack: set[str] = set()
    out: list[set[str]] = []
    for start in names:
        if start in index:
            continue
        work = [(start, iter(sorted(edges.get(start, ()))))]
        index[start] = low[start] = len(index)
        stack.append(start)
        on_stack.add(start)
        while work:
            name, targets = work[-1]
            for target in targets:
                if target not in index:
                    index[target] = low[target] = len(index)
                    stack.append(target)
                    on_stack.add(target)
                    work.append((target, iter(sorted(edges.get(target, ())))))
                    break
                if target in on_stack:
                    low[name] = min(low[name], index[target])
            else:
                work.pop()
                if work:
                    low[work[-1][0]] = min(low[work[-1][0]], low[name])
                if low[name] == index[name]:
                    out.append(set())
                    while name not in out[-1]:
                        out[-1].add(stack.pop())
                    on_stack -= out[-1]
    return out


def check(manifests: dict[str, Manifest], masked: dict[str, str], broken: set[str]) -> list[Diagnostic]:
    """Warnings about needs that nothing fulfils and conflicts among what is wanted at boot."""
    out = []
    for name in sorted(manifests):
        item = manifests[name]
        for key in NEEDS:
            for other in item.references(key):
                if other not in manifests:
                    why = "is masked" if other in masked else "is broken" if other in broken else "has no manifest"
                    text = f"{key}={other}.extension cannot be fulfilled, it {why}; {name} will not be attached"
                    out.append(warning(item.path, text))
        for other in item.references("Conflicts"):
            rival = manifests.get(other)
            mutual = rival is not None and name in rival.references("Conflicts") and other < name
            if rival and other != name and not mutual and at_boot(item) and at_boot(rival):
                text = f"conflicts with {other}, but both are wanted at boot; clear WantedBy= or set a condition in one"
                out.append(warning(item.path, text))
    return out


def at_boot(item: Manifest) -> bool:
    """Wanted without a condition that may hold it back."""
    return bool(item.wanted_by or item.required_by) and not any(
        key.startswith(("Condition", "Assert")) for key, _ in item.unit
    )
