"""Where simulated messages come from: the stand-in, over `/_sim/`, or this process, straight to a gateway."""

import argparse
import base64
import contextlib
import mimetypes
import os
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, Protocol

import httpx
import msgspec

from whatshooked.config.source import SourceError, is_reference, resolve
from whatshooked.errors import StartError, TheirsError
from whatshooked.simulator.people.offline import Arrival, Offline, Post

Object = dict[str, Any]

VARIABLE, DEFAULT = "WHATSHOOKED_SIM", "http://127.0.0.1:8081"
#: Seconds that an answer may take.
_TIMEOUT = 30.0
#: Files that Meta knows by another type than their ending tells.
_TYPES = {".ogg": "audio/ogg; codecs=opus", ".opus": "audio/ogg; codecs=opus", ".webp": "image/webp"}


class Refused(TheirsError):  # noqa: N818 - an answer, named as what it is
    """The stand-in or the gateway said no; the message says why and the remedy (exit code 1)."""


class Misused(TheirsError):  # noqa: N818 - the same
    """Options or a file that cannot be used as they are (exit code 2)."""


class Target(Protocol):
    """What can be told to Meta's side; each call raises Refused, or StartError when nobody answers."""

    async def write(self, message: Object) -> str:
        """Let a user write; return the message's id."""

    async def status(self, message_id: str, status: str, code: int) -> None:
        """Make a status of a message."""

    async def notify(self, field: str, event: str, value: Object | None) -> None:
        """Tell of a field."""

    async def keep(self, path: Path) -> str:
        """Keep a file; return its media id."""

    async def close(self) -> None:
        """Close the connections."""


class StandIn:
    """The stand-in at a URL; `number_id` is the number written to, "" for its first."""

    def __init__(self, url: str, number_id: str = "") -> None:
        self.url = url.rstrip("/")
        self.number_id = number_id
        self.client = httpx.AsyncClient(base_url=self.url, timeout=_TIMEOUT, trust_env=False)

    async def write(self, message: Object) -> str:
        """Let a user write; return the message's id."""
        told = await self.ask("POST", "inbound", json={"number": self.number_id} | message)
        _need_reader(told, "messages")
        return str(told["message_id"])

    async def status(self, message_id: str, status: str, code: int) -> None:
        """Make a status of a message."""
        why = {"code": code} if code else {}
        await self.ask("POST", "status", json={"message_id": message_id, "status": status} | why)

    async def notify(self, field: str, event: str, value: Object | None) -> None:
        """Tell of a field."""
        told = {"field": field, "event": event, "value": value, "number": self.number_id}
        _need_reader(await self.ask("POST", "notify", json=told), field)

    async def keep(self, path: Path) -> str:
        """Keep a file; return its media id."""
        content = base64.b64encode(read(path)).decode()
        file = {"mime_type": mime_type(path), "filename": path.name, "content": content, "number": self.number_id}
        return str((await self.ask("POST", "media", json=file))["id"])

    async def ask(self, method: str, path: str, **more: Any) -> Any:
        """Return what `/_sim/` answers."""
        try:
            answer = await self.client.request(method, f"/_sim/{path}", **more)
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            raise unreachable(self.url, error) from error
        if answer.status_code >= 300:
            raise Refused(f"the stand-in refused: {_reason(answer)}")
        try:
            return answer.json()
        except ValueError as error:
            raise Refused(f"{self.url} is no stand-in: it does not answer in JSON; correct --sim") from error

    async def close(self) -> None:
        """Close the connections."""
        await self.client.aclose()


class Direct:
    """A gateway at its webhook's URL: bodies are made and signed here."""

    def __init__(self, url: str, maker: Offline) -> None:
        self.url = url
        self.maker = maker
        self._client = httpx.AsyncClient(timeout=_TIMEOUT, trust_env=False)

    async def write(self, message: Object) -> str:
        """Let a user write; return the message's id."""
        return await self._post(made(self.maker, message))

    async def status(self, message_id: str, status: str, code: int) -> None:
        """Make a status of a message."""
        await self._post(self.maker.status(message_id, status, code))

    async def notify(self, field: str, event: str, value: Object | None) -> None:
        """Tell of a field."""
        try:
            post = self.maker.notify(field, event, value)
        except ValueError as error:
            raise Refused(str(error)) from error
        await self._post(post)

    async def keep(self, path: Path) -> str:
        """Raise Refused: a gateway fetches files from its Graph, where this one is not."""
        raise Refused(f"{path}: a gateway fetches files from its own Graph; leave --file out, or use --sim")

    async def close(self) -> None:
        """Close the connections."""
        await self._client.aclose()

    async def _post(self, post: Post) -> str:
        try:
            answer = await self._client.post(self.url, content=post.body, headers=post.headers)
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            raise _no_answer(self.url, error, "start the gateway, or correct --gateway") from error
        if answer.status_code != 200:
            raise Refused(refusal(answer.status_code, _reason(answer)))
        return post.message_id


