"""`python -m ops.manifests`: what ops/k8s/ holds of other files, since kustomize reads none outside of a folder."""

import textwrap
from collections.abc import Mapping
from pathlib import Path

_OPS = Path(__file__).parent
_COMPONENTS = _OPS / "k8s" / "components"
_RULES = """\
# ops/alerts.yml as the Prometheus operator takes it, by `python -m ops.manifests`.
apiVersion: monitoring.coreos.com/v1
kind: PrometheusRule
metadata:
  name: whatshooked
  labels: {app.kubernetes.io/name: whatshooked}
spec:
"""


def copies() -> Mapping[Path, str]:
    """Return each file that is made of another one, with its text."""
    return {
        _COMPONENTS / "valkey" / "redis.conf": (_OPS / "redis.conf").read_text(),
        _COMPONENTS / "monitoring" / "rules.yaml": _RULES + textwrap.indent((_OPS / "alerts.yml").read_text(), "  "),
    }


def main() -> None:
    """Write them."""
    for path, text in copies().items():
        path.write_text(text)


if __name__ == "__main__":
    main()
