"""The mutants of `make mutants`: what is changed, that the change is what runs, and what the stored runs say."""

import importlib
import subprocess
import sys
from functools import partial

import mutants
import mutations
import pytest
from planting import plant, read_source

SOURCE = '''
def scale(x: int, size: float = 2.0, *, names=("a",)) -> float:
    """Text."""
    rule = f"a rule {x + 1}"
    require(x >= 0, rule, x - 1, "x=1")
    total = 3 * x
    return total + size if not names else max(total, size, key=abs)


def write(x: int) -> str:
    return f"{x}" + str(x + 1)


class Table:
    def rows(self):
        return [row for row in self.all if row > 0]
'''


def changed(source):
    return {mutations.describe(source, mutant)[1:] for mutant in mutations.list_mutants("m", source)}


def test_one_thing_is_changed_at_a_time_and_no_text():
    require = "require(x >= 0, rule, x - 1, 'x=1')"
    choice = "return total + size if not names else max(total, size, key=abs)"
    assert changed(SOURCE) == {
        (require, "pass"),
        (require, "require(x > 0, rule, x - 1, 'x=1')"),
        (require, "require(x >= 1, rule, x - 1, 'x=1')"),
        ("total = 3 * x", "total = 3 / x"),
        ("total = 3 * x", "total = 3"),
        ("total = 3 * x", "total = x"),
        ("total = 3 * x", "total = 4 * x"),
        (choice, "return total + size if names else max(total, size, key=abs)"),
        (choice, choice.replace("total + size", "total - size")),
        (choice, choice.replace("total + size", "total")),
        (choice, choice.replace("total + size", "size")),
        (choice, choice.replace("max", "min")),
        (choice, choice.replace("total, size", "size, total")),
        (choice, choice.replace(", key=abs", "")),
        ("return [row for row in self.all if row > 0]", "return [row for row in self.all if not row > 0]"),
        ("return [row for row in self.all if row > 0]", "return [row for row in self.all if row >= 0]"),
        ("return [row for row in self.all if row > 0]", "return [row for row in self.all if row > 1]"),
    }


@pytest.mark.parametrize("module", mutants.MODULES)
def test_every_mutant_is_a_program_and_another_one(module):
    source = read_source(module)
    found = mutations.list_mutants(module, source)
    for mutant in found[:: max(1, len(found) // 20)]:
        compile(mutations.mutate(source, mutant), module, "exec")
        difference = mutations.describe(source, mutant)
        assert difference.before != difference.after


def test_whoever_holds_the_function_runs_the_mutant(tmp_path, monkeypatch):
    (tmp_path / "held.py").write_text(
        "class Sum:\n    def add(self, a, b):\n        return a + b\n\n\ndef two():\n    return 2\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    held = importlib.import_module("held")
    table = {"two": held.two, "add": partial(held.Sum().add, 3)}
    source = (tmp_path / "held.py").read_text()
    subtract = next(mutant for mutant in mutations.list_mutants("held", source) if mutant.function == "Sum.add")
    assert plant("held", mutations.mutate(source, subtract)) == {"Sum.add", "two"}
    assert (table["add"](1), table["two"]()) == (2, 2)
    plant("held", source.replace("return 2", "return 5"))
    assert (table["add"](1), table["two"]()) == (4, 5)


def test_every_module_has_tests_of_its_own():
    for module in mutants.MODULES:
        assert "" in next(iter(mutants.find_own_tests(module).values())), module


def test_a_sample_is_drawn_by_its_seed():
    modules = ["xnb.comparison.jackknife", "xnb.comparison.statistics"]
    sample = mutants.draw(modules, 20, 0)
    assert sample == mutants.draw(modules, 30, 0)[:20] != mutants.draw(modules, 20, 1)
    assert len(set(sample)) == 20
    assert len({tuple(mutants.write_name(mutant).values()) for mutant in sample}) == 20


def row(after, failed):
    return {"module": "m", "function": "f", "before": "a", "after": after, "failed": failed}


def test_the_share_is_that_of_mutants_that_are_faults():
    """Wilson 1927: of 8 of 9 the interval is 0.565 to 0.980."""
    rows = [*(row(str(i), "test") for i in range(8)), row("alive", None), row("alike", None)]
    found = mutants.summarise(rows, {("m", "f", "a", "alike"): "why"})
    assert (found["mutants"], found["found"], found["equivalent"]) == (10, 8, 1)
    assert found["share_found"] == pytest.approx(8 / 9, abs=1e-4)
    assert found["interval"] == pytest.approx([0.565, 0.980], abs=1e-3)
    assert found["survivors"] == ["m f: a -> alive"]


@pytest.mark.parametrize("run", mutants.read_runs(), ids=lambda run: f"seed {run['seed']}")
def test_nine_of_ten_were_found(run):
    assert run["mutants"] >= 150
    assert run["share_found"] >= 0.9
    assert run["interval"][0] >= 0.85


@pytest.mark.parametrize(("name", "reason"), mutants.read_equivalent().items(), ids=lambda part: " | ".join(part)[:80])
def test_what_is_called_equivalent_stands_in_the_code(name, reason):
    module, function, before, after = name
    source = read_source(module)
    places = [mutant for mutant in mutations.list_mutants(module, source) if mutant.function == function]
    assert (before, after) in {mutations.describe(source, mutant)[1:] for mutant in places}
    assert len(reason.split()) >= 4


def test_the_program_says_what_it_takes():
    done = subprocess.run([sys.executable, mutants.__file__, "--help"], capture_output=True, text=True, check=True)
    assert "--seed" in done.stdout
