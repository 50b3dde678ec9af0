"""`python -m tests.browser.film` draws `figures/explorer.gif`: the explorer, moved by hand, for the front page."""

import io

from PIL import Image

from tests.browser.driver import IDLE
from tests.browser.pages import page
from xnb import folders

CELLS = [
    """
from xnb import checkpoints, data, widgets
net, part = checkpoints.load("smallcnn-shapes"), data.shapes(n=(0, 60), seed=1)
""",
    "play = widgets.explore(net, part, picture=2)\nplay",
]
# The moves before each frame. Grey comes before anything is measured against it: from black, what a map shows is mostly
# the baseline.
FRAMES = [
    [],
    [("choose", "method", "integrated_gradients"), ("drag", "baseline", 0.5)],
    [("choose", "method", "lrp")],
    [("choose", "method", "occlusion"), ("drag", "baseline", 0.5)],
    [("choose", "rather than", "square")],
    [("choose", "method", "edges (control)")],
]
SECONDS, SCALE = 1.6, 0.75


def frames():
    """The widget after the moves of each frame."""
    with page(CELLS) as book:
        shown = book.widget("explore", 1)
        for moves in FRAMES:
            for name, *arguments in moves:
                getattr(shown, name)(*arguments)
            book.page.wait_for_timeout(1500)
            book.page.wait_for_function(IDLE)
            yield Image.open(io.BytesIO(shown.root.screenshot())).convert("RGB")


def main():
    found = list(frames())
    width, height = (min(frame.size[k] for frame in found) for k in (0, 1))
    size = (round(width * SCALE), round(height * SCALE))
    small = [frame.crop((0, 0, width, height)).resize(size, Image.Resampling.LANCZOS) for frame in found]
    few = [frame.quantize(64, kmeans=2, dither=Image.Dither.NONE) for frame in small]
    options = {"save_all": True, "append_images": few[1:], "duration": int(1000 * SECONDS), "loop": 0, "optimize": True}
    few[0].save(folders.ROOT / "figures" / "explorer.gif", **options)


if __name__ == "__main__":
    main()
