"""Which methods run on which published networks: `make models` asks `xnb.lint` and writes MODELS.md."""
