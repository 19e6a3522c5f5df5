"""Make every fault, and print the table; exit code 1 when an alarm did not come or go, or came without a fault."""

import argparse
import asyncio
import sys
import tempfile
from collections.abc import Coroutine
from pathlib import Path
from typing import Any

from ops.alarms import healthy, report
from ops.alarms.campaign import Group, Row, run
from ops.alarms.customers import NoDiskError, surrounded
from ops.alarms.installation import PROCESSES, REDIS
from ops.alarms.intake import CACHE, META
from ops.alarms.watch import missing
from ops.postgres import NoPostgresError

#: Stages at the same time: more than two on two cores would be slow, and slowness is an alarm.
_AT_ONCE = 2


def main() -> int:
    """Run it."""
    parser = argparse.ArgumentParser("ops.alarms", description=__doc__)
    parser.add_argument("--write", action="store_true", help="put the table into docs/alarms.md as well")
    options = parser.parse_args()
    if program := missing():
        print(f"there is no {program}: install it (Debian: {program})")
        return 1
    with tempfile.TemporaryDirectory(prefix="alarms-") as folder:
        try:
            with surrounded(Path(folder)) as group:
                rows, false = asyncio.run(_all([PROCESSES, REDIS, group, META, CACHE]))
        except (NoPostgresError, NoDiskError) as error:
            print(f"not all faults can be made here: {error}")
            return 1
    for row in rows:
        print(report.plain(row))
    print(f"an ordinary hour without a fault: {', '.join(false) or 'no alarm'}")
    if options.write:
        report.write(rows)
    return int(bool(false) or any(row.wrong for row in rows))


async def _all(groups: list[Group]) -> tuple[list[Row], list[str]]:
    room = asyncio.Semaphore(_AT_ONCE)

    async def within(work: Coroutine[Any, Any, Any]) -> Any:
        async with room:
            return await work

    found = await asyncio.gather(*(within(run(group)) for group in groups), within(healthy.run()))
    return [row for rows in found[:-1] for row in rows], found[-1]


if __name__ == "__main__":
    sys.exit(main())
