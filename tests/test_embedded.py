"""The embedded server: found, started, shared, restarted, taken over, and stopped."""

import os
import re
import shutil
import signal
import socket as sockets
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import redis

from whatshooked.embedded import Embedded, binary, folder, keeper, probe, runtime
from whatshooked.errors import EmbeddedError

REPO = Path(__file__).parents[1]

#: Opens the server, says how, and stays until its stdin ends.
OPENER = """
import sys
from pathlib import Path
from whatshooked.embedded import Embedded
embedded = Embedded.open(Path(sys.argv[1]))
print(embedded.owner, embedded.url, flush=True)
sys.stdin.readline()
embedded.close()
"""

#: Opens the server, leaves a forked child behind that lives until stdin ends, and dies at once.
FORKER = """
import os, sys
from pathlib import Path
from whatshooked.embedded import Embedded
Embedded.open(Path(sys.argv[1]))
if os.fork() == 0:
    print("forked", flush=True)
    sys.stdin.readline()
os._exit(0)
"""


def until(holds: Callable[[], object], seconds: float = 15) -> None:
    """Wait until the condition holds, and fail when it does not in time."""
    end = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < end, f"did not happen within {seconds} s"
        time.sleep(0.02)


def answers(url: str) -> bool:
    return probe.ask(Path(url.removeprefix("unix://"))).state is probe.State.READY


def nobody_runs_it(data: Path) -> bool:
    """Whether the lock is free, which it is only once owner and server are both gone."""
    lock = folder.take_lock(folder.prepare(data))
    if lock is None:
        return False
    folder.release(lock)
    return True


def client(url: str) -> redis.Redis:
    return redis.Redis.from_url(url, decode_responses=True)


def server_pid(url: str) -> int:
    with client(url) as link:
        return int(link.info("server")["process_id"])


def put(url: str, key: str) -> None:
    with client(url) as link:
        link.set(key, "kept")


def has(url: str, key: str) -> bool:
    with client(url) as link:
        return bool(link.get(key) == "kept")


