"""Refused calls about files, in the form of `cases`; and those where the line says in words what to do on the disk.

What is wrong with a file is not mended by another call, so these lines are no code. A third part does what they say.
"""

_FILES = "import originals, small_files; from pathlib import Path"
_EMPTY = "import os; os.environ['XNB_CACHE'] = str(small_files.make_folder())"
_FOLDER = f"{_FILES}; path = small_files.write_pictures"
_CIFAR = "xnb.data.cifar10(path)"
_MEDICAL = "xnb.data.medmnist(path)"
_LENET = "xnb.models.load_published('captum-lenet')"
_IMAGES = "xnb.data.image_folder(path)"
_MASKED = "xnb.data.masked_photos(path, {'dog': ('1.png', '2.png', [0])}, size=8)"


def _cifar(source):
    return _CIFAR, f"{_FILES}; {_EMPTY}; path = {source}"


def _medical(file="", **parts):
    arrays = ", ".join(f"{name}={value}" for name, value in parts.items())
    path = file or f"small_files.write_medical({arrays})"
    return _MEDICAL, f"{_FILES}; path = {path}"


def _weights(act):
    return f"{_FILES}; from xnb import storage; path = small_files.make_folder() / 'net.safetensors'; {act}"


_STORE = "storage.write_tensors(path, net.state_dict(), {})"
_SPOIL = "path.write_bytes(b'no tensors')"

CASES = [
    _cifar("Path('nowhere.tar')"),
    _cifar("small_files.write_pictures({'test/a/1.png': 32})"),
    _cifar("small_files.write_pictures({'test/a/1.png': 32, 'train/b/1.png': 32})"),
    _cifar("small_files.write_pictures({'test/a/1.png': 31})"),
    _cifar("small_files.write_pictures({'test/a/1.png': 32, 'test/a/1.gif': 32})"),
    _cifar("small_files.write_pictures({'test/a/b/1.png': 32})"),
    _cifar("originals.write_tar({'test_batch': originals.pickle_batch()})"),
    _cifar("originals.write_tar({name: b'no pickle' for name in xnb.data.cifar.BATCH_NAMES})"),
    _cifar("originals.write_tar({name: originals.pickle_batch((99,)) for name in xnb.data.cifar.BATCH_NAMES})"),
    _cifar("originals.write_tar({name: b'cos\\nsystem\\n.' for name in xnb.data.cifar.BATCH_NAMES})"),
    _cifar("originals.write_tar({'../1.png': b''})"),
    _cifar("originals.write_tar({'1.png': b''}, type=b'2')"),
    _cifar("originals.write_large_tar()"),
    _cifar("small_files.write_bytes(b'no archive')"),
    _medical("Path('nowhere.npz')"),
    _medical("small_files.write_bytes(b'PK' + b'0' * 99)"),
    _medical("small_files.write_broken_zip()"),
    _medical(test_labels="None"),
    _medical(test_images="np.zeros((4, 8, 8))"),
    _medical(test_labels="np.zeros((4, 2), np.uint8)"),
    _medical(test_labels="np.full((4, 1), -1)"),
    (
        "xnb.data.medmnist('breastmnist', download=True)",
        f"{_FILES}; {_EMPTY}; Path(os.environ['XNB_CACHE'], 'breastmnist.npz').write_bytes("
        "small_files.write_medical(test_labels=np.ones((4, 1), np.uint8)).read_bytes())",
    ),
    (
        "xnb.data.masked_photos(path, {'dog': ('1.png', '3.png', [1])}, size=8)",
        f"{_FOLDER}({{'1.png': 8, '2.png': 8}})",
    ),
    (_MASKED, f"{_FOLDER}({{'1.png': 8, '2.png': 8}})"),
    (
        "xnb.data.masked_photos(path, table={}, size=8)",
        f"{_FOLDER}({{'dog.jpg': 8, 'dog_mask.png': 8}}, grey=1)",
    ),
    ("xnb.data.bags(n=(4, 2), task='four_bags', size=1)", ""),
]

# the call, what is run before it, what the line says as code
_CLAIM = (
    "entries = dict(sentence='\"s\"', source='\"s\"', setup='\"s\"', differs='\"d\"', side='\"above\"',"
    " bars='[{since = 2026-11-02, value = 1.0, why = \"w\"}]')"
)
_WRITE_CLAIM = (
    "path = small_files.write_bytes(('[c]\\n' + '\\n'.join(f'{k} = {v}' for k, v in entries.items())).encode())"
)


def _claim(entry, broken):
    setup = f"{_FILES}; {_CLAIM}; right = entries[{entry!r}]; entries[{entry!r}] = {broken!r}; {_WRITE_CLAIM}"
    return "xnb.comparison.read_claims(path)", setup, f"entries[{entry!r}] = right; {_WRITE_CLAIM}"


