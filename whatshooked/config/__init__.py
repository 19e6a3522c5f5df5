"""config.json: what it may say (model), what values must be (kinds), and how it is read (load)."""

from whatshooked.config.load import Loaded, load
from whatshooked.config.model import (
    Account,
    BusinessApi,
    Config,
    Database,
    EventLogger,
    Hook,
    Media,
    MessageCache,
    Metrics,
    RedisConfig,
    Server,
)
from whatshooked.config.schema import schema

__all__ = [
    "Account",
    "BusinessApi",
    "Config",
    "Database",
    "EventLogger",
    "Hook",
    "Loaded",
    "Media",
    "MessageCache",
    "Metrics",
    "RedisConfig",
    "Server",
    "load",
    "schema",
]
