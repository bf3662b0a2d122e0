#  SPDX-License-Identifier: MIT
"""What an image's first bytes say."""

from __future__ import annotations

import pytest
from extension_manifests.errors import ImageError
from extension_runtime.image import formats
from hypothesis import given
from hypothesis import strategies as st


def head(*parts: tuple[int, bytes], size: int = formats.HEAD) -> bytes:
    """`size` zeros with `parts` (offset, bytes) put in."""
    data = bytearray(size)
    for offset, part in parts:
        data[offset : offset + len(part)] = part
    return bytes(data)


def number(value: int, size: int) -> bytes:
    return value.to_bytes(size, "little")


SQUASHFS = [(0, b"hsqs"), (40, number(100_000, 8))]
EROFS = [(1024, b"\xe2\xe1\xf5\xe0"), (1024 + 12, b"\x0c"), (1024 + 36, number(25, 4))]
EXT4 = [(1080, b"\x53\xef"), (1024 + 4, number(100, 4)), (1024 + 24, number(0, 4))]
BTRFS = [(65536 + 64, b"_BHRfS_M"), (65536 + 0x70, number(102_400, 8))]
GOOD = [("squashfs", SQUASHFS, 100_000), ("erofs", EROFS, 102_400), ("ext4", EXT4, 102_400), ("btrfs", BTRFS, 102_400)]


@pytest.mark.parametrize(("name", "parts", "size"), GOOD)
def test_known(name: str, parts: list[tuple[int, bytes]], size: int) -> None:
    assert formats.detect(head(*parts), size) == name
    assert formats.detect(head(*parts), size + 4096) == name


@pytest.mark.parametrize(("name", "parts", "size"), GOOD)
def test_truncated(name: str, parts: list[tuple[int, bytes]], size: int) -> None:
    with pytest.raises(ImageError, match=f"is truncated: {size - 1} bytes of a {name} file system"):
        formats.detect(head(*parts), size - 1)


@pytest.mark.parametrize(("name", "parts", "size"), GOOD)
def test_cut_within_the_superblock(name: str, parts: list[tuple[int, bytes]], size: int) -> None:
    cut = max(offset + len(part) for offset, part in parts if not part.isdigit())
    short = head(*parts)[: min(cut + 8, len(head()))]
    with pytest.raises(ImageError, match="truncated"):
        formats.detect(short, len(short))


@pytest.mark.parametrize("sector", [512, 4096])
def test_a_disk_image_is_not_yet_supported(sector: int) -> None:
    disk = head((510, b"\x55\xaa"), (sector, b"EFI PART"))
    with pytest.raises(ImageError, match=r"disk images? \(DDI\).*not yet supported"):
        formats.detect(disk, 1 << 20)


@pytest.mark.parametrize(
    ("parts", "text"),
    [
        ([(510, b"\x55\xaa")], "MBR"),
        ([(0, b"\x1f\x8b\x08")], "gzip data"),
        ([(0, b"\xfd7zXZ\0")], "xz data"),
        ([(0, b"\x28\xb5\x2f\xfd")], "zstd data"),
        ([(257, b"ustar")], "a tar archive"),
        ([(0, b"XFSB")], "an XFS file system"),
        ([(0, b"LUKS\xba\xbe")], "a LUKS volume"),
        ([(0, b"\x7fELF")], "an ELF program"),
        ([(0, b"sqsh")], "begins with 73 71 73 68"),
        ([], "zeros only"),
    ],
)
def test_anything_else_is_named(parts: list[tuple[int, bytes]], text: str) -> None:
    with pytest.raises(ImageError, match=text):
        formats.detect(head(*parts), 1 << 20)


def test_empty() -> None:
    with pytest.raises(ImageError, match="is empty"):
        formats.detect(b"", 0)


@given(st.binary(max_size=4096), st.sampled_from([b"", b"hsqs", bytes(1024) + b"\xe2\xe1\xf5\xe0"]))
def test_only_its_own_error(tail: bytes, start: bytes) -> None:
    data = start + tail
    try:
        assert formats.detect(data, len(data)) in formats.RAW
    except ImageError as error:
        assert str(error).isprintable()
