#  SPDX-License-Identifier: MIT
"""Tells from an image's first bytes which file system it holds, and whether all of it is there.  Touches no file.

The kernel is asked to mount a type by name only: no guessing, no other file system's code sees the bytes.
"""

from __future__ import annotations

from struct import unpack_from

from extension_manifests.errors import ImageError

HEAD = 68 * 1024  # bytes to look at; the last magic, of btrfs, is at 64 KiB
RAW = ("squashfs", "erofs", "ext4", "btrfs")
_WANTED = "an image is a squashfs, erofs, ext4 or btrfs file system"

# offset, magic, what it is: named so that the message says what was found
_OTHERS = (
    (0, b"verity\0\0", "a dm-verity hash tree"),
    (0, b"LUKS\xba\xbe", "a LUKS volume"),
    (0, b"XFSB", "an XFS file system"),
    (0, b"QFI\xfb", "a qcow2 disk"),
    (0, b"\x7fELF", "an ELF program"),
    (0, b"\x1f\x8b", "gzip data"),
    (0, b"\xfd7zXZ\0", "xz data"),
    (0, b"\x28\xb5\x2f\xfd", "zstd data"),
    (0, b"BZh", "bzip2 data"),
    (0, b"PK\x03\x04", "a zip archive"),
    (0, b"!<arch>\n", "an ar archive"),
    (0, b"070701", "a cpio archive"),
    (0, b"#!", "a script"),
    (257, b"ustar", "a tar archive"),
    (32769, b"CD001", "an ISO 9660 file system"),
    (82, b"FAT32", "a FAT file system"),
    (54, b"FAT1", "a FAT file system"),
    (1024 + 32, b"NILFS", "a NILFS file system"),
    (1024, b"\x10\x20\xf5\xf2", "an F2FS file system"),
    (510, b"\x55\xaa", "a disk with an MBR partition table"),
)


def detect(head: bytes, size: int) -> str:
    """The name of the file system, one of RAW, that begins with `head` (HEAD bytes, or all) in a file of `size` bytes.

    Raises ImageError, without the file's name, for anything else and for a file system that is cut off.
    """
    if size == 0:
        raise ImageError(f"is empty; {_WANTED}")
    found = _filesystem(head)
    if found is None:
        if b"EFI PART" in (head[512:520], head[4096:4104]):
            raise ImageError(f"is a disk image (DDI) with a GPT; disk images are not yet supported: {_WANTED}")
        raise ImageError(f"is {_other(head, size)}; {_WANTED}")
    needs = _extent(found, head)
    if needs > size:
        raise ImageError(f"is truncated: {size} bytes of a {found} file system of {needs} bytes; copy it again")
    return found


def _filesystem(head: bytes) -> str | None:
    for name, offset, magic in (
        ("squashfs", 0, b"hsqs"),
        ("erofs", 1024, b"\xe2\xe1\xf5\xe0"),
        ("btrfs", 65536 + 64, b"_BHRfS_M"),
    ):
        if head[offset : offset + len(magic)] == magic:
            return name
    # Two bytes only, so a partition table in front of it counts more.
    if head[1080:1082] == b"\x53\xef" and head[512:520] != b"EFI PART":
        return "ext4"
    return None


def _other(head: bytes, size: int) -> str:
    for offset, magic, name in _OTHERS:
        if head[offset : offset + len(magic)] == magic:
            return name
    if not head.strip(b"\0"):
        return f"{size} bytes that begin with zeros only"
    return f"no known file system (it begins with {head[:8].hex(' ')})"


def _extent(name: str, head: bytes) -> int:
    """How many bytes the superblock in `head` says that the file system has; 0 where it is cut off or implausible."""
    if len(head) < {"squashfs": 96, "erofs": 1024 + 128, "ext4": 2048, "btrfs": 65536 + 4096}[name]:
        return 1 << 63 if name == "squashfs" else HEAD
    if name == "squashfs":
        return int(unpack_from("<Q", head, 40)[0])
    if name == "erofs":
        blocks = int(unpack_from("<I", head, 1024 + 36)[0])
        return blocks << min(head[1024 + 12], 16)
    if name == "ext4":
        count, log_size = unpack_from("<I16xI", head, 1024 + 4)
        return int(count) << (10 + min(int(log_size), 6))
    return int(unpack_from("<Q", head, 65536 + 0x70)[0])
