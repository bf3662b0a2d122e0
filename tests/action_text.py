#  SPDX-License-Identifier: MIT
"""Actions of a text, and changed paths of names."""

from __future__ import annotations

from extension_manifests.errors import Diagnostic
from extension_manifests.unitfile import parse
from extension_runtime.layers.compare import Changed
from extension_runtime.react import actionfile
from extension_runtime.react.actionfile import Action


def read(text: str) -> Action:
    warnings: list[Diagnostic] = []
    found = actionfile.build("demo", "/d/demo.action", parse(text, "/d/demo.action"), warnings)
    assert warnings == []
    return found


def changed(*paths: str, kind: str = "added") -> list[Changed]:
    return [Changed(path, kind, "e") for path in paths]


FULL = """
[Trigger]
Path=/usr/lib/a/*.conf /etc/a/
Path=/opt/**/x
On=merge refresh
Boot=yes
ConditionPathExists=/usr/bin/tool
ConditionPathIsReadWrite=/etc
[Action]
Exec=/usr/bin/tool --flag 'two words' "%n"
Append=existing
Restart=a.service
Reload=b.service
Start=c.service
DaemonReload=yes
Order=-5
X-Other=1
"""
