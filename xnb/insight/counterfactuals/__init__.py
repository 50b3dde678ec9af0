"""What would change the answer: the nearest input, or the fewest pixels, that another class is seen in."""

from xnb.insight.counterfactuals.pixels import (
    Changed as Changed,
    change_pixels as change_pixels,
    count_swapped as count_swapped,
)
from xnb.insight.counterfactuals.records import (
    change_records as change_records,
    nearest_records as nearest_records,
    rank_distance as rank_distance,
)
