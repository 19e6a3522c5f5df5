"""The commands as a user meets them: real processes, in a folder of their own."""

import contextlib
import json
import os
import re
import select
import shlex
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest

from ops.ports import free_port
from tests.conftest import REPO, account, hook
from whatshooked.cli.demo_folder import hold

Process = subprocess.Popen[str]
Spawn = Callable[..., Process]


def wait_for(process: Process, pattern: str, seconds: float = 30.0) -> str:
    """Read a process's output until a line matches; return all that was read, or fail with it."""
    assert process.stdout is not None
    said, deadline = "", time.monotonic() + seconds
    descriptor = process.stdout.fileno()
    while not re.search(pattern, said):
        ready, _, _ = select.select([descriptor], [], [], max(deadline - time.monotonic(), 0))
        chunk = os.read(descriptor, 65536).decode() if ready else ""
        assert chunk, f"{pattern!r} was not said:\n{said}"
        said += chunk
    return said


def ended(process: Process, number: int = signal.SIGINT) -> tuple[int, str]:
    """Send a signal; return the exit code and what was said from then on."""
    process.send_signal(number)
    said, _ = process.communicate(timeout=60)
    return process.returncode, said


def children(pid: int) -> list[int]:
    """The processes that a process started."""
    threads = Path(f"/proc/{pid}/task").glob("*/children")
    return [int(child) for thread in threads for child in thread.read_text().split()]


def descendants(pid: int) -> list[int]:
    """Those, and the ones they started."""
    return [found for child in children(pid) for found in (child, *descendants(child))]


def lives(pid: int) -> bool:
    """Whether a process still runs."""
    with contextlib.suppress(OSError):
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    return False


def request(curl: str) -> tuple[str, dict[str, str], str]:
    """The URL, headers and body of a curl line."""
    words = shlex.split(curl.replace("\\\n", " "))
    headers = dict(words[i + 1].split(": ", 1) for i, word in enumerate(words) if word == "-H")
    return words[words.index("POST") + 1], headers, words[words.index("-d") + 1]


def run_demo(spawn: Spawn) -> tuple[Process, str]:
    """Start the demo on a free port; return it and what it said until it stood."""
    process = spawn("run", PORT="0", PYTHONUNBUFFERED="1")
    return process, wait_for(process, r"(?s)Ctrl-C stops everything.*Hook manager started|started.*Ctrl-C stops")


def sample(said: str) -> str:
    """The curl line."""
    found = re.search(r"^curl -i -X POST .*?-d '.*?'$", said, re.MULTILINE | re.DOTALL)
    assert found, said
    return found[0]


def send(curl: str) -> int:
    """Send what the curl line says."""
    url, headers, body = request(curl)
    return httpx.post(url, headers=headers, content=body, trust_env=False, timeout=30).status_code


def config(folder: Path, **sections: Any) -> Path:
    """Write a config of one account and one hook that nobody answers."""
    port = free_port()
    document = {
        "server": {"host": "127.0.0.1", "port": port, "auth_key": "k" * 32},
        "whatsapp": [account()],
        "hooks": [hook("h1", "http://127.0.0.1:9/hook")],
    }
    file = folder / "config.json"
    file.write_text(json.dumps(document | sections))
    return file


