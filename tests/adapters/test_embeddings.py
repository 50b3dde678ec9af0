"""A model of token ids gives the same logits of their embeddings, and the maps are those of the tokens."""

import pytest
import torch
from torch import nn

from xnb import attribute
from xnb.access.score import logits as run
from xnb.adapters import embed_tokens

IDS = torch.tensor([[2, 5, 7, 3, 0, 0], [2, 9, 3, 0, 0, 0], [2, 4, 4, 6, 8, 3]])
MASK = (IDS != 0).long()


class Recurrent(nn.Module):
    """A classifier as people write it: embeddings, positions, an LSTM."""

    def __init__(self):
        super().__init__()
        self.words = nn.Embedding(12, 4, padding_idx=0)
        self.positions = nn.Embedding(6, 4)
        self.lstm = nn.LSTM(4, 5, batch_first=True)
        self.head = nn.Linear(5, 3)

    def forward(self, ids, mask=None):
        tokens = self.words(ids) * 2 + self.positions(torch.arange(6))
        kept = (ids != 0) if mask is None else mask
        out = self.lstm(tokens)[0] * kept.unsqueeze(2)
        return self.head(out.sum(1))


class Sum(nn.Module):
    """The sum of what the tokens say, those under the mask alone: attributions are known."""

    def __init__(self):
        super().__init__()
        self.words = nn.Embedding(12, 3)

    def forward(self, ids, attention_mask):
        return (self.words(ids) * attention_mask.unsqueeze(2)).sum(1)


def made(make):
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return make().eval()


def bert(name, **settings):
    transformers = pytest.importorskip("transformers")
    sizes = {"hidden_size": 8, "num_attention_heads": 2, "num_hidden_layers": 2, "intermediate_size": 16}
    if name == "DistilBert":
        sizes = {"dim": 8, "n_heads": 2, "n_layers": 2, "hidden_dim": 16}
    config = getattr(transformers, f"{name}Config")(vocab_size=12, max_position_embeddings=16, num_labels=3, **sizes)
    return made(lambda: getattr(transformers, f"{name}ForSequenceClassification")(config))


@pytest.mark.parametrize("name", ["Bert", "DistilBert", "Roberta", "Electra"])
def test_a_model_of_hugging_face_has_the_same_logits(name):
    """Positions, token types and the mask stay as they were: Roberta counts positions from the padding on."""
    net = bert(name)
    model, x = embed_tokens(net, IDS, attention_mask=MASK)
    assert x.shape[:2] == IDS.shape
    torch.testing.assert_close(run(model, x), net(IDS, attention_mask=MASK).logits)
    found = attribute(model, x, 1, "integrated_gradients", chunk=2)
    for i in range(3):
        alone, e = embed_tokens(net, IDS[i : i + 1], attention_mask=MASK[i : i + 1])
        expected = attribute(alone, e, 1, "integrated_gradients")
        torch.testing.assert_close(found[i : i + 1], expected, rtol=1e-4, atol=1e-6)
    assert not found[1, 3:].any()  # what the mask hides


def test_a_model_of_ones_own_has_the_same_logits():
    net = made(Recurrent)
    model, x = embed_tokens(net, IDS)
    torch.testing.assert_close(x, net.words(IDS))
    torch.testing.assert_close(run(model, x), net(IDS))
    doubled = (net.words(IDS) * 2).detach()
    changed, _ = embed_tokens(net, IDS)
    assert not torch.allclose(run(changed, doubled), net(IDS))


@pytest.mark.parametrize("method", ["gradient_times_input", "integrated_gradients", "feature_ablation", "kernel_shap"])
def test_each_text_has_its_own_mask(method):
    """Logit k is the sum of number k of the tokens that are no padding: that number is their attribution."""
    model, x = embed_tokens(made(Sum), IDS, attention_mask=MASK)
    target = torch.tensor([0, 1, 2])
    expected = torch.zeros_like(x)
    for i, k in enumerate(target):
        expected[i, :, k] = x[i, :, k] * MASK[i]
    torch.testing.assert_close(attribute(model, x, target, method), expected, rtol=1e-4, atol=1e-4)


def test_the_token_model_keeps_names_and_shares_weights():
    net = made(Recurrent)
    model, _ = embed_tokens(net, IDS)
    assert [id(p) for p in model.parameters()] == [id(p) for p in net.parameters()]
    assert "model.lstm" in dict(model.named_modules())
    assert list(model.state_dict()) == [f"model.{key}" for key in net.state_dict()]
    assert not net.words._forward_hooks


@pytest.mark.parametrize("twice", [False, True])
def test_ids_are_looked_up_once(twice):
    class Odd(nn.Module):
        def __init__(self):
            super().__init__()
            self.words = nn.Embedding(12, 3)

        def forward(self, ids):
            if twice:
                return self.words(ids).sum(1) + self.words(ids).sum(1)
            return nn.functional.one_hot(ids, 12).float().sum(1)

    with pytest.raises(ValueError, match="looked up once"):
        embed_tokens(made(Odd), IDS)
    with pytest.raises(ValueError, match="must be a module"):
        embed_tokens(lambda ids: ids, IDS)
