"""Pictures of the dashboards: drawn by us from their JSON and the answers of a Prometheus, not by Grafana.

source.py asks, units.py writes numbers, svg.py has the strokes, charts.py and tables.py draw panels,
shown.py knows how a panel wants its values to look, page.py draws a dashboard.
"""

import json
from collections.abc import Mapping
from pathlib import Path

from grafana.panels import LIVE
from grafana.picture import page
from grafana.picture.source import Source

__all__ = ["draw_all"]


def draw_all(source: Source, dashboards: Path, folder: Path, chosen: Mapping[str, str]) -> None:
    """Draw every dashboard that asks for data into a folder, with `chosen` values for variables.

    One that asks for customers is left out where they may not be asked for.
    """
    folder.mkdir(parents=True, exist_ok=True)
    for path in sorted(dashboards.glob("*.json")):
        dashboard = json.loads(path.read_text())
        targets = [target for panel in dashboard["panels"] for target in panel.get("targets", ())]
        is_live = any(target["datasource"]["uid"] == LIVE.uid for target in targets)
        if targets and (source.knows_customers or not is_live):
            (folder / f"{path.stem}.svg").write_text(page.draw(dashboard, source, chosen))
