"""The config that `init` writes: what stands in it, and a file that only its owner reads."""

import json
import os
import re
import shutil
import tempfile
from pathlib import Path
from typing import Any

from msgspec import Struct

from whatshooked.config import load
from whatshooked.config.source import is_reference
from whatshooked.errors import CommandRefused


class Answers(Struct, frozen=True, kw_only=True):
    """What `init` was told, or made up."""

    account_id: str
    token: str
    number_id: str
    phone: str
    waba_id: str
    app_id: str
    app_secret: str
    verify_token: str
    auth_key: str
    public_url: str
    hook: str
    port: int
    graph_url: str
    #: "env": secrets stand in a file beside the config, which names variables.
    secrets_in: str


def env_path(path: Path) -> Path:
    """Return the file that holds the secrets of a config."""
    return path.with_suffix(".env")


def write(path: Path, answers: Answers, *, force: bool) -> None:
    """Write the config, and its secrets' file when wanted, once both have been loaded; raises ConfigError.

    Neither is ever there in part, and neither replaces anything unless `force` says so: raises CommandRefused.
    """
    apart = answers.secrets_in == "env"
    document, values = parted(config(answers), answers.account_id) if apart else (config(answers), {})
    files = {path: json.dumps(document, indent=2) + "\n"}
    if values:
        files[env_path(path)] = "".join(f"{name}={_quoted(value)}\n" for name, value in values.items())
    folder = _folder(path)
    try:
        for target, text in files.items():
            _private(folder / target.name, text)
        load(folder / path.name, environ={**os.environ, **values})
        for target in files:
            _place(folder / target.name, target, force=force)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def config(answers: Answers) -> dict[str, Any]:
    """Return the config as it stands in the file; what is empty is left out."""
    api = {
        "phone_number_id": answers.number_id,
        "access_token": answers.token,
        "verify_token": answers.verify_token,
        "app_secret": answers.app_secret,
        "app_id": answers.app_id,
        "business_account_id": answers.waba_id,
        "graph_url": answers.graph_url,
    }
    account = {
        "id": answers.account_id,
        "type": "business-api",
        "phone_number": answers.phone,
        "business_api": {key: value for key, value in api.items() if value},
    }
    hook = {"id": "main", "name": "Main", "url": answers.hook, "method": "POST", "active": True}
    # Statuses are not among the hook's events: a bot that answers whatever comes would answer them, too.
    document = {
        "server": {"port": answers.port, "auth_key": answers.auth_key},
        "whatsapp": [account],
        "hooks": [hook | {"events": ["message.received"]}] if answers.hook else [],
    }
    return document | ({"media": {"base_url": answers.public_url}} if answers.public_url else {})


def parted(document: dict[str, Any], account_id: str) -> tuple[dict[str, Any], dict[str, str]]:
    """Return the config with its secrets named as variables, and the variables; names given by hand stay."""
    prefix = "WH_" + re.sub(r"[^A-Z0-9]+", "_", account_id.upper())
    found: dict[str, str] = {}

    def named(section: dict[str, Any], key: str, name: str) -> None:
        value = section.get(key, "")
        if value and not is_reference(value):
            found[name], section[key] = value, f"env:{name}"

    copied = json.loads(json.dumps(document))
    named(copied["server"], "auth_key", "WH_AUTH_KEY")
    api = copied["whatsapp"][0]["business_api"]
    for key in ("access_token", "verify_token", "app_secret"):
        named(api, key, f"{prefix}_{key.upper()}")
    return copied, found


def _quoted(value: str) -> str:
    return "'" + value.replace("'", "'\\''") + "'"


def _folder(path: Path) -> Path:
    try:
        return Path(tempfile.mkdtemp(prefix=".init-", dir=path.parent))
    except OSError as error:
        raise CommandRefused(
            f"{path.parent} cannot be written ({error.strerror}): name another file with -c"
        ) from error


def _private(path: Path, text: str) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w") as file:
        file.write(text)


def _place(made: Path, target: Path, *, force: bool) -> None:
    if force:
        made.replace(target)
        return
    try:
        os.link(made, target)
    except FileExistsError as error:
        raise CommandRefused(f"{target} is there already: replace it with --force") from error
