"""Hands and eyes for the browser tests: a notebook in a page, and one widget in it."""

import base64
import io
import re
import time

import numpy as np
from PIL import Image

LONG = 600_000  # milliseconds: generous, as nothing here measures time
OFTEN = 200  # milliseconds between two looks at a page: at every frame, a waiting page would keep a core busy
KERNEL = "window.jupyterapp.shell.currentWidget.sessionContext.session.kernel"
IDLE = "window.jupyterapp?.shell?.currentWidget?.sessionContext?.session?.kernel?.status === 'idle'"
FINISHED = r"""() => {
    const prompts = [...document.querySelectorAll('.jp-CodeCell .jp-InputArea-prompt')].map(e => e.textContent);
    return prompts.length && prompts.every(text => /\[\d+\]:/.test(text)); }"""
# pictures that answer the controls, by widget: part of what is said of them
ALT = {"explore": "most for it", "side_by_side": "most for it", "attention": "reads, by", "bags": "bag "}
ALT |= {"layers": "returns for input", "watch": "most for it", "perturb": "of it hidden"}
ALT |= {"rows": "below each its map", "judge": ", claimed ", "records": "record ", "photographs": "most for it"}


class Notebook:
    """A page with one notebook in it, and what went wrong there."""

    def __init__(self, browser, address):
        self.errors = []
        self.page = browser.new_page(viewport={"width": 1024, "height": 900})
        self.page.set_default_timeout(LONG)
        self.page.on("pageerror", lambda error: self.errors.append(str(error)))
        self.page.goto(address)

    def idle(self):
        self.page.wait_for_function(IDLE, timeout=LONG, polling=OFTEN)

    def run_all(self, timeout=LONG):
        """Run every cell, in order, up to one that fails."""
        self.idle()
        run = "window.jupyterapp.commands.execute('notebook:run-all-cells')"
        self.page.evaluate(f"window.ended = false; {run}.finally(() => {{ window.ended = true }}); null")
        self.page.wait_for_function("window.ended", timeout=timeout, polling=OFTEN)

    def run_all_cleanly(self):
        """The same, where no cell may fail: said at once, not when a widget that never came has been waited for."""
        self.run_all()
        assert self.tracebacks() == []

    def finished(self):
        """Whether every cell has run."""
        return self.page.evaluate(f"({FINISHED})()")

    def restart(self):
        self.page.evaluate(f"async () => {{ await {KERNEL}.restart() }}")
        self.idle()

    def ask(self, source):
        """Run source in the notebook's kernel: what it replies."""
        return self.page.evaluate(f"async code => (await {KERNEL}.requestExecute({{code}}).done).content", source)

    def ask_silently(self, source):
        """Run source in the notebook's kernel and leave no trace in its history: the id of the request."""
        request = f"{KERNEL}.requestExecute({{code, silent: true, store_history: false}})"
        return self.page.evaluate(f"async code => (await {request}.done).parent_header.msg_id", source)

    def kernel_id(self):
        return self.page.evaluate(f"{KERNEL}.id")

    def theme(self, name):
        self.page.evaluate("name => window.jupyterapp.commands.execute('apputils:change-theme', {theme: name})", name)

    def widget(self, name, cell):
        return Widget(self.page, name, self.page.locator(".jp-CodeCell").nth(cell).locator(".jp-OutputArea-output"))

    def close(self):
        self.page.evaluate("async () => { await window.jupyterapp?.shell?.currentWidget?.sessionContext?.shutdown() }")
        self.page.close()

    def stderr(self):
        return self.page.locator(".jp-RenderedText[data-mime-type='application/vnd.jupyter.stderr']").all_inner_texts()

    def tracebacks(self):
        return self.page.locator("[data-mime-type='application/vnd.jupyter.error']").all_inner_texts()


class Widget:
    """One panel on a page, moved as a person moves it."""

    def __init__(self, page, name, root):
        self.page, self.name, self.root = page, name, root

    def picture(self):
        """What the page shows in answer to the controls, as pixels."""
        source = self.root.locator(f'img[alt*="{ALT[self.name]}"]').first.get_attribute("src")
        return np.asarray(Image.open(io.BytesIO(base64.b64decode(source.split(",")[1]))).convert("RGB"))

    def box(self, description):
        """The box of the control with that description."""
        label = self.page.locator(
            "label, .widget-label-basic", has_text=re.compile(rf"^\s*{re.escape(description)}\s*$")
        )
        return self.root.locator(".widget-inline-hbox, .widget-checkbox").filter(has=label).last

    def value(self, description, like):
        """What the control says of itself: the name of a trait of `like`, its twin, and the value."""
        box = self.box(description)
        if box.locator("select").count():
            at = box.locator("select").evaluate("e => [...e.selectedOptions].map(o => o.index)")
            return "index", at if isinstance(like.index, tuple) else at[0]
        if box.locator("input[type=checkbox]").count():
            return "value", box.locator("input[type=checkbox]").is_checked()
        if like.has_trait("index"):  # a slider over a list of values
            return "index", list(map(str, like.options)).index(self.readout(description))
        return "value", type(like.value)(self.number(description))

    def number(self, description):
        """What stands beside a slider of numbers."""
        return float(self.readout(description))

    def readout(self, description):
        """What stands beside a slider, as text."""
        return self.box(description).locator(".widget-readout").text_content()

    def press(self, description, key, times=1):
        """Focus the control and press a key."""
        self.box(description).locator("[role=slider], select, input").first.focus()
        for _ in range(times):
            self.page.keyboard.press(key)

    def step(self, description):
        """Choose the next entry of a list by keyboard: notebooks keep bare arrow keys for themselves."""
        self.box(description).locator("select").focus()
        for key in ("Space", "ArrowDown", "Enter"):
            self.page.keyboard.press(key)

    def drag(self, description, share):
        """Drag a slider's handle with the mouse to a share of its way."""
        handle, way = (self.box(description).locator(part) for part in (".noUi-handle", ".noUi-base"))
        handle.scroll_into_view_if_needed()
        start, box = handle.bounding_box(), way.bounding_box()
        self.page.mouse.move(start["x"] + start["width"] / 2, start["y"] + start["height"] / 2)
        self.page.mouse.down()
        self.page.mouse.move(box["x"] + share * box["width"], box["y"] + box["height"] / 2, steps=10)
        self.page.mouse.up()

    def choose(self, description, label):
        self.box(description).locator("select").select_option(label=label)

    def click(self, description):
        """Click a tick box or a button."""
        box = self.box(description).locator("input[type=checkbox]")
        (box if box.count() else self.root.get_by_role("button", name=description).first).click()

    def square(self, number):
        """Click a square of the picture with the mouse."""
        self.root.locator(".widget-gridbox button").nth(number).click()

    def shot(self, path):
        path.parent.mkdir(parents=True, exist_ok=True)
        self.root.screenshot(path=path)


def until(true, seconds=600):
    """Wait until a question is answered with yes; an error counts as no until time is up."""
    end = time.monotonic() + seconds
    while True:
        try:
            if true():
                return True
        except Exception:
            if time.monotonic() > end:
                raise
        if time.monotonic() > end:
            return False
        time.sleep(0.05)
