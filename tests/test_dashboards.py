"""The dashboards: code and files agree, and each query finds data on a real Prometheus that watches a real gateway."""

import json
import re
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import promql_parser
import pytest
import pytest_asyncio
import yaml

from grafana.__main__ import FOLDER, boards
from grafana.asked import filled, panels, queries
from grafana.board import CUSTOMERS_UID, RUNBOOK, SOURCE_UID
from grafana.picture import draw_all
from grafana.picture.source import Source
from grafana.runbook import SOURCE as RUNBOOK_FILE
from grafana.runbook import sections
from grafana.shared import FAILING, LATELY
from ops.alarms.scale import every
from tests.conftest import API_KEY, REPO
from tests.planted import ACCOUNT, REFUSED, Planted, planted
from tests.prometheus import program
from tests.streams import until
from whatshooked.web.instant import FAMILIES, question

#: Seconds that the story of faults takes.
STORY = 30.0
CHOSEN = {"hook": "crm", "account": REFUSED, "instance": ".*", "datasource": SOURCE_UID, "runbook": RUNBOOK}
CHOSEN |= {"customers": CUSTOMERS_UID}
#: Grafana's own variables, beside those chosen.
EXAMPLE = CHOSEN | {
    "__rate_interval": "4m",
    "__interval": "5s",
    "__range": "1h",
    "__range_s": "3600",
    "__interval_ms": "5000",
}
_METRIC = re.compile(r'"(whatshooked_\w+)"')
FILES = sorted(FOLDER.glob("*.json"))


def read(path: Path) -> dict[str, Any]:
    """A dashboard as Grafana gets it."""
    found: dict[str, Any] = json.loads(path.read_text())
    return found


def rules() -> list[dict[str, Any]]:
    """The rules of all alarms."""
    return list(every(yaml.safe_load((REPO / "ops" / "alerts.yml").read_text())))


def volume_rules() -> list[dict[str, Any]]:
    """The rules that Kubernetes alone has."""
    (file,) = yaml.safe_load_all((REPO / "ops/k8s/components/monitoring/volumes.yaml").read_text())
    return list(every(file["spec"]))


def texts(folder: Path) -> dict[str, str]:
    """What stands in each picture."""
    return {path.stem: "".join(ElementTree.parse(path).getroot().itertext()) for path in folder.glob("*.svg")}


