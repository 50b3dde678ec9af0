"""Training that can be watched and stopped, and looked back on epoch by epoch."""

import contextvars
import copy
import threading
from collections.abc import Iterator

import ipywidgets as W
import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray
from torch import nn
from torch.optim import AdamW

from xnb.data import Split
from xnb.training.loop import Epoch, epochs
from xnb.widgets import markup, pixels, static
from xnb.widgets.explained import Subject, subject
from xnb.widgets.explore_state import Answer, Look, Question, answer, end, original, picture, words
from xnb.widgets.panel import Panel, button, choice, slider

METHODS = ("gradient_times_input", "gradient", "grad_cam", "integrated_gradients", "occlusion")
SMALL = 96  # pixels of a map in the strip


def watch(model: nn.Module, split: Split, *, count: int = 10, picture: int = 0, **knobs: object) -> "Watch":
    """Train a model and watch loss, accuracy and one explanation, epoch by epoch; then look back on any of them.

    The button starts `xnb.training.epochs` in a thread of its own, and another one stops it after the epoch that is
    running: the model is then in evaluation mode, and the next start goes on from there. The weights of every epoch
    are kept in memory, and may be put back into the model. Do not use the model elsewhere while it trains.

    Args:
        split: trained on one part, watched on the other.
        count: epochs in all.
        picture: which input of the test part is explained.
        knobs: of `xnb.training.epochs`.
    """
    return Watch(model, split, count, picture, knobs)


