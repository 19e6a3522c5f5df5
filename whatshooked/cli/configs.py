"""`check` and `schema`: the config, without starting anything."""

import argparse
import json

from whatshooked.boot import config_path
from whatshooked.config import load, schema
from whatshooked.media.store import open_store


def check(_: argparse.Namespace) -> int:
    """Say every fault and warning of the config; raises ConfigError."""
    path = config_path()
    loaded = load(path)
    open_store(loaded.config.media)  # nothing is asked of it: only whether its options can be
    for warning in loaded.warnings:
        print(f"warning: {warning}")
    accounts, hooks = len(loaded.config.whatsapp), len(loaded.config.hooks)
    print(f"{path}: fine: {accounts} account(s), {hooks} hook(s), {len(loaded.warnings)} warning(s)")
    return 0


def print_schema(_: argparse.Namespace) -> int:
    """Print the JSON Schema."""
    print(json.dumps(schema(), indent=2, ensure_ascii=False))
    return 0
