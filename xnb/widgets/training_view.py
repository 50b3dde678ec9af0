"""Training that can be watched and stopped, and looked back on epoch by epoch."""

import contextvars
import copy
import threading
from collections.abc import Iterator
from contextlib import suppress
from html import escape
from typing import Any

import ipywidgets as W
import numpy as np
from matplotlib.figure import Figure
from torch import nn
from torch.optim import AdamW

from xnb.access.copies import copy_module
from xnb.access.layout.axis_moves import find_tensors
from xnb.check import refuse
from xnb.data import Part, Split
from xnb.training.loop import Epoch, check_arguments, train_epochs
from xnb.widgets import markup, pixels, static
from xnb.widgets.explained import prepare_subject
from xnb.widgets.explore_state import Look, MapAnswer, Question, answer_question, scale_end
from xnb.widgets.map_pictures import describe_map, draw_input, draw_map
from xnb.widgets.panel import Panel, make_button, make_dropdown, make_input_slider, make_slider
from xnb.widgets.pixels import Pixels

_WATCHED_METHODS = ("gradient_times_input", "gradient", "grad_cam", "integrated_gradients", "occlusion")
_STRIP_SIDE = 96  # pixels of a map in the strip
_STRIP_MAPS = 8  # in two rows


def watch(
    model: nn.Module,
    split: Split,
    *,
    epochs: int = 10,
    picture: int = 0,
    **knobs: object,
) -> "_TrainingPanel":
    """Train a model and watch loss, accuracy and one explanation, epoch by epoch; then look back on any of them.

    The button starts `xnb.training.train_epochs` in a thread of its own, and another one stops it after the epoch that
    is running: the model is then in evaluation mode, and the next start goes on from there. The weights of every epoch
    are kept in memory, and may be put back into the model. Do not use the model elsewhere while it trains.

    Args:
        split: trained on one part, watched on the other.
        epochs: in all.
        picture: which input of the test part is explained.
        knobs: of `xnb.training.train_epochs`.

    Raises:
        ValueError: `split` is no data set of two parts, or `model` has nothing to train.
    """
    if not isinstance(split, Split):
        refuse("watch: data must be a split, a part to train on and one to test", split, _suggest_split(model, split))
    check_arguments(model, train=split.train, valid=split.test)
    return _TrainingPanel(model, split, epochs, picture, knobs)


def _suggest_split(model: nn.Module, came: object) -> str:
    """The line that makes a split of a part, or of inputs and their classes, which go by number."""
    part = "split" if isinstance(came, Part) else "xnb.data.Part(x, y)"
    inputs = came.x if isinstance(came, Part) else next(iter(find_tensors([came])), None)
    count = 2
    with suppress(Exception):  # a model that fails says so when it is watched
        count = copy_module(model).eval()(inputs[:1]).shape[1]  # type: ignore[index]
    return f"split = xnb.data.Split({part}, {part}, classes={tuple(map(str, range(count)))})  # better: two parts"


