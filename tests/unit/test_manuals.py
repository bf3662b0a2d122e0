#  SPDX-License-Identifier: MIT
"""Manuals and completion say what the key table and the command line have: all of it and nothing else."""

from __future__ import annotations

import argparse
import re
import shutil
import subprocess
from pathlib import Path

import pytest
from extension_manifests import keys
from extension_runtime.cli import main
from extension_runtime.overlay import trial
from extension_runtime.react import actionfile

TOP = Path(__file__).resolve().parents[2]
MAN = TOP / "man"
PAGES = sorted(MAN.iterdir())
SECTION = re.compile(r"^\.S[HS] (.*)$", re.MULTILINE)
COMMON = {"--root", "--json", "--no-legend", "--no-pager", "-h", "--help"}


def plain(text: str) -> str:
    """Text of a page without its markup."""
    text = re.sub(r"^\.(BR|BI|IB|IR|RB|RI|B|I) (.*)$", lambda m: m[2].replace('"', ""), text, flags=re.MULTILINE)
    return re.sub(r"\\f.", "", text).replace("\\-", "-")


def sections(page: str) -> dict[str, str]:
    """Body of each section and subsection of a page, by heading."""
    parts = SECTION.split((MAN / page).read_text())
    return dict(zip(parts[1::2], parts[2::2], strict=True))


def tags(text: str) -> list[str]:
    """What stands at the head of each tagged paragraph."""
    return [plain(line) for line in re.findall(r"^\.TP\n(.*)$", text, re.MULTILINE)]


def keys_in(text: str) -> set[str]:
    """Keys that have a paragraph of their own."""
    return {key for tag in tags(text) for key in re.findall(r"([A-Z][A-Za-z]+)=", tag)}


@pytest.mark.parametrize("page", PAGES, ids=lambda path: path.name)
def test_pages_are_clean_roff(page: Path) -> None:
    if not shutil.which("groff"):
        pytest.skip("groff is not installed")
    made = subprocess.run(
        ["groff", "-man", "-Tutf8", "-ww", "-rLL=100n", str(page)], capture_output=True, text=True, check=True
    )
    assert made.stderr == ""


@pytest.mark.parametrize("section", ["Extension", "Reload", "Install"])
def test_manifest_keys(section: str) -> None:
    table = {key.name for key in keys.MANIFEST if key.section == section}
    assert keys_in(sections("extension.5")[f"[{section.upper()}] SECTION"]) == table


def test_unit_keys_that_the_manual_names_exist() -> None:
    named = set(re.findall(r"\b([A-Z][A-Za-z]+)=", sections("extension.5")["[UNIT] SECTION"]))
    assert named - {"DefaultDependencies"} <= {key.name for key in keys.unit_keys()}


def test_defaults_of_manifest_keys() -> None:
    text = sections("extension.5")
    for key in keys.MANIFEST:
        if key.default:
            body = text[f"[{key.section.upper()}] SECTION"]
            paragraph = next(part for part in body.split(".TP\n") if f"{key.name}=" in plain(part.partition("\n")[0]))
            assert key.default in paragraph, key.name


def test_settings_keys() -> None:
    text = sections("extensions.conf.5")
    body = text["[USR] SECTION, [OPT] SECTION, [ETC] SECTION"]
    for section in ("Usr", "Opt", "Etc"):
        assert keys_in(body) == {key.name for key in keys.SETTINGS if key.section == section}
    refresh = {key.name for key in keys.SETTINGS if key.section == "Refresh"}
    assert keys_in(text["[REFRESH] SECTION"]) == refresh
    modes = next(key.kind for key in keys.SETTINGS if key.name == "Mode").removeprefix("choice:").split()
    assert [tag for tag in tags(body) if tag in modes] == modes


@pytest.mark.parametrize("section", ["Trigger", "Action"])
def test_action_keys(section: str) -> None:
    known = {key.name for key in actionfile.KEYS if key.section == section}
    assert keys_in(sections("extension.5")[f"[{section}]"]) == known


def test_shipped_actions() -> None:
    listed = sections("extension.5")["Shipped actions"].partition(".na\n")[2].partition(".ad")[0]
    assert re.split(r"[,\s]+", listed.strip()) == sorted(path.stem for path in (TOP / "actions").iterdir())


def verbs() -> dict[str, set[str]]:
    """Every verb of the parser with the long options that it alone has."""
    parser = main.build_parser()
    action = next(a for a in parser._actions if isinstance(a, argparse._SubParsersAction))
    return {
        verb: {option for a in sub._actions for option in a.option_strings} - COMMON
        for verb, sub in action.choices.items()
    }


@pytest.mark.parametrize("program", [command[0] for command in trial.PROGRAMS])
def test_every_program_that_is_tried_is_in_the_manual(program: str) -> None:
    assert program in re.split(r"[\s,]+", plain(sections("extension.5")["WHAT AN IMAGE MAY DO"]))


def test_command_line_is_in_the_manual() -> None:
    text = sections("extensionctl.1")
    documented: dict[str, set[str]] = {}
    for tag in tags(text["VERBS"]):
        for match in re.finditer(r"(?:^|, )([a-z]+)((?: +(?:\[.*?\]|[A-Z]+)(?:\.\.\.\])?)*)", tag):
            documented[match[1]] = set(re.findall(r"--[a-z-]+", match[2]))
    assert documented == verbs()
    options = {option for tag in tags(text["OPTIONS"]) for option in re.findall(r"--?[a-z][a-z-]*", tag)}
    assert options == COMMON.union(*verbs().values())


def test_exit_statuses_are_in_the_manual() -> None:
    assert tags(sections("extensionctl.1")["EXIT STATUS"]) == ["0", "1", "2", "3", "130"]


def completion(*words: str) -> list[str]:
    """What bash offers for the last of `words`."""
    script = 'source "$1"; shift; compopt() { :; }; COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); _extensionctl; '
    script += 'printf "%s\\n" "${COMPREPLY[@]}"'
    source = str(TOP / "completion/extensionctl.bash")
    made = subprocess.run(
        ["bash", "-c", script, "bash", source, "extensionctl", *words], capture_output=True, text=True, check=True
    )
    assert made.stderr == ""
    return made.stdout.split()


def test_completion_offers_every_verb() -> None:
    assert completion("") == list(verbs())
    assert completion("re") == ["refresh"]
    assert completion("--json", "=", "short", "unm") == ["unmerge"]


def test_completion_offers_the_options_of_each_verb() -> None:
    assert set(completion("-")) == COMMON - {"-h"}
    for verb, options in verbs().items():
        assert set(completion(verb, "--")) == options | COMMON - {"-h"}, verb


def test_completion_of_values() -> None:
    assert completion("list", "--json", "=") == ["short", "pretty", "off"]
    assert completion("list", "--json", "=", "p") == ["pretty"]
    assert completion("list", "--json", "o") == ["off"]
