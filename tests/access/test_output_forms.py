"""What is no table of logits is refused with the line that makes one of it, and that line works."""

import numpy as np
import pytest
import torch
from sklearn.linear_model import LogisticRegression

import xnb
from xnb.access.output_forms import is_logits

# What a model may return, as a function of its logits.
FORMS = {
    "one number": lambda out: out[:, 0],
    "steps": lambda out: out[:, None].expand(-1, 4, -1),
    "maps": lambda out: out[:, :, None, None].expand(-1, -1, 2, 2),
    "volumes": lambda out: out[:, :, None, None, None].expand(-1, -1, 2, 2, 2),
    "tuple": lambda out: (out, None),
    "dict": lambda out: {"out": out},
    "array": lambda out: out.detach().numpy(),
    "boxes": lambda out: [
        {"boxes": torch.tensor([[0.0, 0, 2, 2]]), "labels": torch.tensor([1]), "scores": row[:1].sigmoid()}
        for row in out
    ],
}


@pytest.mark.parametrize("form", FORMS)
def test_the_line_to_try_makes_logits_of_each_form(model, x, form):
    scope = {"xnb": xnb, "torch": torch, "x": x, "target": 1, "model": lambda x: FORMS[form](model(x))}
    with pytest.raises(ValueError, match="must return logits") as refusal:
        xnb.attribute(scope["model"], x, 1, "feature_ablation")
    exec(str(refusal.value).split("  try: ")[1], scope)
    if form != "array":
        assert len(xnb.attribute(scope["model"], x, 1, "feature_ablation")) == 5


@pytest.mark.parametrize(
    ("form", "way"),
    [
        (lambda out: out.sum(), r"torch\.cat\(\[model\(one\)"),
        (lambda out: None, "return the logits"),
        (lambda out: [1], "return the logits"),
        (lambda out: out[:, :0], "a logit for each class"),
        (lambda out: out.argmax(1), r"one_hot\(model\(x\), 2\)"),
        (lambda out: out > 0, r"model\(x\)\.float\(\)"),
    ],
)
def test_what_no_adapter_can_mend_is_refused_with_another_way(model, x, form, way):
    with pytest.raises(ValueError, match=rf"must return logits.*\n  got: .*\n  try: .*{way}"):
        xnb.attribute(lambda x: form(model(x)), x, 1, "feature_ablation")


@pytest.mark.parametrize("function", ["predict_proba", "a function of arrays"])
def test_a_function_of_arrays_is_known(function):
    x = torch.randn(4, 3, dtype=torch.double, generator=torch.Generator().manual_seed(0))
    fitted = LogisticRegression().fit(np.eye(3), [0, 1, 2])
    model = fitted.predict_proba if function == "predict_proba" else lambda a: a.astype(np.float64)
    with pytest.raises(ValueError, match=r"model = xnb.adapters.from_numpy\(model\)"):
        xnb.attribute(model, x, 1, "feature_ablation")


def test_logits_are_floats_of_at_least_one_class(x):
    assert is_logits(torch.zeros(5, 1), x)
    for out in (torch.zeros(5, 0), torch.zeros(4, 2), torch.zeros(5), torch.zeros(5, 2).long(), None):
        assert not is_logits(out, x)


@pytest.mark.parametrize("method", ["integrated_gradients", "occlusion", "kernel_shap", "attribute_all"])
def test_a_mask_that_is_closed_over_is_told_apart_from_other_errors(model, x, method):
    mask = torch.ones_like(x)

    def run(net):
        if method == "attribute_all":
            return xnb.attribute_all(net, x, "integrated_gradients")
        return xnb.attribute(net, x, 1, method)

    with pytest.raises(ValueError, match=r"must follow its input(.|\n)*with_inputs\(net, mask=mask\)"):
        run(lambda z: model(z * mask))
    followed = xnb.adapters.with_inputs(lambda z, mask: model(z * mask), mask=mask)
    torch.testing.assert_close(run(followed), run(model))


def test_an_error_of_the_model_itself_stays_as_it_is(x):
    with pytest.raises(ZeroDivisionError):
        xnb.attribute(lambda z: z / (1 // 0), x, 1, "occlusion")


def test_ids_are_embedded_and_pixels_divided(model, as_users_run):
    text = torch.nn.Sequential(torch.nn.Embedding(9, 4), torch.nn.Flatten(), torch.nn.Linear(12, 2)).eval()
    with pytest.raises(ValueError, match=r"model, x = xnb.adapters.embed_tokens\(model, x\)"):
        xnb.attribute(text, torch.ones(2, 3).long(), 1, "gradient")
    with pytest.raises(ValueError, match=r"x = x.float\(\) / 255"):
        xnb.attribute(model, torch.ones(2, 2, 6, 6).byte(), 1, "gradient")
    with pytest.raises(ValueError, match=r"x = x.float\(\)$"):
        xnb.attribute(model, torch.ones(2, 6).long(), 1, "gradient")
