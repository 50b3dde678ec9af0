"""Download one file: go on where a call stopped, check after the last byte, name it only when it is whole."""

import hashlib
from http.client import HTTPException
from pathlib import Path
from urllib.request import Request, urlopen

from tqdm.auto import tqdm

from xnb.check import require

BLOCK_BYTES = 2**18
_MD5_DIGITS = 32
RESUME_HINT = "the same call again: it goes on from there; or name a copy on disk"


def download_file(url: str, checksum: str, target: Path) -> Path:
    """The file at `url` as `target`; what an interrupted call left in `target.part` is not brought again.

    Args:
        checksum: of the whole file, in hexadecimal digits: 32 are an MD5 sum, any other number are the first ones of
            its SHA-256 sum.

    Raises:
        ConnectionError: the server cannot be reached, refuses, or breaks off; a later call goes on from there.
        ValueError: the file that came is another one; it is removed.
    """
    if target.exists():
        return target
    partial = target.with_name(f"{target.name}.part")
    target.parent.mkdir(parents=True, exist_ok=True)
    _complete(url, partial)
    kind = "MD5" if len(checksum) == _MD5_DIGITS else "SHA-256"
    came = _sum_file(partial, kind)
    is_right = came.startswith(checksum)
    if not is_right:
        partial.unlink()
    rule = f"download: {target.name} must have the {kind} sum {checksum}"
    require(is_right, rule, came, "the same call again")
    return partial.replace(target)


def _sum_file(file: Path, kind: str) -> str:
    with file.open("rb") as content:
        if kind == "SHA-256":
            return hashlib.file_digest(content, "sha256").hexdigest()
        return hashlib.file_digest(content, lambda: hashlib.md5(usedforsecurity=False)).hexdigest()


def _complete(url: str, partial: Path) -> None:
    """Bring what `partial` lacks, or refuse and leave what came."""
    reason = "the connection ended early"
    try:
        is_whole = _fetch_rest(url, partial)
    except (OSError, HTTPException) as error:
        is_whole = getattr(error, "code", None) == 416  # nothing is left to bring: the checksum decides
        reason = f"{type(error).__name__}: {error}"
    rule = f"download: {url} broke off after {_count_bytes(partial)} bytes"
    require(is_whole, rule, reason, RESUME_HINT, error=ConnectionError)


def _count_bytes(file: Path) -> int:
    return file.stat().st_size if file.exists() else 0


def _fetch_rest(url: str, partial: Path) -> bool:
    """Append to `partial` what it lacks; whether all came that the server announced."""
    present = _count_bytes(partial)
    headers = {"Range": f"bytes={present}-"} if present else {}
    request = Request(url, headers=headers)
    with urlopen(request, timeout=30) as answer:
        resumes = answer.status == 206  # a server that knows no ranges sends everything again
        start = present if resumes else 0
        announced = int(answer.headers.get("Content-Length", 0))
        bar = tqdm(total=start + announced, initial=start, unit="B", unit_scale=True, delay=2, leave=False)
        with partial.open("ab" if resumes else "wb") as file, bar:
            while block := answer.read(BLOCK_BYTES):
                file.write(block)
                bar.update(len(block))
    return not announced or _count_bytes(partial) == start + announced
