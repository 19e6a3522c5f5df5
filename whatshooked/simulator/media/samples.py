"""A small real file of each kind of media, made from scratch: what a simulated user sends when none is given."""

import functools
import struct
import zlib
from typing import Literal

from msgspec import Struct

from whatshooked.simulator.media import mp4
from whatshooked.simulator.media.filetypes import VOICE

#: Pixels of a sticker's side.
_STICKER = 512

SampleKind = Literal["image", "photo", "video", "audio", "voice", "document", "sticker", "animated"]


class Sample(Struct, frozen=True, kw_only=True):
    """A file; only documents have names."""

    mime_type: str
    content: bytes
    filename: str = ""


@functools.cache
def sample(kind: SampleKind) -> Sample:
    """Return the file of a kind.

    `image` is a JPEG, `photo` a PNG, `audio` an MP3, `voice` Opus in Ogg, `animated` a sticker that moves.
    """
    match kind:
        case "image":
            return Sample(mime_type="image/jpeg", content=_jpeg())
        case "photo":
            return Sample(mime_type="image/png", content=_png())
        case "video":
            return Sample(mime_type="video/mp4", content=mp4.video())
        case "audio":
            return Sample(mime_type="audio/mpeg", content=_mp3())
        case "voice":
            return Sample(mime_type=VOICE, content=_ogg())
        case "document":
            return Sample(mime_type="application/pdf", content=_pdf("A sample"), filename="sample.pdf")
        case "sticker":
            return Sample(mime_type="image/webp", content=_webp(_pixels()))
        case "animated":
            return Sample(mime_type="image/webp", content=_animation())


