"""`health`: is this process well, as container platforms ask every few seconds, and as their exit code.

A web process is well when it answers. A worker is well when its loops come round; while Redis is away they may stand
still, for a restart would not bring it back. Neither question is about Redis: that is what `/ready` is for.
"""

import argparse
import http.client
import re
import sys
import time

from whatshooked.errors import CommandRefused

#: Seconds until an answer has to be there.
_ANSWER_WITHIN = 5.0
#: The loops that carry events and come round within seconds; the others may rightly take minutes over one turn.
QUICK = frozenset({"reader", "claimer", "sending", "switches"})
_TURN = re.compile(r'^whatshooked_loop_turn_timestamp_seconds\{[^}]*\bloop="(\w+)"[^}]*\} (\S+)$', re.MULTILINE)
_REDIS_IS_AWAY = re.compile(r"^whatshooked_redis_up(?:\{[^}]*\})? 0(?:\.0)?$", re.MULTILINE)


def health(options: argparse.Namespace) -> int:
    """Return 0 when the process is well, and 1 with a line that says what is wrong."""
    place = _place(options)
    try:
        text = _asked(*place, "/metrics" if options.worker else "/health")
    except OSError as error:
        print(f"no answer at {place[0]}:{place[1]}: {error}", file=sys.stderr)
        return 1
    except http.client.HTTPException as error:
        print(f"{place[0]}:{place[1]} speaks no HTTP: {error!r}; it is another's port", file=sys.stderr)
        return 1
    wrong = judged(text, time.time(), options.patience) if options.worker else ""
    if wrong:
        print(wrong, file=sys.stderr)
    return int(bool(wrong))


def judged(text: str, now: float, patience: float) -> str:
    """Return what is wrong with a worker by its metrics, "" when nothing is.

    `now` is in unix seconds, `patience` the seconds for which a loop may stand still.
    """
    if "whatshooked_" not in text:
        return "what answers is no worker of ours: give the port of metrics.port"
    turns = {loop: now - float(when) for loop, when in _TURN.findall(text) if loop in QUICK}
    if not turns:  # it waits for Redis before its loops begin
        return ""
    # Away, Redis holds up whatever has to be written; but some loop always comes round, or the whole process hangs.
    chosen = min if _REDIS_IS_AWAY.search(text) else max
    loop = chosen(turns, key=turns.__getitem__)
    return f"the loop {loop} has stood still for {turns[loop]:.0f} s" if turns[loop] > patience else ""


def _place(options: argparse.Namespace) -> tuple[str, int]:
    """Return host and port to ask; the config is not read when they are given, so that a faulty file ends nothing."""
    host, port = "127.0.0.1", options.port
    if not port:
        host, port = _configured(is_worker=options.worker)
    return options.host or _reachable(host), port


def _configured(*, is_worker: bool) -> tuple[str, int]:
    from whatshooked.boot import config_path
    from whatshooked.config import load

    config = load(config_path()).config
    section, key = (config.metrics, "metrics.port") if is_worker else (config.server, "server.port")
    if not section.port:
        raise CommandRefused(f"{key} names no port to ask: set it, or give --port")
    return section.host, section.port


def _reachable(host: str) -> str:
    """Return where a process that listens on `host` can be asked from here."""
    return {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)  # noqa: S104 - an address to recognise


def _asked(host: str, port: int, path: str) -> str:
    """Return an answer's text; raises OSError when there is none or it is no 200, HTTPException when it is no HTTP."""
    connection = http.client.HTTPConnection(host, port, timeout=_ANSWER_WITHIN)
    try:
        connection.request("GET", path)
        answer = connection.getresponse()
        text = answer.read().decode(errors="replace")
    finally:
        connection.close()
    if answer.status != 200:
        raise OSError(f"{path} answered {answer.status}")
    return text
