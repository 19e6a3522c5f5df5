"""What environment variables give where the file says nothing, so that one config.json runs anywhere.

A container knows where its Redis is, and on which port it is scraped; the file need not. What the file sets, stays.
"""

from collections.abc import Mapping
from typing import Any

from whatshooked.config.walk import Object

#: Variable → the section and key that it fills.
VARIABLES: Mapping[str, tuple[str, str]] = {
    "WHATSHOOKED_REDIS_URL": ("redis", "url"),
    "WHATSHOOKED_CUSTOMERS_KEY": ("server", "customers_key"),
    "WHATSHOOKED_METRICS_HOST": ("metrics", "host"),
    "WHATSHOOKED_METRICS_PORT": ("metrics", "port"),
}


def fill(raw: Any, environ: Mapping[str, str]) -> dict[str, str]:
    """Put references to the variables that are set into the gaps of a parsed file; return path → variable.

    An empty variable is none, as an empty value is no value. A file of a wrong shape is left to those who check it.
    """
    filled = {}
    for variable, (section, key) in VARIABLES.items():
        if not isinstance(raw, Object) or not environ.get(variable):
            continue
        if raw.get(section) is None:
            raw[section] = Object(())
        inside = raw[section]
        if isinstance(inside, Object) and inside.get(key) in (None, ""):
            inside[key] = f"env:{variable}"
            filled[f"{section}.{key}"] = variable
    return filled
