"""Small stand-ins of what the data sets download, from a server that is none, and a cache that is empty."""

import hashlib
import io
import pickle
import tarfile
import zipfile
from contextlib import contextmanager
from pathlib import PurePath
from typing import ClassVar

import numpy as np
import pytest
from small_files import make_folder, write_lenet, write_medical

from xnb.data import cifar, download, medical
from xnb.models import PUBLISHED

FAILURES = []  # what the next answers are, before they are what was asked for: an error, or other bytes


class _Answer(io.BytesIO):
    """What `urlopen` returns, whole."""

    status = 200
    headers: ClassVar[dict[str, str]] = {}


def pickle_batch(labels=(0, 1)):
    """A batch as CIFAR-10 has them: black pictures."""
    data = np.zeros((len(labels), 3072), np.uint8)
    # protocol 3 keeps bytes as Python 2 did, and numpy had another name for its module
    return pickle.dumps({b"data": data, b"labels": list(labels)}, 3).replace(b"numpy._core", b"numpy.core")


def write_tar(files, **facts):
    """A tar of these contents by name; `facts` are set on each member."""
    file = make_folder() / "small.tar"
    with tarfile.open(file, "w") as archive:
        for name, content in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            for fact, value in facts.items():
                setattr(member, fact, value)
            archive.addfile(member, io.BytesIO(content))
    return file


def write_large_tar(kind=tarfile.REGTYPE):
    """A tar whose one file is larger than may be read; the bytes are not there."""
    file = make_folder() / "large.tar"
    member = tarfile.TarInfo("1.png")
    member.type, member.size = kind, 2**30
    file.write_bytes(member.tobuf())
    return file


def write_large_zip():
    """A zip whose one file says of itself that it is larger than may be read."""
    file = make_folder() / "large.zip"
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("1.png", b"")
    content = bytearray(file.read_bytes())
    start = content.find(b"PK\1\2") + 24
    content[start : start + 4] = (2**30).to_bytes(4, "little")
    file.write_bytes(content)
    return file


@contextmanager
def serve_originals():
    """Let downloads bring the stand-ins, into a cache that is empty at the start."""
    batches = write_tar({name: pickle_batch() for name in cifar.BATCH_NAMES}).read_bytes()
    medmnist = write_medical().read_bytes()

    lenet = write_lenet().read_bytes()
    stand_ins = {".npz": medmnist, ".pt": lenet}

    def urlopen(request, timeout):
        failure = FAILURES.pop() if FAILURES else None
        if isinstance(failure, Exception):
            raise failure
        return _Answer(failure or stand_ins.get(PurePath(request.full_url).suffix, batches))

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(download, "urlopen", urlopen)
        patch.setattr(cifar, "CIFAR10_MD5", _md5(batches))
        for name, official in medical.OFFICIAL_FILES.items():
            patch.setitem(medical.OFFICIAL_FILES, name, official._replace(md5=_md5(medmnist)))
        published = PUBLISHED["captum-lenet"]._replace(sha256=hashlib.sha256(lenet).hexdigest())
        patch.setitem(PUBLISHED, "captum-lenet", published)
        patch.setenv("XNB_CACHE", str(make_folder()))
        patch.delenv("XNB_CIFAR10", raising=False)
        patch.delenv("XNB_PUBLISHED", raising=False)
        yield


def _md5(content):
    return hashlib.md5(content, usedforsecurity=False).hexdigest()