def test_a_stage_is_cleared_though_a_process_is_deaf(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A worker that does not end is killed and told, and `serve` is stopped all the same."""
    monkeypatch.setattr("tests.planted.GRACE", 1.0)
    nobody: Any = None
    stage = Planted(tmp_path, 0.0, nobody, nobody, nobody, "", {})
    for name, ear in (("serve", "SIG_DFL"), ("worker", "SIG_IGN")):
        said = f"import signal, time; signal.signal(signal.SIGTERM, signal.{ear}); print(flush=True); time.sleep(60)"
        process = stage.processes[name] = subprocess.Popen([sys.executable, "-c", said], stdout=subprocess.PIPE)
        assert process.stdout is not None
        with process.stdout as out:
            out.readline()
    with pytest.raises(subprocess.TimeoutExpired):
        stage.stop()
    assert [stage.processes[name].returncode for name in ("worker", "serve")] == [-signal.SIGKILL, -signal.SIGTERM]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def stage(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Planted]:
    """A gateway whose faults have all happened, under the eyes of a Prometheus."""
    async with planted(tmp_path_factory.mktemp("planted"), STORY) as found:
        await found.play()
        yield found


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def watched(stage: Planted) -> AsyncIterator[Source]:
    """That Prometheus and that gateway, asked as Grafana would."""
    with Source(stage.prometheus.url, time.time(), STORY + 15, 1.0, (stage.base, API_KEY)) as source:
        yield source


def test_the_files_are_what_the_code_makes() -> None:
    """Whoever changes grafana/*.py or ops/RUNBOOK.md runs `make dashboards`; no file is left over."""
    made = {f"{board.name}.json": board.json() for board in boards()}
    assert {path.name: path.read_text() for path in FILES} == made


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_every_panel_tells_what_is_right_and_what_to_do(path: Path) -> None:
    """And those that show data have a unit, and a colour for what is wrong where a single number is shown."""
    for panel in panels(read(path)):
        if panel["type"] in ("row", "text"):
            continue
        assert "**Right:**" in panel["description"], panel["title"]
        assert "**Else:**" in panel["description"], panel["title"]
        assert panel["fieldConfig"]["defaults"].get("unit") or panel["type"] in ("table", "state-timeline")


def test_links_lead_to_sections_of_the_runbook() -> None:
    """Each panel's link names a heading of ops/RUNBOOK.md, and the panel of it in the runbook's own dashboard."""
    headings = {heading.lower(): heading for heading, _ in sections(RUNBOOK_FILE.read_text())}
    there = {panel["id"]: panel["title"] for panel in panels(read(FOLDER / "runbook.json"))}
    linked = [link["url"] for path in FILES for panel in panels(read(path)) for link in panel.get("links") or []]
    assert len(linked) > 50
    for url in linked:
        found = re.fullmatch(r"\$\{runbook:raw\}\?viewPanel=(\d+)#(\w+)", url)
        assert found is not None, url
        assert there[int(found[1])] == headings[found[2]]


@pytest.mark.parametrize("name", ["path", "hook", "account", "customers", "redis-workers"])
def test_a_click_on_an_alarm_leads_to_its_section(name: str) -> None:
    """For each alarm, Kubernetes' too: the runbook's panel and its heading on a page; for others' the chapter."""
    there = {str(panel["id"]): panel["title"] for panel in panels(read(FOLDER / "runbook.json"))}
    (table,) = [panel for panel in panels(read(FOLDER / f"{name}.json")) if panel["title"] == "Alarms"]
    said = {one["matcher"]["options"]: one["properties"] for one in table["fieldConfig"]["overrides"]}
    (link,) = next(one["value"] for one in said["alertname"] if one["id"] == "links")
    wanted = {rule["alert"]: rule["annotations"]["runbook"].partition("#")[2] for rule in [*rules(), *volume_rules()]}
    assert len(wanted) > 20
    for alarm, anchor in (wanted | {"SomebodyElses": "alarms"}).items():
        url = link["url"]
        for label in re.findall(r"__data\.fields\.(\w+)\.text", url):
            url = url.replace(f"${{__data.fields.{label}.text}}", _named(said[label], alarm))
        found = re.fullmatch(r"\$\{runbook:raw\}\?viewPanel=(\d+)#(\w+)", url)
        assert found is not None, url
        assert (there[found[1]].lower(), found[2]) == (anchor, anchor)


def _named(properties: list[dict[str, Any]], value: str) -> str:
    """How a column of the table names a value; it is there, and nobody sees it."""
    said = {one["id"]: one["value"] for one in properties}
    assert said["custom.hidden"] and said["custom.hideFrom"]["viz"]
    names, others = (mapping["options"] for mapping in said["mappings"])
    assert others["pattern"] == ".*"
    return str(names.get(value, others["result"])["text"])


def test_the_runbook_opens_with_the_alarms() -> None:
    """Whoever opens it comes from one."""
    titles = [panel["title"] for panel in panels(read(FOLDER / "runbook.json")) if panel["type"] != "row"]
    alarms = {rule["alert"] for rule in rules()}
    assert titles[0] == "Alarms" and set(titles[1 : len(alarms) + 1]) == alarms


def test_the_dashboards_lead_to_one_another() -> None:
    """Every link to a dashboard names one of ours, and a variable that it has."""
    known = {(board := read(path))["uid"]: board for path in FILES}
    text = "".join(path.read_text() for path in FILES)
    named = re.findall(r'["(]/d/([\w-]+)\?var-(\w+)=', text)
    assert {uid for uid, _ in named} == {"whatshooked-hook", "whatshooked-account", "whatshooked-customers"}
    for uid, variable in named:
        assert variable in [one["name"] for one in known[uid]["templating"]["list"]]


def test_panels_do_not_overlap() -> None:
    """Each has its own place in Grafana's grid of 24 columns, and an id of its own."""
    for path in FILES:
        taken: set[tuple[int, int]] = set()
        found = panels(read(path))
        for panel in found:
            grid = panel["gridPos"]
            assert grid["x"] + grid["w"] <= 24, panel["title"]
            cells = {(grid["x"] + x, grid["y"] + y) for x in range(grid["w"]) for y in range(grid["h"])}
            assert not cells & taken, panel["title"]
            taken |= cells
        assert len({panel["id"] for panel in found}) == len(found)


def test_provisioning_names_what_the_dashboards_use() -> None:
    """The data source's uid is that of the dashboards' variable, and its interval that of ops/prometheus.yml."""
    provisioning = REPO / "grafana" / "provisioning"
    (source,) = yaml.safe_load((provisioning / "datasources" / "prometheus.yml").read_text())["datasources"]
    assert source["uid"] == SOURCE_UID
    scraped = yaml.safe_load((REPO / "ops" / "prometheus.yml").read_text())["global"]["scrape_interval"]
    assert source["jsonData"]["timeInterval"] == scraped
    (live,) = yaml.safe_load((provisioning / "datasources" / "customers.yml").read_text())["datasources"]
    assert (live["uid"], live["name"]) == (CUSTOMERS_UID, "Customers")
    services = yaml.safe_load((REPO / "compose.yaml").read_text())["services"]
    told = services["grafana"]["environment"]
    assert set(re.findall(r"\$\{(\w+)\}", live["url"] + live["secureJsonData"]["httpHeaderValue1"])) <= told.keys()
    demo = json.loads((REPO / "ops/compose/config.json").read_text())["server"]["customers_key"]
    assert told["WHATSHOOKED_CUSTOMERS_KEY"] == f"${{WHATSHOOKED_CUSTOMERS_KEY:-{demo}}}"
    # Of a config of one's own nobody knows the key of the demo.
    assert services["web"]["environment"]["WHATSHOOKED_CUSTOMERS_KEY"] == "${WHATSHOOKED_CUSTOMERS_KEY:-}"
    (provider,) = yaml.safe_load((provisioning / "dashboards" / "whatshooked.yml").read_text())["providers"]
    assert provider["options"]["path"] == "/var/lib/grafana/dashboards"


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_every_query_is_promql(path: Path) -> None:
    """A parser of Prometheus' language takes each, variables filled in."""
    for asked in queries(read(path), EXAMPLE):
        promql_parser.parse(asked.expr)


@pytest.mark.parametrize("path", [path for path in FILES if path.stem != "runbook"], ids=lambda path: path.stem)
def test_the_queries_ask_for_metrics_that_there_are(path: Path) -> None:
    """A metric that is renamed leaves no panel empty in silence."""
    known = {
        found for file in (REPO / "whatshooked/metrics").glob("*.py") for found in _METRIC.findall(file.read_text())
    }
    found = list(queries(read(path), EXAMPLE))
    asked = [name for one in found if not one.is_live for name in re.findall(r"whatshooked_\w+", one.expr)]
    assert len(found) > 10
    for one in found:
        assert not one.is_live or question(one.expr).family in FAMILIES
    assert {re.sub(r"_(total|bucket|count|sum)$", "", name) for name in asked} - known == set()


def test_a_hook_fails_on_the_dashboards_when_its_alarm_says_so() -> None:
    """They look as far back as the rule HookFailing, and call the same part of attempts too much."""
    (rule,) = [rule["expr"] for rule in rules() if rule["alert"] == "HookFailing"]
    assert set(re.findall(r"increase\(\S+\[(\w+)\]", rule)) == {LATELY}
    assert re.findall(r"> (\d[.]\d+)", rule) == [str(FAILING)]


def _asked(name: str, place: str) -> str:
    """The query of a panel that a letter stands for."""
    (found,) = [one.expr for one in queries(read(FOLDER / f"{name}.json"), EXAMPLE) if one.place == place]
    return found


#: Series, minute by minute, up to the end of the shown hour; a panel's query, and what it has to say of them.
TOLD = {
    "all kinds of loss": (
        {
            "whatshooked_events_unaccounted": "0x69 1",
            "whatshooked_events_vanished_total": "0x40 2x29",
            'whatshooked_cache_removed_total{reason="too_many", state="dead"}': "0x40 4x29",
            'whatshooked_cache_removed_total{reason="too_old", state="poison"}': "0x40 8x29",
            'whatshooked_cache_removed_total{reason="too_old", state="unmatched"}': "0x40 100x29",
            'whatshooked_cache_removed_total{reason="hook_removed", state="dead"}': "0x40 100x29",
        },
        ("path", "Unaccounted for A"),
        15,
    ),
    "nothing lost": ({"whatshooked_events_unaccounted": "0x60 -3x9"}, ("path", "Unaccounted for A"), 0),
    "a loop that hangs on three machines, beside one that takes its time": (
        {
            'whatshooked_loop_turn_timestamp_seconds{loop="due", instance="a"}': "3000x70",
            'whatshooked_loop_turn_timestamp_seconds{loop="due", instance="b"}': "3000x70",
            'whatshooked_loop_turn_timestamp_seconds{loop="due", instance="c"}': "3000x70",
            'whatshooked_loop_turn_timestamp_seconds{loop="consumer", instance="a"}': "4100x70",
            'whatshooked_loop_turn_timestamp_seconds{loop="files", instance="a"}': "1000x70",
        },
        ("redis-workers", "Loops that hang A"),
        3,
    ),
    "a slow hook beside a quick one with ten times its events": (
        {
            'whatshooked_delivery_seconds_bucket{hook="quick", le="1"}': "0+10x70",
            'whatshooked_delivery_seconds_bucket{hook="quick", le="61"}': "0+10x70",
            'whatshooked_delivery_seconds_bucket{hook="quick", le="+Inf"}': "0+10x70",
            'whatshooked_delivery_seconds_bucket{hook="slow", le="1"}': "0x70",
            'whatshooked_delivery_seconds_bucket{hook="slow", le="61"}': "0+1x70",
            'whatshooked_delivery_seconds_bucket{hook="slow", le="+Inf"}': "0+1x70",
        },
        ("path", "Who is late? C"),
        58,
    ),
}


@pytest.mark.parametrize("case", TOLD)
def test_figures_say_what_is_so(case: str, tmp_path: Path) -> None:
    """Prometheus works them out: no kind of loss is left out, no loop taken for its like, no hook for the average."""
    series, place, right = TOLD[case]
    made = [{"series": name, "values": values} for name, values in series.items()]
    asked = f"round({_asked(*place)})"
    expected = [{"labels": "{}", "value": right}]
    wanted = [{"expr": asked, "eval_time": "70m", "exp_samples": expected}]
    tests = {"tests": [{"interval": "1m", "input_series": made, "promql_expr_test": wanted}]}
    (tmp_path / "tests.yml").write_text(yaml.safe_dump(tests))
    command = [program("promtool"), "test", "rules", str(tmp_path / "tests.yml")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
async def test_every_query_finds_data(path: Path, watched: Source) -> None:
    """Of panels, variables and marks: at least one series with a number, in the time in which all faults happened."""
    board, own = read(path), watched.variables() | CHOSEN
    chosen = (own, own | {"account": ACCOUNT}, own | {"hook": "billing"})
    either = zip(*(queries(board, one) for one in chosen), strict=True)
    nothing = [f"{tries[0].place}: {tries[0].expr}" for tries in either if not any(map(watched.series, tries))]
    assert not nothing, "\n".join(nothing)


@pytest.mark.asyncio(loop_scope="module")
async def test_a_reader_learns_which_customers_a_fault_concerns(watched: Source, stage: Planted) -> None:
    """The table of a hook that fails has all whose messages it refused, and nobody else."""
    chosen = watched.variables() | CHOSEN | {"hook": "billing"}
    asked = [one for one in queries(read(FOLDER / "customers.json"), chosen) if one.place == "At the hook $hook A"]
    assert len(asked) == 1

    async def are_named() -> bool:
        attempts = [one for one in stage.receiver.received[stage.broken :] if one.target.startswith("/billing")]
        refused = {one.json["from"] for one in attempts}
        return len(refused) > 5 and {one.labels["customer"] for one in watched.series(asked[0])} == refused

    await until(are_named, timeout=60)


@pytest.mark.asyncio(loop_scope="module")
async def test_pictures_are_drawn_from_the_same_queries(watched: Source, tmp_path: Path) -> None:
    """One of each dashboard with data; every panel's title stands in it."""
    draw_all(watched, FOLDER, tmp_path, {"hook": "crm", "account": REFUSED})
    drawn = texts(tmp_path)
    assert sorted(drawn) == ["account", "customers", "hook", "path", "redis-workers"]
    for name, said in drawn.items():
        titles = [filled(panel["title"], CHOSEN) for panel in panels(read(FOLDER / f"{name}.json"))]
        assert [title for title in titles if title not in said] == []
