"""Download one file: go on where a call stopped, check after the last byte, name it only when it is whole."""

import hashlib
from collections.abc import Callable
from http.client import HTTPException
from io import BufferedWriter
from pathlib import Path
from urllib.request import Request, urlopen

from tqdm.auto import tqdm

from xnb.check import require
from xnb.folders import NamedFile, take_turns

BLOCK_BYTES = 2**18
_MD5_DIGITS = 32
_NETWORK_ERRORS = (OSError, HTTPException)
RESUME_HINT = "the same call again: it goes on from there; or name a copy on disk"


def download_file(url: str, checksum: str, target: Path) -> Path:
    """The file at `url` as `target`; what an interrupted call left in `target.part` is not brought again.

    Of two processes that want the same file, the second waits for it.

    Args:
        checksum: of the whole file, in hexadecimal digits: 32 are an MD5 sum, any other number are the first ones of
            its SHA-256 sum.

    Raises:
        ConnectionError: the server cannot be reached, refuses, or breaks off; a later call goes on from there.
        ValueError: the file that came is another one; it is removed.
        OSError: the disk is full, or cannot be written; names the file.
    """
    partial = target.with_name(f"{target.name}.part")
    target.parent.mkdir(parents=True, exist_ok=True)
    if not target.exists():
        partial.touch()
        with take_turns(partial):
            # another process may have brought it meanwhile
            if not target.exists():
                _bring(url, checksum, partial, target)
        partial.unlink(missing_ok=True)
    return target


def _bring(url: str, checksum: str, partial: Path, target: Path) -> None:
    _complete(url, partial)
    kind = "MD5" if len(checksum) == _MD5_DIGITS else "SHA-256"
    came = _sum_file(partial, kind)
    is_right = came.startswith(checksum)
    if not is_right:
        partial.unlink()
    rule = f"download: {target.name} must have the {kind} sum {checksum}"
    require(is_right, rule, came, "the same call again")
    partial.replace(target)


def _sum_file(file: Path, kind: str) -> str:
    with file.open("rb") as content:
        if kind == "SHA-256":
            return hashlib.file_digest(content, "sha256").hexdigest()
        return hashlib.file_digest(content, lambda: hashlib.md5(usedforsecurity=False)).hexdigest()


def _complete(url: str, partial: Path) -> None:
    """Bring what `partial` lacks, or refuse and leave what came."""
    reason = _fetch_rest(url, partial)
    rule = f"download: {url} broke off after {_count_bytes(partial)} bytes"
    require(not reason, rule, reason, RESUME_HINT, error=ConnectionError)


def _count_bytes(file: Path) -> int:
    return file.stat().st_size if file.exists() else 0


def _fetch_rest(url: str, partial: Path) -> str:
    """Append to `partial` what it lacks; return why not all came that the server announced, or nothing."""
    present = _count_bytes(partial)
    headers = {"Range": f"bytes={present}-"} if present else {}
    request = Request(url, headers=headers)
    try:
        answer = urlopen(request, timeout=30)
    except _NETWORK_ERRORS as error:
        nothing_left = getattr(error, "code", None) == 416  # the checksum decides
        return "" if nothing_left else _write_reason(error)
    with answer:
        resumes = answer.status == 206  # a server that knows no ranges sends everything again
        start = present if resumes else 0
        announced = int(answer.headers.get("Content-Length", 0))
        bar = tqdm(total=start + announced, initial=start, unit="B", unit_scale=True, delay=2, leave=False)
        with NamedFile(partial), partial.open("ab" if resumes else "wb") as file, bar:
            reason = _append_blocks(answer.read, file, bar)
    is_short = bool(announced) and _count_bytes(partial) != start + announced
    return reason or ("the connection ended early" if is_short else "")


def _append_blocks(read: Callable[[int], bytes], file: BufferedWriter, bar: tqdm) -> str:
    """Write what comes; return what the connection broke off with, or nothing. Errors of the disk are raised."""
    while True:
        try:
            block = read(BLOCK_BYTES)
        except _NETWORK_ERRORS as error:
            return _write_reason(error)
        if not block:
            return ""
        file.write(block)
        bar.update(len(block))


def _write_reason(error: Exception) -> str:
    return f"{type(error).__name__}: {error}"
