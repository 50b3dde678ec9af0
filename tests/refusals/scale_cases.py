"""Refused calls about data that are read input by input, and about runs that are shared, in the form of `cases`."""

from torch.utils.data import IterableDataset

_PART = "data = xnb.data.Part(x, target)"
_COMPARE = "xnb.compare([model], data, ['gradient'], ['deletion'], path=path, shard='first')"


class Unnumbered(IterableDataset):
    """Inputs that come one after the other, and have no number."""

    def __init__(self, x, y):
        self.pairs = list(zip(x, y, strict=True))

    def __iter__(self):
        return iter(self.pairs)


CASES = [
    ("xnb.comparison.estimate_cost(model, data, ['gradient'], ['deletion'], pilot=1)", _PART),
    ("xnb.comparison.estimate_cost(model, data, ['gradient'], ['deletion'], workers=-1)", _PART),
    (_COMPARE, f"import small_files; path = small_files.make_folder() / 't.parquet'; {_PART}"),
    ("xnb.data.Streamed(dataset)", "import scale_cases; dataset = scale_cases.Unnumbered(x, target)"),
    ("xnb.data.Streamed(dataset)", "dataset = [{'image': x[0], 'label': 0}]"),
    ("random_shifts(-1)", "from xnb.training.augmentation import random_shifts"),
]
