"""Zip archives of arrays: the list of entries is compared with the file before one is unpacked."""

from __future__ import annotations

import struct
import zipfile
import zlib
from pathlib import Path

from multiaxis.files.bounds import (
    check_count,
    map_regular,
    open_regular,
    quoted,
    unpacked_limit,
)

_LOCAL = 30  # bytes before the name of an entry, where its content begins
_METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
_ENCRYPTED = 1


class Archive:
    """An archive, mapped; nothing is unpacked before it is asked for.

    Parameters
    ----------
    path : Path

    Attributes
    ----------
    entries : dict of str to ZipInfo

    Raises
    ------
    ValueError, OSError, zipfile.BadZipFile
        If its list of entries is damaged, or cannot be true.
    """

    def __init__(self, path: Path) -> None:
        with open_regular(path) as file, zipfile.ZipFile(file) as archive:
            listed = archive.infolist()
        self._whole = map_regular(path)
        self.entries = {entry.filename: entry for entry in listed}
        _check(listed, len(self._whole))

    def read(self, name: str) -> memoryview:
        """Give the content of an entry, its checksum compared; where it is stored as it is, mapped.

        Raises
        ------
        ValueError
            If it is damaged.
        """
        entry, whole = self.entries[name], self._whole
        at = entry.header_offset
        if bytes(whole[at : at + 4]) != b"PK\3\4":
            raise ValueError(f"{quoted(name)} does not begin where the list says")
        start = at + _LOCAL + sum(struct.unpack_from("<HH", whole, at + 26))
        data = whole[start : start + entry.compress_size]
        if entry.compress_type == zipfile.ZIP_DEFLATED:
            unpacked = zlib.decompressobj(-zlib.MAX_WBITS).decompress(data, entry.file_size + 1)
            data = memoryview(unpacked)
        if len(data) != entry.file_size or zlib.crc32(data) != entry.CRC:
            raise ValueError(f"{quoted(name)} differs from its checksum")
        return data


def _check(listed: list[zipfile.ZipInfo], size: int) -> None:
    check_count(len(listed))
    end, total, names = 0, 0, set[str]()
    for entry in sorted(listed, key=lambda entry: entry.header_offset):
        if entry.filename in names:
            raise ValueError(f"it holds {quoted(entry.filename)} twice")
        names.add(entry.filename)
        if entry.header_offset < end:
            raise ValueError("its entries lie over each other")
        end = entry.header_offset + _LOCAL + entry.compress_size
        total += entry.file_size
        stored = entry.compress_type == zipfile.ZIP_STORED
        if entry.compress_type not in _METHODS or entry.flag_bits & _ENCRYPTED:
            raise ValueError(f"{quoted(entry.filename)} is packed in a way that is not read")
        if stored and entry.file_size != entry.compress_size:
            raise ValueError(f"{quoted(entry.filename)} has two sizes")
    if end > size:
        raise ValueError("its entries end past its end")
    if total > unpacked_limit(size):
        raise ValueError(f"its {size} bytes would unpack to {total}, which no trained model's do")
