"""Tests: collection.progress."""

from collection.jobs import plan_jobs
from collection.progress import Board


def test_the_clock_divides_what_remains_among_kernels(project):
    for number in range(3):
        project.notebook(f"0{number}_any")
    board = Board(plan_jobs(project.tree), kernels=2)
    board.expected = {"00_any": 100.0, "01_any": 200.0, "02_any": 500.0}
    assert board.estimate() == ", about 8 min"  # the longest is not divided
    board.expected["02_any"] = 60.0
    assert board.estimate() == ", about 3 min"
    board.taken, board.foreseen = 10.0, 40.0  # this machine is four times as fast
    assert board.estimate() == ", about 50 s"
    board.expected["02_any"] = None
    assert board.estimate() == ""
    board.bar.close()