def command(*arguments: str, cwd: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run one of our commands to its end."""
    return subprocess.run(
        [sys.executable, "-m", "whatshooked", *arguments],
        cwd=cwd,
        env=os.environ | {"PYTHONPATH": str(REPO)} | environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_a_newcomer_sees_an_event_arrive_and_finds_it_again(spawn: Spawn, tmp_path: Path) -> None:
    """`run` in an empty folder says a curl line that works; Ctrl-C leaves nothing behind; data outlives a restart."""
    process, said = run_demo(spawn)
    assert re.search(r"stop this one first \(Ctrl-C\), then .*run (--hook |HOOK=)http://localhost:3000/x\n", said)
    curl = sample(said)
    said += wait_for(process, r"(?s)✓✓ read\n.*✓✓ read\n.*✓✓ read")
    assert send(curl) == 200
    said += wait_for(process, r"reply +text: echo: Hello from curl")
    for step in ("in         Ana Silva sends text: Hello", "stored", "delivered  sample answered 200", "✓✓ delivered"):
        assert re.search(f"#1 +{step}", said), said
    family = descendants(process.pid)
    assert len(family) == 6  # web, worker, the event log's writer, simulated Meta, receiver, Valkey
    code, said = ended(process)
    assert code == 0
    assert "Stopping: " in said and "ERROR" not in said and "Traceback" not in said
    assert not [pid for pid in family if lives(pid)]
    passed = set(demo_file(tmp_path, "meta.json")["messages"])
    assert len(passed) == 7  # three of a customer, their answers, and that to curl, who is not our Meta

    process, said = run_demo(spawn)
    url = request(sample(said))[0]
    _, headers, body = request(curl)
    assert httpx.post(url, headers=headers, content=body, trust_env=False, timeout=30).status_code == 200
    said += wait_for(process, r"✓✓ read")
    assert send(sample(said)) == 200
    said += wait_for(process, r"reply +text: echo: Hello from curl")
    assert said.count("echo: Hello from curl") == 1  # what was taken before the restart is not delivered twice
    assert ended(process, signal.SIGTERM)[0] == 0
    assert passed < set(demo_file(tmp_path, "meta.json")["messages"])  # the simulated Meta goes on where it was


def demo_file(folder: Path, name: str) -> Any:
    """What stands in a file of the demo."""
    return json.loads((folder / "data/demo" / name).read_text())


def test_one_demo_in_a_folder(tmp_path: Path) -> None:
    """A second one says in one line who runs there, and writes nothing; the next may when the first is gone."""
    with hold(tmp_path / "data/demo") as folder:
        folder.tell("http://127.0.0.1:8080")
        done = command("run", cwd=tmp_path)
        assert (done.returncode, done.stderr.count("\n")) == (69, 1)
        assert f"a demo runs here already (pid {os.getpid()}, http://127.0.0.1:8080)" in done.stderr
        assert [file.name for file in folder.path.iterdir()] == ["lock"]
    with hold(tmp_path / "data/demo"):
        pass


def test_a_demo_that_may_not_write(tmp_path: Path) -> None:
    """One line with the place and the remedy; 69."""
    (tmp_path / "data").touch()
    done = command("run", cwd=tmp_path)
    assert (done.returncode, done.stderr.count("\n")) == (69, 1)
    assert "the demo cannot use data/demo (Not a directory): let this user write there" in done.stderr


@pytest.mark.parametrize("port", ["abc", "65536", "-1", "\u0661"])
def test_a_demo_on_a_port_that_is_none(port: str, tmp_path: Path) -> None:
    """PORT is named, nothing is written; 78."""
    done = command("run", cwd=tmp_path, PORT=port)
    assert (done.returncode, done.stderr.count("\n")) == (78, 1)
    assert done.stderr.startswith("PORT: expected a port from 0 to 65535, got ")
    assert not list(tmp_path.iterdir())


def test_a_demo_on_a_port_that_is_taken(tmp_path: Path) -> None:
    """The remedy is what a newcomer can do, who has no config yet; 69."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        done = command("run", cwd=tmp_path, PORT=port)
    assert done.returncode == 69
    assert re.search(rf":{port} \(Address already in use\): .* PORT=9000 .*\brun$", done.stderr.splitlines()[-1])


def test_a_demo_with_a_hook_that_is_no_url(tmp_path: Path) -> None:
    """The option is named, not a config that the newcomer did not write; nothing is written."""
    done = command("run", "--hook", "localhost:3000/x", cwd=tmp_path)
    assert done.returncode == 2
    assert "argument --hook: expected an http(s) URL with a host, got 'localhost:3000/x'" in done.stderr
    assert not list(tmp_path.iterdir())


def test_a_web_process_and_a_worker_share_the_embedded_server(spawn: Spawn, tmp_path: Path) -> None:
    """Without redis.url two terminals meet in message_cache.data_path; files of an earlier program are left alone."""
    old = tmp_path / "data" / "message_cache" / "events.json"
    old.parent.mkdir(parents=True)
    old.write_text("[]")
    config(tmp_path)
    web = spawn("serve")
    said = wait_for(web, "Listening")
    assert "1 file of an earlier program in data/message_cache is left alone" in said
    worker = spawn("worker")
    wait_for(worker, "Hook manager started and subscribed to events event_types=13")
    code, said = ended(worker, signal.SIGTERM)
    assert (code, "Traceback" in said) == (0, False)
    assert ended(web, signal.SIGTERM)[0] == 0
    assert old.read_text() == "[]"


def test_six_faults_in_one_run(tmp_path: Path) -> None:
    """Every fault is said at once, each with its whole path; the exit code is 78 for all commands alike."""
    file = config(tmp_path, redis={"shards": 2, "colour": "red"}, log_level="loud")
    document = json.loads(file.read_text())
    document["whatsapp"].append(account(2))
    document["hooks"].append({"id": "h2", "name": "h2", "url": "ftp://x", "method": "POST", "active": "perhaps"})
    file.write_text(json.dumps(document))
    for name in ("check", "run", "serve", "worker"):
        done = command(name, cwd=tmp_path)
        assert done.returncode == 78
        places = [line.split(": ")[1] for line in done.stderr.splitlines()]
        assert sorted(places) == [
            "hooks[1].active",
            "hooks[1].url",
            "log_level",
            "redis.colour",
            "redis.shards",
            "whatsapp[1].id",
        ]


def test_a_port_that_is_taken(tmp_path: Path) -> None:
    """One line says who to look for and what to change; 69."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        config(tmp_path, server={"host": "127.0.0.1", "port": port, "auth_key": "k" * 32})
        done = command("serve", cwd=tmp_path)
    assert done.returncode == 69
    assert f"cannot listen on 127.0.0.1:{port} (Address already in use)" in done.stderr.splitlines()[-1]


def test_the_config_is_found_by_option_variable_or_place(tmp_path: Path) -> None:
    """`-c` before or behind the command, then WHATSHOOKED_CONFIG, then ./config.json."""
    file = config(tmp_path)
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    assert command("check", cwd=tmp_path).returncode == 0
    assert command("check", "-c", str(file), cwd=elsewhere).returncode == 0
    assert command("-c", str(file), "check", cwd=elsewhere).returncode == 0
    assert command("check", cwd=elsewhere, WHATSHOOKED_CONFIG=str(file)).returncode == 0
    missing = command("check", cwd=elsewhere)
    assert (missing.returncode, missing.stderr.count("\n")) == (78, 1)
    assert "-c FILE" in missing.stderr


def test_commands_that_look_into_redis(tmp_path: Path, redis_url: str, prefix: str) -> None:
    """cache, hook and fsck say what they found and nothing else, with an exit code that means something.

    That there is nothing is said beside standard output, which is for programs.
    """
    config(tmp_path, redis={"url": redis_url, "prefix": prefix})
    stats = command("cache", "stats", cwd=tmp_path)
    assert (stats.returncode, stats.stdout, stats.stderr) == (0, "0 cached, oldest none\n", "")
    listed = command("cache", "list", cwd=tmp_path)
    assert (listed.stdout, listed.stderr) == ("", "the cache is empty\n")
    assert command("cache", "list", "--after", "1-1", cwd=tmp_path).stderr == "nothing is cached behind 1-1\n"
    assert command("cache", "replay", cwd=tmp_path).stdout == "replayed 0\n"
    assert command("cache", "replay", "1-1", cwd=tmp_path).returncode == 1
    assert command("cache", "delete", "1-1", cwd=tmp_path).returncode == 1
    assert command("cache", "clear", cwd=tmp_path).returncode == 1
    assert command("cache", "clear", "--confirm", cwd=tmp_path).stdout == "deleted 0\n"
    assert command("hook", "disable", "h1", cwd=tmp_path).stdout == "h1 is off\n"
    assert " off  POST http://127.0.0.1:9/hook" in command("hook", "list", cwd=tmp_path).stdout
    assert command("hook", "enable", "nobody", cwd=tmp_path).returncode == 1
    fsck = command("fsck", cwd=tmp_path)
    assert (fsck.returncode, fsck.stdout) == (0, "0 disagreement(s)\n")


@pytest.mark.parametrize("wrong", [[], ["walk"], ["run", "--processes", "0"], ["cache"], ["hook", "enable"]])
def test_wrong_usage(wrong: list[str], tmp_path: Path) -> None:
    """The usage line and what was wrong; 2."""
    done = command(*wrong, cwd=tmp_path)
    assert done.returncode == 2
    assert done.stderr.startswith("usage: whatshooked")


def test_redis_that_is_away(tmp_path: Path) -> None:
    """A command that needs Redis says that it is away; 69."""
    config(tmp_path, redis={"url": "redis://127.0.0.1:9"})
    done = command("cache", "stats", cwd=tmp_path)
    assert (done.returncode, done.stderr.count("\n")) == (69, 1)


def test_the_schema_is_json(tmp_path: Path) -> None:
    """`schema` prints one JSON document, needing no config."""
    assert json.loads(command("schema", cwd=tmp_path).stdout)["title"] == "WhatsHooked config.json"


@pytest.mark.parametrize("said", [["-config", "FILE"], ["-config=FILE"], ["--config", "FILE"]])
def test_the_earlier_programs_call(said: list[str], tmp_path: Path) -> None:
    """`whatshook-server` takes -config in all its forms: here it finds the file's fault."""
    file = tmp_path / "old.json"
    file.write_text('{"whatsapp": 5}')
    done = subprocess.run(
        [sys.executable, "-c", "import sys; from whatshooked.cli import server; sys.exit(server())"]
        + [part.replace("FILE", str(file)) for part in said],
        env=os.environ | {"PYTHONPATH": str(REPO)},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 78
    assert done.stderr.startswith("old.json: whatsapp: expected an array")


def test_arq_by_its_own_command(spawn: Spawn, tmp_path: Path, redis_url: str, prefix: str) -> None:
    """`arq workers.settings.WorkerSettings` runs the same worker, with the config that the variable names."""
    file = config(tmp_path, redis={"url": redis_url, "prefix": prefix})
    arq = subprocess.Popen(
        [sys.executable, "-m", "arq", "workers.settings.WorkerSettings"],
        env=os.environ | {"PYTHONPATH": str(REPO), "WHATSHOOKED_CONFIG": str(file)},
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    try:
        wait_for(arq, "Hook manager started and subscribed to events event_types=13")
        assert "Worker stopped" in ended(arq, signal.SIGTERM)[1]
    finally:
        arq.kill()
        arq.wait()


def test_a_python_that_is_too_old_is_told(tmp_path: Path) -> None:
    """The set-up says in one line what to install, and makes nothing."""
    done = setup(tmp_path, "import sys; sys.exit(1)")
    assert (done.returncode, done.stderr.count("\n")) == (69, 1)
    assert "Python 3.11 or newer is needed" in done.stderr


def test_a_python_without_venv_is_told(tmp_path: Path) -> None:
    """Debian's Python without its venv package: one line with the package to install."""
    done = setup(
        tmp_path,
        "import sys\nif '-m' in sys.argv: sys.exit('ensurepip is not available')\n"
        "if '-V' in sys.argv: print('Python 3.11.2')",
    )
    assert done.returncode == 69
    assert done.stderr.splitlines()[-1].startswith("This Python has no venv: install it (Debian: apt install")
    assert not (tmp_path / ".venv").exists()


def setup(folder: Path, program: str) -> subprocess.CompletedProcess[str]:
    """Run a copy of ops/setup.sh with a Python that is played by a program."""
    (folder / "ops").mkdir()
    (folder / "ops/setup.sh").write_text((REPO / "ops/setup.sh").read_text())
    (folder / "requirements.txt").write_text("")
    (folder / "played.py").write_text(program)
    played = folder / "python"
    played.write_text(f'#!/bin/sh\nexec {sys.executable} {folder}/played.py "$@"\n')
    played.chmod(0o755)
    return subprocess.run(
        ["sh", "ops/setup.sh"],
        cwd=folder,
        env=os.environ | {"PYTHON": str(played)},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
