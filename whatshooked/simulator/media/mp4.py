"""A real video from scratch: one grey picture of 16x16 pixels in H.264, shown for a second, in an MP4 file.

The picture is one macroblock whose samples stand in the stream as they are (I_PCM): nothing has to be compressed.
Source: ITU-T H.264 sections 7.3 and 9.1, ISO/IEC 14496-12 and -15.
"""

import struct

_SIDE = 16
#: Ticks a second, and how many of them the video lasts.
_SCALE = _LASTS = 1000
_MATRIX = struct.pack(">9I", 0x10000, 0, 0, 0, 0x10000, 0, 0, 0, 0x40000000)


def video() -> bytes:
    """Return the bytes of the file."""
    picture = _picture()
    sample = struct.pack(">I", len(picture)) + picture
    start = _box(b"ftyp", b"isom", struct.pack(">I", 0x200), b"isomiso2avc1mp41")
    # The sample's place depends on the length of what stands before it, and that does not depend on the place.
    place = len(start) + len(_movie(0, len(sample))) + 8
    return start + _movie(place, len(sample)) + _box(b"mdat", sample)


def _parameters() -> tuple[bytes, bytes]:
    """Return the sequence's and the picture's parameter sets: baseline, one macroblock, no order of pictures."""
    sequence = _unsigned(0) + _unsigned(0) + _unsigned(2) + _unsigned(0) + "0"
    sequence += _unsigned(0) + _unsigned(0) + "1" + "1" + "0" + "0"
    picture = _unsigned(0) + _unsigned(0) + "00" + _unsigned(0) * 3 + "000" + _unsigned(0) * 3 + "000"
    return b"\x67\x42\xc0\x0a" + _ended(sequence), b"\x68" + _ended(picture)


def _picture() -> bytes:
    """Return the one slice: its header, the macroblock's type, and its 256 + 128 samples."""
    head = _unsigned(0) + _unsigned(7) + _unsigned(0) + "0000" + _unsigned(0) + "00" + _unsigned(0) + _unsigned(25)
    head += "0" * (-len(head) % 8)
    samples = bytes([128]) * (_SIDE * _SIDE * 3 // 2)
    return b"\x65" + _bytes(head) + samples + b"\x80"


def _movie(place: int, size: int) -> bytes:
    """Return the description of a video whose one sample of `size` bytes stands at `place`."""
    times = struct.pack(">II", 0, 0)
    header = times + struct.pack(">IIIH", _SCALE, _LASTS, 0x10000, 0x100) + bytes(10) + _MATRIX + bytes(24)
    track = times + struct.pack(">IIIQHHHH", 1, 0, _LASTS, 0, 0, 0, 0, 0) + _MATRIX
    media = times + struct.pack(">IIHH", _SCALE, _LASTS, 0x55C4, 0)
    source = _full(b"dref", struct.pack(">I", 1), _full(b"url ", flags=1))
    return _box(
        b"moov",
        _full(b"mvhd", header, struct.pack(">I", 2)),
        _box(
            b"trak",
            _full(b"tkhd", track, struct.pack(">II", _SIDE << 16, _SIDE << 16), flags=3),
            _box(
                b"mdia",
                _full(b"mdhd", media),
                _full(b"hdlr", bytes(4), b"vide", bytes(12), b"video\x00"),
                _box(b"minf", _full(b"vmhd", bytes(8), flags=1), _box(b"dinf", source), _table(place, size)),
            ),
        ),
    )


def _table(place: int, size: int) -> bytes:
    """Return the sample table: how it is coded, when it is shown, where it stands."""
    sequence, picture = _parameters()
    coded = b"\x01" + sequence[1:4] + b"\xff\xe1" + struct.pack(">H", len(sequence)) + sequence
    coded += b"\x01" + struct.pack(">H", len(picture)) + picture
    entry = bytes(6) + struct.pack(">H", 1) + bytes(16) + struct.pack(">HH", _SIDE, _SIDE)
    entry += struct.pack(">IIIH", 0x480000, 0x480000, 0, 1) + bytes(32) + struct.pack(">Hh", 24, -1)
    return _box(
        b"stbl",
        _full(b"stsd", struct.pack(">I", 1), _box(b"avc1", entry, _box(b"avcC", coded))),
        _full(b"stts", struct.pack(">III", 1, 1, _LASTS)),
        _full(b"stsc", struct.pack(">IIII", 1, 1, 1, 1)),
        _full(b"stsz", struct.pack(">III", 0, 1, size)),
        _full(b"stco", struct.pack(">II", 1, place)),
    )


def _box(name: bytes, *parts: bytes) -> bytes:
    content = b"".join(parts)
    return struct.pack(">I", len(content) + 8) + name + content


def _full(name: bytes, *parts: bytes, flags: int = 0) -> bytes:
    return _box(name, struct.pack(">I", flags), *parts)


def _unsigned(value: int) -> str:
    """Return a number's bits in the code ue(v): as many zeros before it as it has bits after its first."""
    bits = f"{value + 1:b}"
    return "0" * (len(bits) - 1) + bits


def _ended(bits: str) -> bytes:
    """Return a payload's bytes: a one ends it, zeros fill the last byte."""
    bits += "1"
    return _bytes(bits + "0" * (-len(bits) % 8))


def _bytes(bits: str) -> bytes:
    return int(bits, 2).to_bytes(len(bits) // 8, "big")
