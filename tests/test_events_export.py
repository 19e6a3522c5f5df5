"""The event log as a file: whole, in three formats, in bounded memory, and never a part that passes for the whole."""

import asyncio
import contextlib
import csv
import io
import json
import os
import re
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path

import msgspec
import pytest
from arro3.core import Table
from arro3.io import read_parquet

from tests.conftest import Gateway
from tests.event_rows import START, rest, row, section, stalled, write
from whatshooked.config.model import Target as Name
from whatshooked.eventlog import export, parquet
from whatshooked.eventlog.row import Row, Wanted
from whatshooked.web import readers

Make = Callable[..., Gateway]
#: How a whole answer ends.
ENDS = b"0\r\n\r\n"
ODD = (
    row(0, text='Grüße, "Ana"\r\nund 👋', data='{"a": [1, 2.5, null]}'),
    row(1, "hook.failed", hook_id="crm", state="failed", attempt=2, status=503, duration_ms=12.25, error="=1+1"),
    row(2, text="+49 is no formula", conversation=""),
    row(3, text="", error="-2", actor="@cmd", message_type="\tx", account_id="\rx"),
)


async def served(make_gateway: Make, folder: Path, rows: Iterator[Row] | tuple[Row, ...], target: Name) -> Gateway:
    """A gateway that is asked, without workers."""
    gateway = make_gateway(event_logger=section(folder, target))
    await gateway.start(workers=0)
    await asyncio.to_thread(write, gateway.config, rows, target)
    return gateway