def _png() -> bytes:
    """Return 8x8 pixels of one colour, 8-bit RGB."""

    def chunk(name: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))

    side = 8
    rows = (b"\x00" + bytes((37, 211, 102)) * side) * side  # a filter byte before each row
    header = struct.pack(">IIBBBBB", side, side, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")


def _jpeg() -> bytes:
    """Return 8x8 pixels of mid grey: one block whose coefficients are all zero."""

    def segment(marker: int, data: bytes) -> bytes:
        return struct.pack(">BBH", 0xFF, marker, len(data) + 2) + data

    one_code = bytes((1, *[0] * 15, 0))  # a Huffman table with the single code 0, for the value 0
    parts = (
        segment(0xE0, b"JFIF\x00\x01\x01\x00\x00\x01\x00\x01\x00\x00"),
        segment(0xDB, b"\x00" + b"\x01" * 64),
        segment(0xC0, struct.pack(">BHHBBBB", 8, 8, 8, 1, 1, 0x11, 0)),
        segment(0xC4, b"\x00" + one_code),
        segment(0xC4, b"\x10" + one_code),
        segment(0xDA, bytes((1, 1, 0x00, 0, 63, 0))),
    )
    return b"\xff\xd8" + b"".join(parts) + b"\x3f" + b"\xff\xd9"  # the scan: no change, end of block, ones to fill


def _mp3(frames: int = 8) -> bytes:
    """Return silence: MPEG 1 layer 3, mono, 128 kbit/s, 44.1 kHz."""
    header = b"\xff\xfb\x90\xc4"
    return (header + bytes(144 * 128_000 // 44_100 - len(header))) * frames


def _ogg(packets: int = 10) -> bytes:
    """Return silence as a voice note: Opus, mono, 20 ms a packet."""
    silent = b"\xf8\xff\xfe"
    head = b"OpusHead" + struct.pack("<BBHIhB", 1, 1, 0, 48_000, 0, 0)
    vendor = b"sample"
    tags = b"OpusTags" + struct.pack("<I", len(vendor)) + vendor + struct.pack("<I", 0)
    pages = ((2, 0, [head]), (0, 0, [tags]), (4, 960 * packets, [silent] * packets))
    return b"".join(_page(number, *page) for number, page in enumerate(pages))


def _page(number: int, flags: int, position: int, packets: list[bytes]) -> bytes:
    """Return an Ogg page of packets below 255 bytes each; `position` counts samples."""

    def page(checksum: int) -> bytes:
        fixed = struct.pack("<4sBBqIIIB", b"OggS", 0, flags, position, 1, number, checksum, len(packets))
        return fixed + bytes(len(packet) for packet in packets) + b"".join(packets)

    return page(_ogg_checksum(page(0)))


def _ogg_checksum(data: bytes) -> int:
    """Return Ogg's CRC-32: the usual polynomial, but from the highest bit down, and nothing inverted."""
    value = 0
    for byte in data:
        value ^= byte << 24
        for _ in range(8):
            value = (value << 1) ^ (0x104C11DB7 if value & 0x80000000 else 0)
    return value


def _pdf(text: str) -> bytes:
    """Return one small page with a line of text."""
    drawn = f"BT /F1 18 Tf 20 60 Td ({text}) Tj ET".encode()
    objects = (
        b"<</Type/Catalog/Pages 2 0 R>>",
        b"<</Type/Pages/Kids[3 0 R]/Count 1>>",
        b"<</Type/Page/Parent 2 0 R/MediaBox[0 0 200 120]/Contents 4 0 R/Resources<</Font<</F1 5 0 R>>>>>>",
        b"<</Length %d>>stream\n%s\nendstream" % (len(drawn), drawn),
        b"<</Type/Font/Subtype/Type1/BaseFont/Helvetica>>",
    )
    found, places = b"%PDF-1.4\n", []
    for number, content in enumerate(objects, 1):
        places.append(len(found))
        found += b"%d 0 obj%s\nendobj\n" % (number, content)
    table = b"xref\n0 %d\n0000000000 65535 f \n" % (len(objects) + 1)
    table += b"".join(b"%010d 00000 n \n" % place for place in places)
    return found + table + b"trailer<</Size %d/Root 1 0 R>>\nstartxref\n%d\n%%%%EOF\n" % (len(objects) + 1, len(found))


def _webp(*chunks: bytes) -> bytes:
    content = b"WEBP" + b"".join(chunks)
    return b"RIFF" + struct.pack("<I", len(content)) + content


def _animation() -> bytes:
    """Return a sticker of two frames, half a second each, that change for ever."""
    canvas = _three_bytes(_STICKER - 1) * 2
    frames = (bytes(6) + canvas + _three_bytes(500) + b"\x00" + _pixels(green) for green in (211, 90))
    head = _riff(b"VP8X", struct.pack("<I", 0b10010) + canvas)  # there is transparency, there is an animation
    return _webp(head, _riff(b"ANIM", bytes(6)), *(_riff(b"ANMF", frame) for frame in frames))


def _pixels(green: int = 211) -> bytes:
    """Return a picture of one colour: lossless WebP whose five prefix codes have one symbol each, so no pixel costs."""
    bits = _Bits()
    for value, width in ((0x2F, 8), (_STICKER - 1, 14), (_STICKER - 1, 14), (1, 1), (0, 3)):
        bits.put(value, width)
    bits.put(0, 3)  # no transform, no colour cache, one group of codes
    for symbol in (green, 37, 102, 255):  # then red, blue, alpha: each a simple code, one symbol of 8 bits
        bits.put(0b101, 3)
        bits.put(symbol, 8)
    bits.put(0b001, 3)  # distances: a simple code, one symbol of a single bit
    bits.put(0, 1)
    return _riff(b"VP8L", bits.data())


def _riff(name: bytes, data: bytes) -> bytes:
    return name + struct.pack("<I", len(data)) + data + b"\x00" * (len(data) % 2)


def _three_bytes(value: int) -> bytes:
    return value.to_bytes(3, "little")


class _Bits:
    """Bits in a row, the lowest of each value first."""

    def __init__(self) -> None:
        self._value, self._width = 0, 0

    def put(self, value: int, width: int) -> None:
        self._value |= value << self._width
        self._width += width

    def data(self) -> bytes:
        return self._value.to_bytes((self._width + 7) // 8, "little")
