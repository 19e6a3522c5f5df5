"""`whatshooked init`: a config that works, private, never over another, and what to paste where."""

import io
import json
import re
import stat
import subprocess
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from tests.commands import Said, run
from tests.conftest import REPO
from tests.simulated import Meta, simulated
from whatshooked.cli.ask import Ask
from whatshooked.cli.program import fitting
from whatshooked.config import load
from whatshooked.simulator.world.model import BUSINESS, MANAGEMENT, MESSAGING, Number


@pytest.fixture
async def sim() -> AsyncIterator[Meta]:
    async with simulated() as found:
        found.state.tokens[found.token].targets = {MANAGEMENT: [found.waba.id], MESSAGING: [found.waba.id]}
        yield found


async def init(folder: Path, sim: Meta | None, *words: str, stdin: str = "") -> Said:
    url = ("--graph-url", sim.url) if sim else ("--graph-url", "http://127.0.0.1:9")
    said = await run("init", "-c", str(folder / "config.json"), *url, *words, stdin=stdin)
    assert "Traceback" not in said.err
    return said


def left(folder: Path) -> list[str]:
    """The names of what lies in a folder."""
    return sorted(path.name for path in folder.iterdir())


def sourced(file: Path, name: str) -> str:
    """A variable of a file that a shell has read."""
    shell = ["sh", "-c", f'. {file}; printf %s "${name}"']
    return subprocess.run(shell, capture_output=True, text=True, check=True).stdout


