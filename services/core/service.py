"""The service without a framework: what each address does, from what was sent to the reply."""

import logging
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch

from services.core.answers import Answer, explain_picture, predict_picture
from services.core.models import ServedModel, check_served, find_loader
from services.core.openapi import describe_service
from services.core.pictures import Picture, read_header
from services.core.questions import Question, read_form, read_instances, read_json
from services.core.refusals import Refusal, refuse
from services.core.replies import JSON, Reply, choose_form, list_facts, write_answer, write_json
from services.core.settings import Settings
from services.core.trials import Trials
from services.core.work_queue import Worker

_LOG = logging.getLogger("services")
_FORMS = ("multipart/form-data", "application/x-www-form-urlencoded")


class Service:
    """One model, the thread that runs it, and the limits of both; every reply comes from here.

    Both apps call these methods and make a response of what comes back.
    """

    def __init__(self, settings: Settings) -> None:
        """Start to load the model; until it is there, `/readyz` says so.

        Raises:
            ValueError: the settings name no function that loads a model.
        """
        self.settings = settings
        self.worker = Worker(settings.most_waiting, settings.timeout)
        self._trials = Trials(settings.most_passes)
        self._served: ServedModel | None = None
        self._state = "loading"
        loader = find_loader(settings.model)
        self.worker.begin(lambda: self._load(loader))

    def _load(self, loader: Callable[[], ServedModel]) -> None:
        try:
            if self.settings.torch_threads:
                torch.set_num_threads(self.settings.torch_threads)
            served = check_served(loader())
            served.model.register_forward_pre_hook(lambda *_: self.worker.check_time())
            _LOG.info("ready: %s, sha256 %s", served.name, served.sha256)
            self._served = served
            self._state = "ready"
        except Exception:
            self._state = "failed"
            _LOG.exception("the model could not be loaded: this process will not be ready")

    @property
    def served(self) -> ServedModel:
        """The model, or a refusal while there is none."""
        if self._state == "failed":
            refuse(
                503, "the model could not be loaded", "an error, which stands in the log", "to start the service again"
            )
        if self._served is None:
            refuse(503, "the model is being loaded", "not ready", "again in 2 seconds", Retry_After="2")
        return self._served

    def report_health(self) -> Reply:
        """Whether the process answers at all."""
        return write_json({"status": "ok"})

    def report_readiness(self) -> Reply:
        """Whether it can explain: the model is loaded, and the service is not stopping."""
        state = "stopping" if self.worker.is_closed() else self._state
        if state == "ready":
            return write_json({"status": state})
        return write_json({"status": state}, 503, {"Retry-After": "2"})

    def describe(self) -> Reply:
        """The OpenAPI description of all addresses."""
        return write_json(describe_service())

    def list_models(self) -> Reply:
        """The names of the models, in KServe's form."""
        return write_json({"models": [self.served.name]})

    def describe_model(self, name: str) -> Reply:
        """Whether a model is ready, in KServe's form."""
        self._check_name(name)
        return write_json({"name": name, "ready": True})

    def explain_form(
        self, fields: Mapping[str, Sequence[str]], files: Mapping[str, Sequence[bytes]], accept: str
    ) -> Reply:
        """The explanation that a form asks for, in the form that the client accepts."""
        form = choose_form(accept)
        return write_answer(self.answer(read_form(fields, files)), form)

    def explain_json(self, body: bytes, accept: str) -> Reply:
        """The explanation that a JSON object asks for."""
        form = choose_form(accept)
        return write_answer(self.answer(read_json(body)), form)

    def explain_instances(self, name: str, body: bytes, accept: str) -> Reply:
        """KServe's `:explain`: an explanation for each instance."""
        self._check_name(name)
        choose_form(accept, (JSON,))
        questions = read_instances(body)
        return write_json({"explanations": [list_facts(self.answer(question)) for question in questions]})

    def predict_instances(self, name: str, body: bytes, accept: str) -> Reply:
        """KServe's `:predict`: the logits of each instance."""
        self._check_name(name)
        choose_form(accept, (JSON,))
        questions = read_instances(body)
        return write_json({"predictions": [self._predict(question) for question in questions]})

    def answer(self, question: Question) -> Answer:
        """Wait for the model's turn, and explain."""
        served = self.served
        picture = self._read_header(question)
        return self.worker.ask(lambda: explain_picture(served, picture, question, self._trials))

    def _predict(self, question: Question) -> dict[str, Any]:
        served = self.served
        picture = self._read_header(question)
        return self.worker.ask(lambda: predict_picture(served, picture))

    def _read_header(self, question: Question) -> Picture:
        return read_header(question.content, self.settings.most_pixels)

    def _check_name(self, name: str) -> None:
        served = self.served
        if name != served.name:
            refuse(404, "there is no model of that name", "another name", f"/v1/models/{served.name}")


def choose_reader(content_type: str) -> str:
    """What the body of a request is, `form` or `json`.

    Raises:
        Refusal: 415, neither.
    """
    kind = content_type.split(";")[0].strip().lower()
    if kind in _FORMS:
        return "form"
    if kind == JSON:
        return "json"
    rule = "the body must be a form or JSON, and Content-Type must say so"
    return refuse(415, rule, kind or "no Content-Type", "curl -F picture=@photo.png ...")


def unexpected() -> Refusal:
    """What a client is told when the service itself is at fault; what it was stands in the log."""
    return Refusal(500, "the service failed", "an error of its own", "again; the request id finds it in the log")
