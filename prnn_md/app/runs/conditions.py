"""Conditions on runs, such as status=finished, seed=0,1 or test/net_error<0.3."""

import math
import operator
import re
from collections.abc import Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase

from prnn_md.app.fields import shown
from prnn_md.app.records import Record
from prnn_md.app.runs.values import Value, check_keys, value

SYNTAX = """\
A condition is written key=value, key!=value, key<value, key<=value, key>value or key>=value. With = and !=,
commas separate several values, each of which may have * and ? in it; null stands for no value. A run is taken if it
meets all conditions; one without the key meets none but != and =null. Keys are the names of columns (status, model, md,
dataset, n_train, seed, time, started and so on), metrics (test/net_error), and dotted keys of the configuration
(optimizer.lr). Quote conditions with < and >, which the shell takes for its own.
"""

_CONDITION = re.compile(r"(?P<key>[^=<>!]+)(?P<sign><=|>=|!=|==|=|<|>)(?P<text>.*)")

_ORDERS = {"<": operator.lt, "<=": operator.le, ">": operator.gt, ">=": operator.ge}


class ConditionError(ValueError):
    """A condition that cannot be understood."""


@dataclass(frozen=True)
class Condition:
    """A key, one of the signs = != < <= > >=, and the text of the value."""

    key: str
    sign: str
    text: str

    def met_by(self, record: Record) -> bool:
        """Whether a run meets it. Raises ConditionError where number and text are to be ordered."""
        found = value(record, self.key)
        if self.sign in _ORDERS:
            return found is not None and self._ordered(found)
        equal = any(_equal(found, text) for text in self.text.split(","))
        return equal is (self.sign == "=")

    def _ordered(self, found: Value) -> bool:
        bound = self.text if isinstance(found, str) else _number(self.text)
        if bound is None or isinstance(found, list):
            kind = "a list, which has no order" if isinstance(found, list) else "a number"
            raise ConditionError(f"{self.key}{self.sign}{self.text}: {self.key} is {kind}.")
        return bool(_ORDERS[self.sign](found, bound))


def parsed(words: Sequence[str]) -> list[Condition]:
    """The conditions in some words. Raises ConditionError for a word that is none."""
    conditions = []
    for word in words:
        match = _CONDITION.fullmatch(word.strip())
        if match is None:
            raise ConditionError(f"'{word}' is no condition: write status=finished or 'test/net_error<0.3'.")
        sign = "=" if match["sign"] == "==" else match["sign"]
        conditions.append(Condition(match["key"].strip(), sign, match["text"].strip()))
    return conditions


def chosen(records: Sequence[Record], conditions: Sequence[Condition]) -> list[Record]:
    """The runs that meet all conditions. Raises UnknownKey for a key that none of the runs has."""
    check_keys(records, [condition.key for condition in conditions])
    return [record for record in records if all(condition.met_by(record) for condition in conditions)]


def _equal(found: Value, text: str) -> bool:
    """Whether a value is what the text says: numbers by value, texts by a pattern, a list by one of its items."""
    if isinstance(found, list):
        return any(_equal(item, text) for item in found) if found else text == "[]"
    if isinstance(found, bool) or found is None:
        return shown(found) == text.lower()
    if isinstance(found, int | float):
        return found == _number(text)
    return fnmatchcase(found.lower(), text.lower())


def _number(text: str) -> float | None:
    try:
        number = float(text)
    except ValueError:
        return None
    return None if math.isnan(number) else number
