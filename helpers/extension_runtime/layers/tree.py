#  SPDX-License-Identifier: MIT
"""Files as they are, or will be, under a stack of layers: reads the merged tree without its being mounted."""

from __future__ import annotations

import os
import stat

from extension_runtime.layers.lookup import Node, root_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from extension_runtime.layers.lookup import Source

LINKS_MAX = 40
TEXT_MAX = 1 << 20  # bytes


class View:
    """The machine with `stacks` (hierarchy to sources, lowest first) in place; other paths are those of the machine."""

    __slots__ = ("_nodes", "_stacks")

    def __init__(self, stacks: Mapping[str, Sequence[Source]]) -> None:
        self._stacks = {f"/{name}": root_of(sources) for name, sources in stacks.items()}
        self._nodes: dict[str, Node] = {}

    def node(self, path: str) -> Node | None:
        """The look-up of `path`, links not followed; None for what lies outside of the stacks."""
        above, missing = path, []
        while above and above not in self._nodes and above not in self._stacks:
            above, _, name = above.rpartition("/")
            missing.append(name)
        found = self._nodes.get(above) or self._stacks.get(above)
        while found is not None and missing:
            if not found.sources:
                return Node(path, None, (), found.decider, found.cut)  # nothing is below what is no folder
            name = missing.pop()
            above = f"{above}/{name}"
            found = self._nodes[above] = found.child(name)
        return found

    def kind(self, path: str) -> tuple[str, str]:
        """("file", "folder", "link", "other" or "" for nothing, where a link leads), links not followed."""
        if path in self._stacks:
            return "folder", ""
        node = self.node(path)
        if node is not None:
            return (node.entry.kind, node.entry.target) if node.entry is not None else ("", "")
        try:
            mode = os.lstat(path).st_mode
            if stat.S_ISLNK(mode):
                return "link", os.readlink(path)
        except OSError:
            return "", ""
        return "folder" if stat.S_ISDIR(mode) else "file" if stat.S_ISREG(mode) else "other", ""

    def resolve(self, path: str) -> str | None:
        """`path` with all links followed; None when it leads nowhere.  /dev/null is itself, it masks."""
        done, todo, links = "", path.split("/")[::-1], 0
        while todo:
            part = todo.pop()
            if part in ("", "."):
                continue
            if part == "..":
                done = done.rpartition("/")[0]
                continue
            step = f"{done}/{part}"
            kind, target = self.kind(step)
            if not kind:
                return None
            if kind != "link":
                done = step
                continue
            links += 1
            if links > LINKS_MAX:
                return None
            if target.startswith("/"):
                done = ""
            todo.extend(target.split("/")[::-1])
        return done or "/"

    def names(self, path: str) -> list[str]:
        """The entries of the folder `path`, sorted; none when it is no folder."""
        real = self.resolve(path)
        if real is None:
            return []
        node = self._stacks.get(real) or self.node(real)
        if node is not None:
            return node.names()
        try:
            return sorted(os.listdir(real))
        except OSError:
            return []

    def text(self, path: str) -> str:
        """The text of the file `path`, "" when there is none."""
        real = self.resolve(path)
        node = self.node(real) if real is not None else None
        try:
            if node is not None:
                if node.entry is None or node.entry.kind != "file" or node.decider is None:
                    return ""
                data = b""
                for block in node.decider.listing.blocks(node.path):
                    data += block
                    if len(data) >= TEXT_MAX:
                        break
                data = data[:TEXT_MAX]
            else:
                if real is None or self.kind(real)[0] != "file":
                    return ""
                with open(real, "rb") as file:
                    data = file.read(TEXT_MAX)
        except OSError:
            return ""
        return data.decode(errors="replace")
