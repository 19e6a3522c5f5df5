"""Names of stored files: whatever a payload says becomes one safe part of a path, or of a header.

A message's id stands in its file's name as it is when it is safe. Anything else is cut down and gets a mark and a hash
of the whole, so that two ids never share a name.
"""

import hashlib
import mimetypes
import re
from urllib.parse import quote, unquote

from whatshooked.meta.attachment import base_type

#: Characters of an id that stay. `MARK` is none of them: an id that was cut down cannot meet one that was not.
_SAFE = re.compile(r"[A-Za-z0-9_=+][A-Za-z0-9._=+-]*")
_UNSAFE = re.compile(r"[^A-Za-z0-9._=+-]+")
MARK = "~"
#: Characters of an id at most: with hash, extension and a sidecar's suffix a name stays under 255 bytes.
MOST_ID = 180
#: Characters of a name for people at most.
_MOST_ORIGINAL = 120
#: Bytes of one part of a path at most, in every file system that we know.
_MOST_PART = 255
#: What may stand in a file's extension; one taken from a name for people must be short.
_EXTENSION = re.compile(r"\.[a-z0-9]{1,8}")
#: A MIME type with parameters, of printable characters (RFC 9110 section 8.3.1).
_TYPE = re.compile(r"[\w!#$&^.+-]{1,127}/[\w!#$&^.+-]{1,127}(?: *;[ -~]{0,200})?", re.ASCII)
#: Not a letter of anything: controls, line ends, and the marks by which text runs backwards and hides its extension.
_HIDDEN = re.compile(
    r"[\x00-\x1f\x7f-\x9f\u061c\u200b-\u200f\u2028-\u202e\u2060-\u206f\ud800-\udfff\ufeff\ufff9-\uffff]"
)
#: What file systems and headers keep for themselves.
_RESERVED = re.compile(r'[/\\:*?"<>|]')

#: A name for people in our own Content-Disposition: plain, and as it is where that is something else.
_DISPOSED = re.compile(r"""; filename="([^"]*)"(?:; filename\*=UTF-8''(\S+))?""")

_OFFICE = "application/vnd.openxmlformats-officedocument."
#: Types that Meta sends, by what people call them; the standard library knows some by another name, or not at all.
_META = {
    "audio/aac": ".aac",
    "audio/amr": ".amr",
    "audio/mp4": ".m4a",
    "audio/mpeg": ".mp3",
    "audio/ogg": ".ogg",
    "application/msword": ".doc",
    "application/pdf": ".pdf",
    "application/vnd.ms-excel": ".xls",
    "application/vnd.ms-powerpoint": ".ppt",
    f"{_OFFICE}presentationml.presentation": ".pptx",
    f"{_OFFICE}spreadsheetml.sheet": ".xlsx",
    f"{_OFFICE}wordprocessingml.document": ".docx",
    "image/jpeg": ".jpg",
    "image/png": ".png",
    "image/webp": ".webp",
    "text/plain": ".txt",
    "video/3gpp": ".3gp",
    "video/mp4": ".mp4",
}
#: Without the machine's own tables: a name must not depend on where it was made.
_KNOWN = mimetypes.MimeTypes()
#: Says nothing of a file.
UNKNOWN_TYPE = "application/octet-stream"
#: Images a browser draws without running anything in them.
_RASTER = frozenset(f"image/{name}" for name in ("avif", "bmp", "gif", "heic", "heif", "jpeg", "png", "tiff", "webp"))


def filename(message_id: str, sha256: str, mime_type: str, original: str = "") -> str:
    """Return the name of a message's file: id, first 8 hex digits of the content's hash, extension."""
    return f"{_part(message_id)}_{sha256[:8]}{extension(mime_type, original)}"


def extension(mime_type: str, original: str = "") -> str:
    """Return a type's extension with its dot; of an unknown type that of the name for people, else `.bin`."""
    essence = base_type(mime_type)
    known = _META.get(essence) or (None if essence == UNKNOWN_TYPE else _KNOWN.guess_extension(essence))
    own = "." + original.rpartition(".")[2].lower() if "." in original else ""
    return next((one for one in (known, own) if one and _EXTENSION.fullmatch(one)), ".bin")


def type_of(name: str) -> str:
    """Return the MIME type that a file's extension stands for."""
    dot = name.rfind(".")
    own = name[dot:].lower() if dot >= 0 else ""
    ours = next((mime for mime, known in _META.items() if known == own), None)
    return ours or _KNOWN.guess_type(f"file{own}")[0] or UNKNOWN_TYPE


def sendable_type(mime_type: str) -> str:
    """Return a MIME type as it may stand in a header; what is none says nothing."""
    return mime_type if _TYPE.fullmatch(mime_type) else UNKNOWN_TYPE


def label(mime_type: str, original: str) -> str:
    """Return a short name for a type and a name for people: the same for the same, with the type's extension."""
    text = f"{mime_type}\n{original}".encode("utf-8", "surrogatepass")
    return f"{hashlib.sha256(text).hexdigest()[:16]}{extension(mime_type, original)}"


def account_folder(account_id: str) -> str:
    """Return the folder of an account's files: its id, which is an operator's word and so mostly safe."""
    return account_id if is_part(account_id) and MARK not in account_id else _part(account_id)


def is_part(text: str) -> bool:
    """Return whether a text can be one visible part of a path, and nothing else."""
    hidden = text.startswith(".") or "/" in text or _HIDDEN.search(text)
    return bool(text) and not hidden and len(text.encode()) <= _MOST_PART - len(".json")


def shown(original: str) -> str:
    """Return a name for people, as it may be shown to them; "" when nothing is left of it."""
    clean = _RESERVED.sub("_", _HIDDEN.sub("", original)).strip(" .")
    if len(clean) <= _MOST_ORIGINAL:
        return clean
    stem, dot, ending = clean.rpartition(".")
    ending = dot + ending if stem and len(ending) <= 8 else ""
    return clean[: _MOST_ORIGINAL - len(ending)].rstrip(" .") + ending


def disposition(original: str, mime_type: str) -> str:
    """Return the value of Content-Disposition: only what runs nothing in a browser is shown in it."""
    essence = base_type(mime_type)
    harmless = essence in _RASTER or essence.startswith(("audio/", "video/")) or essence == "application/pdf"
    kind = "inline" if harmless else "attachment"
    name = shown(original)
    if not name:
        return kind
    plain = "".join(char if " " <= char <= "~" and char not in "%;" else "_" for char in name)
    encoded = "" if plain == name else f"; filename*=UTF-8''{quote(name, safe='')}"
    return f'{kind}; filename="{plain}"{encoded}'


def original_of(disposition: str) -> str:
    """Return the name for people that a Content-Disposition of ours holds, "" when it has none."""
    found = _DISPOSED.search(disposition)
    return unquote(found[2]) if found and found[2] else found[1] if found else ""


def _part(text: str) -> str:
    if _SAFE.fullmatch(text) and len(text) <= MOST_ID:
        return text
    digest = hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:16]
    return f"{_UNSAFE.sub('_', text).lstrip('.-')[: MOST_ID - 17]}{MARK}{digest}"
