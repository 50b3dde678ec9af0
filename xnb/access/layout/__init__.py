"""What the axes of tensors inside a model stand for, and the layer whose output becomes maps.

Nothing is taken from the number of axes, or from their order: `axis_watch` runs a model once and follows, by the rules
of `axis_rules` and `axis_moves`, where each place of the input went. `map_layout` reads from this which axes of a
layer's output are channels and which are places; `layer_maps` finds the layer.
"""
