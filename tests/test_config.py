"""config.json: what loads, with which values and which warnings; its JSON Schema (contract section 1)."""

import base64
import json
import re
from collections.abc import Callable
from datetime import date
from pathlib import Path

import pytest

from tests.configs import PLANTED, TODAY, Document, Files, changed, old_file, small_file
from tests.conftest import REPO
from whatshooked.config import MessageCache, load, schema


@pytest.fixture
def files(tmp_path: Path) -> Files:
    return Files(tmp_path)


def test_old_file_loads_with_every_value_kept(files: Files) -> None:
    """A complete file of the earlier program loads unchanged; only warnings are given."""
    loaded = files.load(old_file())
    config = loaded.config
    account, hook = config.whatsapp[0], config.hooks[0]
    assert config.path == files.path
    assert (config.server.host, config.server.port, config.server.default_country_code) == ("127.0.0.1", 9090, "49")
    assert account.business_api is not None
    assert account.business_api.api_version == "v21.0"
    assert (account.business_api.app_secret, account.business_api.accept_foreign_numbers) == ((), True)
    assert (hook.method, hook.url) == ("POST", "https://crm.example/in?tenant=7")
    assert hook.headers == {"Authorization": f"Bearer {PLANTED}-header", "X-Team": "a\tb"}
    assert (config.message_cache.max_age_days, config.event_logger.targets) == (0.5, ("file", "sqlite", "postgres"))
    assert config.database is not None
    assert config.database.port == 5433
    places = {line.split(": ")[1] for line in loaded.warnings}
    assert places == {
        "whatsapp[0].business_api.verify_token",
        "whatsapp[0].business_api.app_secret",
        "whatsapp[0].business_api.api_version",
    }


def test_defaults_of_absent_sections(files: Files) -> None:
    """What is absent has the contract's default, and an empty file loads with a warning for each empty array."""
    loaded = files.load({})
    config = loaded.config
    assert config.message_cache == MessageCache()
    assert (config.message_cache.enabled, config.message_cache.max_age_days) == (True, 7)
    assert (config.message_cache.max_events, config.message_cache.history_bytes) == (10_000, 2**28)
    assert (config.event_logger.enabled, config.event_logger.targets) == (False, ("file",))
    assert (config.media.mode, config.log_level, config.log_format) == ("link", "info", "text")
    assert (config.redis.url, config.redis.prefix, config.database) == (None, "wh", None)
    assert (config.server.host, config.server.port) == ("0.0.0.0", 8080)
    assert [line.split(": ")[1] for line in loaded.warnings] == ["whatsapp", "hooks", "server"]


def test_small_file_has_no_warning(files: Files) -> None:
    """A file that does everything right is met with silence."""
    assert files.load(small_file()).warnings == ()


def test_null_and_empty_text_count_as_absent(files: Files) -> None:
    """The earlier program wrote null and "" for what was not set; such keys take their defaults."""
    document = changed("hooks/0/headers", None)
    document["media"] = {"mode": "", "base_url": ""}
    document["server"] |= {"auth_key": "", "host": None}
    document["log_level"] = ""
    config = files.load(document).config
    assert (config.hooks[0].headers, config.media.mode, config.log_level) == ({}, "link", "info")
    assert (config.server.auth_key, config.server.host) == (None, "0.0.0.0")


def test_working_additions_load(files: Files) -> None:
    """Every addition that works is read, durations in each unit and ids written as numbers included."""
    document = small_file()
    document["hooks"][0] |= {"accounts": ["shop"], "secret": "whsec_c2VjcmV0", "timeout": "500ms", "concurrency": 3}
    document["whatsapp"][0]["business_api"] |= {
        "app_secret": ["old", "new"],
        "app_id": 12,
        "accept_foreign_numbers": False,
        "graph_url": "http://127.0.0.1:9/graph",
        "api_version": "25.0",
        "phone_number_id": 77,
    }
    document |= {"redis": {"url": "redis://:pw@r:6379/1", "prefix": "t"}, "log_format": "json"}
    document["message_cache"] = {"history_hours": 1, "history_bytes": 5}
    document["traces"] = {"enabled": True, "endpoint": "", "ratio": 1}
    config = files.load(document).config
    hook, api = config.hooks[0], config.whatsapp[0].business_api
    assert api is not None
    assert (hook.accounts, hook.secret, hook.timeout, hook.concurrency) == (("shop",), "whsec_c2VjcmV0", 0.5, 3)
    assert (api.app_secret, api.app_id, api.phone_number_id) == (("old", "new"), "12", "77")
    assert (api.api_version, api.accept_foreign_numbers, api.graph_url) == ("v25.0", False, "http://127.0.0.1:9/graph")
    assert (config.redis.url, config.redis.prefix, config.log_format) == ("redis://:pw@r:6379/1", "t", "json")
    assert (config.message_cache.history_hours, config.message_cache.history_bytes) == (1.0, 5)
    assert (config.traces.enabled, config.traces.endpoint, config.traces.ratio) == (True, None, 1.0)