def many(count: int, size: int = 1_000) -> Iterator[Row]:
    """Rows whose texts cannot be compressed."""
    return (row(i, text=os.urandom(size // 2).hex()) for i in range(count))


def table(content: bytes) -> Table:
    """The rows of a Parquet file."""
    return read_parquet(io.BytesIO(content)).read_all()


@pytest.mark.parametrize("target", ["file", "sqlite"])
async def test_json_lines_are_rows_as_a_page_shows_them(make_gateway: Make, tmp_path: Path, target: Name) -> None:
    """In the order asked for, all of them."""
    gateway = await served(make_gateway, tmp_path, ODD, target)
    page = (await gateway.api("GET", "/api/events")).json()["events"]
    answer = await gateway.api("GET", "/api/events/export")
    assert answer.headers["content-type"] == "application/x-ndjson"
    assert re.fullmatch(r'attachment; filename="events-\d{8}T\d{6}Z\.jsonl"', answer.headers["content-disposition"])
    assert [json.loads(line) for line in answer.content.splitlines()] == page
    answer = await gateway.api("GET", "/api/events/export?format=jsonl&order=oldest")
    assert [json.loads(line) for line in answer.content.splitlines()] == page[::-1]


async def test_csv_has_a_header_and_no_formulas(make_gateway: Make, tmp_path: Path) -> None:
    """What a spreadsheet would run begins with an apostrophe; commas, quotes and line ends are kept."""
    gateway = await served(make_gateway, tmp_path, ODD, "file")
    answer = await gateway.api("GET", "/api/events/export?format=csv&order=oldest")
    assert answer.headers["content-type"] == "text/csv; charset=utf-8; header=present"
    assert answer.headers["content-disposition"].endswith('.csv"')
    head = answer.content.split(b"\r\n")[0].decode()
    assert head.split(",") == list(Row.__struct_fields__)
    found = list(csv.DictReader(io.StringIO(answer.content.decode(), newline="")))
    assert [one["text"] for one in found] == ['Grüße, "Ana"\r\nund 👋', "text 1", "'+49 is no formula", ""]
    assert json.loads(found[0]["data"]) == {"a": [1, 2.5, None]}
    assert [found[1][key] for key in ("attempt", "status", "duration_ms", "error")] == ["2", "503", "12.25", "'=1+1"]
    assert [found[3][key] for key in ("error", "actor", "message_type", "account_id")] == [
        "'-2",
        "'@cmd",
        "'\tx",
        "'\rx",
    ]


@pytest.mark.parametrize("target", ["file", "sqlite"])
async def test_parquet_has_types(make_gateway: Make, tmp_path: Path, target: Name) -> None:
    """The time is a moment in UTC with milliseconds, numbers are numbers, all else text."""
    gateway = await served(make_gateway, tmp_path, ODD, target)
    answer = await gateway.api("GET", "/api/events/export?format=parquet&order=oldest")
    assert answer.headers["content-type"] == "application/vnd.apache.parquet"
    found = table(answer.content)
    assert found.column_names == list(Row.__struct_fields__)
    kinds = {name: str(found.schema.field(name).type) for name in found.column_names}
    assert {name for name, kind in kinds.items() if "Utf8" not in kind} == {"at", "attempt", "status", "duration_ms"}
    assert 'Timestamp(ms, "UTC")' in kinds["at"]
    assert found.column("at").to_pylist()[0] == datetime.fromtimestamp(START / 1000, UTC)
    for name in set(found.column_names) - {"at"}:
        assert found.column(name).to_pylist() == [getattr(one, name) for one in ODD], name


async def test_filters_hold_for_an_export(make_gateway: Make, tmp_path: Path) -> None:
    """And one without rows is a whole file."""
    gateway = await served(make_gateway, tmp_path, ODD, "sqlite")
    counts: dict[tuple[str, str], int] = {}
    for query in ("hook_id=crm", "type=nothing", "since=2026-10-01T00:00:02Z"):
        for name in export.FORMATS:
            content = (await gateway.api("GET", f"/api/events/export?{query}&format={name}")).content
            if name == "parquet":
                counts[query, name] = table(content).num_rows
            else:
                lines = list(csv.reader(io.StringIO(content.decode(), newline="")))
                counts[query, name] = len(lines) - (name == "csv")
    assert counts == {
        (query, name): count
        for query, count in (("hook_id=crm", 1), ("type=nothing", 0), ("since=2026-10-01T00:00:02Z", 2))
        for name in export.FORMATS
    }
    assert (await gateway.api("GET", "/api/events/export?format=xlsx")).status_code == 400


@pytest.mark.parametrize("name", ["jsonl", "csv", "parquet"])
async def test_a_large_export_is_whole(make_gateway: Make, tmp_path: Path, name: str) -> None:
    """Rows beyond many pieces and groups come once each, in order."""
    count = 2 * parquet.GROUP + 7
    gateway = await served(make_gateway, tmp_path, (row(i) for i in range(count)), "file")
    content = (await gateway.api("GET", f"/api/events/export?format={name}&order=oldest")).content
    assert len(content) > 3 * export.PIECE
    if name == "parquet":
        texts = table(content).column("text").to_pylist()
    elif name == "csv":
        texts = [one["text"] for one in csv.DictReader(io.StringIO(content.decode(), newline=""))]
    else:
        texts = [msgspec.json.decode(line)["text"] for line in content.splitlines()]
    assert texts == [f"text {i}" for i in range(count)]


async def test_a_target_that_fails_midway_breaks_the_connection(make_gateway: Make, tmp_path: Path) -> None:
    """The client does not see a clean end."""
    gateway = await served(make_gateway, tmp_path, many(15_000), "sqlite")
    async with stalled(gateway, "/api/events/export") as client:
        (tmp_path / "events.sqlite").unlink()
        (tmp_path / "events.sqlite").write_bytes(b"no database at all" * 1000)
        got = await rest(client)
        assert 100_000 < len(got) < 14_000_000
        assert not got.endswith(ENDS)


async def test_a_page_is_answered_beside_an_export(make_gateway: Make, tmp_path: Path) -> None:
    """Though its client takes nothing for the moment; and it is whole in the end."""
    gateway = await served(make_gateway, tmp_path, many(15_000), "file")
    async with stalled(gateway, "/api/events/export") as client:
        for _ in range(3):
            assert len((await gateway.api("GET", "/api/events?limit=5")).json()["events"]) == 5
        got = await rest(client, ENDS)
        assert len(got) > 15_000_000
        assert got.endswith(ENDS)


async def test_exports_are_bounded(make_gateway: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One too many is refused with when to come again; one whose client went away makes room."""
    monkeypatch.setattr(readers, "MOST_EXPORTS", 1)
    gateway = await served(make_gateway, tmp_path, many(15_000), "file")
    async with stalled(gateway, "/api/events/export"):
        refused = await gateway.api("GET", "/api/events/export")
        assert (refused.status_code, refused.json()["error"]["code"]) == (503, "too_many_exports")
        assert refused.headers["retry-after"]
    async with asyncio.timeout(10):
        while (await gateway.api("GET", "/api/events/export?hook_id=crm")).status_code != 200:
            await asyncio.sleep(0.02)


async def test_nobody_reads_on_for_a_client_that_has_gone(make_gateway: Make, tmp_path: Path) -> None:
    """What is made of all rows at once stops amid them."""
    gateway = make_gateway(event_logger=section(tmp_path, "file"))
    gateway.write()
    await asyncio.to_thread(write, gateway.config, many(15_000, 10), "file")
    reader = readers.Reader("file", gateway.config)
    read: list[str] = []

    def all_at_once(rows: Iterator[Row]) -> Iterator[bytes]:
        read.extend(one.id for one in rows)
        yield b""

    pieces = reader.pieces(Wanted(), all_at_once)
    asked = asyncio.create_task(anext(pieces))
    while not read:
        await asyncio.sleep(0)
    asked.cancel()
    await asyncio.wait([asked])
    reader.close()
    await asyncio.to_thread(reader._thread.shutdown)
    assert 0 < len(read) < 15_000


def temporary_files() -> int:
    """How many of the files of exports this process has open."""
    folder = Path("/proc/self/fd")
    names = []
    for one in folder.iterdir():
        with contextlib.suppress(OSError):
            names.append(str(one.readlink()))
    return sum("whatshooked-" in name or "/#" in name for name in names)


@pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="open files are told by Linux alone")
async def test_a_client_that_goes_leaves_no_file(make_gateway: Make, tmp_path: Path) -> None:
    """While the temporary file is written, and while it is sent."""
    gateway = await served(make_gateway, tmp_path, many(30_000), "file")
    before = temporary_files()

    async def gone(files: int) -> None:
        async with asyncio.timeout(10):
            while temporary_files() != files:
                await asyncio.sleep(0.01)

    asked = asyncio.create_task(gateway.api("GET", "/api/events/export?format=parquet"))
    await gone(before + 1)
    asked.cancel()
    await gone(before)
    async with stalled(gateway, "/api/events/export?format=parquet"):
        assert temporary_files() == before + 1
    await gone(before)


def test_what_is_no_object_is_shown_all_the_same() -> None:
    """Somebody may have edited a file: each row stays one line of JSON."""
    for data in ("[1]", '"x"', "{", '{"a":1} x', "{'a': 1}", '{"a": NaN}', "[" * 5_000):
        assert json.loads(export.shown(row(0, data=data)))["data"] == {"unreadable": data}
    assert json.loads(export.shown(row(0, data='{"a":\n 1}')))["data"] == {"a": 1}
    assert b"\n" not in export.shown(row(0, text="a\nb", data='{"a":\n 1}'))


def test_what_goes_wrong_with_rows_is_raised_as_it_is() -> None:
    """Also through the writer of Parquet, which knows a text of it only."""

    def rows() -> Iterator[Row]:
        yield from (row(i) for i in range(parquet.BATCH + 1))
        raise ZeroDivisionError

    for kind in export.FORMATS.values():
        with pytest.raises(ZeroDivisionError):
            list(kind.pieces(rows()))
