"""`run`: everything in one. Without a config a small demo of its own, so that a newcomer sees an event arrive."""

import argparse
import os
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path

from whatshooked import logs
from whatshooked.boot import CONFIG_VARIABLE, Boot, config_path
from whatshooked.cli import demo
from whatshooked.cli.serve import listen, web_processes
from whatshooked.cli.supervisor import Child, Supervisor, ours
from whatshooked.errors import StartError

log = logs.get("run")

#: Seconds after which somebody who waits for the gateway is told that something is wrong.
_READY = 20.0


def run(options: argparse.Namespace) -> int:
    """Start Redis (when none is configured), web and worker processes; stop them in order on Ctrl-C."""
    shown = None
    if CONFIG_VARIABLE not in os.environ and not config_path().exists():
        shown = demo.prepare(Path("data/demo"), options.hook)
        os.environ[CONFIG_VARIABLE] = str(shown.config)
    elif options.hook:
        raise StartError(f"--hook is for a run without a config: write the hook into {config_path()}")
    boot = Boot.open()
    try:
        listener = listen(boot.config)
        host, port = listener.getsockname()[:2]
        # The order of stopping: first nothing more comes in, then what is in flight is finished.
        children = web_processes(listener, options.processes)
        children += [Child(f"worker-{i + 1}", ours("worker")) for i in range(options.workers)]
        if shown is not None:
            children += demo.children(shown, f"http://{_reachable(host)}:{port}")
        return Supervisor(children).run(_welcome(boot, f"http://{_reachable(host)}:{port}", shown))
    finally:
        boot.close()


def _welcome(boot: Boot, address: str, shown: demo.Demo | None) -> Callable[[], bool]:
    """Return what says, once the gateway is ready, where things are; it returns True when all is said."""
    deadline = time.monotonic() + _READY
    late = False

    def announce() -> bool:
        nonlocal late
        if not _is_ready(address):
            if not late and time.monotonic() > deadline:
                late = True
                log.error("The gateway is not ready yet, see the lines above", address=address)
            return False
        for account in boot.config.whatsapp:
            log.info("Webhook path", account_id=account.id, url=f"{address}/webhooks/whatsapp/{account.id}")
        log.info("Ready", address=address, hooks=len(boot.config.hooks), accounts=len(boot.config.whatsapp))
        if shown is None:
            return True
        print(demo.welcome(address, shown), flush=True)
        demo.begin(shown)
        return True

    return announce


def _is_ready(address: str) -> bool:
    # No proxy of the environment stands between us and ourselves.
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(f"{address}/ready", timeout=1) as answer:
            return bool(answer.status == 200)
    except (urllib.error.URLError, OSError):
        return False


def _reachable(host: str) -> str:
    """Return the address under which a listener on all interfaces is reached from here."""
    if host in ("0.0.0.0", "::", ""):  # noqa: S104 - compared, not bound
        return "localhost"
    return f"[{host}]" if ":" in host else host