def api(folder: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((folder / "config.json").read_text())["whatsapp"][0]["business_api"]
    return found


async def test_piped_answers_make_a_config(tmp_path: Path, sim: Meta) -> None:
    """In the order of --help, an empty line taking what Meta tells; the file is the owner's alone and loads."""
    answers = f"{sim.token}\n\n\n\nshop\n{sim.secret}\nhttps://shop.example/\nhttps://crm.example/in\nn\n"
    said = await init(tmp_path, sim, stdin=answers)
    assert said.code == 0, said.err
    file = tmp_path / "config.json"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    config = load(file).config
    account, found = config.whatsapp[0], api(tmp_path)
    assert (account.id, account.phone_number) == ("shop", f"+{sim.number.phone}")
    assert (found["phone_number_id"], found["business_account_id"]) == (sim.number.id, sim.waba.id)
    assert (found["app_id"], found["app_secret"]) == (sim.app.id, sim.secret)
    assert len(found["verify_token"]) >= 32
    assert [(hook.url, hook.events) for hook in config.hooks] == [("https://crm.example/in", ("message.received",))]
    assert not [line for line in load(file).warnings if "media" in line]
    assert "Callback URL   https://shop.example/webhooks/whatsapp/shop\n" in said.out
    assert f"Verify token   {found['verify_token']}\n" in said.out
    assert "whatshooked account subscribe -c" in said.out
    assert sim.token not in said.out + said.err and sim.secret not in said.out + said.err
    assert left(tmp_path) == ["config.json"]


async def test_of_several_numbers_one_is_chosen(tmp_path: Path, sim: Meta) -> None:
    """They are offered by number; what is none of them is refused, and nothing is written."""
    other = Number(id="177", waba_id=sim.waba.id, phone="15550100009", display_phone_number="+1 555-010-0009")
    sim.state.numbers[other.id] = other
    said = await init(tmp_path, sim, stdin=f"{sim.token}\n\n7\n\n\n\n\n\n\n")
    assert (said.code, left(tmp_path)) == (1, [])
    assert "no number that this token sees has the id 7; there is" in said.err
    said = await init(tmp_path, sim, stdin=f"{sim.token}\n\n2\n\n\n\n\n\n\n")
    assert said.code == 0, said.err
    assert "+1 555-010-0009" in said.err
    assert api(tmp_path)["phone_number_id"] == "177"


async def test_secrets_stand_beside_the_config_when_wanted(tmp_path: Path, sim: Meta) -> None:
    """The config names variables; the file that holds them is private too, and a shell can read it."""
    sim.app.secret = "it's-secret"
    words = ("--token", sim.token, "--app-secret", sim.app.secret, "--secrets", "env", "--non-interactive")
    said = await init(tmp_path, sim, *words)
    assert said.code == 0, said.err
    assert api(tmp_path)["access_token"] == "env:WH_MAIN_ACCESS_TOKEN"
    file = tmp_path / "config.env"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert sourced(file, "WH_MAIN_APP_SECRET") == "it's-secret"
    assert f"set -a; . {file}; set +a" in said.out
    assert sim.token not in (tmp_path / "config.json").read_text()


async def test_without_meta_everything_is_given_by_hand(tmp_path: Path) -> None:
    """Meta that does not answer is said and stops nothing; env:NAME stays in the file as it is."""
    words = ("--token", "EAAhand", "--number-id", "1", "--phone", "+4930111000", "--non-interactive")
    said = await init(tmp_path, None, *words, "--port", "9090")
    assert said.code == 0, said.err
    assert "Meta does not describe the token" in said.err
    assert api(tmp_path)["access_token"] == "EAAhand"
    assert load(tmp_path / "config.json").config.server.port == 9090


async def test_a_secret_given_as_a_reference_stays_one(tmp_path: Path, sim: Meta) -> None:
    """`file:PATH` is followed to look the number up, and stands in the config."""
    token = tmp_path / "token"
    token.write_text(sim.token + "\n")
    said = await init(tmp_path, sim, "--token", f"file:{token}", "--non-interactive")
    assert said.code == 0, said.err
    assert api(tmp_path)["access_token"] == f"file:{token}"
    assert (await init(tmp_path, sim, "--token", "env:NOT_SET_ANYWHERE", "--force")).code == 1


async def test_a_config_that_is_there_is_not_touched(tmp_path: Path, sim: Meta) -> None:
    """Refused without --force, and replaced with it."""
    file = tmp_path / "config.json"
    file.write_text("{}")
    said = await init(tmp_path, sim, "--token", sim.token, "--non-interactive")
    assert (said.code, file.read_text()) == (1, "{}")
    assert "--force" in said.err
    assert (await init(tmp_path, sim, "--token", sim.token, "--non-interactive", "--force")).code == 0
    assert stat.S_IMODE(file.stat().st_mode) == 0o600


@pytest.mark.parametrize(
    ("words", "told"),
    [
        ((), "--token: missing"),
        (("--token", "EAA"), "--number-id: missing"),
        (("--token", "EAA", "--number-id", "1"), "--phone"),
        (("--token", "EAA", "--number-id", "1", "--phone", "+1", "--public-url", "shop"), "--public-url"),
        (("--token", "EAA", "--number-id", "1", "--phone", "+1", "--port", "x"), "--port"),
        (("--token", "EAA", "--number-id", "1", "--phone", "+1", "--id", "a/b"), "--id"),
        (("--token", "EAA", "--number-id", "1", "--phone", "+1", "--hook", "crm"), "--hook: expected an http"),
        (("--token", "EAA", "--number-id", "+4930", "--phone", "+1"), "--number-id: expected Meta's id"),
        (("--token", "env:NOT_SET_ANYWHERE"), "--token"),
    ],
)
async def test_what_is_missing_or_wrong_is_named(tmp_path: Path, words: tuple[str, ...], told: str) -> None:
    """One line with the option, and no file left behind."""
    said = await init(tmp_path, None, *words, "--non-interactive")
    assert said.code == 1
    assert [line for line in said.err.splitlines() if line.startswith(told)]
    assert left(tmp_path) == []


async def test_answers_that_end_too_early(tmp_path: Path, sim: Meta) -> None:
    """The question that has no answer is named."""
    said = await init(tmp_path, sim, stdin=f"{sim.token}\n")
    assert (said.code, left(tmp_path)) == (1, [])
    assert said.err.splitlines()[-1].startswith(
        "the answers end before this question: Id of the WhatsApp Business Account"
    )


async def test_what_init_writes_is_what_the_guide_says(tmp_path: Path, sim: Meta) -> None:
    """docs/setup.md names every command that init prints as the next step."""
    said = await init(tmp_path, sim, "--token", sim.token, "--non-interactive")
    guide = (REPO / "docs/setup.md").read_text()
    steps = re.findall(r"\d\. (whatshooked (?:account )?[\w-]+)", said.out)
    assert len(steps) == 4
    assert [step for step in steps if step not in guide] == []


async def test_all_faults_are_said_at_once(tmp_path: Path, sim: Meta) -> None:
    """What Meta can tell is checked before it is written: number, phone, app, secret; and URLs, id and port."""
    words = ("--token", sim.token, "--number-id", sim.app.id, "--app-secret", "another-app's", "--id", "a b")
    said = await init(tmp_path, sim, *words, "--public-url", "shop", "--port", "x", "--non-interactive")
    faults = said.err.splitlines()[-6:]
    assert [line.partition(":")[0] for line in faults] == [
        "--port",
        "--number-id",
        "--phone",
        "--id",
        "--app-secret",
        "--public-url",
    ]
    assert f"{sim.app.id} is the app's id; there is {sim.number.id}" in said.err
    assert "Meta does not take it for app" in said.err and "another-app's" not in said.err
    assert left(tmp_path) == []


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("--number-id", "WABA"), "is a WABA's id"),
        (("--number-id", "PHONE"), "is the phone number, not its id"),
        (("--phone", "+4930111000"), "--phone: the number 100000000000001 is +1 555-010-0001"),
        (("--app-id", "399"), "--app-id: the token is of app 300000000000001"),
        (("--waba", "299"), "--waba: HTTP 400 100/33"),
        (("--token", "EAAgarbled"), "--token: Meta refuses it: HTTP 401 190"),
        (("--app-secret", "two words"), "--app-secret: it holds spaces"),
    ],
)
async def test_a_mix_up_of_ids_is_named(tmp_path: Path, sim: Meta, words: tuple[str, str], told: str) -> None:
    """Whatever Meta knows to be wrong is not written."""
    real = {"WABA": sim.waba.id, "PHONE": sim.number.phone}
    given = (words[0], real.get(words[1], words[1]))
    said = await init(tmp_path, sim, "--token", sim.token, *given, "--non-interactive")
    assert (said.code, left(tmp_path)) == (1, [])
    assert told in said.err


