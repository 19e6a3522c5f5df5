"""`backup FOLDER` and `restore FOLDER`."""

import argparse
import asyncio
import fcntl
import os
import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

import msgspec

from whatshooked import __version__, disk
from whatshooked.boot import config_path
from whatshooked.cli.backup import copying
from whatshooked.cli.backup.parts import ABOUT, FORMAT, About, elsewhere, is_log_file, places
from whatshooked.config import Config, load
from whatshooked.embedded import Embedded
from whatshooked.errors import CommandRefused
from whatshooked.keys import Keys
from whatshooked.stream import layout, restored
from whatshooked.stream.link import Link

_REMEDIES = disk.remedies(
    "another folder", full="make room on its disk", denied="run this as the gateway's user, or name another folder"
)
#: Ends the name of what is not whole yet.
_PART = ".part"
_RESTORING = ".restoring"


def backup(options: argparse.Namespace) -> int:
    """Copy the state into a folder that is not there yet; raises CommandRefused."""
    config, folder = load(config_path()).config, Path(options.folder).absolute()
    if folder.exists():
        raise CommandRefused(f"{folder} is there already: name a folder that is not")
    for place in places(config).all.values():
        if folder.is_relative_to(place.absolute()):
            raise CommandRefused(f"{folder} lies in {place}, which it is to hold: name another folder")
    _see_who_has_redis(config, is_left=options.without_redis)
    part = folder.with_name(folder.name + _PART)
    began = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    try:
        with _alone(part):
            made = [name for name, place in places(config).all.items() if _copied(name, place, part / name)]
            _keep_config(config.path, part / "config.json")
            about = About(version=__version__, at=began, prefix=config.redis.prefix, parts=made)
            (part / ABOUT).write_bytes(msgspec.json.format(msgspec.json.encode(about)))
            os.sync()  # all of it outlives a power cut before its name says that it is whole
            part.rename(folder)
            disk.sync(folder.parent)
    except OSError as error:
        raise CommandRefused(disk.fault(error.filename or str(folder), error, _REMEDIES)) from error
    print(f"{folder}: {', '.join(made) or 'nothing but the config'}")
    _tell_left(config)
    return 0


def restore(options: argparse.Namespace) -> int:
    """Put the state back where nothing is; raises CommandRefused."""
    config = load(config_path()).config
    if options.folder is None:
        return _doubt_alone(config, is_asked=options.doubt)
    folder = Path(options.folder).absolute()
    about = _about(folder, config)
    here = {name: place for name, place in places(config).all.items() if name in about.parts}
    for name, place in here.items():
        if _holds_something(name, place):
            raise CommandRefused(
                f"{place} holds something, be it of a restore that was killed: stop the gateway and move it away"
            )
    try:
        ready = {name: _made_ready(folder / name, _aside(name, place)) for name, place in here.items()}
        if "redis" in here:
            _look_at(_aside("redis", here["redis"]).parents[1], Keys(about.prefix), is_sent=options.send)
        os.sync()
        for name, new in reversed(ready.items()):  # Redis last: without it nothing starts on half of the rest
            _put(new, here[name])
        if "redis" in here:
            shutil.rmtree(_aside("redis", here["redis"]).parents[1])
        elif config.redis.url and options.doubt:
            _doubt(config.redis.url, Keys(about.prefix))
    except OSError as error:
        raise CommandRefused(disk.fault(error.filename or str(folder), error, _REMEDIES)) from error
    print(f"restored {', '.join(here) or 'nothing'} as of {about.at}")
    for name in about.parts:
        if name not in here:
            print(f"LEFT {name}: the config has it elsewhere, put it there by its own means", file=sys.stderr)
    _tell_left(config)
    return 0


def _see_who_has_redis(config: Config, *, is_left: bool) -> None:
    """Refuse a backup without the events whose maker may believe that it has them; raises CommandRefused."""
    if config.redis.url and not is_left:
        raise CommandRefused(
            "redis.url names a server of your own, and the events are there alone: back it up first, where it runs, "
            "then the rest with --without-redis"
        )
    if is_left and not config.redis.url:
        raise CommandRefused(
            "without redis.url the server is ours, and belongs to the backup: leave --without-redis out"
        )


