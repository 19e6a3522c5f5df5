"""The kinds of panels: a figure, lines over time, states over time, a table, a text; each tells what is right."""

import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

from grafana_foundation_sdk.builders import common, stat, statetimeline, table, text, timeseries
from grafana_foundation_sdk.builders import dashboard as make
from grafana_foundation_sdk.builders import prometheus as ask
from grafana_foundation_sdk.models import common as kinds
from grafana_foundation_sdk.models import dashboard as model
from grafana_foundation_sdk.models import prometheus as query_kinds
from grafana_foundation_sdk.models.text import TextMode

GREEN, ORANGE, RED, BLUE, GREY = "green", "orange", "red", "blue", "#8e8e8e"
#: The variable that holds the data source.
SOURCE = model.DataSourceRef(type_val="prometheus", uid="${datasource}")
#: The same of the source that is the gateway itself: only now can be asked for.
LIVE = model.DataSourceRef(type_val="prometheus", uid="${customers}")
#: What a figure says without a series.
NOTHING = "none"

Panel = stat.Panel | timeseries.Panel | statetimeline.Panel | table.Panel | text.Panel
_P = TypeVar("_P", stat.Panel, timeseries.Panel, statetimeline.Panel, table.Panel)
#: A colour, and the value from which it holds; the first has none.
Steps = tuple[tuple[float | None, str], ...]
#: Value -> what it is called, and its colour.
Names = Mapping[str, tuple[str, str]]


@dataclass(frozen=True)
class Told:
    """What a panel tells its reader: what it shows, what is right, what to do else, and the alarm beside it."""

    shows: str
    right: str
    do: str
    alarm: str = ""

    def text(self) -> str:
        """Return the panel's description (Markdown)."""
        return f"{self.shows}\n\n**Right:** {self.right}\n\n**Else:** {self.do}"


@dataclass(frozen=True)
class Query:
    """One query, and how its series are called; `live` ones ask the gateway itself, of now."""

    expr: str
    name: str = ""
    live: bool = False


@dataclass(frozen=True)
class Column:
    """A table's column: its name, its query, and how the values look."""

    name: str
    expr: str
    unit: str = "short"
    steps: Steps = ()
    names: Names = field(default_factory=dict)


def rising(warn: float, bad: float | None = None) -> Steps:
    """Return the colours of a value that should be low."""
    steps: Steps = ((None, GREEN), (warn, ORANGE if bad is not None else RED))
    return steps if bad is None else (*steps, (bad, RED))


def falling(bad: float, warn: float) -> Steps:
    """Return the colours of a value that should be high: red below `bad`, orange below `warn`."""
    return ((None, RED), (bad, ORANGE), (warn, GREEN))


PLAIN: Steps = ((None, BLUE),)
ON_OFF: Names = {"1": ("on", GREEN), "0": ("off", RED)}


def figure(
    title: str, told: Told, query: Query, *, unit: str = "short", steps: Steps = PLAIN, names: Names | None = None
) -> stat.Panel:
    """Return one number, its ground coloured by what it means, with its course behind it."""
    panel = _described(stat.Panel(), title, told, live=query.live).span(3).height(4)
    panel = panel.with_target(_instant(query.expr, 0, live=True) if query.live else _range(query, 0))
    panel = panel.unit(unit).thresholds(_steps(steps)).no_value(NOTHING).mappings(_mappings(names or {}))
    panel = panel.reduce_options(common.ReduceDataOptions().calcs(["lastNotNull"])).graph_mode(
        kinds.BigValueGraphMode.AREA
    )
    if query.name:
        panel = panel.text_mode(kinds.BigValueTextMode.VALUE_AND_NAME)
    return panel.color_mode(kinds.BigValueColorMode.BACKGROUND_SOLID)


