"""The page on the data says what is true of the files that are installed."""

import hashlib
import re
from pathlib import Path

import pytest
import skimage
import sklearn

from xnb import data, folders
from xnb.data import cifar
from xnb.data.photographs import PHOTOS

README = (folders.DATA / "README.md").read_text()
HOMES = {package.__name__: Path(package.__file__).parent for package in (skimage, sklearn)}
CHECKSUMS = re.findall(r"^\| (skimage|sklearn)/(\S+) \| ([0-9a-f]{64}) \|$", README, re.M)


@pytest.mark.parametrize(("package", "path", "checksum"), CHECKSUMS)
def test_checksums_are_those_of_the_installed_files(package, path, checksum):
    assert hashlib.sha256((HOMES[package] / path).read_bytes()).hexdigest() == checksum


def test_every_file_that_is_read_has_its_checksum():
    assert len(CHECKSUMS) == 2 + len(PHOTOS)


def test_every_data_set_and_photograph_has_its_row():
    public = {name for name in data.__all__ if name.islower()}
    assert public == set(re.findall(r"^\| `data\.(\w+)\(", README, re.M))
    assert set(PHOTOS) <= set(re.findall(r"^\| (\w+) ", README, re.M))


def test_the_checksum_of_the_download_is_the_one_in_the_code():
    assert cifar.CIFAR10_MD5 in README
