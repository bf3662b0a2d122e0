#  SPDX-License-Identifier: MIT
"""Manifests that say in `##` comments what has to come of them. NAME is the file's name, and:

## with OTHER                         a plain manifest OTHER.extension is there, too
## dropin TEXT                        a drop-in holds TEXT (\\n for a new line)
## assert-key SECTION KEY VALUE       the mount unit has exactly that value among those of KEY
## assert-no-key SECTION KEY          the mount unit has no such key
## assert-link PATH                   a link is made, {mount} and {service} stand for the units
## assert-no-link PATH                no such link
## assert-log TEXT                    the log holds TEXT
## assert-silent                      the log is empty
## assert-broken TEXT                 the mount unit fails with a text that holds TEXT, and the exit status is 1
"""

from __future__ import annotations

import os
import shlex
import subprocess
from pathlib import Path

import pytest
from extension_manifests import escape
from extension_manifests.unitfile import parse

HERE = Path(__file__).parent
GENERATOR = HERE.parent.parent / "generators/extensions-generator"
FILES = sorted(path.name for path in HERE.glob("*.extension"))


class Outcome:
    """What the generator made of one file."""

    def __init__(self, manifest: Path, scratch: Path) -> None:
        name = manifest.name.removesuffix(".extension")
        lines = [line[3:] for line in manifest.read_text().splitlines() if line.startswith("## ")]
        self.asserts = [shlex.split(line) for line in lines if line.startswith("assert-")]
        folder = scratch / "etc/extensions.d"
        (folder / f"{name}.extension.d").mkdir(parents=True)
        (folder / manifest.name).write_bytes(manifest.read_bytes())
        for line in lines:
            word, _, rest = line.partition(" ")
            if word == "with":
                (folder / f"{rest}.extension").write_text("[Extension]\n")
            elif word == "dropin":
                (folder / f"{name}.extension.d/50-test.conf").write_text(rest.replace("\\n", "\n"))
            else:
                assert word.startswith("assert-"), word
        (scratch / "out").mkdir()
        done = subprocess.run(
            [str(GENERATOR), str(scratch / "out")],
            env={"EXTENSIONS_ROOT": str(scratch), "PATH": os.environ["PATH"]},
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        self.status, self.log, self.out = done.returncode, done.stderr, scratch / "out"
        self.units = {"mount": escape.mount_unit(name), "service": escape.service_unit(name)}
        self.entries = parse((self.out / self.units["mount"]).read_text(), "unit")

    def values(self, section: str, key: str) -> list[str]:
        return [entry.value for entry in self.entries if (entry.section, entry.key) == (section, key)]

    def hold(self, word: str, *rest: str) -> bool:
        """Whether one assertion holds."""
        if word == "assert-key":
            return rest[2].format(**self.units) in self.values(rest[0], rest[1])
        if word == "assert-no-key":
            return not self.values(*rest)
        if word in ("assert-link", "assert-no-link"):
            return (self.out / rest[0].format(**self.units)).is_symlink() == (word == "assert-link")
        if word == "assert-log":
            return rest[0] in self.log
        if word == "assert-silent":
            return self.log == "" and self.status == 0
        if word == "assert-broken":
            (options,) = self.values("Mount", "Options")
            return options.startswith("ext.error=") and rest[0] in escape.decode(options[10:]) and self.status == 1
        raise AssertionError(f"{word} is no assertion")


@pytest.mark.parametrize("file", FILES)
def test_assertions(file: str, tmp_path: Path) -> None:
    outcome = Outcome(HERE / file, tmp_path)
    assert outcome.asserts
    failed = [shlex.join(line) for line in outcome.asserts if not outcome.hold(*line)]
    assert not failed, outcome.log


def test_a_false_assertion_fails(tmp_path: Path) -> None:
    (tmp_path / "a.extension").write_text("## assert-key Mount What b\n[Extension]\n")
    outcome = Outcome(tmp_path / "a.extension", tmp_path / "scratch")
    assert not outcome.hold(*outcome.asserts[0])
