"""Each fault really made: does its alarm come, and does it go again? A table says after how many seconds.

    python -m ops.alarms            all faults, the table, exit code 1 when an alarm did not come or go
    python -m ops.alarms --write    the table into docs/alarms.md as well

A real gateway (web process, worker, Valkey, simulated Meta, hooks) is scraped by a real Prometheus, whose alarms go to
a real Alertmanager. The rules are those of ops/alerts.yml, in which a minute lasts a second.

scale         ops/alerts.yml with its times made short (pure)
watch         Prometheus, Alertmanager, and the bell that Alertmanager rings
listen        a small HTTP server: hooks, the bell
peers         the hooks, and Meta who sends webhooks: on time, late, again, wrongly signed
graph         the simulated Meta: numbers, tokens, files
launch        runs one of our commands, with its own waits made short
stage         all the processes of one installation
installation  faults of the installation: processes and Redis
customers     faults that one hook, account, disk or target has
intake        faults between Meta and the cache
campaign      makes faults on a stage, one after the other or together, and takes the times
report        the table
"""
