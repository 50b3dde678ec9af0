"""Refused calls about attributions of a whole data set on disk, in the form of `cases`."""

_PATH = "import small_files; path = small_files.make_folder() / 'maps.zarr'; data = xnb.data.Part(x, target)"
_CALL = "xnb.attribute_data(model, data, 'gradient', path=path)"

CASES = [
    (_CALL, f"{_PATH}; data, y = x, target"),
    (_CALL, f"{_PATH}; data = xnb.data.Split(data, data, ('a', 'b'))"),
    ("xnb.attribute_data(model, data, 'gradient', path=path, batch=0)", _PATH),
    ("xnb.attribute_data(model, data, 'gradient', path=path, dtype='int8')", _PATH),
    ("xnb.attribute_data(model, data, 'gradient', path=path, shard='0/4')", _PATH),
    ("xnb.attribute_data(model, data, 'gradient', path=path, target=target)", f"{_PATH}; target = [0]"),
    (
        "xnb.attribute_data(model, data, 'gradient', path=path, dtype='float16')",
        f"{_PATH}; model = lambda x: 1e6 * net(x)",
    ),
    ("xnb.attribute_data(model, data, own, path)", f"{_PATH}; own = lambda model, x, target: x / 0"),
    ("xnb.attribute_data(model, data, 'gradient', path=path, batch=8)", f"{_PATH}; {_CALL}"),
    (_CALL, f"{_PATH}; path.mkdir(); (path / 'mine').touch()"),
    ("xnb.attribute_data(model, data, 'occlusion', path, knobs={'windows': 3})", _PATH),
]