@pytest.mark.parametrize(
    ("written", "seconds"), [(2, 2.0), (0.25, 0.25), ("15s", 15.0), ("2m", 120.0), ("1h", 3600.0), ("0.01d", 864.0)]
)
def test_duration_is_read_in_seconds(files: Files, written: object, seconds: float) -> None:
    """A duration is a number of seconds or a number with its unit."""
    assert files.load(changed("hooks/0/timeout", written)).config.hooks[0].timeout == pytest.approx(seconds)


def test_the_page_s_example_loads(files: Files) -> None:
    """What stands in docs/configuration.md can be copied."""
    (example,) = re.findall(
        r"^```json\n(.*?)^```$", (REPO / "docs/configuration.md").read_text(), re.DOTALL | re.MULTILINE
    )
    loaded = files.load(small_file() | json.loads(example), {"S3_KEY_ID": "k", "S3_SECRET": "s"})
    assert (loaded.config.media.link_ttl, loaded.warnings) == (172_800.0, ())


def test_values_from_variables_and_files(files: Files, tmp_path: Path) -> None:
    """Any string may stand elsewhere, also where a number or a boolean is wanted; a file's last line end is no part."""
    (tmp_path / "secret").write_text("from-file\r\n")
    document = small_file()
    document["whatsapp"][0]["business_api"]["app_secret"] = ["env:SECRET", f"file:{tmp_path / 'secret'}"]
    document["server"] |= {"port": "env:PORT", "default_country_code": 44}
    document["hooks"][0] |= {"active": "env:ACTIVE", "timeout": "env:TIMEOUT", "headers": {"X-Key": "env:SECRET"}}
    document["hooks"][0]["events"] = ["env:EVENT"]
    environ = {"SECRET": "s1", "PORT": "81", "ACTIVE": "false", "TIMEOUT": "3s", "EVENT": "message.read"}
    config = files.load(document, environ).config
    hook, api = config.hooks[0], config.whatsapp[0].business_api
    assert api is not None
    assert api.app_secret == ("s1", "from-file")
    assert (config.server.port, config.server.default_country_code) == (81, "44")
    assert (hook.active, hook.timeout, hook.headers, hook.events) == (False, 3.0, {"X-Key": "s1"}, ("message.read",))


def test_variables_are_read_again_on_reload(files: Files) -> None:
    """A second load of the same file sees the new value of a variable."""
    document = changed("log_level", "env:LEVEL")
    assert files.load(document, {"LEVEL": "debug"}).config.log_level == "debug"
    assert files.load(document, {"LEVEL": "error"}).config.log_level == "error"


def test_byte_order_mark_is_no_fault(files: Files) -> None:
    """A file saved by an editor that puts a byte order mark in front loads."""
    assert files.load("\ufeff" + json.dumps(small_file())).warnings == ()


@pytest.mark.parametrize(
    ("change", "line"),
    [
        (lambda d: d["hooks"][0].update(urk=1), "hooks[0].urk: unknown key, ignored; the nearest known key is url"),
        (lambda d: d.update(web_hooks=[]), "web_hooks: unknown key, ignored; the nearest known key is hooks"),
        (
            lambda d: d["hooks"][0].update(events=["message.recieved"]),
            "hooks[0].events[0]: no such event; the nearest is message.received",
        ),
        (
            lambda d: d["whatsapp"][0].update(phone_number="none"),
            "whatsapp[0].phone_number: does not look like a number in E.164, such as +1234567890",
        ),
        (
            lambda d: d["whatsapp"].append({"id": "qr", "type": "whatsmeow", "phone_number": "+491510000003"}),
            "whatsapp[1].type: this version cannot connect a whatsmeow account; it stays unconnected",
        ),
        (
            lambda d: d["hooks"][0].update(accounts=["shpo"]),
            "hooks[0].accounts[0]: no account of this file has this id, so the hook gets nothing from it",
        ),
        (
            lambda d: d["server"].update(password="secure_password"),
            "server.password: is the value of an example, which anybody knows; choose your own",
        ),
        (
            lambda d: d["media"].update(storage_options={"region": "eu"}),
            "media.storage_options: without effect: files go to media.data_path; name the store in media.storage",
        ),
        (
            lambda d: d["whatsapp"][0]["business_api"].pop("app_secret"),
            "whatsapp[0].business_api.app_secret: missing, so webhooks are accepted without proof that Meta sent them, "
            "and strangers can use up the look-ups of files; add business_api.app_secret (app dashboard > App settings "
            "> Basic > App secret)",
        ),
        (
            lambda d: d["server"].pop("username"),
            "server.username: missing, so Basic authentication is off; set both server.username and .password",
        ),
        (
            lambda d: d["server"].update(username="", password="", auth_key=None),
            "server: no credentials, so /api/* answers only on loopback; set username and password, or auth_key",
        ),
        (
            lambda d: d["server"].update(auth_key=PLANTED, customers_key=PLANTED),
            "server.customers_key: opens all of /api/* as well; choose another, since dashboards hand it about",
        ),
    ],
)
def test_warning(files: Files, change: Callable[[Document], object], line: str) -> None:
    """What is doubtful but usable earns one warning at its place."""
    document = small_file()
    change(document)
    assert files.load(document).warnings == (f"config.json: {line}",)


