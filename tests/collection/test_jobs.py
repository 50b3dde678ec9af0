import json

from sample_project import ROOT

from collection import jobs, runner


def test_the_package_and_the_data_count_but_the_cache_does_not(project):
    project.notebook("00_one")
    (project.root / "collection").mkdir()
    keys = [jobs.plan_jobs(project.tree)[0].key]
    for name in ("data/cache/big.tar", "xnb/model.py", "xnb/room.pyi", "collection/kernel.py", "data/weights"):
        (project.root / name).write_text("anything")
        keys.append(jobs.plan_jobs(project.tree)[0].key)
    assert keys[0] == keys[1]
    assert len(set(keys)) == 5


def test_the_quickest_notebook_comes_first_and_then_the_longest(project):
    for number in range(4):
        project.notebook(f"0{number}_any")
    planned = jobs.plan_jobs(project.tree)
    seconds = {"00_any": 9.0, "01_any": 2.0, "02_any": 50.0, "03_any": 30.0}
    for job in planned:
        job.build.mkdir(parents=True, exist_ok=True)
        jobs.write_stamp(job, {}, seconds[job.name])
    assert [job.name[:2] for job in runner.order_jobs(planned)] == ["01", "02", "03", "00"]


def test_the_collection_says_how_long_each_notebook_takes():
    planned = jobs.plan_jobs(jobs.Tree())
    assert json.loads((ROOT / "collection/seconds.json").read_text()).keys() == {job.name[:2] for job in planned}