_BARS_IN_DISORDER = '[{since = 2026-11-02, value = 1.0, why = "w"}, {since = 2026-11-01, value = 1.0, why = "w"}]'

IN_WORDS = [
    _claim("side", '"left"'),
    _claim("bars", _BARS_IN_DISORDER),
    _claim("bars", "[{value = 1.0}]"),
    (_IMAGES, f"{_FILES}; path = Path('nowhere')", "path = small_files.write_pictures({'a/1.png': 8})"),
    (_IMAGES, f"{_FOLDER}({{}})", "path = small_files.write_pictures({'1.png': 8})"),
    (_IMAGES, f"{_FOLDER}({{'1.png': 8, 'a/1.png': 8}})", "(path / '1.png').unlink()"),
    (_IMAGES, f"{_FOLDER}({{'x/a/1.png': 8}})", "path = path / 'x'"),
    (
        _IMAGES,
        f"{_FOLDER}({{'train/1.png': 8, 'test/a/1.png': 8}})",
        "(path / 'train/a').mkdir(); (path / 'train/1.png').rename(path / 'train/a/1.png')",
    ),
    (
        _IMAGES,
        f"{_FOLDER}({{'test/a/1.png': 8}}); (path / 'train').mkdir()",
        "(path / 'train/a').mkdir(); (path / 'train/a/1.png').write_bytes((path / 'test/a/1.png').read_bytes())",
    ),
    (
        _IMAGES,
        f"{_FOLDER}({{'test/a/1.png': 8, 'train/a/1.png': 8, 'train/b/1.png': 8}})",
        "(path / 'train/b').rename(path / 'b')",
    ),
    (_IMAGES, f"{_FOLDER}({{'a/1.png': 8}}); (path / 'b').mkdir()", "(path / 'b').rmdir()"),
    (_IMAGES, f"{_FOLDER}({{'1.png': 8}}); (path / '2.png').write_bytes(b'')", "(path / '2.png').unlink()"),
    (
        _IMAGES,
        f"{_FOLDER}({{}}); from PIL import Image; deep = Image.new('I;16', (8, 8), 9); deep.save(path / '1.png')",
        "Image.fromarray((np.array(deep) // 256).astype(np.uint8)).save(path / '1.png')",
    ),
    (
        _MASKED,
        f"{_FOLDER}({{'1.png': 8, '2.png': 9}}, grey=0)",
        "(path / '2.png').write_bytes((path / '1.png').read_bytes())",
    ),
    (
        _MASKED,
        f"{_FOLDER}({{'1.png': 8}}, grey=0); (path / '2.png').write_bytes(b'')",
        "(path / '2.png').write_bytes((path / '1.png').read_bytes())",
    ),
    (
        _MASKED,
        f"{_FOLDER}({{}})",
        "path = small_files.write_pictures({'1.png': 8, '2.png': 8}, grey=0)",
    ),
    (
        "xnb.data.cifar10()",
        f"{_FILES}; {_EMPTY}; originals.FAILURES.append(OSError('no way there'))",
        "",
    ),
    ("xnb.data.cifar10()", f"{_FILES}; {_EMPTY}; originals.FAILURES.append(b'another file')", ""),
    (_LENET, f"{_FILES}; {_EMPTY}; originals.FAILURES.append(OSError('no way there'))", ""),
    (
        "xnb.models.load_published('captum-lenet', path.parent)",
        f"{_FILES}; {_EMPTY}; path = small_files.write_lenet(); path.write_bytes(b'another file')",
        "path.unlink()",
    ),
    (
        "xnb.models.published.fill_in_order(net, state)",
        "net = xnb.models.PUBLISHED['captum-lenet'].make(); state = {'weight': torch.ones(3)}",
        "state = xnb.models.PUBLISHED['captum-lenet'].make().state_dict()",
    ),
    (
        "xnb.models.load_imagenet(name, weights=weights)",
        f"{_FILES}; weights = small_files.write_squeezenet(); name = 'squeezenet1_0'",
        "name = 'squeezenet1_1'",
    ),
    ("storage.read_tensors(path)", _weights(""), _STORE),
    ("storage.read_tensors(path)", _weights(_SPOIL), f"path.unlink(); {_STORE}"),
    (
        "storage.read_tensors(path)",
        _weights("import safetensors.torch; path.write_bytes(safetensors.torch.save({}))"),
        _STORE,
    ),
    ("storage.load_weights(model, path)", _weights(f"{_STORE}; model = nn.Linear(2, 3)"), "model = net"),
]
