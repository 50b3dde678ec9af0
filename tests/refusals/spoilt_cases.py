"""Refused calls about files that were damaged, or made to do harm, in the form of `cases`."""

_FILES = "import originals, small_files, zipfile; from pathlib import Path"
_EMPTY = "import os; os.environ['XNB_CACHE'] = str(small_files.make_folder())"
_TAR = f"{_FILES}; {_EMPTY}; path = originals.write_tar"
_ZIP = f"{_FILES}; path = small_files.make_folder() / 'a.zip'; file = zipfile.ZipFile(path, 'w', zipfile.ZIP_BZIP2)"
_PACKED = f"{_ZIP}; file.writestr('a.npy', b'1'); file.close()"
_NESTED = "b'\\x80\\x02}(' + b')' + b'\\x85' * 20 + b'Nu.'"
_FOLDER = f"{_FILES}; folder = small_files.make_folder()"
_PARTS = f"{_FOLDER}; path = folder / 'c.parquet'; part = folder / 'c.parts' / 'a.jsonl'; part.parent.mkdir()"
_COMPARE = "xnb.compare(model, xnb.data.Part(x, target), ['gradient'], ['insertion'], path=path)"

CASES = [
    ("xnb.data.cifar10(path)", f"{_FILES}; {_EMPTY}; path = originals.write_large_tar(b'L')"),
    ("xnb.data.cifar10(path)", f"{_FILES}; {_EMPTY}; path = originals.write_large_zip()"),
    ("xnb.data.cifar10(path)", f"{_PACKED}; {_EMPTY}"),
    ("xnb.data.cifar10(path)", f"{_TAR}({{name: {_NESTED} for name in xnb.data.cifar.BATCH_NAMES}})"),
    ("xnb.data.medmnist(path)", _PACKED),
]

IN_WORDS = [
    (
        "weight_folder.read_facts(folder)",
        f"{_FOLDER}; from xnb.training import weight_folder; (folder / 'manifest.json').write_text('[')",
        "(folder / 'manifest.json').unlink()",
    ),
    (_COMPARE, f"{_PARTS}; part.write_text('{{}}\\n[1]\\n')", "part.unlink()"),
    (_COMPARE, f"{_PARTS}; path.write_bytes(b'PAR1')", "path.unlink()"),
]
