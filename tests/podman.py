"""Podman and buildah in a folder of a test's own: their images, containers and networks, all gone with it.

There need be no Docker, no registry of images and no service manager; root it takes.
"""

import contextlib
import os
import resource
import shutil
import signal
import subprocess
import sys
from ast import literal_eval
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType

from tests.own_network import own_mounts, own_network

PROGRAMS = ("podman", "buildah", "runc", "conmon", "debootstrap", "iptables", "ip")
#: Debian keeps these two beside podman, not on PATH.
_HELPERS = (Path("/usr/lib/podman/netavark"), Path("/usr/lib/podman/aardvark-dns"))
#: Where podman's name server keeps what it serves, whatever it is told of folders: two at once would share it.
_SERVED = Path("/run/containers")
#: Where containers reach this process: an address that no network has, on this machine's side of them all.
HERE = "192.0.2.1"

_CONTAINERS_CONF = """\
[containers]
default_ulimits = ["nofile={files}:{files}", "nproc={processes}:{processes}"]
log_driver = "k8s-file"
[engine]
cgroup_manager = "cgroupfs"
events_logger = "file"
lock_type = "file"
runtime = "runc"
tmp_dir = "{folder}/run/engine"
[network]
network_backend = "netavark"
network_config_dir = "{folder}/networks"
"""
_STORAGE_CONF = """\
[storage]
driver = "{driver}"
graphroot = "{folder}/store"
runroot = "{folder}/run"
"""


def missing() -> str:
    """Return what this machine lacks for it, "" when all is there."""
    if os.geteuid():
        return "it takes root"
    absent = [name for name in PROGRAMS if shutil.which(name) is None]
    absent += [path.name for path in _HELPERS if not path.exists()]
    return f"not installed: {', '.join(absent)}" if absent else ""


@dataclass(frozen=True)
class Podman:
    """The folder, and how commands run that know no other."""

    folder: Path
    environ: dict[str, str]
    #: What stands before each command.
    _before: list[str] = field(default_factory=list)

    def run(self, *command: str | Path, timeout: float = 300.0, **more: str) -> str:
        """Return what a command says on standard output; raises CalledProcessError, with what it said of its trouble.

        `more` are environment variables of this one command.
        """
        done = self.tried(*command, timeout=timeout, **more)
        if done.returncode:
            sys.stderr.write(f"{' '.join(map(str, command))}\n{done.stdout}{done.stderr}\n")
            done.check_returncode()
        return done.stdout

    def tried(self, *command: str | Path, timeout: float = 300.0, **more: str) -> subprocess.CompletedProcess[str]:
        """Run a command that may fail; containers that it starts outlive it."""
        environ = os.environ | self.environ | more
        # Files, not pipes: what watches over a container holds them open for ever.
        with (self.folder / "said").open("w+") as said, (self.folder / "trouble").open("w+") as trouble:
            code = subprocess.run(
                [*self._before, *map(str, command)],
                env=environ,
                stdout=said,
                stderr=trouble,
                timeout=timeout,
                check=False,
            ).returncode
            for file in (said, trouble):
                file.seek(0)
            return subprocess.CompletedProcess(command, code, said.read(), trouble.read())

    def build(
        self, tag: str, context: Path, dockerfile: Path, mounts: Mapping[Path, Path] = MappingProxyType({})
    ) -> None:
        """Build an image without any container engine; its steps see each of `mounts` at the path behind it."""
        volumes = [f"--volume={path}:{inside}:ro" for path, inside in mounts.items()]
        # Docker's own format: the other knows no health checks.
        how = ["--isolation=chroot", "--pull-never", "--format=docker", "--quiet"]
        self.run("buildah", "bud", *how, *volumes, "-f", dockerfile, "-t", tag, context, timeout=600)

    @contextlib.contextmanager
    def apart(self) -> Iterator[None]:
        """Let containers run in a network and among mounts of this block's own, and end them with it."""
        with own_network(), own_mounts(_SERVED) as before:
            self.run("ip", "address", "add", f"{HERE}/32", "dev", "lo")
            self._before.extend(before)
            try:
                yield
            finally:
                self._clear()
                self._before.clear()

    def _clear(self) -> None:
        self.tried("podman", "rm", "--all", "--force", "--depend", "--time", "0", "--volumes")
        self.tried("podman", "network", "prune", "--force")
        served = self.tried("cat", _SERVED / "networks/aardvark-dns/aardvark.pid").stdout.strip()
        if served.isdigit():
            with contextlib.suppress(ProcessLookupError):
                os.kill(int(served), signal.SIGKILL)

    def remove(self) -> None:
        """Remove all there is."""
        inside = [line.split()[1] for line in Path("/proc/self/mounts").read_text().splitlines()]
        for place in sorted((place for place in inside if place.startswith(f"{self.folder}/")), reverse=True):
            subprocess.run(["umount", "--lazy", place], check=False)
        shutil.rmtree(self.folder, ignore_errors=True)


@contextlib.contextmanager
def podman(folder: Path) -> Iterator[Podman]:
    """Give a place for images and containers in a folder, made now and removed at the end."""
    folder.mkdir()
    files, processes = (resource.getrlimit(kind)[1] for kind in (resource.RLIMIT_NOFILE, resource.RLIMIT_NPROC))
    settings = {"folder": folder, "files": _bounded(files), "processes": _bounded(processes), "driver": _driver(folder)}
    (folder / "containers.conf").write_text(_CONTAINERS_CONF.format(**settings))
    (folder / "storage.conf").write_text(_STORAGE_CONF.format(**settings))
    environ = {
        "CONTAINERS_CONF": str(folder / "containers.conf"),
        "CONTAINERS_STORAGE_CONF": str(folder / "storage.conf"),
        "TMPDIR": str(folder),
    }
    place = Podman(folder, environ)
    try:
        yield place
    finally:
        place.remove()


def _bounded(limit: int) -> int:
    """Return a limit that a container may be given: no more than ours, which we may have no right to raise."""
    return 16_384 if limit == resource.RLIM_INFINITY else min(limit, 16_384)


def _driver(folder: Path) -> str:
    """Return how layers are kept: an overlay cannot lie on an overlay."""
    kind = subprocess.run(["stat", "--file-system", "--format=%T", folder], capture_output=True, text=True, check=True)
    return "vfs" if kind.stdout.startswith("overlay") else "overlay"


def pip_settings(folder: Path) -> dict[Path, Path]:
    """Write down what this machine's pip was told; return what a build must see for its pip to know it, and where.

    A build sees neither our environment nor our files, and may reach no package in any other way.
    """
    asked = [sys.executable, "-m", "pip", "config", "list"]
    settings: dict[str, str] = {}
    for line in subprocess.run(asked, capture_output=True, text=True, check=True).stdout.splitlines():
        name, _, value = line.partition("=")
        settings[name.rpartition(".")[2]] = str(literal_eval(value))
    words = [word for value in settings.values() for word in value.split()]
    # The pages of an index in a folder point to files in another beside it.
    named = [Path(word.removeprefix("file://")).parent for word in words if word.startswith("file:///")]
    named += [Path(word) for word in words if word.startswith("/")]
    path = folder / "pip.conf"
    path.write_text("\n".join(["[global]", *(f"{name} = {value}" for name, value in settings.items()), ""]))
    return {place: place for place in named if place.exists()} | {path: Path("/etc/pip.conf")}
