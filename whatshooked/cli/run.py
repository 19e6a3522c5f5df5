"""`run`: everything in one. Without a config a small demo of its own, so that a newcomer sees an event arrive."""

import argparse
import os
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

from whatshooked import logs
from whatshooked.boot import CONFIG_VARIABLE, Boot, config_path
from whatshooked.cli import demo
from whatshooked.cli.demo_folder import hold
from whatshooked.cli.serve import listen, web_processes
from whatshooked.cli.supervisor import Child, Supervisor, ours
from whatshooked.errors import StartError

log = logs.get("run")

#: Seconds after which somebody who waits for the gateway is told that something is wrong.
_READY = 20.0


def run(options: argparse.Namespace) -> int:
    """Start Redis (when none is configured), web and worker processes; stop them in order on Ctrl-C."""
    if CONFIG_VARIABLE in os.environ or config_path().exists():
        if options.hook:
            raise StartError(f"--hook is for a run without a config: write the hook into {config_path()}")
        return _run(options, None)
    port = demo.wanted_port()
    with hold(Path("data/demo")) as folder:
        shown = demo.prepare(folder, port, options.hook)
        os.environ[CONFIG_VARIABLE] = str(shown.config)
        return _run(options, shown)


def _run(options: argparse.Namespace, shown: demo.Demo | None) -> int:
    """Run what the config has, and the demo's own processes if it is one; returns the exit code."""
    boot = Boot.open()
    try:
        listener = listen(boot.config) if shown is None else listen(boot.config, demo.other_port())
        host, port = listener.getsockname()[:2]
        address = f"http://{_reachable(host)}:{port}"
        # The order of stopping: first nothing more comes in, then what is in flight is finished.
        children = web_processes(listener, options.processes)
        children += [Child(f"worker-{i + 1}", ours("worker")) for i in range(options.workers)]
        if shown is not None:
            shown.folder.tell(address)
            children += demo.children(shown, address)
        return Supervisor(children).run(_welcome(boot, address, shown))
    finally:
        boot.close()


def _welcome(boot: Boot, address: str, shown: demo.Demo | None) -> Iterator[None]:
    """Wait for the gateway, step by step, and say where things are; then let the demo's first messages flow."""
    deadline = time.monotonic() + _READY
    while not _is_ready(address):
        if time.monotonic() > deadline:
            deadline = float("inf")
            log.error("The gateway is not ready yet, see the lines above", address=address)
        yield
    for account in boot.config.whatsapp:
        log.info("Webhook path", account_id=account.id, url=f"{address}/webhooks/whatsapp/{account.id}")
    log.info("Ready", address=address, hooks=len(boot.config.hooks), accounts=len(boot.config.whatsapp))
    if shown is not None:
        print(demo.welcome(address, shown), flush=True)
        yield from demo.begin(shown)


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
