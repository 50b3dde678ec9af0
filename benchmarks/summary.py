"""From measurements to a table: ratios, what was to be reached, and whether it was."""

import math
import statistics
from collections.abc import Iterable, Mapping

import pandas as pd

from benchmarks.cases import Case, Peer
from benchmarks.measure import median_ratio

ROUNDING = 1e-5  # what is left of sampling errors where both are exact
LEAST_MIB = 5.0
SUITE_GOAL = 0.33
SAMPLED = 2.0  # our sampling error, of few inputs and so uncertain itself, may be so many times theirs


def summarise(case: Case, found: Mapping[str, object]) -> list[dict[str, object]]:
    """One line a peer, or one for a case without."""
    return [line(case, peer, found) for peer in case.peers] or [line(case, None, found)]


def line(case: Case, peer: Peer | None, found: Mapping[str, object]) -> dict[str, object]:
    ratios = against(peer, found) if peer else {}
    if "limit" in found["seconds"]:
        ratios["prepared/limit"] = median_ratio(found["seconds"], "xnb prepared", "limit")
    goals = {"prepared/best": 1.0, "prepared/limit": case.limit_goal, **(peer.goals if peer else {})}
    goals = {name: goal for name, goal in goals.items() if name in ratios or name == "memory"}
    reached = {name: value[0] for name, value in ratios.items()} | {"memory": memory(peer, found)}
    # Not ">": NaN, of what could not be measured, counts as missed.
    missed = {name: reached[name] for name, goal in goals.items() if not reached[name] <= goal}
    return {
        "peer": peer.name if peer else None,
        "best": best(peer, found) if peer else None,
        "ratios": {name: dict(zip(("median", "low", "high"), value, strict=True)) for name, value in ratios.items()},
        "memory": reached["memory"],
        "difference": found["difference"].get(peer.name, {}) if peer else {},
        "error": error(peer, found),
        "equal": equal(case, peer, found),
        "goals": goals,
        "missed": missed,
    }


def against(peer: Peer, found: Mapping[str, object]) -> dict[str, tuple[float, float, float]]:
    """Ratio with spread of each of our forms to the peer's default and to its best setting."""
    theirs = {"default": "default", "best": best(peer, found)}
    forms = [name.removeprefix("xnb ") for name in found["seconds"] if name.startswith("xnb ")]
    return {
        f"{form}/{label}": median_ratio(found["seconds"], f"xnb {form}", f"{peer.name} {setting}")
        for form in forms
        for label, setting in theirs.items()
    }


def best(peer: Peer, found: Mapping[str, object]) -> str:
    """The fastest of the peer's settings, its default among them."""
    names = [name for name in found["seconds"] if name.startswith(f"{peer.name} ")]
    fastest = min(names, key=lambda name: statistics.median(found["seconds"][name]))
    return fastest.removeprefix(f"{peer.name} ")


def memory(peer: Peer | None, found: Mapping[str, object]) -> float:
    """Our prepared form's peak by that of the peer's default; not known where that is within the error."""
    theirs = found["peak_mib"].get(f"{peer.name} default", 0) if peer else 0
    return found["peak_mib"]["xnb prepared"] / theirs if theirs >= LEAST_MIB else math.nan


def error(peer: Peer | None, found: Mapping[str, object]) -> dict[str, float]:
    mine = {name: value for name, value in found["error"].items() if name.startswith("xnb ")}
    return mine | ({peer.name: found["error"][peer.name]} if peer and found["error"] else {})


def equal(case: Case, peer: Peer | None, found: Mapping[str, object]) -> bool | None:
    """Whether results agree within the tolerance of the case; None without a peer."""
    if peer is None:
        return None
    if case.tolerance is not None:
        return found["difference"][peer.name]["xnb plain"] <= case.tolerance
    return found["error"]["xnb plain"] <= SAMPLED * found["error"][peer.name] + ROUNDING


def geometric_mean(lines: Iterable[Mapping[str, object]]) -> float:
    """Of the prepared form against every peer's default."""
    ratios = [line["ratios"]["prepared/default"]["median"] for line in lines if line["peer"]]
    return statistics.geometric_mean(ratios) if ratios else math.nan


