#  SPDX-License-Identifier: MIT
"""What becomes of an image that is to be attached: shown once it is judged, or written down with the reason."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from extension_manifests.errors import ImageError
from extension_runtime.image import attach, identity, records
from extension_runtime.image.record import Record
from extension_runtime.image.request import Request
from extension_runtime.kernel import syscalls
from extension_runtime.paths import Paths

RELEASE = "usr/lib/extension-release.d/extension-release.app"


class Kernel:
    """Mounts nothing: `mounted` is what lies at each place, a directory's own descriptor is its mount."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.mounted: dict[str, list[str]] = {}
        self.attributes = 0
        self.fails = 0
        monkeypatch.setattr(attach, "mount_directory", self._directory)
        monkeypatch.setattr(attach, "mount_nothing", lambda: os.open("/dev/null", os.O_PATH))
        monkeypatch.setattr(syscalls, "move_mount", self._move)
        monkeypatch.setattr(syscalls, "umount", self._umount)

    def _directory(self, fd: int, attributes: int) -> int:
        self.attributes = attributes
        return os.dup(fd)

    def _move(self, tree: int, target: str, flags: int = 0) -> None:
        assert os.path.isdir(target)
        if self.fails:
            raise OSError(self.fails, f"move_mount {target}: {os.strerror(self.fails)}")
        stack = self.mounted.setdefault(target, [])
        stack.insert(-1 if flags & syscalls.MOVE_MOUNT_BENEATH else len(stack), os.readlink(f"/proc/self/fd/{tree}"))

    def _umount(self, target: str, flags: int = 0) -> None:
        assert flags == syscalls.MNT_DETACH
        if not self.mounted.get(target):
            raise OSError(errno.EINVAL, f"umount {target}: Invalid argument")
        self.mounted[target].pop()


@pytest.fixture
def kernel(monkeypatch: pytest.MonkeyPatch) -> Kernel:
    return Kernel(monkeypatch)


@pytest.fixture(autouse=True)
def none_left_open() -> Iterator[None]:
    before = len(os.listdir("/proc/self/fd"))
    yield
    assert len(os.listdir("/proc/self/fd")) == before


@pytest.fixture
def image(tmp_path: Path) -> Path:
    place = tmp_path / "var/lib/extensions/app"
    (place / RELEASE).parent.mkdir(parents=True)
    (place / RELEASE).write_text("ID=_any\nIMAGE_VERSION=7\n")
    return place


@pytest.fixture
def target(tmp_path: Path) -> str:
    return f"{tmp_path}/run/extension/app"


def written(root: Path) -> Record:
    (found,) = records.read_all(Paths(str(root)).attached).values()
    return found


def same(one: Record, other: Record) -> bool:
    return all(getattr(one, key) == getattr(other, key) for key in Record.__slots__)


def test_an_image_is_attached(tmp_path: Path, image: Path, target: str, kernel: Kernel) -> None:
    became = attach.attach(Request(str(tmp_path), "app", "app"))
    assert kernel.mounted == {target: [str(image)]}
    expected = syscalls.MOUNT_ATTR_RDONLY | syscalls.MOUNT_ATTR_NODEV
    assert kernel.attributes == expected | syscalls.MOUNT_ATTR_NOSUID | syscalls.MOUNT_ATTR_NOEXEC
    assert became.options == "ext.image=app,ext.class=sysext,ext.mismatch=skip,ext.noexec=0,ext.nosuid=0"
    assert (became.state, became.reason, became.image) == ("attached", "", "/var/lib/extensions/app")
    assert (became.version, became.format, became.hierarchies) == ("7", "directory", ["usr"])
    assert same(written(tmp_path), became)


def test_what_was_attached_before_is_taken_off(tmp_path: Path, image: Path, target: str, kernel: Kernel) -> None:
    kernel.mounted[target] = ["one", "two"]
    attach.attach(Request(str(tmp_path), "app", "app"))
    assert kernel.mounted == {target: [str(image)]}


