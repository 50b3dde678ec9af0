"""Many methods at once, sharing the passes that they have in common, and the bill of each; whole data sets on disk.

`xnb.explain`, `xnb.lint` and `xnb.attribute_data` are the functions themselves.
"""

from xnb.explanation.many_methods import Explanation as Explanation, explain as explain
from xnb.explanation.whole_data import attribute_data as attribute_data
