"""A notebook in a page of a JupyterLab of its own, for what is no test: timing, filming."""

import shutil
import tempfile
from contextlib import contextmanager
from pathlib import Path

from playwright.sync_api import sync_playwright

from tests.browser import driver, servers


@contextmanager
def page(cells):
    """The notebook with these code cells, run to its end."""
    root = Path(tempfile.mkdtemp())
    (root / "notebooks").mkdir()
    servers.write(root / "notebooks" / "page.ipynb", cells)
    try:
        with servers.jupyterlab(root, servers.home(root / "home")) as (address, token), sync_playwright() as playwright:
            browser = servers.chromium(playwright)
            book = driver.Notebook(browser, f"{address}/doc/tree/notebooks/page.ipynb?token={token}&reset")
            book.run_all()
            yield book
            book.close()
            browser.close()
    finally:
        shutil.rmtree(root, ignore_errors=True)
