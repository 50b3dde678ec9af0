"""Bring one file: taken up where it stopped, checked after the last byte, named only when it is whole."""

import hashlib
from pathlib import Path
from urllib.error import HTTPError, URLError
from urllib.request import Request, urlopen

from tqdm.auto import tqdm

from xnb.check import require

BLOCK = 2**18


def download(url: str, md5: str, target: Path) -> Path:
    """The file at `url` as `target`; what an interrupted call left in `target.part` is not brought again.

    Raises:
        ConnectionError: the server cannot be reached, or breaks off; a later call goes on from there.
        ValueError: the file that came is another one; it is removed.
    """
    if target.exists():
        return target
    part = target.with_name(f"{target.name}.part")
    target.parent.mkdir(parents=True, exist_ok=True)
    try:
        _fetch(url, part)
    except (HTTPError, URLError, OSError) as error:
        have = part.stat().st_size if part.exists() else 0
        hint = "the same call again: it goes on from there; or name a copy on disk"
        require(False, f"download: {url} broke off after {have} bytes", str(error), hint, error=ConnectionError)
    came = hashlib.md5(part.read_bytes(), usedforsecurity=False).hexdigest()
    if came != md5:
        part.unlink()
    require(came == md5, f"download: {target.name} must have the MD5 sum {md5}", came, "the same call again")
    return part.replace(target)


def _fetch(url: str, part: Path) -> None:
    have = part.stat().st_size if part.exists() else 0
    request = Request(url, headers={"Range": f"bytes={have}-"} if have else {})
    try:
        answer = urlopen(request, timeout=30)
    except HTTPError as error:
        if error.code == 416 and have:  # nothing is left to bring: the checksum decides
            return
        part.unlink(missing_ok=True)
        require(False, f"download: {url} is not to be had", str(error), "name a copy on disk", error=ConnectionError)
    with answer:
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
        complete = part.stat().st_size == start + left or not left
        require(complete, "download: the connection ended early", part.stat().st_size, error=ConnectionError)
