"""config.json -> frozen Structs, every fault at once.

model    every key: name, type, default, what it is for
shapes   what a key's annotation may say of its value
kinds    values with rules beyond their type
load     file -> Config, by the steps that follow
environment   what environment variables give where the file says nothing
walk     each value against its key (values), `env:` and `file:` resolved (source)
rules    what several keys must fit together in, and what is worth a warning
schema   the JSON Schema, of the same Structs
"""

from whatshooked.config.load import Loaded, load
from whatshooked.config.model import (
    Account,
    BusinessApi,
    Config,
    Database,
    EventLogger,
    Hook,
    Kept,
    KeptFiles,
    Media,
    MessageCache,
    Metrics,
    RedisConfig,
    Server,
    TracesConfig,
)
from whatshooked.config.schema import schema

__all__ = [
    "Account",
    "BusinessApi",
    "Config",
    "Database",
    "EventLogger",
    "Hook",
    "Kept",
    "KeptFiles",
    "Loaded",
    "Media",
    "MessageCache",
    "Metrics",
    "RedisConfig",
    "Server",
    "TracesConfig",
    "load",
    "schema",
]
