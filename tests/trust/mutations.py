"""Mutants: a function with one small change, as a slip of the hand would make it.

Changed are comparisons, operators, numbers, conditions, arguments and statements within functions, not what only a
reader sees: types, texts, messages. Left out are arguments on which no result depends: `chunk` and `strict`.
"""

import ast
import copy
import difflib
from collections.abc import Iterator
from typing import NamedTuple

COMPARISONS = {
    ast.Lt: ast.LtE,
    ast.LtE: ast.Lt,
    ast.Gt: ast.GtE,
    ast.GtE: ast.Gt,
    ast.Eq: ast.NotEq,
    ast.NotEq: ast.Eq,
    ast.Is: ast.IsNot,
    ast.IsNot: ast.Is,
    ast.In: ast.NotIn,  # codespell:ignore
    ast.NotIn: ast.In,  # codespell:ignore
}
TURNED = (ast.Eq, ast.NotEq, ast.Is, ast.IsNot, ast.In, ast.NotIn)  # the other one is the negation  # codespell:ignore
OPERATORS = {
    ast.Add: ast.Sub,
    ast.Sub: ast.Add,
    ast.Mult: ast.Div,
    ast.Div: ast.Mult,
    ast.FloorDiv: ast.Div,
    ast.Mod: ast.FloorDiv,
    ast.Pow: ast.Mult,
    ast.BitAnd: ast.BitOr,
    ast.BitOr: ast.BitAnd,
}
PAIRS = (
    ("max", "min"),
    ("amax", "amin"),
    ("maximum", "minimum"),
    ("argmax", "argmin"),
    ("sum", "mean"),
    ("any", "all"),
    ("floor", "ceil"),
)
OTHER_NAMES = dict(PAIRS) | {second: first for first, second in PAIRS}
TEXTS = {"rule", "hint", "line"}  # variables with words for who is refused
DROPPED = {"abs", "clone", "exp", "log", "sqrt", "square", "relu", "double"}  # methods without arguments
WITHOUT_EFFECT = {"chunk", "strict"}


class Mutant(NamedTuple):
    """Where a module is changed: the function, which of its nodes, and which of the changes of that node."""

    module: str
    function: str
    place: int
    number: int


def functions_of(tree: ast.Module) -> Iterator[tuple[str, ast.FunctionDef]]:
    """Functions and methods with their qualified names, but for those that write texts or refuse."""
    for node in tree.body:
        parts = node.body if isinstance(node, ast.ClassDef) else [node]
        within = f"{node.name}." if isinstance(node, ast.ClassDef) else ""
        for part in parts:
            if isinstance(part, ast.FunctionDef) and getattr(part.returns, "id", "") not in {"str", "NoReturn"}:
                yield within + part.name, part


def parts_of(node: ast.AST) -> list[ast.AST]:
    """Children of a node, but for types, texts, defaults and messages."""
    match node:
        case ast.JoinedStr() | ast.arguments() | ast.Call(func=ast.Name(id="refuse" | "raise_again")):
            return []
        case ast.Call(func=ast.Name(id="require"), args=[condition, *_]):
            return [condition]
        case ast.FunctionDef():
            return node.body
        case ast.Assign(targets=[ast.Name(id=name)]) if name in TEXTS:
            return []
        case ast.AnnAssign():
            return [node.value] if node.value else []
        case ast.keyword() if node.arg in WITHOUT_EFFECT:
            return []
    return list(ast.iter_child_nodes(node))


def walk(node: ast.AST) -> Iterator[ast.AST]:
    yield node
    for part in parts_of(node):
        yield from walk(part)


def alter(node: ast.AST, **fields: object) -> ast.AST:
    other = copy.copy(node)
    for name, value in fields.items():
        setattr(other, name, value)
    return other


def negate(condition: ast.expr) -> ast.expr:
    return ast.copy_location(ast.UnaryOp(ast.Not(), condition), condition)


def is_negated_elsewhere(condition: ast.expr) -> bool:
    """Whether a change of the condition itself is its negation."""
    if isinstance(condition, ast.Compare):
        return len(condition.ops) == 1 and isinstance(condition.ops[0], TURNED)
    return isinstance(condition, ast.UnaryOp) and isinstance(condition.op, ast.Not)


def is_text(node: ast.expr) -> bool:
    return isinstance(node, ast.JoinedStr) or (isinstance(node, ast.Constant) and isinstance(node.value, str))