async def test_a_token_for_all_wabas(tmp_path: Path, sim: Meta) -> None:
    """It names none: that is said, and the number tells its WABA; with business_management it is found by itself."""
    token = sim.state.tokens[sim.token]
    token.targets = {}
    said = await init(tmp_path, sim, stdin=f"{sim.token}\n\n{sim.waba.id}\n")
    assert f"{sim.waba.id} is a WABA's id; there is {sim.number.id}" in said.err
    said = await init(tmp_path, sim, stdin=f"{sim.token}\n\n{sim.number.id}\n\n\n\n\n\n\n")
    assert said.code == 0, said.err
    assert "the token names no WABA" in said.err and "API Setup" in said.err
    assert (api(tmp_path)["business_account_id"], api(tmp_path)["phone_number_id"]) == (sim.waba.id, sim.number.id)
    token.scopes = [*token.scopes, BUSINESS]
    said = await init(tmp_path, sim, "--token", sim.token, "--non-interactive", "--force")
    assert said.code == 0, said.err
    assert api(tmp_path)["phone_number_id"] == sim.number.id


async def test_at_a_terminal_a_faulty_answer_is_asked_for_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """Until it is right, or comes twice; the end has no fault then."""

    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    def check(given: str) -> str:
        return "" if given == "right" else "not right"

    monkeypatch.setattr("sys.stdin", Terminal("wrong\nright\nodd\nodd\n"))
    ask = Ask(interactive=True)
    assert ask.text("Which", "--which", "flag", check=check) == "right"
    assert ask.text("Which", "--which", check=check) == "odd"
    ask.end()


async def test_help_tells_the_order_of_the_questions(tmp_path: Path, sim: Meta) -> None:
    """Whoever pipes answers in relies on it."""
    help_ = (await run("init", "--help")).out
    told = re.findall(r"--[a-z-]+", help_[help_.index("Questions come in this order") :])
    said = await init(tmp_path, sim, stdin=f"{sim.token}\n" + 8 * "\n")
    order = [
        "token",
        "WABA",
        "Meta's id of the number",
        "The number",
        "Name",
        "App secret",
        "Public",
        "URL that",
        "Keep",
    ]
    places = [said.err.index(question) for question in order]
    assert places == sorted(places)
    assert told[:9] == [
        "--token",
        "--waba",
        "--number-id",
        "--phone",
        "--id",
        "--app-secret",
        "--public-url",
        "--hook",
        "--secrets",
    ]


def test_commands_are_named_as_they_are_called(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """In a clone the path of bin/whatshooked from here; installed, or anything else: whatshooked."""
    monkeypatch.setattr("sys.argv", [str(REPO / "whatshooked/__main__.py")])
    monkeypatch.chdir(REPO)
    assert fitting("start it: whatshooked run") == "start it: bin/whatshooked run"
    monkeypatch.setattr("sys.argv", ["/usr/bin/whatshooked"])
    assert fitting("start it: whatshooked run") == "start it: whatshooked run"
