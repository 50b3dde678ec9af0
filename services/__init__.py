"""Explanations served over HTTP: one core of pure functions, and two apps around it, in Flask and in Django."""

import os

# Before torch is loaded, which reads it then: threads that wait for each other sleep. On a busy machine those that spin
# make a pass ten times as long.
os.environ.setdefault("OMP_WAIT_POLICY", "passive")
