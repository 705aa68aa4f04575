"""The same paths in fewer and in more increments."""

import pytest
import torch

from prnn_md.data.dataset import StressStrainData, averaged
from prnn_md.data.resampling import in_increments


@pytest.fixture
def data() -> StressStrainData:
    """Two paths of six increments that bend at every point."""
    generator = torch.Generator().manual_seed(0)
    strain = torch.randn(2, 7, 6, generator=generator, dtype=torch.float64)
    strain[:, 0] = 0.0
    times = torch.cumsum(torch.rand(2, 7, generator=generator, dtype=torch.float64), 1)
    replicas = torch.randn(2, 3, 7, 6, generator=generator)
    return averaged("bent", strain, times, replicas, ["a", "b"], ["train", "test"], "MPa")


def test_fewer_increments_take_every_so_many_points_and_labels(data: StressStrainData) -> None:
    paths = in_increments(data, 2)
    assert paths.every == 1
    assert paths.followed is paths.labels
    for name in ("strain", "stress", "standard_error", "times"):
        assert torch.equal(getattr(paths.labels, name), getattr(data, name)[:, [0, 3, 6]])
    assert torch.equal(paths.labels.replicas, data.replicas[:, :, [0, 3, 6]])
    assert torch.equal(paths.labels.stress_scale, data.stress_scale)


def test_more_increments_lie_on_lines_between_the_labelled_points(data: StressStrainData) -> None:
    paths = in_increments(data, 24)
    assert paths.followed.strain.shape == (2, 25, 6)
    assert paths.every == 4
    assert paths.labels is data
    torch.testing.assert_close(paths.followed.strain[:, ::4], data.strain)
    torch.testing.assert_close(paths.followed.times[:, ::4], data.times)
    middle = (data.strain[:, 2] + data.strain[:, 3]) / 2
    torch.testing.assert_close(paths.followed.strain[:, 10], middle)
    torch.testing.assert_close(paths.followed.times[:, 10], (data.times[:, 2] + data.times[:, 3]) / 2)


@pytest.mark.parametrize("increments", [None, 6])
def test_the_increments_of_the_labels_change_nothing(data: StressStrainData, increments: int | None) -> None:
    paths = in_increments(data, increments)
    assert paths.followed is paths.labels is data


@pytest.mark.parametrize("increments", [0, 4, 9])
def test_increments_that_do_not_fit_are_refused(data: StressStrainData, increments: int) -> None:
    with pytest.raises(ValueError, match=f"increments={increments}: the paths of bent have 6; choose a divisor"):
        in_increments(data, increments)
