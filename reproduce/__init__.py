"""Published tables, computed again with this package: `python -m reproduce T1 T2`. Not part of the package.

`published.toml` holds the papers' numbers with repository, commit and cell; `T1.json` to `T5.json` hold what came out
here, with a hash of the code and of the data; `README.md` says how a table is added.
"""
