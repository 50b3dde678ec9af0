from .libraries import for_quantus as for_quantus, from_captum as from_captum
from .outputs import contrast as contrast