@contextlib.asynccontextmanager
async def opened(options: argparse.Namespace) -> AsyncIterator[Target]:
    """Open the target that the options name; raises Misused when they do not fit together."""
    target = gateway(options) if options.gateway else stand_in(options)
    if isinstance(target, Direct) and not options.number_id:
        print(_foreign(target.maker.number_id), file=sys.stderr)
    try:
        yield target
    finally:
        await target.close()


def stand_in(options: argparse.Namespace) -> StandIn:
    """Return the stand-in that the options or the environment name."""
    if options.app_secret:
        raise Misused("--app-secret signs for a gateway: name it with --gateway URL")
    return StandIn(_url(options.sim or os.environ.get(VARIABLE) or DEFAULT, "--sim"), options.number_id)


def gateway(options: argparse.Namespace) -> Direct:
    """Return the gateway that the options name."""
    if options.sim:
        raise Misused("--sim and --gateway are two places: name one")
    if not options.app_secret:
        raise Misused("--gateway needs --app-secret, the one its config has (env:NAME and file:PATH work here too)")
    try:
        secret = resolve(options.app_secret, os.environ) if is_reference(options.app_secret) else options.app_secret
    except SourceError as error:
        raise Misused(f"--app-secret: {error}") from error
    maker = Offline(secret, number_id=options.number_id, waba_id=options.waba, phone=options.phone)
    return Direct(_url(options.gateway, "--gateway"), maker)


def _foreign(number_id: str) -> str:
    """Return the warning that nobody said to which number the gateway's customers write."""
    return (
        f"warning: without --number-id all is for the number {number_id}; unless an account of the gateway has it,"
        " events arrive with foreign_number and replies fail: give the account's phone_number_id"
    )


def made(maker: Offline, message: Object) -> Post:
    """Return the webhook of a message given as data; raises Refused."""
    if message.get("fault"):
        raise Refused("a gateway fetches files from its own Graph, which --fault does not reach; use --sim")
    try:
        return maker.arrival(msgspec.convert(message, Arrival))
    except (ValueError, msgspec.ValidationError) as error:
        raise Refused(str(error)) from error


def refusal(status: int, reason: str) -> str:
    """Return why a gateway did not answer a webhook with 200, with the remedy as far as it can be known."""
    other = "is --app-secret the one of its config?"
    remedies = {401: other, 403: other, 404: "is the path right, as in /webhooks/whatsapp/ACCOUNT?"}
    return f"the gateway answered {status} ({reason}): {remedies.get(status, 'its log says why')}"


def unreachable(url: str, error: Exception) -> StartError:
    """Return the error of a stand-in that does not answer."""
    return _no_answer(url, error, "start the stand-in (whatshooked simulate serve), or name it with --sim")


def _no_answer(url: str, error: Exception, remedy: str) -> StartError:
    return StartError(f"no answer from {url} ({str(error) or type(error).__name__}): {remedy}")


def read(path: Path) -> bytes:
    """Return a file's bytes; raises Misused."""
    try:
        return path.expanduser().read_bytes()
    except OSError as error:
        raise Misused(f"{path} cannot be read ({error.strerror}): correct the path") from error


def mime_type(path: Path) -> str:
    """Return the MIME type of a file by its ending."""
    ending = path.suffix.lower()
    return _TYPES.get(ending) or mimetypes.guess_type(path.name)[0] or "application/octet-stream"


def _url(text: str, option: str) -> str:
    if not text.startswith(("http://", "https://")):
        raise Misused(f"{option} wants a URL such as {DEFAULT}, got {text!a}")
    return text


def _need_reader(told: Object, field: str) -> None:
    """Raise Refused when a webhook went to nobody, the most frequent reason for "verified, yet nothing arrives"."""
    if told.get("webhooks") == 0:
        raise Refused(
            f"no app wants it: the WABA has no app in subscribed_apps whose subscription names the field {field}; "
            "subscribe it (POST /{waba}/subscribed_apps), or add the field (POST /{app}/subscriptions)"
        )


def _reason(answer: httpx.Response) -> str:
    """Return what an answer says went wrong, on one line."""
    try:
        found = answer.json()
    except ValueError:
        found = answer.text
    while isinstance(found, dict):
        found = next((found[key] for key in ("error", "message", "detail") if key in found), str(found))
    return " ".join(str(found).split())[:300] or f"HTTP {answer.status_code}"
