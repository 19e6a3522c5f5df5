"""Writes docs/configuration.md from the config's own JSON Schema, so that it cannot say anything else than the code.

python -m ops.docs
"""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from whatshooked.config import schema
from whatshooked.config.environment import VARIABLES
from whatshooked.config.model import UNAVAILABLE, Hook, RedisConfig

PAGE = Path(__file__).parent.parent / "docs" / "configuration.md"

_HEAD = """\
# Configuration reference

Written by `make docs` from the model in `whatshooked/config/model.py`; a test holds the two together.

`config.json` is given with `-c FILE`, else named by `WHATSHOOKED_CONFIG`, else `./config.json`. `whatshooked check`
says every fault and warning at once, `whatshooked schema` prints the JSON Schema for your editor, SIGHUP reads the file
again (all of it or nothing; addresses, Redis, where files are stored and traces stay until a restart).

With `metrics.port` the web processes and workers of a machine serve `/metrics` there, one of them at a time for all,
and `server.port` no longer does. It asks for no credentials and tells the names of hooks and accounts: have it listen
(`metrics.host`) where only Prometheus comes.

A duration ("number or string") is seconds, or a number with its unit: `15`, `"500ms"`, `"15s"`, `"2m"`, `"1h"`, `"3d"`.
Any value may be `env:NAME` or `file:/path` instead, so that no secret stands in the file. An unknown key in `redis`,
`metrics`, `traces` or a target's section of `event_logger` is refused, elsewhere it is a warning that names the nearest
one.
"""

#: What stands behind a section's table.
_EXAMPLES = {
    "media": """\
Files in a bucket of any S3-compatible server; S3 itself needs no `endpoint`, and without `storage_options` the usual
variables of the environment (`AWS_ACCESS_KEY_ID`, `AWS_REGION`, ...) or the machine's role are taken:

```json
{"media": {"base_url": "https://wh.shop.example", "link_ttl": "2d", "storage": "s3://whatsapp-files/production",
  "storage_options": {"endpoint": "https://s3.shop.example", "region": "eu-central-1",
    "access_key_id": "env:S3_KEY_ID", "secret_access_key": "env:S3_SECRET"}}}
```

For `gs://` it is `service_account` (a key file's path), for `az://` `account_name` and `account_key`.
"""
}
#: Where a section stands in the file, by its Struct, for the list of what is refused.
_PLACES: dict[type, str] = {
    Hook: "hooks[]",
    RedisConfig: "redis",
}


def render() -> str:
    """Return the whole page."""
    document = schema()
    sections = "\n".join(_section(path, node) for path, node in _sections("", document))
    return f"{_HEAD}\n{_variables()}\n{sections}\n{_refused()}"


def _variables() -> str:
    rows = "\n".join(f"| `{name}` | `{section}.{key}` |" for name, (section, key) in VARIABLES.items())
    return (
        "## Variables that fill gaps\n\n"
        "Where the file does not set a key, the environment may, so that one file runs in a container as it does by "
        "hand.\nWhat the file sets, stays; an empty variable is none.\n\n"
        f"| Variable | Key |\n|---|---|\n{rows}\n"
    )


def _sections(path: str, node: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield each object of the file with its path, outer ones first."""
    if not node.get("properties"):
        return
    yield path, node
    for name, below in node["properties"].items():
        here = f"{path}.{name}" if path else name
        if below.get("type") == "array":
            yield from _sections(f"{here}[]", below["items"])
        else:
            yield from _sections(here, below)


def _section(path: str, node: dict[str, Any]) -> str:
    title = f"`{path}`" if path else "Top level"
    lines = [f"## {title}", "", node.get("description", ""), ""]
    lines += ["| Key | Type | Default | Meaning |", "|---|---|---|---|"]
    required = node.get("required", [])
    for name, below in node["properties"].items():
        default = "required" if name in required else _default(below)
        meaning = "see below" if "properties" in below else below.get("description", "")
        lines.append(f"| `{name}` | {_type(below)} | {default} | {_cell(meaning)} |")
    example = f"\n{_EXAMPLES[path]}" if path in _EXAMPLES else ""
    return "\n".join(lines) + "\n" + example


def _type(node: dict[str, Any]) -> str:
    if "anyOf" in node:  # the second is the reference to a variable or file, which any value may be
        return _type(node["anyOf"][0]) + (" or array of them" if node["anyOf"][1].get("type") == "array" else "")
    if "enum" in node:
        return _cell(", ".join(f"`{json.dumps(value)}`" for value in node["enum"]))
    kind = node.get("type", "")
    if kind == "array":
        return f"array of {_type(node['items'])}"
    name = " or ".join(kind) if isinstance(kind, list) else kind
    return name + _bounds(node)


def _bounds(node: dict[str, Any]) -> str:
    words = (("above ", "exclusiveMinimum"), ("from ", "minimum"), ("to ", "maximum"))
    found = " ".join(f"{word}{node[name]}" for word, name in words if name in node)
    return f" {found}" if found else ""


def _default(node: dict[str, Any]) -> str:
    if "properties" in node:
        return ""
    return f"`{json.dumps(node['default'])}`" if "default" in node else "none"


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


def _refused() -> str:
    names = [f"`{_PLACES[section]}.{key}`" for section, keys in UNAVAILABLE.items() for key in sorted(keys)]
    return (
        "## Not in this version\n\n"
        "These keys are refused by name, since a config must not promise what nobody keeps: "
        + ", ".join(names)
        + ". `redis.mode` can be `standalone` alone, `redis.shards` 1 alone. Loaded, without effect yet: accounts of "
        "type `whatsmeow`, with a warning.\n"
    )


def main() -> None:
    """Write the page."""
    PAGE.parent.mkdir(exist_ok=True)
    PAGE.write_text(render())


if __name__ == "__main__":
    main()