def test_an_image_for_another_host_leaves_nothing_in_its_place(
    tmp_path: Path, image: Path, target: str, kernel: Kernel
) -> None:
    (image / RELEASE).write_text("ID=other\n")
    became = attach.attach(Request(str(tmp_path), "app", "app"))
    assert kernel.mounted == {target: ["/dev/null"]}
    assert (became.state, became.hierarchies) == ("skipped", ["usr"])
    assert became.reason == "/var/lib/extensions/app: made for ID=other, this host is ID=(none) (sysext)"
    became = attach.attach(Request(str(tmp_path), "app", "app", mismatch="fail"))
    assert kernel.mounted == {target: []}
    assert (written(tmp_path).state, became.state) == ("failed", "failed")


def test_a_mask_is_what_somebody_asked_for(tmp_path: Path, target: str, kernel: Kernel) -> None:
    (tmp_path / "etc/extensions/app").mkdir(parents=True)
    became = attach.attach(Request(str(tmp_path), "app", "app", mismatch="fail"))
    assert became.state == "skipped"
    assert kernel.mounted == {target: ["/dev/null"]}


def test_an_image_that_cannot_be_used(tmp_path: Path, image: Path, target: str, kernel: Kernel) -> None:
    (image / RELEASE).unlink()
    kernel.mounted[target] = ["old"]
    became = attach.attach(Request(str(tmp_path), "app", "app"))
    assert kernel.mounted == {target: []}
    assert became.state == "failed"
    assert became.reason.startswith(f"/var/lib/extensions/app: /{RELEASE}: missing")
    assert same(written(tmp_path), became)


def test_a_kernel_that_does_not_mount(
    tmp_path: Path, image: Path, target: str, kernel: Kernel, monkeypatch: pytest.MonkeyPatch
) -> None:
    kernel.fails = errno.EPERM
    became = attach.attach(Request(str(tmp_path), "app", "app"))
    assert (became.state, became.reason) == ("failed", f"{target}: move_mount {target}: Operation not permitted")

    def refuse(_fd: int, _attributes: int) -> int:
        raise OSError(errno.EPERM, "open_tree : Operation not permitted")

    monkeypatch.setattr(attach, "mount_directory", refuse)
    became = attach.attach(Request(str(tmp_path), "app", "app"))
    assert became.reason == "/var/lib/extensions/app: cannot be mounted: open_tree : Operation not permitted"
    assert written(tmp_path).reason == became.reason


def test_a_damaged_disk_is_a_failure(
    tmp_path: Path, image: Path, kernel: Kernel, monkeypatch: pytest.MonkeyPatch
) -> None:
    def damaged(_fd: int) -> str:
        raise OSError(errno.EIO, "Input/output error", "/x\n")

    monkeypatch.setattr(identity, "identity", damaged)
    assert attach.attach(Request(str(tmp_path), "app", "app")).reason == "/x\\x0a: Input/output error"


@pytest.mark.parametrize("name", ["", "..", "a/b", "a\nb"])
@pytest.mark.usefixtures("kernel")
def test_a_bad_name_makes_nothing(name: str, tmp_path: Path) -> None:
    with pytest.raises(ImageError, match="the name "):
        attach.attach(Request(str(tmp_path), name, "app"))
    assert os.listdir(tmp_path) == []


@pytest.mark.usefixtures("kernel")
def test_a_place_that_is_none(tmp_path: Path, target: str) -> None:
    (tmp_path / "run/extension").mkdir(parents=True)
    (tmp_path / "elsewhere").mkdir()
    Path(target).symlink_to("/elsewhere")
    became = attach.attach(Request(str(tmp_path), "app", "app"))
    assert same(written(tmp_path), became)
    assert (became.state, became.reason) == ("failed", f"{target}: is no directory; remove it")
    assert not attach.renew(Request(str(tmp_path), "app", "app"))
    Path(target).unlink()
    Path(target).parent.rmdir()
    Path(target).parent.write_text("")
    became = attach.attach(Request(str(tmp_path), "app", "app"))
    assert became.reason == f"{tmp_path}/run/extension: is no directory; remove it"
    attach.fail(Paths(str(tmp_path)), "app", "a broken manifest")
    assert written(tmp_path).reason == f"a broken manifest; {tmp_path}/run/extension: is no directory; remove it"
    attach.detach(Paths(str(tmp_path)), "app")
    assert records.read_all(Paths(str(tmp_path)).attached) == {}