def test_event_names_that_may_arrive_earn_no_warning(files: Files) -> None:
    """Families, other fields and other statuses are names a hook may ask for."""
    events = ["*", "meta.*", "meta.calls", "message.*", "message.played", "message.deleted", "hook.*", "whatsapp.*"]
    assert files.load(changed("hooks/0/events", events)).warnings == ()


def test_key_that_stands_twice_is_named(files: Files) -> None:
    """JSON lets a key stand twice; the last one counts, as for the earlier program, and the operator is told."""
    text = json.dumps(small_file()).replace('"port": 9090', '"port": 1, "port": 2')
    loaded = files.load(text)
    assert loaded.config.server.port == 2
    assert loaded.warnings == ("config.json: server.port: stands twice in one object, the last one counts",)


@pytest.mark.parametrize(
    ("version", "today", "said"),
    [
        ("v21.0", date(2026, 10, 22), ""),
        ("v21.0", date(2026, 10, 23), "Meta retires this version on 2027-01-21; use v25.0"),
        ("v21.0", date(2027, 1, 21), "Meta retired this version on 2027-01-21"),
        ("v20.0", TODAY, "Meta retired this version on 2026-09-24"),
        ("v13.0", TODAY, "Meta has retired this version"),
        ("v25.0", TODAY, ""),
        ("v26.0", date(2030, 1, 1), ""),
        ("v31.0", TODAY, ""),
    ],
)
def test_version_that_is_dead_or_dies_soon(files: Files, version: str, today: date, said: str) -> None:
    """A Graph API version that is dead or has 90 days or fewer to live is a warning with its date."""
    files.load(changed("whatsapp/0/business_api/api_version", version))
    warnings = load(files.path, environ={}, today=today).warnings
    assert len(warnings) == bool(said)
    assert said in "".join(warnings)


def test_credentials_in_a_hooks_url_become_a_header(files: Files) -> None:
    """User and password in a URL are sent as the earlier program did, and stand in no URL that could be logged."""
    document = changed("hooks/0/url", f"https://us%40r:{PLANTED}@a.example:8443/x?y=1")
    document["hooks"][0]["headers"] = {}
    hook = files.load(document).config.hooks[0]
    assert hook.url == "https://a.example:8443/x?y=1"
    assert base64.b64decode(hook.headers["Authorization"].removeprefix("Basic ")).decode() == f"us@r:{PLANTED}"
    document["hooks"][0]["headers"] = {"authorization": "Bearer t"}
    assert files.load(document).config.hooks[0].headers == {"authorization": "Bearer t"}


def test_schema_describes_the_file(files: Files) -> None:
    """The JSON Schema has the file's keys, required ones, enums and defaults, and no key that is refused."""
    found = schema()
    json.dumps(found)
    properties = found["properties"]
    assert found["$schema"] == "https://json-schema.org/draft/2020-12/schema"
    assert set(old_file()) <= set(properties)
    hook = properties["hooks"]["items"]
    assert hook["required"] == ["id", "name", "url", "method", "active"]
    assert "retry" not in hook["properties"]
    assert hook["properties"]["timeout"]["default"] == 15.0
    assert properties["whatsapp"]["items"]["required"] == ["id", "type", "phone_number"]
    assert properties["metrics"]["properties"]["host"]["default"] == "0.0.0.0"
    assert properties["metrics"]["additionalProperties"] is False
    assert properties["redis"]["additionalProperties"] is False
    reference = {"type": "string", "pattern": "^(env|file):."}
    port = properties["server"]["properties"]["port"]
    assert port["anyOf"] == [{"type": "integer", "minimum": 0, "maximum": 65535}, reference]
    assert properties["log_level"]["anyOf"] == [{"enum": ["debug", "error", "info", "warn"]}, reference]
    assert properties["log_level"]["default"] == "info"
    assert files.load({**small_file(), "$schema": "config.schema.json"}).warnings == ()
