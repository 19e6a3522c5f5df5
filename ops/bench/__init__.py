"""The benchmark: how fast the gateway is, as ratios to other programs in one run on one machine.

plan         how long each part takes, and the floors and goals      intake    requests a second, of one web process
stage        starts and ends the processes, and reads their CPU      endtoend  events a second held, and their delay
environment  makes `.venv-bench`, where the baselines live           table     what was found, and the verdict
bodies       signed webhooks, made ahead                             load      the sender (a process)
beside       texts while files are fetched                       files     Meta's file host (a process)
ledger       when each event was sent, answered, received            receiver  the hook (a process)
waiting      until all has arrived
raw          an ASGI app that does nothing                           baseline  two ordinary programs for the same job
"""
