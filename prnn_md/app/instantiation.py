"""Makes the object that a node of a configuration describes."""

from typing import Any

from hydra.errors import InstantiationException
from hydra.utils import instantiate


def build(node: Any, **given: Any) -> Any:
    """The object that a node with a `_target_` describes, with plain lists and dictionaries inside.

    `given` are further arguments. What goes wrong in the constructor is raised as it is.
    """
    try:
        return instantiate(node, _convert_="all", **given)
    except InstantiationException as error:
        raise error.__cause__ or error from None
