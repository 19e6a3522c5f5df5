"""Rows of panels -> a dashboard, with its variables, its links and what is marked in all its panels."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

from grafana_foundation_sdk.builders import dashboard as make
from grafana_foundation_sdk.cog.builder import Builder
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.models import dashboard as model

from grafana.panels import SOURCE, Panel
from grafana.promql import RATE, rise

TAG = "whatshooked"
#: The data source that provisioning makes (grafana/provisioning/datasources/prometheus.yml).
SOURCE_UID = "whatshooked-prometheus"
#: That of the gateway itself (grafana/provisioning/datasources/customers.yml).
CUSTOMERS_UID = "whatshooked-customers"
#: The runbook within Grafana (runbook.py), which needs no address of a repository; another place may be typed in.
RUNBOOK = "/d/whatshooked-runbook"


@dataclass(frozen=True)
class Row:
    """A headline, and the panels below it from left to right."""

    title: str
    panels: Sequence[Panel]


class _Marked(model.AnnotationQuery):
    """An annotation with the keys of Prometheus' own that the types lack: the texts and the step."""

    title = ""
    text = ""

    def to_json(self) -> dict[str, object]:
        return super().to_json() | {"titleFormat": self.title, "textFormat": self.text, "step": "15s"}


class _Mark(Builder[model.AnnotationQuery]):
    def __init__(self, name: str, expr: str, colour: str, text: str) -> None:
        self._made = _Marked(name=name, datasource=SOURCE, icon_color=colour, expr=expr)
        self._made.title, self._made.text = name, text

    def build(self) -> model.AnnotationQuery:
        return self._made


class Board:
    """One dashboard in the making; `json` is what Grafana reads."""

    def __init__(self, name: str, title: str, shows: str) -> None:
        self.name = name
        self._made = make.Dashboard(f"WhatsHooked: {title}").uid(f"{TAG}-{name}").description(shows).tags([TAG])
        self._made.time("now-1h", "now").refresh("10s").timezone("browser").readonly()
        self._made.tooltip(model.DashboardCursorSync.CROSSHAIR)
        self._variables()
        self._links()
        self._marks()
        self._panels = 0

    def choose(self, name: str, query: str, label: str, *, several: bool = False) -> Self:
        """Let the reader choose a label's value, of those that a query finds; `several` offers all at once too."""
        variable = make.QueryVariable(name).label(label).query(query).datasource(SOURCE)
        variable.refresh(model.VariableRefresh.ON_TIME_RANGE_CHANGED).sort(model.VariableSort.ALPHABETICAL_ASC)
        if several:
            variable.multi(True).include_all(True).all_value(".*")
            variable.current(model.VariableOption(selected=True, text="All", value="$__all"))
        self._made.with_variable(variable)
        return self

    def asks_customers(self) -> Self:
        """Let panels ask the gateway itself, by the data source whose name begins with Customers."""
        first = model.VariableOption(selected=True, text="Customers", value=CUSTOMERS_UID)
        source = make.DatasourceVariable("customers").label("Customers' source").type("prometheus").current(first)
        self._made.with_variable(source.regex("/^Customers/"))
        return self

    def rows(self, *rows: Row) -> Self:
        """Put rows below those that are there."""
        for row in rows:
            self._made.with_row(make.Row(row.title).id(self._next()))
            for panel in row.panels:
                self._made.with_panel(panel if panel.build().id_val else panel.id(self._next()))
        return self

    def json(self) -> str:
        """Return the dashboard as its file holds it."""
        return json.dumps(self._made.build(), cls=JSONEncoder, indent=1, ensure_ascii=False) + "\n"

    def _next(self) -> int:
        self._panels += 1
        return self._panels

    def _variables(self) -> None:
        first = model.VariableOption(selected=True, text="Prometheus", value=SOURCE_UID)
        source = make.DatasourceVariable("datasource").label("Data source").type("prometheus").current(first)
        # The gateway's answers have its form, and none of its series.
        self._made.with_variable(source.regex("/^(?!Customers)/"))
        where = make.TextBoxVariable("runbook").label("Runbook").default_value(RUNBOOK)
        where.current(model.VariableOption(selected=True, text=RUNBOOK, value=RUNBOOK))
        where.options([model.VariableOption(selected=True, text=RUNBOOK, value=RUNBOOK)])
        where.description(
            "Where ops/RUNBOOK.md is read: here in Grafana, or an address of your own; links name its sections."
        )
        self._made.with_variable(where.hide(model.VariableHide.DONT_HIDE))

    def _links(self) -> None:
        others = make.DashboardLink("WhatsHooked").type(model.DashboardLinkType.DASHBOARDS).tags([TAG])
        self._made.link(others.as_dropdown(False).include_vars(True).keep_time(True).icon("external link"))
        runbook = make.DashboardLink("Runbook").type(model.DashboardLinkType.LINK).icon("doc").target_blank(True)
        self._made.link(runbook.url("${runbook:raw}"))

    def _marks(self) -> None:
        # The value is 1 for longer than a step, so that Grafana meets it whatever is shown; it joins them to one mark.
        age = "time() - max by (instance) (whatshooked_process_start_time_seconds)"
        started = f"({age} < bool (30 + $__interval_ms / 1000)) == 1"
        self._made.annotation(_Mark("Restart", started, "purple", "a process of {{instance}} started"))
        reloads = f"({rise('config_reloads', 'result', during=RATE)} > bool 0) == 1"
        self._made.annotation(_Mark("Config reload", reloads, "blue", "config read again: {{result}}"))
        # By its value: who says so is a label, and changes with it.
        active = "max by (hook) (whatshooked_hook_active"
        switched = f"({active}) != bool {active} offset {RATE})) == 1"
        self._made.annotation(_Mark("Hook switched", switched, "orange", "{{hook}} was switched on or off"))