def suite(rows: Mapping[str, Mapping[str, object]]) -> dict[str, float]:
    """The rows together; empty before the first."""
    lines = [line for row in rows.values() for line in row.get("lines", [])]
    if not lines:
        return {}
    met = sum(not line["missed"] and line["equal"] is not False for line in lines)
    mean = geometric_mean(lines)
    return {"geometric mean of prepared/default": mean, "its goal": SUITE_GOAL, "lines": len(lines), "lines met": met}


def table(rows: Mapping[str, Mapping[str, object]]) -> pd.DataFrame:
    """What is printed: a line for each row and peer."""
    return pd.DataFrame([shown(name, line) for name, row in rows.items() for line in row.get("lines", [])])


def shown(name: str, line: Mapping[str, object]) -> dict[str, str]:
    work, workload = name.rsplit("/", 1)
    ratios, missed = line["ratios"], line["missed"]
    return {
        "work": work,
        "workload": workload,
        "peer": line["peer"] or "–",
        "plain/default": spread(ratios.get("plain/default")),
        "prepared/default": spread(ratios.get("prepared/default")),
        "plain/best": number(ratios.get("plain/best")),
        "prepared/best": number(ratios.get("prepared/best")),
        "best": line["best"] or "–",
        "/limit": number(ratios.get("prepared/limit")),
        "memory": known(line["memory"], ".2f"),
        "difference": small(line["difference"], "xnb plain", "xnb prepared"),
        "error": small(line["error"], "xnb prepared", line["peer"]),
        "goals": ", ".join(f"{name} {goal:g}" for name, goal in line["goals"].items()),
        "verdict": verdict(line["equal"], missed),
    }


def verdict(equal: bool | None, missed: Mapping[str, float]) -> str:
    late = ", ".join(f"{name} {known(value)}" for name, value in missed.items())
    return ("RESULTS DIFFER; " if equal is False else "") + (f"missed: {late}" if missed else "met")


def known(value: float | None, form: str = ".3g") -> str:
    return "–" if value is None or math.isnan(value) else format(value, form)


def spread(ratio: Mapping[str, float] | None) -> str:
    return "–" if ratio is None else f"{ratio['median']:.3g} ({ratio['low']:.3g}–{ratio['high']:.3g})"


def number(ratio: Mapping[str, float] | None) -> str:
    return "–" if ratio is None else f"{ratio['median']:.3g}"


def small(values: Mapping[str, float], *names: str | None) -> str:
    return " / ".join(known(values[name], ".0e") for name in names if name in values) or "–"


def extras(rows: Mapping[str, Mapping[str, object]]) -> pd.DataFrame:
    """Compiled and bfloat16 forms, where they were measured: time against the prepared form, and error."""
    found = [
        {
            "row": name,
            "form": form,
            "by prepared": f"{median_ratio(row['seconds'], f'xnb {form}', 'xnb prepared')[0]:.3g}",
            "error": small(row["error"], f"xnb {form}", "xnb prepared"),
        }
        for name, row in rows.items()
        for form in ("compiled", "bfloat16")
        if f"xnb {form}" in row.get("seconds", {})
    ]
    return pd.DataFrame(found)


def gains(before: Mapping[str, Mapping], after: Mapping[str, Mapping]) -> pd.DataFrame:
    """What another allocator changes: the ratio with and without it, and seconds with by seconds without."""
    shared = [name for name in before if name in after and "lines" in before[name]]
    pairs = [(name, *both) for name in shared for both in zip(before[name]["lines"], after[name]["lines"], strict=True)]
    return pd.DataFrame(
        [
            {
                "row": name,
                "peer": old["peer"] or "–",
                "prepared/default": number(old["ratios"].get("prepared/default")),
                "with": number(new["ratios"].get("prepared/default")),
                "ours": gain(before[name], after[name], "xnb prepared"),
                "theirs": gain(before[name], after[name], f"{old['peer']} default"),
            }
            for name, old, new in pairs
        ]
    )


def gain(before: Mapping, after: Mapping, variant: str) -> str:
    if variant not in before["seconds"]:
        return "–"
    old, new = (statistics.median(found["seconds"][variant]) for found in (before, after))
    return f"{new / old:.2f}"
