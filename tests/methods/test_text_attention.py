"""Attention of texts: BERT's weights are those that it says itself, on embeddings and on the numbers of words.

Tests: xnb.methods.token_changes
"""

import pytest
import reference
import torch
from torch import nn

import xnb
from xnb import attribute
from xnb.adapters import embed_tokens, with_inputs

CLOSE = {"rtol": 1e-9, "atol": 1e-10}
IDS = torch.tensor([[1, 7, 3, 9, 2, 5], [1, 4, 4, 8, 0, 0]])
MASK = torch.tensor([[1, 1, 1, 1, 1, 1], [1, 1, 1, 1, 0, 0]])
TARGET = torch.tensor([0, 2])
# BERT's norms stand behind attention, where the first token alone is read
LAYER = {"token_cam": {"layer": "model.network.bert.encoder.layer.0"}}


@pytest.fixture(scope="module")
def bert():
    transformers = pytest.importorskip("transformers")
    sizes = {"hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 24}
    config = transformers.BertConfig(vocab_size=10, num_labels=3, **sizes)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        network = transformers.BertForSequenceClassification(config).double().eval()
        for weights in network.parameters():
            nn.init.normal_(weights, 0, 0.3)
    return network


class OnEmbeddings(nn.Module):
    def __init__(self, network):
        super().__init__()
        self.network = network
        self.eval()

    def forward(self, x, mask=None):
        return self.network(inputs_embeds=x, attention_mask=mask).logits


class OnNumbers(OnEmbeddings):
    def forward(self, x, mask=None):
        return self.network(input_ids=x.long(), attention_mask=mask).logits


def own_attentions(network, mask=None):
    network.set_attn_implementation("eager")
    with torch.no_grad():
        attentions = network(IDS, attention_mask=mask, output_attentions=True).attentions
    network.set_attn_implementation("sdpa")
    return attentions


def expected_maps(network, mask=None):
    """The first token alone is read out; rollout is the product of half attention, half token."""
    attentions = own_attentions(network, mask)
    first = torch.eye(6, dtype=torch.double)[0]
    rollouts = [reference.rollout([layer[row] for layer in attentions], first) for row in range(2)]
    return {"raw_attention": attentions[-1].mean(1)[:, 0], "rollout": torch.stack(rollouts)}


@pytest.mark.parametrize("name", ["raw_attention", "rollout"])
def test_on_embeddings_each_word_has_a_value(bert, name):
    """[CLS] is a piece of the input as any word: all six values are there."""
    embeddings = bert.bert.embeddings.word_embeddings(IDS).detach()
    found = attribute(OnEmbeddings(bert), embeddings, TARGET, name)
    torch.testing.assert_close(found, expected_maps(bert)[name][..., None], **CLOSE)


@pytest.mark.parametrize("chunk", [None, 1])
@pytest.mark.parametrize("name", ["raw_attention", "rollout"])
def test_a_mask_follows_its_text(bert, name, chunk):
    embeddings = bert.bert.embeddings.word_embeddings(IDS).detach()
    model = with_inputs(OnEmbeddings(bert), mask=MASK)
    found = attribute(model, embeddings, TARGET, name, chunk=chunk)
    torch.testing.assert_close(found, expected_maps(bert, MASK)[name][..., None], **CLOSE)
    assert found[1, 4:, 0].max() < 1e-12 or name == "rollout"


@pytest.mark.parametrize("name", ["raw_attention", "rollout"])
def test_on_numbers_of_words_no_gradient_is_needed(bert, name):
    found = attribute(OnNumbers(bert), IDS.double(), TARGET, name)
    torch.testing.assert_close(found, expected_maps(bert)[name], **CLOSE)


@pytest.mark.parametrize("name", ["chefer", "attention_flow", "gradient_weighted_attention", "legrad", "attcat"])
def test_other_methods_have_a_value_for_each_word(bert, name):
    embeddings = bert.bert.embeddings.word_embeddings(IDS).detach()
    found = attribute(OnEmbeddings(bert), embeddings, TARGET, name)
    assert found.shape == (2, 6, 1)
    assert (found != 0).any(1).all()


@pytest.mark.parametrize("name", ["legrad", "attcat", "token_cam", "chefer", "attention_flow"])
def test_a_batch_with_masks_is_each_text_with_its_own(bert, name):
    embeddings = bert.bert.embeddings.word_embeddings(IDS).detach()
    together = attribute(with_inputs(OnEmbeddings(bert), mask=MASK), embeddings, TARGET, name, **LAYER.get(name, {}))
    for row in range(2):
        alone = with_inputs(OnEmbeddings(bert), mask=MASK[row : row + 1])
        one = embeddings[row : row + 1]
        found = attribute(alone, one, TARGET[row : row + 1], name, **LAYER.get(name, {}))
        torch.testing.assert_close(together[row : row + 1], found, **CLOSE)


def test_words_are_left_out_of_the_sequence(bert):
    """The drop is that of the tokens behind the embeddings, without one of them, through the encoder's layers."""
    model, embeddings = OnEmbeddings(bert), bert.bert.embeddings.word_embeddings(IDS).detach()
    with torch.no_grad():
        tokens = bert.bert.embeddings(inputs_embeds=embeddings)
        whole = model(embeddings)
        for word in range(1, 6):
            state = tokens[:, [other for other in range(6) if other != word]]
            for layer in bert.bert.encoder.layer:
                state = layer(state)
                state = state[0] if isinstance(state, tuple) else state
            drop = whole - bert.classifier(bert.bert.pooler(state))
            expected = drop.gather(1, TARGET[:, None])[:, 0]
            found = attribute(model, embeddings, TARGET, "token_occlusion")[:, word, 0]
            torch.testing.assert_close(found, expected, **CLOSE)


@pytest.mark.parametrize("rows", [2, 6])
def test_words_are_left_out_beside_padding(bert, rows):
    """Each text by itself, without its padding: the drop by hand; a word of padding moves nothing.

    With as many texts as words, 6, a mask of texts is not taken for one of words.
    """
    ids, mask, target = (values.repeat(rows // 2, *[1] * (values.ndim - 1)) for values in (IDS, MASK, TARGET))
    model, embeddings = embed_tokens(bert, ids, attention_mask=mask)
    found = attribute(model, embeddings, target, "token_occlusion")
    assert found.shape == (rows, 6, 1)
    for row in range(rows):
        words = int(mask[row].sum())
        with torch.no_grad():
            tokens = bert.bert.embeddings(ids[row : row + 1, :words])
            scores = []
            for word in [None, *range(words)]:
                state = tokens[:, [other for other in range(words) if other != word]]
                for layer in bert.bert.encoder.layer:
                    state = layer(state)
                    state = state[0] if isinstance(state, tuple) else state
                scores.append(bert.classifier(bert.bert.pooler(state))[0, target[row]])
        drops = scores[0] - torch.stack(scores[1:])
        torch.testing.assert_close(found[row, :words, 0], drops, **CLOSE)
        torch.testing.assert_close(found[row, words:, 0], torch.zeros(6 - words).double(), **CLOSE)
    assert xnb.lint(model, embeddings, methods=["token_occlusion"])["valid"].all()


class Crossed(nn.Module):
    """A block that reads its tokens and, if it is told so, another sequence."""

    def __init__(self):
        super().__init__()
        self.attention = nn.MultiheadAttention(4, 1, batch_first=True)

    def forward(self, tokens, memory=None, turn=None):
        memory = tokens if memory is None else memory
        out = tokens + self.attention(tokens, memory, memory, need_weights=False)[0]
        return out if turn is None else out * turn


class Beside(nn.Module):
    """Two blocks that get something beside their tokens, made from those."""

    def __init__(self, make):
        super().__init__()
        self.embed, self.head = nn.Linear(3, 4), nn.Linear(4, 3)
        self.blocks = nn.ModuleList([Crossed(), Crossed()])
        self.make = make
        self.double().eval()

    def forward(self, x):
        tokens = self.embed(x)
        beside = self.make(tokens)
        for block in self.blocks:
            tokens = block(tokens, **beside)
        return self.head(tokens.mean(1))


def turn_places(tokens):
    """A number for each place, no row an input."""
    return {"turn": torch.linspace(1, 2, tokens.shape[1]).double()[:, None]}


def test_numbers_of_places_stay_with_the_tokens_that_are_left():
    with torch.random.fork_rng():
        torch.manual_seed(0)
        net = Beside(turn_places)
    x = torch.randn(2, 5, 3, generator=torch.Generator().manual_seed(0)).double()
    found = attribute(net, x, TARGET, "token_occlusion")
    turn = turn_places(x)["turn"]
    with torch.no_grad():
        for word in range(5):
            rest = [other for other in range(5) if other != word]
            state = net.embed(x)[:, rest]
            for block in net.blocks:
                state = block(state, turn=turn[rest])
            drop = (net(x) - net.head(state.mean(1))).gather(1, TARGET[:, None])[:, 0]
            torch.testing.assert_close(found[:, word, 0], drop, **CLOSE)


def test_another_sequence_is_not_taken_for_the_tokens():
    net = Beside(lambda tokens: {"memory": tokens.flip(1)})
    x = torch.randn(2, 5, 3, generator=torch.Generator().manual_seed(0)).double()
    with pytest.raises(ValueError, match="must not look like them") as refusal:
        attribute(net, x, TARGET, "token_occlusion")
    names = {"xnb": xnb, "model": net, "x": x, "target": TARGET}
    assert eval(str(refusal.value).split("try: ")[1], names).isfinite().all()


def test_no_texts_have_no_maps(bert):
    embeddings = bert.bert.embeddings.word_embeddings(IDS).detach()[:0]
    for name in ("rollout", "legrad", "attention_flow"):
        assert len(attribute(OnEmbeddings(bert), embeddings, TARGET[:0], name)) == 0
