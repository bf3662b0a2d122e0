"""The images, which are made once and kept in the cache, and machines that they are tried on."""

from __future__ import annotations

import pytest
from machine import CACHE
from packages import build
from packages.build import Image
from packages.wanted import IMAGES
from requirements import lacking, require_root, require_tool

SUITE = "trixie"


@pytest.fixture(scope="session")
def images() -> list[Image]:
    """Every image of `wanted.py`, for the cached root of trixie."""
    require_root()
    require_tool("apt-get", "dpkg-deb", "mksquashfs")
    if not (CACHE / "roots" / SUITE / "usr").is_dir():
        lacking(f"needs the Debian root {CACHE / 'roots' / SUITE}: make check-packages")
    return build.images(CACHE, SUITE, IMAGES)


@pytest.fixture(scope="session")
def by_name(images: list[Image]) -> dict[str, Image]:
    return {image.wanted.name: image for image in images}