def lines(
    title: str,
    told: Told,
    *queries: Query,
    unit: str = "short",
    steps: Steps = (),
    colours: Mapping[str, str] | None = None,
    stacked: bool = False,
) -> timeseries.Panel:
    """Return lines over time; `steps` are drawn as dashed lines, `colours` fixes those of series by their name."""
    panel = _described(timeseries.Panel(), title, told).span(8).height(7).unit(unit).min(0)
    for number, query in enumerate(queries):
        panel = panel.with_target(_range(query, number))
    legend = common.VizLegendOptions().display_mode(kinds.LegendDisplayMode.LIST).show_legend(True)
    tooltip = common.VizTooltipOptions().mode(kinds.TooltipDisplayMode.MULTI).sort(kinds.SortOrder.DESCENDING)
    panel = panel.legend(legend.placement(kinds.LegendPlacement.BOTTOM).calcs(["lastNotNull"])).tooltip(tooltip)
    panel = (
        panel.show_points(kinds.VisibilityMode.NEVER)
        .line_width(1.5)
        .fill_opacity(25 if stacked else 0)
        .no_value(NOTHING)
    )
    if stacked:
        panel = panel.stacking(common.StackingConfig().mode(kinds.StackingMode.NORMAL))
    if steps:
        style = common.GraphThresholdsStyleConfig().mode(kinds.GraphTresholdsStyleMode.DASHED)
        panel = panel.thresholds(_steps(((None, "transparent"), *steps[1:]))).thresholds_style(style)
    for name, colour in (colours or {}).items():
        panel = panel.override_by_name(name, [_fixed(colour)])
    return panel


def states(title: str, told: Told, *queries: Query, names: Names = ON_OFF) -> statetimeline.Panel:
    """Return bars over time that change their colour with the state: since when is it so?"""
    panel = _described(statetimeline.Panel(), title, told).span(8).height(7)
    for number, query in enumerate(queries):
        panel = panel.with_target(_range(query, number))
    steps = _steps(((None, RED), (1, GREEN)))
    panel = panel.mappings(_mappings(names)).thresholds(steps).merge_values(True).row_height(0.8).fill_opacity(75)
    colour = make.FieldColor().mode(model.FieldColorModeId.THRESHOLDS)
    return panel.show_value(kinds.VisibilityMode.AUTO).color_scheme(colour).legend(_no_legend())


def rows(
    title: str,
    told: Told,
    key: str,
    columns: Sequence[Column],
    *,
    link: str = "",
    named: Mapping[str, Names] | None = None,
    hidden: Mapping[str, Names] | None = None,
    order: Sequence[str] = (),
    live: bool = False,
) -> table.Panel:
    """Return a row for each value of the label `key`; `link` is where a click leads, `named` says how labels look.

    Labels that are `hidden` are there for the link alone: `${__data.fields.LABEL.text}` is their name in that row.
    `order` is that of all columns, by their names; `live` as of `Query`.
    """
    panel = _described(table.Panel(), title, told, live=live).span(24).height(8)
    shown: dict[str, str] = {}
    for number, column in enumerate(columns):
        panel = panel.with_target(_instant(column.expr, number, live=live))
        shown["Value" if len(columns) == 1 else f"Value #{_letter(number)}"] = column.name
        panel = panel.override_by_name(column.name, _looks(column))
    if link:
        url = {"title": "Look closer", "url": link}
        panel = panel.override_by_name(key, [model.DynamicConfigValue(id_val="links", value=[url])])
    for label, names in (named or {}).items():
        looks = {"mappings": _mappings(names), "custom.cellOptions": {"type": "color-text"}}
        panel = panel.override_by_name(label, [model.DynamicConfigValue(id_val=k, value=v) for k, v in looks.items()])
    for label, names in (hidden or {}).items():
        panel = panel.override_by_name(label, _hides(names))
    arranged: dict[str, Any] = {"excludeByName": {"Time": True}, "renameByName": shown}
    if order:
        named_before = {name: value for value, name in shown.items()}
        arranged["indexByName"] = {named_before.get(name, name): place for place, name in enumerate(order)}
    panel = panel.with_transformation(model.DataTransformerConfig(id_val="merge", options={}))
    return panel.with_transformation(model.DataTransformerConfig(id_val="organize", options=arranged))


def words(title: str, markdown: str) -> text.Panel:
    """Return a text, with variables filled in by Grafana."""
    return text.Panel().title(title).mode(TextMode.MARKDOWN).content(markdown).span(8).height(7)