class Watch(Panel):
    """See `watch`."""

    def __init__(self, model: nn.Module, split: Split, count: int, picture: int, knobs: dict[str, object]) -> None:
        self.model, self.split, self.count = model, split, count
        self.knobs = {"optimizer": AdamW(model.parameters())} | knobs
        self.history: list[Epoch] = []
        self.shown: list[Subject] = [subject(model, split)]  # as it was after each epoch, the beginning first
        self.stopping, self.thread = threading.Event(), None
        self.run, self.stop = (
            button("train", self.start, "go on training"),
            button("stop", self.halt, "after this epoch"),
        )
        controls = {
            "buttons": W.HBox([self.run, self.stop]),
            "epoch": slider(W.IntSlider, "epoch", 0, 0, 0),
            "picture": slider(W.IntSlider, "picture", picture, 0, len(split.test) - 1),
            "method": choice("method", list(METHODS), METHODS[0]),
            "restore": button("put these weights back", self.restore, "into the model itself"),
        }
        self.stop.disabled = True
        super().__init__(controls, ("state", "view", "curves", "strip"))
        self.pages["state"].layout.width = "100%"
        self.refresh()

    def start(self) -> None:
        """Train in a thread, so that buttons and cells go on working."""
        if self.thread is None or not self.thread.is_alive():
            context = contextvars.copy_context()  # what the thread sends still belongs to this cell
            self.thread = threading.Thread(target=context.run, args=(self.train,), daemon=True)
            self.thread.start()

    def halt(self) -> None:
        self.stopping.set()

    def train(self) -> None:
        """Train here and now, up to `count` epochs or until `halt`; an error is shown, and the model is kept."""
        self.stopping.clear()
        self.run.disabled, self.stop.disabled = True, False
        part = (self.split.train, self.split.test)
        try:
            for epoch in epochs(self.model, *part, count=self.count, start=len(self.history), **self.knobs):
                self.keep(epoch)
                if self.stopping.is_set():
                    break
        except (FloatingPointError, ValueError, RuntimeError) as error:
            self.pages["state"].value = markup.message(str(error))
        finally:
            self.run.disabled, self.stop.disabled = len(self.history) >= self.count, True

    def keep(self, epoch: Epoch) -> None:
        """Remember the weights, and show them if the newest were being looked at."""
        newest = self.controls["epoch"].value == len(self.history)
        self.history.append(epoch)
        self.shown.append(subject(self.model, self.split))
        self.controls["epoch"].max = len(self.history)
        if newest:
            self.controls["epoch"].value = len(self.history)
        else:
            self.refresh()

    def restore(self) -> None:
        """Put the weights of the epoch that is looked at into the model, which must not be training."""
        if self.thread is None or not self.thread.is_alive():
            self.model.load_state_dict(copy.deepcopy(self.shown[self.controls["epoch"].value].model.state_dict()))
            self.refresh()

    @property
    def question(self) -> Question:
        return Question(
            picture=self.controls["picture"].value, method=self.controls["method"].value, target=self.target
        )

    @property
    def target(self) -> int:
        """The true class: what the model says changes while it learns."""
        return int(self.split.test.y[self.controls["picture"].value])

    def asked(self, number: int) -> tuple[Subject, Answer]:
        return self.shown[number], answer(self.shown[number], self.question)

    @property
    def picture(self) -> NDArray[np.uint8]:
        """The map at the epoch that is looked at."""
        return self.map(self.controls["epoch"].value)

    def map(self, number: int) -> NDArray[np.uint8]:
        shown, found = self.asked(number)
        return picture(shown, self.question, found, Look())

    def draw(self) -> Iterator[tuple[str, str]]:
        number = self.controls["epoch"].value
        shown, found = self.asked(number)
        yield "state", f'<b style="line-height:1.3">{markup.escape(self.told(number))}</b>'
        left = markup.image(original(shown, self.question, Look()), f"input {self.question.picture}", "the input")
        alt, name = words(shown, self.question, found), shown.classes[self.target]
        right = markup.image(self.map(number), alt, f"{self.question.method} for {name}, after epoch {number}")
        yield "view", markup.row(left, markup.column(right, markup.scale(end(found, Look()))))
        bars = markup.bars(shown.classes, found.said, mark=name)
        yield "curves", markup.row(bars, self.curves())
        yield "strip", self.strip()

    def told(self, number: int) -> str:
        if not number:
            return "Before training."
        epoch = self.history[number - 1]
        return f"Epoch {number} of {self.count}: loss {epoch.valid_loss:.3f}, accuracy {epoch.valid_accuracy:.1%}."

    def series(self) -> dict[str, list[float]]:
        """Accuracy, and loss as a share of the first."""
        first = self.history[0].train_loss if self.history else 1.0
        return {
            "accuracy on new inputs": [epoch.valid_accuracy for epoch in self.history],
            f"loss, of {first:.2f} at the top": [epoch.train_loss / first for epoch in self.history],
        }

    def curves(self) -> str:
        if not self.history:
            return markup.note("Nothing is learned yet: press train.")
        alt = f"accuracy from {self.history[0].valid_accuracy:.0%} to {self.history[-1].valid_accuracy:.0%}"
        return markup.lines("Epoch by epoch", self.series(), alt=alt, across=f"epochs 1 to {len(self.history)}")

    def strip(self) -> str:
        """The map after each epoch, side by side, at most eight of them."""
        chosen = np.unique(np.linspace(0, len(self.history), 8).round().astype(int)).tolist()
        tiles = np.stack([pixels.stretched(self.map(number), (SMALL, SMALL)) for number in chosen])
        numbers = ", ".join(map(str, chosen))
        return markup.image(
            pixels.montage(tiles, 4, gap=4), f"the map after epochs {numbers}", f"after epochs {numbers}"
        )

    def words(self) -> str:
        return f"watch: {len(self.history)} of {self.count} epochs. Run the cell to train."

    def still(self) -> Figure:
        number = self.controls["epoch"].value
        fig, axes = static.figure(3)
        static.shown(original(self.shown[number], self.question, Look()), axes[0], f"input {self.question.picture}")
        static.shown(self.map(number), axes[1], f"{self.question.method}, epoch {number}")
        if self.history:
            static.lines(self.series(), axes[2], across="epoch", up="accuracy, loss")
        else:
            axes[2].set_axis_off()
        return fig
