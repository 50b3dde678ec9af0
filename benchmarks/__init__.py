"""xnb side by side with other libraries: `python -m benchmarks --help`. Not part of the package."""