def section_id(heading: str) -> int:
    """Return the number of a section's panel in the runbook's dashboard; it stays as long as the heading does."""
    return zlib.crc32(heading.encode()) % 1_000_000 + 1_000


def section_link(heading: str) -> str:
    """Return the link to a section of the runbook: Grafana's shows its panel, a page jumps to its heading."""
    return f"${{runbook:raw}}?viewPanel={section_id(heading)}#{section_anchor(heading)}"


def section_anchor(heading: str) -> str:
    """Return what a page of Markdown calls a heading."""
    return heading.lower().replace(" ", "-")


def _described(panel: _P, title: str, told: Told, *, live: bool = False) -> _P:
    panel = panel.title(title).description(told.text()).datasource(LIVE if live else SOURCE)
    if not told.alarm:
        return panel
    runbook = make.DashboardLink(f"Runbook: {told.alarm}").type(model.DashboardLinkType.LINK).target_blank(True)
    return panel.links([runbook.url(section_link(told.alarm))])


def _range(query: Query, number: int) -> ask.Dataquery:
    made = ask.Dataquery().expr(query.expr).range().ref_id(_letter(number)).datasource(SOURCE)
    return made.legend_format(query.name) if query.name else made.legend_format("__auto")


def _instant(expr: str, number: int, *, live: bool = False) -> ask.Dataquery:
    made = ask.Dataquery().expr(expr).instant().ref_id(_letter(number)).datasource(LIVE if live else SOURCE)
    return made.format(query_kinds.PromQueryFormat.TABLE)


def _letter(number: int) -> str:
    return "ABCDEFGHIJKLMNOP"[number]


def _steps(steps: Steps) -> make.ThresholdsConfig:
    made = [model.Threshold(value=value, color=colour) for value, colour in steps]
    return make.ThresholdsConfig().mode(model.ThresholdsMode.ABSOLUTE).steps(made)


def _mappings(names: Names) -> list[model.ValueMapping]:
    """Return how values are called.

    A name for a range opens with the value from which it holds, as in "10000+"; "*" stands for all that have no name.
    """
    plain = {
        value: model.ValueMappingResult(text=text, color=colour)
        for value, (text, colour) in names.items()
        if not value.endswith(("+", "*"))
    }
    made: list[model.ValueMapping] = [model.ValueMap(options=plain)] if plain else []
    for value, (said, colour) in names.items():
        if value.endswith("+"):
            result = model.ValueMappingResult(text=said, color=colour)
            limits = model.DashboardRangeMapOptions(from_val=float(value[:-1]), to=None, result=result)
            made.append(model.RangeMap(options=limits))
        if value == "*":
            result = model.ValueMappingResult(text=said, color=colour)
            made.append(model.RegexMap(options=model.DashboardRegexMapOptions(pattern=".*", result=result)))
    return made


def _looks(column: Column) -> list[model.DynamicConfigValue]:
    made = [model.DynamicConfigValue(id_val="unit", value=column.unit)]
    if column.names:
        made.append(model.DynamicConfigValue(id_val="mappings", value=_mappings(column.names)))
    if column.steps:
        cell = {"type": "color-background", "mode": "basic"}
        made.append(model.DynamicConfigValue(id_val="thresholds", value=_steps(column.steps).build()))
        made.append(model.DynamicConfigValue(id_val="custom.cellOptions", value=cell))
    return made


def _hides(names: Names) -> list[model.DynamicConfigValue]:
    """Return what hides a column and keeps its values; Grafana calls it otherwise from version 12.2 on."""
    nowhere = {"viz": True, "legend": False, "tooltip": False}
    said = {"mappings": _mappings(names), "custom.hidden": True, "custom.hideFrom": nowhere}
    return [model.DynamicConfigValue(id_val=name, value=value) for name, value in said.items()]


def _fixed(colour: str) -> model.DynamicConfigValue:
    return model.DynamicConfigValue(id_val="color", value={"mode": "fixed", "fixedColor": colour})


def _no_legend() -> common.VizLegendOptions:
    return common.VizLegendOptions().display_mode(kinds.LegendDisplayMode.LIST).show_legend(False)
