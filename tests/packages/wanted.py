"""Which images are made of which Debian packages, and how their programs are seen to start.  Data only."""

from __future__ import annotations

from typing import NamedTuple


class Wanted(NamedTuple):
    """An image: the `packages` and what they need that the base has not, and what shows that it works.

    `programs` are command lines; each ends with 0 and says the upstream version of the first package, or `says`.
    `only`: take but packages whose names begin so.  What maintainer scripts would do, for those that are booted: the
    `unit` is enabled by the image, `users` are lines of a sysusers.d file, `folders` of a tmpfiles.d file.
    """

    name: str
    packages: tuple[str, ...]
    programs: tuple[str, ...]
    says: str = ""
    only: str = ""
    unit: str = ""
    users: tuple[str, ...] = ()
    folders: tuple[str, ...] = ()

    def __str__(self) -> str:
        return self.name


def _one(package: str, program: str, says: str = "") -> Wanted:
    """An image that is called like its package."""
    return Wanted(package, (package,), (program,), says)


def _service(
    package: str, program: str, unit: str, user: str = "", says: str = "", *folders: str, needs: str = ""
) -> Wanted:
    """An image of a service that runs as `user` and `needs` another package and `folders` beside its own."""
    users = (f'u {user} - "{package}" /var/lib/{user}',) if user else ()
    return Wanted(package, (package, *needs.split()), (program,), says, unit=unit, users=users, folders=folders)


IMAGES: tuple[Wanted, ...] = (
    # Services
    _one("apache2", "apache2 -v"),
    _service("avahi-daemon", "avahi-daemon --version", "avahi-daemon.service", "avahi"),
    _one("chrony", "chronyd --version"),
    _service("containerd", "containerd --version", "containerd.service"),
    _one("dnsmasq-base", "dnsmasq --version"),
    _service("haproxy", "haproxy -v", "haproxy.service", "haproxy"),
    _service("lighttpd", "lighttpd -v", "lighttpd.service"),
    _service("memcached", "memcached -V", "memcached.service", "memcache"),
    _service("mosquitto", "sh -c 'mosquitto --help; [ $? = 3 ]'", "mosquitto.service", "mosquitto"),
    _one("openssh-server", "sshd -V", "OpenSSH_"),
    _one("podman", "podman --version"),
    _service("polkitd", "pkaction --version", "polkit.service", says="pkaction version"),
    _service(
        "prometheus-node-exporter",
        "prometheus-node-exporter --version",
        "prometheus-node-exporter.service",
        "prometheus",
    ),
    _service(
        "redis-server",
        "redis-server --version",
        "redis-server.service",
        "redis",
        "",
        "d /var/lib/redis 0750 redis redis -",
        "d /var/log/redis 0750 redis redis -",
        "z /etc/redis/redis.conf 0640 root redis -",
    ),
    _service("rsyslog", "rsyslogd -v", "rsyslog.service"),
    _service(
        "unbound",
        "unbound -V",
        "unbound.service",
        "unbound",
        "",
        "d /var/lib/unbound 0755 unbound unbound -",
        "C /var/lib/unbound/root.key 0644 unbound unbound - /usr/share/dns/root.key",
        needs="dns-root-data",
    ),
    # Tools
    _one("bind9-dnsutils", "dig -v"),
    _one("btrfs-progs", "btrfs version"),
    _one("bubblewrap", "bwrap --version"),
    _one("curl", "curl --version"),
    _one("ethtool", "ethtool --version"),
    _one("gdb", "gdb --version"),
    _one("git", "git --version"),
    _one("gnupg", "gpg --version"),
    _one("htop", "htop --version"),
    _one("iperf3", "iperf3 --version"),
    _one("jq", "jq --version", "jq-1.7"),
    _one("lsof", "lsof -v"),
    _one("nftables", "nft --version"),
    _one("openvpn", "openvpn --version"),
    _one("postgresql-client", "/usr/lib/postgresql/17/bin/psql --version", "psql (PostgreSQL) 17"),
    _one("qemu-utils", "qemu-img --version"),
    _one("rsync", "rsync --version"),
    _one("socat", "socat -V"),
    _one("sqlite3", "sqlite3 --version"),
    _one("strace", "strace --version"),
    _one("sudo", "sudo --version"),
    _one("tcpdump", "tcpdump --version"),
    _one("tmux", "tmux -V"),
    _one("tshark", "tshark --version"),
    _one("vim-tiny", "vim.tiny --version", "VIM - Vi IMproved"),
    _one("wireguard-tools", "wg --version"),
    _one("zsh", "zsh --version"),
    # Neither
    _one("ca-certificates", "grep -c BEGIN /usr/share/ca-certificates/mozilla/ISRG_Root_X1.crt", "1"),
    _one("fonts-dejavu-core", "head -c 5 /usr/share/fonts/truetype/dejavu/DejaVuSans.ttf", "\0\1\0\0"),
    _one("locales", "grep de_DE.UTF-8 /usr/share/i18n/SUPPORTED", "de_DE.UTF-8"),
    _one("python3-flask", "python3 -m flask --version"),
    Wanted(
        "modules",
        ("linux-image-cloud-amd64",),
        ("sh -c 'modinfo -F license /usr/lib/modules/*/kernel/fs/overlayfs/overlay.ko.xz'",),
        "GPL",
        only="linux-image-",
    ),
)

# Those that are tried as raw images, too.
RAW = ("haproxy", "jq", "python3-flask", "sudo")

# Those that are tried as squashfs images, too.
RAW = ("haproxy", "jq", "python3-flask", "sudo")
