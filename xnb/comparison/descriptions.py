"""Functions, models and tensors in words: handed on from `xnb.access.descriptions`, which is their place."""

from xnb.access.descriptions import (
    describe_all as describe_all,
)
from xnb.access.descriptions import (
    describe_function as describe_function,
)
from xnb.access.descriptions import (
    describe_knob as describe_knob,
)
from xnb.access.descriptions import (
    fingerprint as fingerprint,
)
from xnb.access.descriptions import (
    takes_knob as takes_knob,
)
from xnb.access.descriptions import (
    unwrap_partial as unwrap_partial,
)