def changes(node: ast.AST) -> Iterator[ast.AST]:
    """What may stand in the place of this node, one slip each."""
    match node:
        case ast.Compare():
            for place, operator in enumerate(node.ops):
                turned = COMPARISONS[type(operator)]()
                yield alter(node, ops=[*node.ops[:place], turned, *node.ops[place + 1 :]])
        case ast.BinOp() if not is_text(node.left) and not is_text(node.right):
            yield from changes_of_sum_or_product(node)
        case ast.AugAssign() if type(node.op) in OPERATORS:
            yield alter(node, op=OPERATORS[type(node.op)]())
        case ast.BoolOp():
            yield alter(node, op=ast.Or() if isinstance(node.op, ast.And) else ast.And())
        case ast.UnaryOp():
            yield node.operand
        case ast.Constant(value=bool()):
            yield alter(node, value=not node.value)
        case ast.Constant(value=int() | float()):
            yield alter(node, value=node.value + 1)
        case ast.If() | ast.IfExp() if not is_negated_elsewhere(node.test):
            yield alter(node, test=negate(node.test))
        case ast.comprehension() if node.ifs and not is_negated_elsewhere(node.ifs[0]):
            yield alter(node, ifs=[negate(node.ifs[0]), *node.ifs[1:]])
        case ast.Call():
            yield from changes_of_call(node)
        case ast.Expr(value=ast.Call()):
            yield ast.copy_location(ast.Pass(), node)


def changes_of_sum_or_product(node: ast.BinOp) -> Iterator[ast.AST]:
    """Another operator, or a term or factor less."""
    if type(node.op) in OPERATORS:
        yield alter(node, op=OPERATORS[type(node.op)]())
    if isinstance(node.op, ast.Add | ast.Sub | ast.Mult | ast.Div | ast.Pow):
        yield node.left
    if isinstance(node.op, ast.Add | ast.Mult):
        yield node.right


def changes_of_call(node: ast.Call) -> Iterator[ast.AST]:
    """Another function, a method less, a named argument less, or two arguments in each other's place."""
    match node.func:
        case ast.Name(id="refuse" | "raise_again" | "require" | "isinstance"):  # or there is no answer at all
            return
        case ast.Name(id=name) if name in OTHER_NAMES:
            yield alter(node, func=alter(node.func, id=OTHER_NAMES[name]))
        case ast.Attribute(attr=name) if name in OTHER_NAMES:
            yield alter(node, func=alter(node.func, attr=OTHER_NAMES[name]))
        case ast.Attribute(attr=name, value=value) if name in DROPPED and not node.args and not node.keywords:
            yield value
    if len(node.args) == 2 and not any(isinstance(part, ast.Starred) or is_text(part) for part in node.args):
        yield alter(node, args=node.args[::-1])
    for keyword in node.keywords:
        if keyword.arg and keyword.arg not in WITHOUT_EFFECT:
            yield alter(node, keywords=[other for other in node.keywords if other is not keyword])


def list_mutants(module: str, source: str) -> list[Mutant]:
    """Every mutant of a module, in the order of its text."""
    return [
        Mutant(module, name, place, number)
        for name, function in functions_of(ast.parse(source))
        for place, node in enumerate(walk(function))
        for number, _ in enumerate(changes(node))
    ]


class Swap(ast.NodeTransformer):
    def __init__(self, old: ast.AST, new: ast.AST):
        self.old, self.new = old, new

    def visit(self, node: ast.AST) -> ast.AST:
        return self.new if node is self.old else self.generic_visit(node)


def mutate(source: str, mutant: Mutant) -> ast.Module:
    """The module with that one change."""
    tree = ast.parse(source)
    node = list(walk(dict(functions_of(tree))[mutant.function]))[mutant.place]
    swapped = Swap(node, list(changes(node))[mutant.number]).visit(tree)
    return ast.fix_missing_locations(swapped)


class Difference(NamedTuple):
    """What a mutant changes in its function: the first line of it, counted from its head, and the text."""

    line: int
    before: str
    after: str


def describe(source: str, mutant: Mutant) -> Difference:
    before, after = (
        ast.unparse(dict(functions_of(tree))[mutant.function]).splitlines()
        for tree in (ast.parse(source), mutate(source, mutant))
    )
    line = next(number for number, pair in enumerate(zip(before, after, strict=False)) if pair[0] != pair[1])
    lines = list(difflib.ndiff(before, after))
    texts = ("\n".join(line[2:].strip() for line in lines if line.startswith(sign)) for sign in ("- ", "+ "))
    return Difference(line, *texts)
