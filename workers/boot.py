"""The config and the Redis of this worker process, before anything else is imported that counts or connects.

`arq workers.settings.WorkerSettings` imports its settings and calls nothing, so this happens on import.
"""

import sys

from whatshooked import boot as booting
from whatshooked.errors import ConfigError, EmbeddedError

try:
    boot = booting.Boot.open()
except (ConfigError, EmbeddedError) as error:
    print(error, file=sys.stderr)  # noqa: T201 - one clear line for the operator, before there is a log
    raise SystemExit(78) from None