class _TrainingPanel(Panel):
    """The widget of `watch`.

    Attributes:
        knobs: of `train_epochs`; the optimizer is made here, so that it goes on where it was stopped.
        history: the epochs so far.
        subjects: the model as it was before training and after each epoch.
        stopping: set when training is to end after the epoch that is running.
        thread: in which `start` trains, None before the first start.
    """

    def __init__(
        self,
        model: nn.Module,
        split: Split,
        epochs: int,
        picture: int,
        knobs: dict[str, Any],
    ) -> None:
        self.model = model
        self.split = split
        self.epochs = epochs
        self.knobs = {"optimizer": AdamW(model.parameters())} | knobs
        self.history: list[Epoch] = []
        self.subjects = [prepare_subject(model, split)]
        self.stopping = threading.Event()
        self.thread: threading.Thread | None = None

        self.train_button = make_button("train", self.start, "go on training")
        self.stop_button = make_button("stop", self.stop, "after this epoch")
        self.stop_button.disabled = True
        super().__init__(self._make_controls(picture), ("state", "view", "curves", "strip"))
        self.areas["state"].layout.width = "100%"  # a line of its own above the pictures
        self.refresh()

    def _make_controls(self, picture: int) -> dict[str, Any]:
        """Make the controls; the slider of epochs grows with the history."""
        return {
            "buttons": W.HBox([self.train_button, self.stop_button]),
            "epoch": make_slider(W.IntSlider, "epoch", 0, 0, 0),
            "picture": make_input_slider(len(self.split.test), picture),
            "method": make_dropdown("method", list(_WATCHED_METHODS), _WATCHED_METHODS[0]),
            "restore": make_button("put these weights back", self.restore, "into the model itself"),
        }

    def start(self) -> None:
        """Train in a thread, so that buttons and cells go on working."""
        if not self._is_training():
            context = contextvars.copy_context()  # what the thread sends still belongs to this cell
            self.thread = threading.Thread(target=context.run, args=(self.train,), daemon=True)
            self.thread.start()

    def _is_training(self) -> bool:
        return self.thread is not None and self.thread.is_alive()

    def stop(self) -> None:
        """End training after the epoch that is running."""
        self.stopping.set()

    def train(self) -> None:
        """Train here and now, up to `epochs` or until `stop`; an error is shown, and the model is kept."""
        self.stopping.clear()
        self.train_button.disabled = True
        self.stop_button.disabled = False
        try:
            self._train_until_stopped()
        except (FloatingPointError, ValueError, RuntimeError) as error:
            self.areas["state"].value = markup.message_html(str(error))
        finally:
            self.train_button.disabled = len(self.history) >= self.epochs
            self.stop_button.disabled = True

    def _train_until_stopped(self) -> None:
        train = self.split.train
        valid = self.split.test
        done = len(self.history)
        for epoch in train_epochs(self.model, train, valid, epochs=self.epochs, start=done, **self.knobs):
            self._record(epoch)
            if self.stopping.is_set():
                break

    def _record(self, epoch: Epoch) -> None:
        """Keep the weights of an epoch, and show it if the last one was being looked at."""
        slider = self.controls["epoch"]
        at_last = slider.value == len(self.history)
        self.history.append(epoch)
        self.subjects.append(prepare_subject(self.model, self.split))
        slider.max = len(self.history)
        if at_last:
            slider.value = len(self.history)
        else:
            self.refresh()

    def restore(self) -> None:
        """Put the weights of the epoch that is looked at into the model, which must not be training."""
        if not self._is_training():
            past_model = self.subjects[self.epoch].module
            self.model.load_state_dict(copy.deepcopy(past_model.state_dict()))
            self.refresh()

    @property
    def epoch(self) -> int:
        """Number of the epoch that is looked at, 0 before training."""
        return self.controls["epoch"].value

    @property
    def question(self) -> Question:
        """What is asked after each epoch: for the true class, as the predicted one changes while the model learns."""
        picture = self.controls["picture"].value
        target = int(self.split.test.y[picture])
        return Question(picture=picture, method=self.controls["method"].value, target=target)

    def answer(self, epoch: int) -> MapAnswer:
        """Answer of the model as it was after an epoch."""
        return answer_question(self.subjects[epoch], self.question)

    @property
    def picture(self) -> Pixels:
        """The map at the epoch that is looked at."""
        return self.draw_epoch(self.epoch)

    def draw_epoch(self, epoch: int) -> Pixels:
        """Draw the map after an epoch, on a scale of its own."""
        return draw_map(self.subjects[epoch], self.question, self.answer(epoch), Look())

    def draw(self) -> Iterator[tuple[str, str]]:
        """Yield the strip last, as it needs an explanation of each epoch in it."""
        epoch = self.epoch
        answer = self.answer(epoch)
        yield "state", f'<b style="line-height:1.3">{escape(self._describe_epoch(epoch))}</b>'
        yield "view", self._view_page(epoch, answer)
        subject = self.subjects[epoch]
        bars = markup.bars_html(subject.classes, answer.probabilities, mark=subject.classes[answer.target])
        yield "curves", markup.row_html(bars, self._curves_page())
        yield "strip", self._strip_page()

    def _describe_epoch(self, number: int) -> str:
        if number == 0:
            return "Before training."
        epoch = self.history[number - 1]
        return f"Epoch {number} of {self.epochs}: loss {epoch.valid_loss:.3f}, accuracy {epoch.valid_accuracy:.1%}."

    def _view_page(self, epoch: int, answer: MapAnswer) -> str:
        """The input and its map side by side."""
        question = self.question
        subject = self.subjects[epoch]
        picture = draw_input(subject, question, Look())
        left = markup.image_html(picture, f"input {question.picture}", "the input")
        alt = describe_map(subject, question, answer)
        caption = f"{question.method} for {subject.classes[answer.target]}, after epoch {epoch}"
        right = markup.image_html(self.draw_epoch(epoch), alt, caption)
        colour_bar = markup.scale_html(scale_end(answer, Look()))
        return markup.row_html(left, markup.column_html(right, colour_bar))

    def _series(self) -> dict[str, list[float]]:
        """Accuracy, and loss as a share of the first."""
        first = self.history[0].train_loss if self.history else 1.0
        return {
            "accuracy on new inputs": [epoch.valid_accuracy for epoch in self.history],
            f"loss, of {first:.2f} at the top": [epoch.train_loss / first for epoch in self.history],
        }

    def _curves_page(self) -> str:
        if not self.history:
            return markup.note_html("Nothing is learned yet: press train.")
        first = self.history[0].valid_accuracy
        last = self.history[-1].valid_accuracy
        alt = f"accuracy from {first:.0%} to {last:.0%}"
        below = f"epochs 1 to {len(self.history)}"
        return markup.curves_html("Epoch by epoch", self._series(), alt=alt, below=below)

    def _strip_page(self) -> str:
        """The maps of at most eight epochs side by side, the first and the last among them."""
        spaced = np.linspace(0, len(self.history), _STRIP_MAPS)
        epochs = np.unique(spaced.round().astype(int)).tolist()
        size = (_STRIP_SIDE, _STRIP_SIDE)
        tiles = [pixels.resize_nearest(self.draw_epoch(epoch), size) for epoch in epochs]
        sheet = pixels.montage(np.stack(tiles), _STRIP_MAPS // 2, gap=4)
        numbers = ", ".join(map(str, epochs))
        return markup.image_html(sheet, f"the map after epochs {numbers}", f"after epochs {numbers}")

    def describe(self) -> str:
        return f"watch: {len(self.history)} of {self.epochs} epochs. Run the cell to train."

    def draw_static(self) -> Figure:
        """Draw the input, the map, and the curves where there are any."""
        question = self.question
        fig, axes = static.new_figure(3)
        picture = draw_input(self.subjects[self.epoch], question, Look())
        static.show_pixels(picture, axes[0], f"input {question.picture}")
        static.show_pixels(self.picture, axes[1], f"{question.method}, epoch {self.epoch}")
        if self.history:
            static.show_curves(self._series(), axes[2], xlabel="epoch", ylabel="accuracy, loss")
        else:
            static.show_empty(axes[2], self.epochs, xlabel="epoch", ylabel="accuracy, loss")
        return fig