@pytest.fixture
def runtime_dir(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A runtime folder of this test's own, with a short path."""
    with tempfile.TemporaryDirectory(prefix="wh-", dir="/tmp") as name:
        monkeypatch.setenv("XDG_RUNTIME_DIR", name)
        yield Path(name)


@pytest.fixture
def data(tmp_path: Path, runtime_dir: Path) -> Iterator[Path]:
    """A data_path; at the end no server may be left on it."""
    path = tmp_path / "data" / "message_cache"
    yield path
    until(lambda: nobody_runs_it(path))


@pytest.fixture
def open_here(data: Path) -> Iterator[Callable[..., Embedded]]:
    """Opens in this process and closes at the end."""
    opened: list[Embedded] = []

    def opener(path: Path = data, **options: object) -> Embedded:
        opened.append(Embedded.open(path, **options))  # type: ignore[arg-type]  # passed on as given
        return opened[-1]

    yield opener
    for embedded in reversed(opened):
        embedded.close()


@pytest.fixture
def other_process(data: Path) -> Iterator[Callable[..., subprocess.Popen[str]]]:
    """Starts a script in another process; what is left of it is killed at the end."""
    started: list[subprocess.Popen[str]] = []

    def start(script: str = OPENER) -> subprocess.Popen[str]:
        command = [sys.executable, "-c", script, str(data)]
        started.append(subprocess.Popen(command, cwd=REPO, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True))
        return started[-1]

    yield start
    for process in started:
        process.kill()
        process.communicate()


Open = Callable[..., Embedded]
Start = Callable[..., subprocess.Popen[str]]


def first_line(process: subprocess.Popen[str]) -> list[str]:
    assert process.stdout
    return process.stdout.readline().split()


def wrapper(path: Path, body: str) -> Path:
    """A program of our own, as a shell script."""
    path.write_text(f"#!/bin/sh\n{body}\n")
    path.chmod(0o700)
    return path


def test_open_returns_a_server_that_answers(open_here: Open, data: Path, runtime_dir: Path) -> None:
    """open() starts the server, owns it, and returns when it answers on a unix socket only this user can reach."""
    embedded = open_here()
    assert embedded.owner
    assert answers(embedded.url)
    socket = Path(embedded.url.removeprefix("unix://"))
    assert socket.parent.parent == runtime_dir
    modes = [path.stat().st_mode & 0o777 for path in (socket, socket.parent, data / "valkey")]
    assert modes == [0o700, 0o700, 0o700]


def test_it_keeps_what_it_acknowledged(open_here: Open) -> None:
    """The server syncs each write to disk, never evicts, listens on no port and has a memory limit."""
    url = open_here(maxmemory=64_000_000).url
    with client(url) as link:
        settings = link.config_get("*")
    wanted = {
        "appendonly": "yes",
        "appendfsync": "always",
        "no-appendfsync-on-rewrite": "no",
        "maxmemory-policy": "noeviction",
        "maxmemory": "64000000",
        "port": "0",
        "save": "",
    }
    assert {name: settings[name] for name in wanted} == wanted


def test_ctrl_c_does_not_reach_the_server(open_here: Open) -> None:
    """The server has a session of its own, so the terminal's Ctrl-C reaches only us."""
    pid = server_pid(open_here().url)
    assert os.getsid(pid) == pid


def test_a_stale_socket_does_not_confuse(open_here: Open, data: Path) -> None:
    """A socket file that nobody listens on is replaced by the new server's."""
    socket = runtime.socket_path(folder.prepare(data).path)
    runtime.make_private(socket.parent)
    with sockets.socket(sockets.AF_UNIX) as stale:
        stale.bind(str(socket))
    assert answers(open_here().url)


def test_it_waits_while_the_file_loads(open_here: Open, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A server that is still loading is seen as such, with its progress, and open() returns only once all is there."""
    embedded = open_here()
    with client(embedded.url) as link, link.pipeline(transaction=False) as pipe:
        for number in range(6000):
            pipe.set(f"k{number}", "v")
        pipe.execute()
    embedded.close()
    slow = wrapper(tmp_path / "slow", f'exec {binary.find_binary().path} "$@" --key-load-delay 200')
    seen: list[probe.Answer] = []
    ask = probe.ask

    def listening(path: Path) -> probe.Answer:
        seen.append(ask(path))
        return seen[-1]

    monkeypatch.setattr(probe, "ask", listening)
    url = open_here(find=lambda: binary.Binary(slow, "slow")).url
    with client(url) as link:
        assert link.dbsize() == 6000
    assert len({answer.loaded for answer in seen if answer.state is probe.State.LOADING}) > 1


def test_a_killed_server_is_back_with_its_data(open_here: Open) -> None:
    """After kill -9 the owner starts the server again on the same files and socket, and says so."""
    heard: list[tuple[str, str]] = []
    url = open_here(on_event=lambda level, line: heard.append((level, line))).url
    put(url, "before")
    pid = server_pid(url)
    os.kill(pid, signal.SIGKILL)
    until(lambda: ("info", "the embedded server is back") in heard)
    assert has(url, "before")
    assert server_pid(url) != pid
    assert ("warning", "the embedded server died (SIGKILL); starting it again") in heard


def test_starts_that_keep_failing_are_told_with_the_reason(
    open_here: Open, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A server that cannot come back is tried again, and from the third time its own last words are an error."""
    monkeypatch.setattr(keeper, "SHORTEST", 0.01)
    heard: list[tuple[str, str]] = []
    programs = [binary.find_binary()]
    url = open_here(find=lambda: programs[0], on_event=lambda level, line: heard.append((level, line))).url
    broken = wrapper(tmp_path / "broken", "echo no luck today; exit 3")
    good, programs[0] = programs[0], binary.Binary(broken, "broken")
    os.kill(server_pid(url), signal.SIGKILL)
    until(lambda: any(level == "error" and "no luck today" in line for level, line in heard))
    programs[0] = good
    until(lambda: ("info", "the embedded server is back") in heard)


def test_a_write_cut_short_is_dropped(open_here: Open, data: Path) -> None:
    """A last record that a crash cut short does not keep the server from starting with all before it."""
    embedded = open_here()
    put(embedded.url, "before")
    embedded.close()
    [file] = (data / "valkey" / "appendonlydir").glob("*.incr.aof")
    with file.open("ab") as out:
        out.write(b"*3\r\n$3\r\nSET\r\n$5\r\ncut")
    assert has(open_here().url, "before")


def test_two_processes_share_one_server(open_here: Open, other_process: Start) -> None:
    """A second process attaches to the first's server, and its leaving changes nothing."""
    embedded = open_here()
    second = other_process()
    assert first_line(second) == ["False", embedded.url]
    second.communicate("\n", timeout=15)
    assert embedded.owner
    assert answers(embedded.url)


def test_many_at_once_start_one_server(other_process: Start) -> None:
    """Of four processes that open at the same moment exactly one owns the server, and all have the same address."""
    said = [first_line(process) for process in [other_process() for _ in range(4)]]
    assert sorted(owner for owner, _ in said) == ["False", "False", "False", "True"]
    assert len({url for _, url in said}) == 1


@pytest.mark.parametrize("leave", [lambda owner: owner.kill(), lambda owner: owner.communicate("\n", timeout=30)])
def test_an_attached_process_takes_over(
    open_here: Open, other_process: Start, leave: Callable[[subprocess.Popen[str]], object]
) -> None:
    """When the owner is killed -9 or closes, one that is attached starts the server on the same files and socket."""
    first = other_process()
    _, url = first_line(first)
    heard: list[str] = []
    embedded = open_here(on_event=lambda _level, line: heard.append(line))
    was_owner = embedded.owner
    put(url, "before")
    leave(first)
    until(lambda: "the embedded server is back" in heard)
    assert (was_owner, embedded.owner) == (False, True)
    assert embedded.url == url
    assert has(url, "before")
    assert "the embedded server's owner is gone, this process takes over" in heard


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux ends a child with its parent")
def test_the_server_ends_with_its_owner(other_process: Start, data: Path) -> None:
    """When the owner is killed -9 and nobody else is attached, the server ends too."""
    owner = other_process()
    _, url = first_line(owner)
    owner.kill()
    until(lambda: nobody_runs_it(data))
    assert not answers(url)


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux ends a child with its parent")
def test_a_forked_child_does_not_keep_the_lock(other_process: Start, data: Path) -> None:
    """A child that the owner forked lives on without holding the lock of its dead parent."""
    owner = other_process(FORKER)
    assert first_line(owner) == ["forked"]
    until(lambda: nobody_runs_it(data))
    owner.communicate("\n", timeout=15)


def test_the_server_holds_the_lock_too(open_here: Open, data: Path) -> None:
    """The lock is handed on to the server, so nobody can start a second one while it lives."""
    pid = server_pid(open_here().url)
    if not Path("/proc/self/fd").is_dir():
        pytest.skip("needs /proc to look at another process's files")
    assert data / "valkey" / "lock" in [link.readlink() for link in Path(f"/proc/{pid}/fd").iterdir()]


def test_a_socket_that_answers_is_the_truth(open_here: Open, other_process: Start, data: Path) -> None:
    """When somebody removes the lock file, others still attach to the server that answers and start no second one."""
    embedded = open_here()
    pid = server_pid(embedded.url)
    (data / "valkey" / "lock").unlink()
    second = other_process()
    assert first_line(second) == ["False", embedded.url]
    lock = folder.prepare(data).lock
    until(lock.exists)  # the second one's watcher has looked at the lock
    assert server_pid(embedded.url) == pid
    second.communicate("\n", timeout=15)
    assert server_pid(embedded.url) == pid


def test_another_runtime_folder_finds_the_same_server(
    open_here: Open, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Processes with different ideas of the runtime folder meet at the socket that the owner wrote down."""
    first = open_here()
    monkeypatch.delenv("XDG_RUNTIME_DIR")
    second = open_here()
    assert second.url == first.url
    assert not second.owner


def test_copied_files_do_not_lead_to_the_original(open_here: Open, data: Path, tmp_path: Path) -> None:
    """A copy of the files gets a server of its own, although it holds the original's state file."""
    first = open_here()
    copy = tmp_path / "copy"
    shutil.copytree(data, copy)
    second = open_here(copy)
    assert second.owner
    assert second.url != first.url


def test_close_leaves_the_data_and_nothing_else(open_here: Open, data: Path, runtime_dir: Path) -> None:
    """close() ends the server and removes its socket folder; data and old files stay, and a second close is nothing."""
    data.mkdir(parents=True)
    (data / "evt_1.json").write_text("{}")
    embedded = open_here()
    put(embedded.url, "before")
    embedded.close()
    embedded.close()
    assert not embedded.owner
    assert nobody_runs_it(data)
    assert list(runtime_dir.iterdir()) == []
    assert (data / "evt_1.json").read_text() == "{}"
    assert has(open_here().url, "before")


def test_a_long_data_path_has_a_short_socket(open_here: Open, data: Path) -> None:
    """However long data_path is, the socket's path fits in 107 bytes."""
    url = open_here(data / ("long-" * 20) / ("longer-" * 20)).url
    assert len(url.removeprefix("unix://").encode()) <= 107
    assert answers(url)


def test_a_server_in_a_foreign_folder_is_not_asked(open_here: Open, tmp_path: Path) -> None:
    """A socket reached through a link counts as silent, whatever answers there."""
    socket = Path(open_here().url.removeprefix("unix://"))
    link = tmp_path / "link"
    link.symlink_to(socket.parent)
    assert probe.ask(socket).state is probe.State.READY
    assert probe.ask(link / socket.name).state is probe.State.SILENT


def test_a_damaged_file_comes_with_a_repair_that_works(open_here: Open, data: Path) -> None:
    """A file damaged in its middle stops the start with one line, and the command in it mends the file."""
    embedded = open_here()
    for key in ("before", "damaged", "after"):
        put(embedded.url, key)
    embedded.close()
    [file] = (data / "valkey" / "appendonlydir").glob("*.incr.aof")
    file.write_bytes(file.read_bytes().replace(b"$7\r\ndamaged", b"$x\r\ndamaged"))
    with pytest.raises(EmbeddedError, match=r"its append-only file is damaged: copy .*valkey away") as caught:
        Embedded.open(data)
    assert "\n" not in str(caught.value)
    command = re.findall("`(.*)`", str(caught.value))[0]
    subprocess.run(command, shell=True, input=b"y\n", capture_output=True, check=True)
    assert has(open_here().url, "before")
