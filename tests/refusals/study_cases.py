"""Refused studies and trainings over several processes, in the form of `cases`; and a study that is none of these."""

import torch
from torch import nn

from xnb.data import Part
from xnb.training import Training, fit


def make():
    with torch.random.fork_rng():
        torch.manual_seed(0)
        part = Part(torch.rand(8, 3), torch.arange(8) % 2)
        return Training(nn.Linear(3, 2), part, part, epochs=1)


def finish(folder):
    """A folder in which the study has been trained to its end, so that nothing is started."""
    fit(make().model, make().train, make().valid, epochs=1, folder=folder, progress=False)
    return folder


_LOAD = "from xnb.scale.studies import load_study"
_MAKE = "from xnb.training.data_parallel import make_training"

CASES = [
    ("load_study('study_cases:mke')", _LOAD),
    (
        "xnb.training.fit_elastic('study_cases:make', folder, workers=0)",
        "import small_files, study_cases; folder = study_cases.finish(small_files.make_folder())",
    ),
]

IN_WORDS = [
    ("load_study(name)", f"{_LOAD}; name = 'study.py'", "name = 'study_cases:make'"),
    ("load_study(name)", f"{_LOAD}; name = 'nowhere.py:make'", "name = 'study_cases:make'"),
    ("load_study(name)", f"{_LOAD}; name = 'xnb.nowhere:make'", "name = 'study_cases:make'"),
    ("make_training(name)", f"{_MAKE}; name = 'builtins:dict'", "name = 'study_cases:make'"),
]
