#  SPDX-License-Identifier: MIT
"""The interpreter lives in the /usr that is swapped: from the first swap on, nothing is imported any more."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

CHECKOUT = Path(__file__).resolve().parents[2]
RELEASE = "usr/lib/extension-release.d/extension-release.tool"


def _root(root: Path) -> Path:
    """A root with one extension and a persistent /usr."""
    for path, text in {
        "usr/lib/os-release": "ID=debian\nVERSION_ID=12\n",
        "etc/extensions.d/tool.extension": "[Extension]\n",
        "etc/extensions.d/extensions.conf": "[Usr]\nMode=persistent\n",
        f"var/lib/extensions/tool/{RELEASE}": "ID=_any\n",
    }.items():
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_text(text)
    (root / "opt").mkdir()
    return root


# A process of its own: pytest has imported nearly everything.
PROGRAM = """
import sys
sys.path[:0] = sys.argv[2:]
from extension_runtime.merge import transaction
loaded = set()
def before(step):
    if step.name == "swap:usr":
        loaded.update(sys.modules)
transaction.run("refresh", sys.argv[1], before=before)
print(*sorted(set(sys.modules) - loaded) if loaded else ["no swap"])
"""


def test_nothing_is_imported_after_the_swap(namespace: Path) -> None:
    root = _root(namespace)
    packages = [str(CHECKOUT / "helpers"), str(CHECKOUT / "generators")]
    argv = [sys.executable, "-ISB", "-c", PROGRAM, str(root), *packages]
    assert subprocess.run(argv, capture_output=True, text=True, check=True).stdout.strip() == ""
    image = root / "var/lib/extensions/tool"
    os.rename(image, f"{image}.old")
    (image / RELEASE).parent.mkdir(parents=True)
    (image / RELEASE).write_text("ID=_any\n")
    assert subprocess.run(argv, capture_output=True, text=True, check=True).stdout.strip() == ""
