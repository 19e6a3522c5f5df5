"""Documents for the tests of config.json, and what writes and loads them."""

import copy
import json
from collections.abc import Mapping
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from whatshooked.config import Loaded, load
from whatshooked.errors import ConfigError

TODAY = date(2026, 11, 1)
PLANTED = "planted-Zq81"
Document = dict[str, Any]


def old_file() -> Document:
    """Return a complete file of the earlier program, every section and key filled."""
    return {
        "server": {
            "host": "127.0.0.1",
            "port": 9090,
            "default_country_code": "49",
            "username": "ops",
            "password": f"{PLANTED}-password",
            "auth_key": f"{PLANTED}-key",
        },
        "whatsapp": [old_account()],
        "hooks": [
            {
                "id": "crm",
                "name": "CRM",
                "url": "https://crm.example/in?tenant=7",
                "method": "post",
                "headers": {"Authorization": f"Bearer {PLANTED}-header", "X-Team": "a\tb"},
                "active": True,
                "events": ["message.received", "message.read"],
                "description": "inbound messages",
            }
        ],
        "media": {"data_path": "./m", "mode": "both", "base_url": "https://shop.example"},
        "message_cache": {"enabled": True, "data_path": "./c", "max_age_days": 0.5, "max_events": 10},
        "event_logger": {
            "enabled": True,
            "targets": ["file", "sqlite", "postgres"],
            "file_dir": "./e",
            "table_name": "log",
        },
        "database": {
            "type": "postgres",
            "host": "db",
            "port": 5433,
            "username": "u",
            "password": f"{PLANTED}-db",
            "database": "d",
        },
        "log_level": "warn",
    }


def old_account() -> Document:
    """Return its account."""
    return {
        "id": "shop",
        "type": "business-api",
        "phone_number": "+49 151 0000001",
        "business_api": {
            "phone_number_id": "100200300400500",
            "access_token": f"{PLANTED}-token",
            "business_account_id": "500400300200100",
            "api_version": "v21.0",
            "verify_token": f"{PLANTED}-verify",
        },
    }


def small_file() -> Document:
    """Return a file that loads without any warning."""
    document = old_file()
    document["media"] = {"base_url": "https://shop.example"}
    for name in ("event_logger", "database", "message_cache"):
        del document[name]
    document["whatsapp"][0]["business_api"] |= {
        "api_version": "v25.0",
        "verify_token": f"{PLANTED}-verify".ljust(32, "x"),
        "app_secret": f"{PLANTED}-app",
    }
    return document


def changed(path: str, value: object, document: Document | None = None) -> Document:
    """Return the small file with one value set; the path's parts are separated by "/"."""
    document = copy.deepcopy(small_file() if document is None else document)
    *parents, last = path.split("/")
    here: Any = document
    for name in parents:
        here = here[int(name)] if isinstance(here, list) else here.setdefault(name, {})
    here[int(last) if isinstance(here, list) else last] = value
    return document


class Files:
    """Writes a document to config.json and loads it."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "config.json"

    def load(self, document: object, environ: Mapping[str, str] | None = None) -> Loaded:
        self.path.write_text(document if isinstance(document, str) else json.dumps(document))
        return load(self.path, environ=environ or {}, today=TODAY)

    def faults(self, document: object, environ: Mapping[str, str] | None = None) -> tuple[str, ...]:
        with pytest.raises(ConfigError) as caught:
            self.load(document, environ)
        assert str(caught.value) == "\n".join(caught.value.faults)
        assert all(fault and "\n" not in fault and fault.isprintable() for fault in caught.value.faults)
        return caught.value.faults
