"""The simulator's sample files: real ones, as far as can be seen without their decoders."""

import zlib

from whatshooked.simulator.media import filetypes, samples
from whatshooked.simulator.media.samples import sample


def test_samples_are_real_files() -> None:
    """Each sample begins as its format does, has a type that Meta takes, and is small."""
    starts: dict[samples.SampleKind, bytes] = {
        "image": b"\xff\xd8\xff\xe0",
        "photo": b"\x89PNG\r\n\x1a\n",
        "video": b"\x00\x00\x00\x20ftypisom",
        "audio": b"\xff\xfb",
        "voice": b"OggS",
        "document": b"%PDF-1.4",
        "sticker": b"RIFF",
        "animated": b"RIFF",
    }
    for kind, start in starts.items():
        file = sample(kind)
        assert file.content.startswith(start)
        assert filetypes.kind_of(file.mime_type) is not None
        assert len(file.content) < 4096
    assert {filetypes.animated(sample(kind).content) for kind in ("sticker", "animated")} == {False, True}


def test_samples_hold_together() -> None:
    """Lengths, places and checksums inside the samples are right: what a reader of the format checks first."""
    png = sample("photo").content
    assert png[-4:] == zlib.crc32(b"IEND").to_bytes(4, "big")
    video = sample("video").content
    place = video.index(b"stco") + 12
    assert int.from_bytes(video[place : place + 4], "big") == video.index(b"mdat") + 4
    assert _boxes(video) == [b"ftyp", b"moov", b"mdat"]
    pdf = sample("document").content
    assert pdf[int(pdf.split()[-2]) :].startswith(b"xref")
    for kind in ("sticker", "animated"):
        webp = sample(kind).content
        assert int.from_bytes(webp[4:8], "little") == len(webp) - 8
    voice = sample("voice").content
    assert [_ogg_sum(page) for page in voice.split(b"OggS")[1:]] == [0, 0, 0]


def _boxes(data: bytes) -> list[bytes]:
    """The names of an MP4's outer boxes."""
    found = []
    while data:
        found.append(data[4:8])
        data = data[int.from_bytes(data[:4], "big") :]
    return found


def _ogg_sum(rest: bytes) -> int:
    """What a page's checksum leaves over, 0 when it is right: the page is divided by Ogg's polynomial bit by bit."""
    page = bytearray(b"OggS" + rest)
    told = bytes(page[22:26])
    page[22:26] = bytes(4)
    bits = int.from_bytes(page + told[::-1], "big")
    for place in range(bits.bit_length() - 33, -1, -1):
        if bits >> (place + 32) & 1:
            bits ^= 0x104C11DB7 << place
    return bits
