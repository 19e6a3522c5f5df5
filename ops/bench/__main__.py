"""`python -m ops.bench [--quick] [--only PART]`: measure, print the tables; exit code 1 below a floor."""

import argparse
import os
import tempfile
import time
from pathlib import Path

from ops.bench import beside, endtoend, environment, intake, logged, plan, table
from ops.bench.stage import Stage

_NAMES = {"raw": "ASGI, 200", "ours": "the gateway", "celery": "FastAPI + Celery", "bulk": "the gateway, bodies of 100"}

Found = list[tuple[plan.Bar, float]]


def main() -> int:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(prog="python -m ops.bench", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="about two minutes instead of about ten")
    parser.add_argument("--only", choices=("intake", "endtoend", "beside", "logged"), help="one part alone")
    options = parser.parse_args()
    chosen = plan.QUICK if options.quick else plan.FULL
    if options.only not in ("beside", "logged"):
        environment.python()
    started = time.monotonic()
    found: Found = []
    with tempfile.TemporaryDirectory(prefix="whb-") as folder, Stage(Path(folder)) as stage:
        print(f"{os.cpu_count()} cores, load {os.getloadavg()[0]:.1f} at the start; trust the ratios\n")
        for name, part in (("intake", _intake), ("endtoend", _endtoend), ("beside", _beside), ("logged", _logged)):
            if options.only in (None, name):
                found += part(stage, chosen)
    print(table.verdicts(found))
    print(f"\n{time.monotonic() - started:.0f} s")
    return 0 if all(bar.met(value) for bar, value in found) else 1


def _intake(stage: Stage, chosen: plan.Plan) -> Found:
    result = intake.measure(stage, chosen)
    rows = [["Intake, 64 connections", "events/s", "web us/event", "Redis us/event", "sender's core"]]
    for name, rate in result.rates.items():
        costs = (result.web_micros[name], result.redis_micros[name])
        rows.append([_NAMES[name], f"{rate:,.0f}", *(f"{cost:.1f}" for cost in costs), f"{result.sender[name]:.0%}"])
    print(table.layout(rows), end="\n\n", flush=True)
    rates = result.rates
    return [
        (plan.INTAKE_OF_RAW, rates["ours"] / rates["raw"]),
        (plan.INTAKE_OF_CELERY, rates["ours"] / rates["celery"]),
        (plan.BULK_OF_SINGLE, rates["bulk"] / rates["ours"]),
    ]


def _endtoend(stage: Stage, chosen: plan.Plan) -> Found:
    other = endtoend.arq(stage, chosen)
    best, relaxed = endtoend.ours(stage, chosen)
    rows = [["End to end", "events/s", "held", "backlog", "missing", "p50 ms", "p99 ms", "Redis us/event"]]
    for name, run in (("FastAPI + arq", other), ("the gateway", best), ("the gateway, half", relaxed)):
        delays = (run.delay(0.5), run.delay(0.99), run.redis_micros)
        held = "yes" if run.held else "NO"
        rows.append(
            [name, f"{run.rate:,.0f}", held, str(run.backlog), str(run.lost), *(f"{delay:.1f}" for delay in delays)]
        )
    print(table.layout(rows), end="\n\n")
    for name, run in (("FastAPI + arq", other), ("the gateway", best)):
        events = max(len(run.delays), 1)
        used = ", ".join(f"{process} {seconds / events * 1e6:.0f}" for process, seconds in run.cpu.items())
        print(f"CPU us/event of {name}: {used}")
    print(f"Events received twice: {stage.ledger.repeats[0]:.0f}\n", flush=True)
    return [
        (plan.END_OF_ARQ, best.rate / other.rate if best.held else 0.0),
        (plan.DELAY_HALF, relaxed.delay(0.5)),
        (plan.DELAY_MOST, relaxed.delay(0.99)),
    ]


def _beside(stage: Stage, chosen: plan.Plan) -> Found:
    result = beside.measure(stage, chosen)
    rows = [["Texts, p50 ms", *(f"round {number + 1}" for number in range(len(result.alone)))]]
    for name, medians in (("alone", result.alone), (f"beside {beside.FILES} files", result.beside)):
        rows.append([name, *(f"{median:.2f}" for median in medians)])
    print(table.layout(rows))
    print(f"Files that did not come: {result.missing}\n", flush=True)
    return [(plan.TEXTS_BESIDE, result.ratio)]


def _logged(stage: Stage, chosen: plan.Plan) -> Found:
    result = logged.measure(stage, chosen)
    rows = [["The whole path, events/s", *(f"round {number + 1}" for number in range(len(result.off)))]]
    for name, rates in (("log off", result.off), ("log in a file", result.on)):
        rows.append([name, *(f"{rate:,.0f}" for rate in rates)])
    print(table.layout(rows))
    for name, micros in (("log off", result.off_micros), ("log in a file", result.on_micros)):
        used = ", ".join(f"{process} {spent:.0f}" for process, spent in micros.items())
        print(f"CPU us/event, {name}: {used}")
    print(
        f"Rows of the last round: {result.rows:,}, all of them {result.behind:.1f} s after its last receipt\n",
        flush=True,
    )
    return [(plan.LOGGED, result.ratio)]


if __name__ == "__main__":
    raise SystemExit(main())
