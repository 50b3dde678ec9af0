"""A comparison that takes a second: what is compared in the tests of the table, its plan and its file."""

METHODS = ["gradient", "occlusion"]
ROWS = ["gradient", "gradient, magnitude", "occlusion"]  # a gradient's sign is no evidence
CONTROLS = ["random", "constant", "baseline_distance", "edges", "centre"]
METRICS = ["srg", "insertion"]
KNOBS = {"srg": {"steps": 3}, "insertion": {"steps": 3}, "occlusion": {"window": 3, "stride": 3}}


def broken(model, x, target):
    raise RuntimeError("out of paint\nand more")


def mean_of_map(model, x, target, attribution):
    return attribution.flatten(1).mean(1)
