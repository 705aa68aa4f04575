"""The same question has the same id, and bytes lead back to what they were made of."""

import pytest
import torch

from prnn_md.labels.query import Label, Query

STRAIN = torch.arange(12, dtype=torch.float64).reshape(2, 6)


def test_the_id_is_that_of_the_numbers_and_not_of_how_they_lie_in_memory() -> None:
    one = Query("physics", {"strain": STRAIN, "times": torch.tensor([0.0, 1.0])})
    other = Query("physics", {"times": torch.tensor([-0.0, 1.0]), "strain": STRAIN.T.contiguous().T})
    assert one.id == other.id
    assert len(one.id) == 32


@pytest.mark.parametrize(
    "other",
    [
        Query("other", {"strain": STRAIN}),
        Query("physics", {"strain": STRAIN}, replica=1),
        Query("physics", {"strain": STRAIN}, parent="0" * 32),
        Query("physics", {"stress": STRAIN}),
        Query("physics", {"strain": STRAIN.float()}),
        Query("physics", {"strain": STRAIN.reshape(6, 2)}),
        Query("physics", {"strain": STRAIN + 1e-15}),
    ],
)
def test_whatever_changes_the_answer_changes_the_id(other: Query) -> None:
    assert other.id != Query("physics", {"strain": STRAIN}).id


def test_bytes_lead_back_to_the_query_and_the_label() -> None:
    query = Query("physics", {"strain": STRAIN, "empty": torch.zeros(0, 3), "seed": torch.tensor(7)}, 3, "1" * 32)
    again = Query.from_data(query.data)
    assert again.id == query.id
    assert (again.replica, again.parent) == (3, "1" * 32)
    assert torch.equal(again.inputs["strain"], STRAIN)
    label = Label({"stress": STRAIN}, {"stop": "force tolerance"}, cost=3.0)
    back = Label.from_data(label.data, 3.0)
    assert torch.equal(back.outputs["stress"], STRAIN)
    assert (back.about, back.cost) == (label.about, 3.0)


@pytest.mark.parametrize("change", [lambda data: data[:-1], lambda data: data + b"0"])
def test_bytes_that_are_not_all_there_are_refused(change) -> None:
    data = Label({"stress": STRAIN}).data
    with pytest.raises(ValueError, match="it (ends too early|is longer)"):
        Label.from_data(change(data))


def test_other_numbers_are_refused_by_name() -> None:
    with pytest.raises(TypeError, match="'strain' must be one of float64, .*, got complex64"):
        _ = Query("physics", {"strain": torch.zeros(2, dtype=torch.complex64)}).id
