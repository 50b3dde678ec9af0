"""Bring one file: taken up where it stopped, checked after the last byte, named only when it is whole."""

import hashlib
from http.client import HTTPException
from pathlib import Path
from urllib.request import Request, urlopen

from tqdm.auto import tqdm

from xnb.check import require

BLOCK = 2**18
GONE_ON = "the same call again: it goes on from there; or name a copy on disk"


def download(url: str, md5: str, target: Path) -> Path:
    """The file at `url` as `target`; what an interrupted call left in `target.part` is not brought again.

    Raises:
        ConnectionError: the server cannot be reached, refuses, or breaks off; a later call goes on from there.
        ValueError: the file that came is another one; it is removed.
    """
    if target.exists():
        return target
    part = target.with_name(f"{target.name}.part")
    target.parent.mkdir(parents=True, exist_ok=True)
    try:
        whole, why = _fetch(url, part), "the connection ended early"
    except (OSError, HTTPException) as error:
        whole = getattr(error, "code", None) == 416  # nothing is left to bring: the checksum decides
        why = f"{type(error).__name__}: {error}"
    require(whole, f"download: {url} broke off after {_size(part)} bytes", why, GONE_ON, error=ConnectionError)
    with part.open("rb") as file:
        came = hashlib.file_digest(file, lambda: hashlib.md5(usedforsecurity=False)).hexdigest()
    if came != md5:
        part.unlink()
    require(came == md5, f"download: {target.name} must have the MD5 sum {md5}", came, "the same call again")
    return part.replace(target)


def _size(part: Path) -> int:
    return part.stat().st_size if part.exists() else 0


def _fetch(url: str, part: Path) -> bool:
    """Add to `part` what is missing; whether all came that the server announced."""
    have = _size(part)
    request = Request(url, headers={"Range": f"bytes={have}-"} if have else {})
    with urlopen(request, timeout=30) as answer:
        going_on = answer.status == 206  # a server that knows no ranges sends everything again
        left = int(answer.headers.get("Content-Length", 0))
        start = have if going_on else 0
        with (
            part.open("ab" if going_on else "wb") as file,
            tqdm(total=start + left, initial=start, unit="B", unit_scale=True, delay=2, leave=False) as bar,
        ):
            while block := answer.read(BLOCK):
                file.write(block)
                bar.update(len(block))
    return not left or _size(part) == start + left
