"""What a refusal owes: the rule, what came, and a way out that works."""

from functools import cache

from try_lines import follow_hint, make_scope


def check_refusal(message, animal, call, **names):
    """Hold a refusal to its form, and run its line to try as it would be pasted, then the call again.

    Args:
        message: of the refusal.
        animal: whose model refused.
        call: what was refused, as text, of `model`, `x`, `target`, `a` and the further names.
    """
    lines = message.split("\n")
    assert lines[1].startswith("  got: "), message
    assert lines[-1].startswith("  try: "), message
    scope = {**make_scope(), "model": animal.build(), "x": animal.inputs(), "target": animal.target(), **names}
    scope["net"] = scope["model"]
    hint = lines[-1].removeprefix("  try: ")
    # Another method of the same inputs works or not, whatever was refused: many methods name the same one.
    is_other_method = hint.startswith("xnb.attribute(model, x, target, ")
    call, asked = ("", hint) if is_other_method else (call, message)
    _follow_once(hint, call, _Scope(scope, (animal, asked)))


class _Scope:
    """Names, which count as the same where the network and the refusal are."""

    def __init__(self, names, key):
        self.names = names
        self.key = key

    def __hash__(self):
        return hash(str(self.key))

    def __eq__(self, other):
        return self.key == other.key


@cache
def _follow_once(hint, call, scope):
    follow_hint(scope.names, call, hint)
