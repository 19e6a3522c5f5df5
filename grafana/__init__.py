"""Grafana's dashboards, written in Python with Grafana's own types.

`python -m grafana` (or `make dashboards`) writes `grafana/dashboards/*.json` from them, and
`python -m grafana --picture PROMETHEUS_URL FOLDER` draws each with the data of a Prometheus.

promql.py    the few shapes of our queries: metrics of processes are added up, facts of Redis are the same everywhere
panels.py    the kinds of panels, and what each has to tell its reader
board.py     rows of panels -> a dashboard with its variables, links and annotations
path.py      the first dashboard (path_in.py and path_out.py are its halves); hook.py account.py redis_workers.py
             are the others; shared.py has what stands on several
runbook.py   ops/RUNBOOK.md as the fifth, to which the panels link
asked.py     every query of a dashboard's JSON, with its variables filled in
picture/     the JSON and a Prometheus -> SVG
"""
