"""What a line typed into the phone means: a message to write, as the target takes it. Pure.

A line is a text; one that begins with a slash is a command, `//text` the text `/text`.
"""

from collections.abc import Callable, Mapping

from msgspec import Struct

from whatshooked.cli.phone.messages import Choice
from whatshooked.cli.simulate.target import Misused, Object


class Chat(Struct):
    """What commands refer to: the last message of each side, and what can be pressed."""

    theirs: str = ""
    mine: str = ""
    choices: list[Choice] = []


class Said(Struct, frozen=True):
    """A message, the text by which the screen shows it, and the file that goes with it."""

    message: Object
    shown: str
    file: str = ""


Word = Callable[[str, Chat], Said]


def parse(line: str, chat: Chat) -> Said:
    """Return what a line says; raises Misused for a command that is none or cannot be done now."""
    if not line.startswith("/") or line.startswith("//"):
        text = line.removeprefix("/")
        return Said({"text": text}, text)
    word, _, rest = line.partition(" ")
    if word not in WORDS:
        raise Misused(f"there is no {word}; /help lists what there is, and //text sends /text")
    return WORDS[word][0](rest.strip(), chat)


def helped() -> list[str]:
    """Return the list of commands."""
    rows = {"TEXT": "say it"} | {f"{word} {usage}": text for word, (_, usage, text) in WORDS.items()}
    rows |= {"/help": "this list", "/quit": "end (Ctrl-D too)"}
    return [f"{said.strip():<38} {text}" for said, text in rows.items()]


def _media(kind: str, variant: str = "") -> Word:
    def say(rest: str, _: Chat) -> Said:
        file, _space, caption = rest.partition(" ")
        message = {"kind": kind, "variant": variant, "text": caption.strip()}
        return Said(message, f"[{variant or kind}] {rest or 'a sample'}", file)

    return say


def _location(rest: str, _: Chat) -> Said:
    if not rest:
        return Said({"kind": "location"}, "[location]")
    try:
        latitude, longitude, *name = rest.replace(",", " ").split(maxsplit=2)
        place = {"latitude": float(latitude), "longitude": float(longitude)}
    except ValueError as error:
        raise Misused("/location takes two numbers, as in /location 52.5 13.4 Office") from error
    named = {"place": name[0]} if name else {"variant": "bare"}
    return Said({"kind": "location"} | place | named, f"[location] {rest}")


def _react(rest: str, chat: Chat) -> Said:
    about = _theirs(chat)
    if not rest:
        return Said({"kind": "reaction", "variant": "removed", "about": about}, "[reaction taken back]")
    return Said({"kind": "reaction", "emoji": rest, "about": about}, f"[reaction] {rest}")


def _reply(rest: str, chat: Chat) -> Said:
    return Said({"variant": "reply", "text": rest, "about": _theirs(chat)}, f"[reply] {rest}")


def _press(rest: str, chat: Chat) -> Said:
    number = int(rest) if rest.isdecimal() else 0
    if not 1 <= number <= len(chat.choices):
        there = f"from 1 to {len(chat.choices)}" if chat.choices else "but no message with buttons came yet"
        raise Misused(f"/press takes the number of a button, {there}")
    choice = chat.choices[number - 1]
    message = {"kind": "interactive", "variant": choice.variant, "choice": choice.id, "text": choice.title}
    return Said(message | {"about": choice.message_id}, f"[press] {choice.title}")


def _edit(rest: str, chat: Chat) -> Said:
    return Said({"kind": "edit", "text": rest, "about": _mine(chat)}, f"[edit] {rest}")


def _revoke(_: str, chat: Chat) -> Said:
    return Said({"kind": "revoke", "about": _mine(chat)}, "[taken back]")


def _send(rest: str, _: Chat) -> Said:
    kind, _space, variant = rest.partition(" ")
    if not kind:
        raise Misused("/send takes a type, as in /send contacts or /send audio voice")
    return Said({"kind": kind, "variant": variant.strip()}, f"[{rest}]")


def _theirs(chat: Chat) -> str:
    if not chat.theirs:
        raise Misused("the business has not written yet")
    return chat.theirs


def _mine(chat: Chat) -> str:
    if not chat.mine:
        raise Misused("you have not written yet")
    return chat.mine


#: Command -> what it says, what may follow it, and what it is for.
WORDS: Mapping[str, tuple[Word, str, str]] = {
    "/image": (_media("image"), "[FILE [CAPTION]]", "a picture, without FILE a sample; the same below"),
    "/video": (_media("video"), "[FILE [CAPTION]]", "a video"),
    "/document": (_media("document"), "[FILE [CAPTION]]", "a document"),
    "/audio": (_media("audio"), "[FILE]", "a sound"),
    "/voice": (_media("audio", "voice"), "[FILE]", "a voice note"),
    "/sticker": (_media("sticker"), "[FILE]", "a sticker"),
    "/location": (_location, "[LATITUDE LONGITUDE [NAME]]", "where you are"),
    "/react": (_react, "[EMOJI]", "react to the last message; without EMOJI take it back"),
    "/reply": (_reply, "TEXT", "say it, quoting the last message"),
    "/press": (_press, "N", "press a button, or choose a row, of the last message that has some"),
    "/edit": (_edit, "TEXT", "your last message says this from now on"),
    "/revoke": (_revoke, "", "take your last message back"),
    "/send": (_send, "TYPE [VARIANT]", "any message (`whatshooked simulate send list` has all)"),
}