@contextmanager
def _alone(part: Path) -> Iterator[None]:
    """Make an empty folder that no other backup fills meanwhile; raises CommandRefused when one does."""
    part.mkdir(mode=0o700, parents=True, exist_ok=True)
    descriptor = os.open(part, os.O_RDONLY | os.O_CLOEXEC)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise CommandRefused(f"{part}: another backup is being made here: wait, or name another folder") from None
        for path in part.iterdir():  # of a backup that was killed
            shutil.rmtree(path) if path.is_dir() else path.unlink()
        yield
    finally:
        os.close(descriptor)


def _doubt_alone(config: Config, *, is_asked: bool) -> int:
    """Do what is left to do for a Redis that was restored by its own means; raises CommandRefused."""
    if not is_asked or not config.redis.url:
        raise CommandRefused(
            "name the folder of a backup (--doubt alone is for a redis.url that was restored by itself)"
        )
    _doubt(config.redis.url, Keys(config.redis.prefix))
    return 0


def _copied(name: str, place: Path, into: Path) -> bool:
    """Copy one part, unless there is nothing of it; returns whether there is."""
    if not place.exists():
        return False
    if name == "redis":
        copying.append_only(place, into)
    elif name == "events":
        return copying.log_files(place, into, is_log_file) > 0
    elif name == "events.sqlite":
        copying.sqlite(place, into)
    else:
        copying.tree(place, into)
    return True


def _keep_config(path: Path, into: Path) -> None:
    shutil.copyfile(path, into)
    into.chmod(0o600)


def _about(folder: Path, config: Config) -> About:
    try:
        about = msgspec.json.decode((folder / ABOUT).read_bytes(), type=About)
    except (OSError, msgspec.MsgspecError) as error:
        raise CommandRefused(f"{folder}: no whole backup, its {ABOUT} cannot be read ({error})") from error
    if about.format > FORMAT:
        raise CommandRefused(
            f"{folder}: made by whatshooked {about.version}, restore it with that version or a later one"
        )
    if about.prefix != config.redis.prefix:
        raise CommandRefused(f"{folder}: its redis.prefix is {about.prefix}, the config has {config.redis.prefix}")
    return about


def _holds_something(name: str, place: Path) -> bool:
    if name == "events":  # a lock, or the database, may be there before the files are
        return place.is_dir() and any(is_log_file(path.name) for path in place.iterdir())
    return place.exists() and not (place.is_dir() and {path.name for path in place.iterdir()} <= {_RESTORING})


def _aside(name: str, place: Path) -> Path:
    """Return where a part is made ready, but a rename away from its place; Redis' part can be served from there.

    Inside a folder that is there: it may be a disk of its own.
    """
    if name == "redis":
        return place.parents[1] / _RESTORING / place.parent.name / place.name
    return place / _RESTORING if place.is_dir() else place.with_name(place.name + _RESTORING)


def _made_ready(source: Path, new: Path) -> Path:
    shutil.rmtree(new, ignore_errors=True)  # of a restore that was killed
    new.unlink(missing_ok=True)
    new.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    if source.is_dir():
        copying.tree(source, new)
    else:
        shutil.copy2(source, new)
    return new


def _put(new: Path, place: Path) -> None:
    place.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    if new.is_dir() and place.is_dir():
        for path in new.iterdir():
            path.rename(place / path.name)
        new.rmdir()
    else:
        new.rename(place)
    disk.sync(place.parent)


def _look_at(data_path: Path, keys: Keys, *, is_sent: bool) -> None:
    """See that Redis' part can be used, and have nothing sent of which nobody knows whether it was sent since.

    Before it comes to its place: no kill leaves one there that sends. Raises EmbeddedError and StartError.
    """
    server = Embedded.open(data_path)
    try:
        layout.check(server.url, keys)
        if not is_sent:
            _doubt(server.url, keys)
    finally:
        server.close()


def _doubt(url: str, keys: Keys) -> None:
    """Take all messages that wait for unknown, and say how many; raises StreamUnavailable."""

    async def work() -> dict[str, int]:
        async with Link(url) as link:
            return await restored.doubt(link, keys)

    for account_id, count in asyncio.run(work()).items():
        print(
            f"{account_id}: {count} messages waited, and may have been sent since: whatshooked messages list "
            "--state unknown, then resend or drop each"
        )


def _tell_left(config: Config) -> None:
    for line in elsewhere(config):
        print(f"LEFT {line}", file=sys.stderr)
