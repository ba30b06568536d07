"""Bytes of a file to UTF-8 text, whatever sensible encoding they are in."""

from __future__ import annotations

import codecs
from dataclasses import dataclass
from typing import TYPE_CHECKING

from executor.agents.data_analyst.errors import UnusableFileError

if TYPE_CHECKING:
    from executor.agents.data_analyst.wording import Wording

_CHUNK_BYTES = 1 << 20
_BINARY_STARTS = {
    b"PK\x03\x04": ("an Excel workbook or a ZIP archive", "Excel 工作簿或 ZIP 压缩包"),
    b"\xd0\xcf\x11\xe0": ("an old Excel workbook", "旧版 Excel 工作簿"),
    b"%PDF": ("a PDF document", "PDF 文档"),
    b"\x1f\x8b": ("a gzip archive", "gzip 压缩文件"),
    b"\x89PNG": ("a PNG image", "PNG 图片"),
    b"PAR1": ("a Parquet file", "Parquet 文件"),
}


@dataclass(frozen=True)
class CsvText:
    """The text of a file as UTF-8 with ``\\n`` line ends, and what it was before."""

    data: bytes
    encoding: str
    #: Characters that could not be decoded and are shown as U+FFFD.
    damaged: int = 0


def to_utf8(raw: bytes, name: str, wording: Wording, *, is_start: bool = False) -> CsvText:
    """Decode UTF-8, UTF-16 with a byte order mark, or GB18030.

    ``is_start`` says that ``raw`` is only the beginning of a file, so that its last
    character may be cut. A UTF-8 file with a few broken bytes stays UTF-8, since
    GB18030 would read all of its Chinese as other, wrong characters.

    Raises ``UnusableFileError`` for an empty file, a binary one, or another encoding.
    """
    if not raw.strip(b" \t\r\n\x00\xef\xbb\xbf"):
        raise UnusableFileError(wording.say(f"{name} is empty.", f"{name} 是空文件。"))
    if raw.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        text = raw.decode("utf-16", errors="replace")
        return CsvText(_with_unix_lines(text.encode()), "UTF-16", text.count("\ufffd"))
    _refuse_binary(raw, name, wording)
    raw = raw.removeprefix(codecs.BOM_UTF8)
    if _bad_byte(raw, "utf-8", is_start=is_start) is None:
        return CsvText(_with_unix_lines(raw), "UTF-8")
    if _is_damaged_utf8(raw):
        text = raw.decode("utf-8", errors="replace")
        return CsvText(_with_unix_lines(text.encode()), "UTF-8", text.count("\ufffd"))
    bad = _bad_byte(raw, "gb18030", is_start=is_start)
    if bad is not None:
        line = raw.count(b"\n", 0, bad) + 1
        raise UnusableFileError(
            wording.say(
                f"{name} is neither UTF-8 nor GB18030: line {line:,} holds bytes of another encoding. "
                "Save it as CSV UTF-8.",
                f"{name} 既不是 UTF-8 也不是 GB18030 编码：第 {line:,} 行含有其他编码的字节。"
                "请另存为 UTF-8 编码的 CSV。",
            )
        )
    return CsvText(_with_unix_lines(_recode(raw, "gb18030")), "GB18030")


def _refuse_binary(raw: bytes, name: str, wording: Wording) -> None:
    for start, (english, chinese) in _BINARY_STARTS.items():
        if raw.startswith(start):
            raise UnusableFileError(
                wording.say(
                    f"{name} is {english}, not a text file. Export the table as CSV.",
                    f"{name} 是{chinese}，不是文本文件。请先导出为 CSV。",
                )
            )
    zero = raw.find(b"\x00")
    if zero >= 0:
        line = raw.count(b"\n", 0, zero) + 1
        raise UnusableFileError(
            wording.say(
                f"{name} is a binary file, not text: line {line:,} holds a NUL byte. "
                "Export the table as CSV.",
                f"{name} 是二进制文件，不是文本：第 {line:,} 行含有 NUL 字节。请先导出为 CSV。",
            )
        )


def _bad_byte(raw: bytes, encoding: str, *, is_start: bool) -> int | None:
    """Return the offset of the first byte that is not ``encoding``, without keeping the decoded text."""
    decoder = codecs.getincrementaldecoder(encoding)()
    for start in range(0, len(raw), _CHUNK_BYTES):
        chunk = raw[start : start + _CHUNK_BYTES]
        try:
            decoder.decode(chunk, final=not is_start and start + _CHUNK_BYTES >= len(raw))
        except UnicodeDecodeError as exc:
            return start + exc.start
    return None


def _is_damaged_utf8(raw: bytes) -> bool:
    """Tell UTF-8 with a few broken bytes from a file in another encoding.

    GB18030 text read as UTF-8 is nearly all broken; a damaged UTF-8 file is nearly all whole.
    """
    broken = whole = 0
    for start in range(0, len(raw), _CHUNK_BYTES):
        text = raw[start : start + _CHUNK_BYTES].decode("utf-8", errors="replace")
        bad = text.count("\ufffd")
        broken += bad
        whole += len(text) - len(text.encode("ascii", errors="ignore")) - bad
    return whole > 20 * broken


def _recode(raw: bytes, encoding: str) -> bytes:
    decoder = codecs.getincrementaldecoder(encoding)(errors="replace")
    text = bytearray()
    for start in range(0, len(raw), _CHUNK_BYTES):
        text += decoder.decode(raw[start : start + _CHUNK_BYTES]).encode()
    return bytes(text)


def _with_unix_lines(data: bytes) -> bytes:
    if b"\r" not in data:
        return data
    data = data.replace(b"\r\n", b"\n")
    # What is left ends lines only where nothing else does, as in files of old Macs.
    return data.replace(b"\r", b" " if b"\n" in data else b"\n")
