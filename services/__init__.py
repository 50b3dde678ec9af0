"""Explanations served over HTTP: one core of pure functions, and two apps around it, in Flask and in Django."""
