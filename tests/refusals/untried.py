"""Write `untried.txt` anew: the calls with a hint that no case reaches, and why. `python tests/refusals/untried.py`."""

from originals import serve_originals
from test_refusals import SITES, UNTRIED, list_reached, read_untried

if __name__ == "__main__":
    reasons = read_untried()
    with serve_originals():
        reached = list_reached()
    names = sorted(site.name for site in SITES if site.name not in reached)
    UNTRIED.write_text("".join(f"{name}: {reasons.get(name, '')}\n" for name in names))
