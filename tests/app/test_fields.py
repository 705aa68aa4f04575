"""Fields carry their explanation, and nested values are listed by their dotted keys."""

from dataclasses import dataclass
from typing import ClassVar

import pytest

from prnn_md.app.fields import Target, key, leaves, registered_targets, shown


@dataclass(kw_only=True)
class Shape(Target):
    pass


@dataclass(kw_only=True)
class Square(Shape):
    target: ClassVar[str] = "shapes.Square"
    side: float = key("edge length", 1.0, above=0)


@dataclass(kw_only=True)
class Picture:
    title: str = key("what is seen")
    shapes: dict[str, Shape] = key("the shapes")
    frame: Shape | None = key("around it", None)


def test_registered_targets_are_found_below_their_kind_only() -> None:
    assert registered_targets(Shape) == {"shapes.Square": Square}
    assert registered_targets()["shapes.Square"] is Square


def test_leaves_follow_targets_and_groups_of_nodes() -> None:
    square = {"_target_": "shapes.Square", "side": 2.0}
    value = {"shapes": {"a": square, "b": square}, "title": "two", "frame": None}
    assert list(leaves(Picture, value)) == [
        ("title", "two", "what is seen"),
        ("shapes.a.side", 2.0, "edge length"),
        ("shapes.b.side", 2.0, "edge length"),
        ("frame", None, "around it"),
    ]


@pytest.mark.parametrize(
    ("value", "text"),
    [(None, "null"), (True, "true"), (0, "0"), (0.0, "0.0"), ([1, None], "[1,null]"), ({"a": 1}, "{...}"), ("x", "x")],
)
def test_values_are_shown_as_on_the_command_line(value: object, text: str) -> None:
    assert shown(value) == text
