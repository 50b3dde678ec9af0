"""Refused calls about models, inputs and layers, in the form of `cases`."""

# signals or tokens: nothing that the model does tells
_OPAQUE = "model = nn.Sequential(nn.Flatten(), nn.Linear(1200, 3)).eval(); x = torch.rand(4, 30, 40)"

# blocks that are given another sequence beside their tokens, as long as these
_CROSSED = """
class Crossed(nn.Module):
    def __init__(self):
        super().__init__()
        self.decoder = nn.TransformerDecoder(nn.TransformerDecoderLayer(8, 2, 16, batch_first=True), 2)
        self.head = nn.Linear(8, 3)

    def forward(self, x):
        return self.head(self.decoder(x, x.flip(1)).mean(1))

model, x = Crossed().eval(), torch.rand(4, 5, 8)
"""

CASES = [
    ("xnb.attribute(model, x, target, 'grad_cam', layer='a')", "import odd_models; model = odd_models.unused_layer()"),
    (
        "xnb.attribute(model, x, target, 'grad_cam', layer='a')",
        "import odd_models; model = odd_models.layer_called_twice()",
    ),
    (
        "xnb.attribute(model, x, target, 'grad_cam', layer='inner')",
        "import odd_models; model = odd_models.layer_of_the_batch()",
    ),
    (
        "xnb.attribute(model, x, target, 'ablation_cam', layer='inner')",
        "import odd_models; model = odd_models.layer_with_words()",
    ),
    (
        "xnb.attribute(model, x, target, 'ablation_cam', layer='a')",
        "import odd_models; model = odd_models.random_head()",
    ),
    ("make_suffix(model, x, '1')", "from xnb.access.suffix import make_suffix"),
    ("xnb.attribute(model, x, target, 'grad_cam', layer=nn.ReLU())", ""),
    ("xnb.attribute(model, x, target, 'grad_cam')", "model = nn.Sequential(nn.Flatten(), nn.Linear(128, 3)).eval()"),
    ("xnb.attribute(model, x, target, 'grad_cam', layer='0', layout=lambda out: out.sum())", ""),
    ("xnb.attribute(model, x, target, 'grad_cam', layer='0', layout=lambda out: 2 * out)", ""),
    (
        "xnb.attribute(model, x, target, 'grad_cam', layer='blocks.0', layout='channels_first')",
        "model = xnb.models.ViT(size=8, patch=4, channels=2, classes=3, width=8, heads=2, depth=2).eval()",
    ),
    (
        "xnb.attribute(model, x, target, 'grad_cam', layer='0', layout='channels_first')",
        "model = nn.Linear(6, 3).eval(); x = torch.rand(4, 6)",
    ),
    ("xnb.attribute(model, x, target, 'integrated_gradients', baseline=torch.zeros(2, 8, 8).double())", ""),
    ("xnb.attribute(model, x, target, 'integrated_gradients', baseline={})", ""),
    (
        "xnb.attribute(model, x, target, 'integrated_gradients', baseline='blur')",
        "model = nn.Linear(6, 3).eval(); x = torch.rand(4, 6)",
    ),
    ("xnb.attribute(model, x, target, 'integrated_gradients', baseline=baseline)", "baseline = torch.rand(3, 2, 8, 8)"),
    (
        "xnb.attribute(model, x, target, 'feature_ablation', regions=regions)",
        "regions = torch.arange(64).view(1, 8, 8).repeat(2, 1, 1); x = x[:2]; target = target[:2]",
    ),
    (
        "xnb.attribute(model, x, target, 'gradient')",
        "model = nn.Linear(1, 3).eval(); x = torch.tensor(0.5); target = 0",
    ),
    (
        "xnb.attribute(model, x, target, 'gradient')",
        (
            "model = nn.Sequential(nn.Embedding(9, 4), nn.Flatten(), nn.Linear(12, 3)).eval(); x = "
            "{'input_ids': torch.ones(2, 3).long()}; target = 0"
        ),
    ),
    ("xnb.attribute(model, x, target, 'gradient')", "x = (x,)"),
    (
        "xnb.attribute(model, x, target, 'gradient')",
        (
            "from torchvision.transforms.functional import to_pil_image; x = to_pil_image(torch.rand(3, 8, "
            "8)); model = nn.Sequential(nn.Flatten(), nn.Linear(192, 3)).eval(); target = 0"
        ),
    ),
    (
        "xnb.attribute(model, x, target, 'gradient')",
        "import pandas; model = nn.Linear(6, 3).eval(); x = pandas.DataFrame(np.ones((4, 6)))",
    ),
    ("gradient(model, x, target)", "gradient = xnb.methods.METHODS['gradient']; x = x.numpy()"),
    ("gradient(model, x, target)", "gradient = xnb.methods.METHODS['gradient']; target = 0"),
    ("gradient(model, x, target)", "gradient = xnb.methods.METHODS['gradient']; target = torch.tensor([0])"),
    ("gradient(model, x, target)", "gradient = xnb.methods.METHODS['gradient']; target = torch.rand(4)"),
    (
        "gradient(model, x, target)",
        "gradient = xnb.methods.METHODS['gradient']; seen = model; model = lambda x: seen(x.detach())",
    ),
    ("logits(model, x)", "from xnb.access.score import logits; model = nn.Linear(6, 3).eval(); x = torch.rand(6)"),
    ("xnb.prepare(model)", "import threading; model.lock = threading.Lock()"),
    ("xnb.prepare(model, x)", "import odd_models; model = odd_models.random_head()"),
    ("xnb.prepare(model, mixed_precision=True)", "model, x = model.double(), x.double()"),
    ("xnb.attribute(model, x, target, 'gradient', chunk=4)", "import odd_models; model = odd_models.greedy()"),
    ("xnb.metrics.mprt(model, x, target, a, method=method)", "import threading; model[1].lock = threading.Lock()"),
    ("xnb.attribute(model, x, target, 'lrp')", "import odd_models; model = odd_models.overwritten()"),
    ("xnb.attribute(model, x, target, 'lrp')", "import odd_models; model = odd_models.written_into()"),
    ("xnb.attribute(model, x, target, 'lrp')", "import odd_models; model = odd_models.weights_from_x()"),
    ("xnb.attribute(model, x, target, 'lrp')", "import odd_models; model = odd_models.checkpointed()"),
    ("xnb.attribute(model, x, target, 'lrp')", "import odd_models; model = odd_models.power_norm(1)"),
    ("xnb.attribute(model, x, target, 'lrp')", "import odd_models; model = odd_models.divided_by_norm(1)"),
    ("xnb.attribute(model, x, target, 'lrp')", "import odd_models; model = odd_models.Recurrent(proj_size=3)"),
    ("xnb.attribute(model, x, target, 'lrp')", "import odd_models; model = odd_models.Recurrent(packed=True)"),
    ("xnb.attribute(model, x, target, 'lrp')", "model = nn.Sequential(model, nn.Softmax(1)).eval()"),
    ("attention_proof(model, x)", "from xnb.access.hooks import attention_proof"),
    ("xnb.attribute(model, x, target, 'token_occlusion')", "seen = model; model = lambda x: seen(x)"),
    (
        "xnb.attribute(model, x, target, 'feature_ablation')",
        (
            "from sklearn.linear_model import LogisticRegression; x = torch.rand(4, 6); known = "
            "LogisticRegression().fit(x.numpy(), [0, 1, 2, 0]); model = "
            "xnb.adapters.from_numpy(known.predict)"
        ),
    ),
    (
        "xnb.attribute(model, x, target, 'feature_ablation')",
        (
            "from sklearn.linear_model import LogisticRegression; x = torch.rand(4, 6); model = "
            "LogisticRegression().fit(x.numpy(), [0, 1, 2, 0])"
        ),
    ),
    ("xnb.adapters.vision_transformer(model)", "model = lambda x: net(x)"),
    ("xnb.adapters.vision_transformer(model, x)", ""),
    ("xnb.attribute(model, x, target, 'occlusion')", _OPAQUE),
    ("xnb.attribute(model, x, target, 'edges')", _OPAQUE),
    ("xnb.attribute(model, x, target, 'occlusion', units=5)", _OPAQUE),
    ("xnb.attribute(model, x, target, 'integrated_gradients', baseline='blur')", _OPAQUE),
    ("xnb.attribute(model, x, target, 'feature_ablation')", _OPAQUE),
    ("xnb.attribute(model, x, target, 'gradient')", "model = None"),
    ("xnb.summary.module_table(model, x)", "model = nn.Sequential(nn.Flatten(), nn.LazyLinear(3))"),
    (
        "xnb.summary.count_parameters(model)",
        "import warnings; warnings.simplefilter('ignore'); model = "
        "torch.ao.quantization.quantize_dynamic(nn.Sequential(nn.Linear(4, 3)), {nn.Linear})",
    ),
    ("xnb.summary.module_table(model, 'words')", ""),
    (
        "xnb.summary.module_table(model, x)",
        "model = nn.Linear(8, 3, device='meta'); model.register_forward_hook(lambda m, a, o: o if o.sum() > 0 else -o)",
    ),
    ("next(train_epochs(model, train, train))", "from xnb.training.loop import train_epochs; train, y = x, target"),
    (
        "next(train_epochs(model, part, part))",
        "from xnb.training.loop import train_epochs; part = xnb.data.Part(x, target); model = nn.Flatten()",
    ),
    ("xnb.widgets.watch(model, split)", "split = xnb.data.Part(x, target)"),
    ("xnb.attribute(model, x, target, 'token_occlusion')", _CROSSED),
    ("model(x)", "model = xnb.models.Net(128).eval(); x = x[0]"),
    ("model(x)", "model = xnb.models.FeatureTransformer(7).eval(); x = torch.rand(7)"),
    ("model(x)", "model = xnb.models.layers.Standardise((0.5, 0.4), (1.0, 2.0)); x = x[0]"),
]
