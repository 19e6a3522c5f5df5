"""*Runbook*: ops/RUNBOOK.md as a dashboard, a panel for each section, so that it is at hand where the alarm is seen.

Whoever opens it comes from an alarm, so the alarms stand first.
"""

import re
from pathlib import Path

from grafana.board import Board, Row
from grafana.panels import section_id, words

SOURCE = Path(__file__).parent.parent / "ops" / "RUNBOOK.md"
#: A headline of a chapter (##) or of one alarm (###).
_HEADING = re.compile(r"^(##|###) +(.+)$", re.MULTILINE)
#: The chapter that has a section for each alarm.
ALARMS = "Alarms"


def sections(text: str) -> list[tuple[str, str]]:
    """Return heading and text of each section, in order; what stands before the first is left out."""
    found = list(_HEADING.finditer(text))
    ends = [one.start() for one in found[1:]] + [len(text)]
    return [(one[2].strip(), text[one.end() : end].strip()) for one, end in zip(found, ends, strict=True)]


def alarms(text: str) -> list[str]:
    """Return the headings of single alarms."""
    return [found[2].strip() for found in _HEADING.finditer(text) if found[1] == "###"]


def board(text: str) -> Board:
    """Return the dashboard of a runbook's text (Markdown)."""
    found = sections(text)
    first = [heading for heading, _ in found].index(ALARMS)
    panels = [
        words(heading, said).id(section_id(heading)).span(24).height(_height(said))
        for heading, said in [*found[first:], *found[:first]]
        if said
    ]
    return Board("runbook", "Runbook", "What each alarm means, where to look, what to do.").rows(Row("Runbook", panels))


def _height(said: str) -> int:
    """Return about as many of Grafana's units as a text takes at full width."""
    lines = sum(1 + len(line) // 190 for line in said.splitlines() if line.strip())
    return min(30, 2 + lines)
