"""arq under our prefix: two installations in one Redis would otherwise take each other's timed jobs for their own.

arq has these names as constants of its modules and no setting for them; hence the exact pin in pyproject.toml, and a
test that finds every key of a running worker under the prefix.
"""

import arq.connections
import arq.jobs
import arq.worker

_NAMES = (
    "default_queue_name",
    "job_key_prefix",
    "in_progress_key_prefix",
    "result_key_prefix",
    "retry_key_prefix",
    "abort_jobs_ss",
)


def rename(prefix: str) -> None:
    """Put `prefix` (it ends with "arq:") in place of arq's own "arq:" everywhere; once per process."""
    for module in (arq.connections, arq.jobs, arq.worker):
        for name in _NAMES:
            value = getattr(module, name, None)
            if isinstance(value, str) and value.startswith("arq:"):
                setattr(module, name, prefix + value.removeprefix("arq:"))
