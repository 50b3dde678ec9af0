"""Past one machine: shards that know nothing of each other, and workers of an engine."""
