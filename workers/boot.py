"""The config and the Redis of this worker process, before anything else is imported that counts or connects.

`arq workers.settings.WorkerSettings` imports its settings and calls nothing, so this happens on import.
"""

import sys

from whatshooked import boot as booting
from whatshooked.errors import TheirsError, exit_code

try:
    boot = booting.Boot.open()
except TheirsError as error:
    print(error, file=sys.stderr)  # noqa: T201 - one clear line for the operator, before there is a log
    raise SystemExit(exit_code(error)) from None
