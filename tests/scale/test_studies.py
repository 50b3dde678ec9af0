"""Studies by name: files that are run anew, modules, and names that lead nowhere."""

import pickle

import pytest

from xnb.scale.studies import load_study

STUDY = """
from dataclasses import dataclass

@dataclass
class Found:
    number: int

def make():
    return Found(NUMBER)
"""


def test_a_file_is_run_anew_at_each_call(tmp_path):
    path = tmp_path / "a study.py"
    path.write_text(STUDY.replace("NUMBER", "1"))
    first = load_study(f"{path}:make")
    path.write_text(STUDY.replace("NUMBER", "12"))
    assert (first().number, load_study(f"{path}:make")().number) == (1, 12)


def test_what_a_study_makes_can_be_pickled(tmp_path):
    path = tmp_path / "study.py"
    path.write_text(STUDY.replace("NUMBER", "1"))
    found = load_study(f"{path}:make")()
    assert pickle.loads(pickle.dumps(found)) == found


def test_a_module_is_imported():
    assert load_study("xnb.scale.studies:load_study") is load_study


@pytest.mark.parametrize("name", ["study.py", "study.py:", ":make", "make", ""])
def test_a_name_has_two_parts(name):
    with pytest.raises(ValueError, match=r'must name it\n  got: .*\n  try: .*"study.py:make"'):
        load_study(name)


@pytest.mark.parametrize(("name", "rule"), [("nowhere/study.py:make", "file"), ("xnb.nowhere:make", "module")])
def test_names_that_lead_nowhere_are_refused(name, rule):
    with pytest.raises(ValueError, match=rf"study: there must be such a {rule}\n  got: .*nowhere.*\n  try: "):
        load_study(name)


def test_a_function_that_is_missing_is_refused_with_those_that_are_there(tmp_path):
    path = tmp_path / "study.py"
    path.write_text(STUDY)
    with pytest.raises(ValueError, match=r"must define the function") as refusal:
        load_study(f"{path}:mak")
    assert f"'{path}:make'" in str(refusal.value)


def test_a_mistake_inside_a_study_is_shown_as_python_does(tmp_path):
    path = tmp_path / "study.py"
    path.write_text("1 / 0")
    with pytest.raises(ZeroDivisionError):
        load_study(f"{path}:make")
