"""A faulty value is answered by one message with its key, itself and what is allowed."""

from dataclasses import dataclass
from typing import ClassVar, Literal

import pytest

from prnn_md.app.checking import ConfigError, alternatives, check_fields
from prnn_md.app.fields import Target, key


@dataclass(kw_only=True)
class Solver(Target):
    partial: ClassVar[bool] = True


@dataclass(kw_only=True)
class Newton(Solver):
    target: ClassVar[str] = "solvers.Newton"
    steps: int = key("steps", 10, low=1, high=20)


@dataclass(kw_only=True)
class Study:
    name: str = key("name")
    rate: float = key("rate", 0.1, above=0)
    exact: bool = key("exact", True)
    kind: Literal["fast", "slow"] = key("kind", "fast")
    sizes: list[int] = key("sizes", (1, 2), low=0)
    limit: int | None = key("limit", None, low=0)
    solvers: dict[str, Solver] | None = key("solvers", None)


NEWTON = {"_target_": "solvers.Newton", "_partial_": True, "steps": 3}


@pytest.mark.parametrize(
    "value",
    [
        {"name": "a"},
        {"name": "a", "rate": 1, "exact": False, "kind": "slow", "sizes": [], "limit": 3},
        {"name": "a", "solvers": {"one": NEWTON, "two": {**NEWTON, "steps": 20}}, "limit": None},
    ],
)
def test_right_values_pass(value: dict) -> None:
    check_fields(Study, value)


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ({}, "name is missing: name"),
        ({"name": 3}, "name=3: expected a text."),
        ({"name": "a", "rat": 1}, "rat=1: there is no such key.\nDid you mean rate?\nAllowed: name, rate, exact, "),
        ({"name": "a", "rate": "abc"}, "rate=abc: expected a number above 0."),
        ({"name": "a", "rate": 0.0}, "rate=0.0: expected a number above 0."),
        ({"name": "a", "rate": True}, "rate=true: expected a number above 0."),
        ({"name": "a", "rate": float("nan")}, "rate=nan: expected a number above 0."),
        ({"name": "a", "exact": 1}, "exact=1: expected true or false."),
        ({"name": "a", "kind": "slw"}, "kind=slw: unknown.\nDid you mean slow?\nAllowed for kind: fast, slow."),
        ({"name": "a", "sizes": [1, -1]}, "sizes[1]=-1: expected a whole number at least 0."),
        ({"name": "a", "sizes": 3}, "sizes=3: expected a list."),
        ({"name": "a", "limit": "x"}, "limit=x: expected a whole number at least 0, or null."),
        ({"name": "a", "solvers": {"one": 3}}, "solvers.one=3: expected a group of keys."),
        (
            {"name": "a", "solvers": {"one": {**NEWTON, "steps": 21}}},
            "solvers.one.steps=21: expected a whole number at least 1 and at most 20.",
        ),
        (
            {"name": "a", "solvers": {"one": {**NEWTON, "step": 2}}},
            "solvers.one.step=2: there is no such key.\nDid you mean solvers.one.steps?\nAllowed in solvers.one: ",
        ),
        (
            {"name": "a", "solvers": {"one": {**NEWTON, "_target_": "os.remove"}}},
            "solvers.one._target_=os.remove: unknown here.\nAllowed for solvers.one._target_: solvers.Newton.",
        ),
        (
            {"name": "a", "solvers": {"one": {**NEWTON, "_partial_": False}}},
            "solvers.one._partial_=false: must be true.",
        ),
    ],
)
def test_faults_are_named(value: dict, message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        check_fields(Study, value)
    assert str(caught.value).startswith(message)


def test_only_some_fields_can_be_checked() -> None:
    check_fields(Study, {"rate": 1.0, "unknown": 3}, only=("rate",))
    with pytest.raises(ConfigError, match="rate=-1"):
        check_fields(Study, {"rate": -1}, only=("rate",))


def test_alternatives_without_a_near_match() -> None:
    assert alternatives("zzz", ["abc", "def"]) == "Allowed: abc, def."
    assert alternatives("zzz", []) == "Allowed: nothing."
