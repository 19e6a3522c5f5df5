"""The alarms: their rules and true durations, and each fault really made before a real Prometheus and Alertmanager."""

import re
import shutil
import subprocess
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
import yaml

from ops.alarms import healthy, report, watch
from ops.alarms.campaign import Group, run
from ops.alarms.customers import FAULTS, NoDiskError, surrounded
from ops.alarms.installation import PROCESSES, REDIS
from ops.alarms.intake import CACHE, META
from ops.alarms.scale import every, shrink
from ops.postgres import NoPostgresError
from tests.conftest import REPO
from tests.wanted import lacking

OPS = REPO / "ops"
GROUPS = (PROCESSES, REDIS, META, CACHE)


def need(*programs: str) -> None:
    """Skip where a program is not installed; where the continuous integration runs, that is a failure."""
    if missing := [name for name in programs if shutil.which(name) is None]:
        lacking(f"not installed: {', '.join(missing)}")


def rules() -> list[dict[str, Any]]:
    """The rules as they are."""
    return list(every(yaml.safe_load((OPS / "alerts.yml").read_text())))


def checked(*command: str) -> None:
    """Run a checking program; what it says is shown when it finds something."""
    done = subprocess.run(command, cwd=OPS, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_every_alarm_fires_holds_back_and_clears_at_its_true_durations() -> None:
    """promtool: a spell too short for each, a long one, the time after, and a day in which nothing fires."""
    need("promtool")
    checked("promtool", "check", "rules", "alerts.yml")
    checked("promtool", "test", "rules", "alerts_test.yml")


def test_each_rule_is_held_by_the_unit_tests(tmp_path: Path) -> None:
    """Without any one of the rules the unit tests of its alarm turn red, and with all of them they are green."""
    need("promtool")
    tests = yaml.safe_load((OPS / "alerts_test.yml").read_text())
    of_alarm = {
        rule["alert"]: tests | {"tests": [one for one in tests["tests"] if rule["alert"] in yaml.safe_dump(one)]}
        for rule in rules()
    }
    for of_it in of_alarm.values():
        assert _are_green(tmp_path, yaml.safe_load((OPS / "alerts.yml").read_text()), of_it)
    for place, rule in enumerate(rules()):
        document = yaml.safe_load((OPS / "alerts.yml").read_text())
        list(every(document))[place]["expr"] = "vector(1) > 2"
        assert not _are_green(tmp_path, document, of_alarm[rule["alert"]]), rule


def _are_green(folder: Path, document: Any, tests: Any) -> bool:
    (folder / "alerts.yml").write_text(yaml.safe_dump(document))
    (folder / "alerts_test.yml").write_text(yaml.safe_dump(tests))
    command = ["promtool", "test", "rules", "alerts_test.yml"]
    return subprocess.run(command, cwd=folder, capture_output=True, check=False).returncode == 0


def test_each_alarm_says_what_it_means_and_leads_to_its_section() -> None:
    """Severity, summary, meaning and a heading of the runbook; every such heading is an alarm's."""
    headings = re.findall(r"^### (\w+)$", (OPS / "RUNBOOK.md").read_text(), re.MULTILINE)
    assert Counter(headings) == Counter({rule["alert"] for rule in rules()})
    for rule in rules():
        told = rule["annotations"]
        assert rule["labels"]["severity"] in ("page", "warn")
        assert told["runbook"] == f"ops/RUNBOOK.md#{rule['alert'].lower()}"
        assert len(told["summary"]) > 20 and len(told["description"]) > 60


def test_the_rules_ask_for_metrics_that_there_are() -> None:
    """A metric that is renamed takes no alarm away in silence."""
    package = "".join(path.read_text() for path in (REPO / "whatshooked/metrics").glob("*.py"))
    known = set(re.findall(r'"(whatshooked_\w+)"', package))
    asked = {name for rule in rules() for name in re.findall(r"whatshooked_\w+", rule["expr"])}
    assert {re.sub(r"_(total|bucket|count)$", "", name) for name in asked} - known == set()


def test_the_examples_of_both_configs_are_accepted(tmp_path: Path) -> None:
    """promtool and amtool take them as they are, and an alarm that is silenced by another is one that there is."""
    need("promtool", "amtool")
    config = (OPS / "prometheus.yml").read_text().replace("/etc/prometheus/alerts.yml", str(OPS / "alerts.yml"))
    (tmp_path / "prometheus.yml").write_text(config)
    checked("promtool", "check", "config", str(tmp_path / "prometheus.yml"))
    checked("amtool", "check-config", "alertmanager.yml")
    named = set(re.findall(r"[A-Z][a-z]+[A-Z]\w+", "".join(_matchers())))
    assert named and named <= {rule["alert"] for rule in rules()}


def _matchers() -> list[str]:
    document = yaml.safe_load((OPS / "alertmanager.yml").read_text())
    return [
        one for rule in document["inhibit_rules"] for side in ("source", "target") for one in rule[f"{side}_matchers"]
    ]


def test_times_are_made_short_and_nothing_else() -> None:
    """`for`, windows and ages are divided by 60, ages in hours by 3,600; shares and counts stay."""
    rule = "groups: [{name: g, rules: [{alert: A, expr: '%s', for: 5m}]}]"
    ((short),) = every(yaml.safe_load(shrink(rule % "rate(a[10m]) > 0.5 * 60 and rate(b[1m]) > 0.2 and c > 4 * 3600")))
    assert short["expr"] == "rate(a[10000ms]) > 0.5 * 1 and rate(b[2000ms]) > 0.2 and c > 4 * 1"
    assert short["for"] == "5000ms"


def test_the_page_shows_every_fault() -> None:
    """docs/alarms.md has one row for each fault and alarm, no other; each rule has a fault, Kubernetes' own too."""
    faults = [*(fault for group in GROUPS for fault in group.faults), *FAULTS]
    made = Counter(
        (fault.told, str(alarm), f"`{fault.whom.state}`" if fault.whom else "nobody")
        for fault in faults
        for alarm in fault.alarms
    )
    row = r"\| ([^|]+) \| \[(\w+)\]\(\S+\)((?: `\S+`)*) \| [\d.]+ \| [\d.]+ \| (\S+) \|"
    rows = re.findall(row, report.PAGE.read_text())
    assert made == Counter(
        (told, " ".join([name, *re.findall("`(.+?)`", labels)]), named) for told, name, labels, named in rows
    )
    every_rule = every(yaml.safe_load(watch.all_rules()))
    signs = {rule["alert"] + (f" sign={sign}" if (sign := rule["labels"].get("sign")) else "") for rule in every_rule}
    shown = {name + "".join(f" {label}" for label in re.findall("`(sign=.+?)`", labels)) for _, name, labels, _ in rows}
    assert signs == shown


def test_the_runbook_says_in_which_state_customers_are_named() -> None:
    """**Whom** of each alarm has the state in which the fault's customers were seen on the dashboard."""
    sections = dict(
        re.findall(r"^### (\w+)$(.*?)(?=^##)", (OPS / "RUNBOOK.md").read_text() + "##", re.MULTILINE | re.DOTALL)
    )
    faults = [*(fault for group in GROUPS for fault in group.faults), *FAULTS]
    concern = [(fault.whom.state, alarm.name) for fault in faults if fault.whom for alarm in fault.alarms]
    assert {state for state, _ in concern} == {
        "unread",
        "waiting",
        "dead",
        "poison",
        "off",
        "no_file",
        "unsent",
        "unknown",
    }
    for state, alarm in concern:
        (whom,) = re.findall(r"^- \*\*Whom\*\*: (.*?)(?=^- \*\*)", sections[alarm], re.MULTILINE | re.DOTALL)
        assert f"`{state}`" in whom, (alarm, whom)


async def _come_and_go(group: Group, folder: Path) -> None:
    rows = await run(group, folder)
    assert rows and [report.plain(row) for row in rows if row.wrong] == []


@pytest.mark.slow
@pytest.mark.parametrize("group", GROUPS, ids=lambda group: group.name)
async def test_each_fault_raises_its_alarm_and_clears_it(group: Group, tmp_path: Path) -> None:
    """Real processes, a real fault: the alarm comes to a real Alertmanager, and goes when the fault is mended."""
    need(watch.PROMETHEUS, watch.ALERTMANAGER)
    await _come_and_go(group, tmp_path)


@pytest.mark.slow
async def test_each_customers_fault_raises_its_alarm_and_clears_it(tmp_path: Path) -> None:
    """The same for faults of one hook, account, disk or target, all at the same time: each is told from the others."""
    need(watch.PROMETHEUS, watch.ALERTMANAGER)
    (folder := tmp_path / "stage").mkdir()
    try:
        with surrounded(tmp_path) as group:
            await _come_and_go(group, folder)
    except (NoPostgresError, NoDiskError) as error:
        lacking(f"cannot be made here: {error}")


@pytest.mark.slow
async def test_an_ordinary_hour_raises_nothing(tmp_path: Path) -> None:
    """A hook away for a minute, a Redis that restarts, a reload, a burst, repeats and silence: nobody is woken."""
    need(watch.PROMETHEUS, watch.ALERTMANAGER)
    assert await healthy.run(tmp_path) == []