def test_one_image_takes_the_place_of_another(tmp_path: Path, image: Path, target: str, kernel: Kernel) -> None:
    kernel.mounted[target] = ["old"]
    assert attach.renew(Request(str(tmp_path), "app", "app"))
    assert kernel.mounted == {target: [str(image)]}
    assert written(tmp_path).state == "attached"


@pytest.mark.usefixtures("image")
def test_what_cannot_be_renewed_is_left_alone(tmp_path: Path, target: str, kernel: Kernel) -> None:
    kernel.mounted[target] = ["old"]
    assert not attach.renew(Request(str(tmp_path), "app", "other"))
    kernel.fails = errno.EINVAL
    assert not attach.renew(Request(str(tmp_path), "app", "app"))
    assert kernel.mounted == {target: ["old"]}
    assert records.read_all(Paths(str(tmp_path)).attached) == {}


def test_a_failure_before_the_image_was_looked_for(tmp_path: Path, target: str, kernel: Kernel) -> None:
    kernel.mounted[target] = ["old"]
    became = attach.fail(Paths(str(tmp_path)), "app", "no\n")
    assert (became.state, became.reason) == ("failed", "no\\x0a")
    assert same(written(tmp_path), became)
    assert kernel.mounted == {target: []}


def test_what_is_taken_off_is_forgotten(tmp_path: Path, image: Path, target: str, kernel: Kernel) -> None:
    attach.attach(Request(str(tmp_path), "app", "app"))
    attach.detach(Paths(str(tmp_path)), "app")
    assert kernel.mounted == {target: []}
    assert not os.path.exists(target)
    assert records.read_all(Paths(str(tmp_path)).attached) == {}
    attach.detach(Paths(str(tmp_path)), "app")


def test_a_place_that_is_busy_says_so(tmp_path: Path, target: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def busy(_target: str, _flags: int) -> None:
        raise OSError(errno.EPERM, "umount x: Operation not permitted")

    monkeypatch.setattr(syscalls, "umount", busy)
    with pytest.raises(ImageError, match=f"^{target}: umount x: Operation not permitted$"):
        attach.detach(Paths(str(tmp_path)), "app")


@pytest.mark.parametrize("key", ["image_policy", "root_hash", "signature"])
def test_what_cannot_be_verified_is_refused_before_it_is_looked_for(
    key: str, tmp_path: Path, image: Path, target: str, kernel: Kernel
) -> None:
    asked = Request(str(tmp_path), "app", "app", **{key: "root=verity"})  # type: ignore[arg-type]
    kernel.mounted[target] = ["old"]
    assert not attach.renew(asked)
    assert kernel.mounted == {target: ["old"]}
    became = attach.attach(asked)
    assert kernel.mounted == {target: []}
    # Without an identity nothing that was attached before counts as its last good version.
    assert (became.state, became.identity, became.hierarchies) == ("failed", "", [])
    assert "= is not yet supported, so this image is not attached; remove the setting" in became.reason


@pytest.mark.parametrize(("promise", "mode"), [("nosuid", 0o4755), ("noexec", 0o755)])
def test_an_image_that_breaks_its_promise_is_refused(
    promise: str, mode: int, tmp_path: Path, image: Path, target: str, kernel: Kernel
) -> None:
    (image / "usr/bin").mkdir()
    (image / "usr/bin/tool").touch()
    (image / "usr/bin/tool").chmod(mode)
    assert attach.attach(Request(str(tmp_path), "app", "app")).state == "attached"
    became = attach.attach(Request(str(tmp_path), "app", "app", **{promise: True}))  # type: ignore[arg-type]
    assert (became.state, kernel.mounted) == ("failed", {target: []})
    assert became.reason.startswith("/var/lib/extensions/app: /usr/bin/tool: is a")
