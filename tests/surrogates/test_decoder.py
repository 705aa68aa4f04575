"""Decoders against the mean of the stresses and against the equality of work."""

from functools import partial

import pytest
import torch

from prnn_md.mechanics import deviatoric_projector, trace
from prnn_md.surrogates import (
    FreeEncoder,
    HillMandelDecoder,
    IsotropicDecoder,
    NormalisedDecoder,
    SoftplusDecoder,
)


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@pytest.mark.parametrize(
    ("decoder", "tolerance"),
    [
        (SoftplusDecoder, 1e-3),
        (NormalisedDecoder, 1e-14),
        (partial(NormalisedDecoder, shared=False), 1e-14),
        (HillMandelDecoder, 1e-14),
        (IsotropicDecoder, 1e-14),
    ],
)
@pytest.mark.parametrize("cells", [1, 32])
def test_start_is_the_mean(decoder, tolerance, cells):
    stresses = torch.randn(5, 3, cells, 6, generator=generator(), dtype=torch.float64)
    identity = torch.eye(6, dtype=torch.float64).expand(cells, 6, 6)
    stress = decoder(counts=[cells], generator=generator())(stresses, identity)
    assert torch.allclose(stress, stresses.mean(-2), rtol=0, atol=tolerance * stresses.abs().max().item())


def test_start_weighs_all_cells_alike():
    for decoder in (SoftplusDecoder, NormalisedDecoder, HillMandelDecoder, IsotropicDecoder):
        weights = decoder(counts=[8], generator=generator()).weights()
        assert torch.allclose(weights, torch.full((8,), 1 / 8, dtype=torch.float64))


def test_work_of_hill_mandel_is_the_weighted_work_of_the_cells():
    matrices = FreeEncoder(cells=4, generator=generator(1), noise=0.5).matrices()
    decoder = HillMandelDecoder(counts=[4], generator=generator(2), noise=1.0)
    decoder.log_scale.data.fill_(0.3)
    stresses = torch.randn(10, 4, 6, generator=generator(3), dtype=torch.float64)
    increments = torch.randn(10, 6, generator=generator(4), dtype=torch.float64)
    work = (decoder(stresses, matrices) * increments).sum(-1)
    local = torch.stack([increments @ matrix.T for matrix in matrices], dim=-2)
    assert torch.allclose(work, (decoder.weights() * (stresses * local).sum(-1)).sum(-1))
    assert torch.allclose(decoder.weights().sum(), torch.tensor(0.3, dtype=torch.float64).exp())
    assert (decoder.weights() > 0).all()


def test_isotropic_weights_are_those_of_the_kind_times_those_of_the_cell():
    decoder = IsotropicDecoder(counts=[3, 1], generator=generator(2), noise=1.0)
    kinds = torch.tensor([[1.3, 0.7], [0.2, 2.0]], dtype=torch.float64)
    decoder.kinds.data = kinds.log()
    stresses = torch.randn(10, 4, 6, generator=generator(3), dtype=torch.float64)
    stress = decoder(stresses, torch.zeros(4, 6, 6))
    weights = kinds[[0, 0, 0, 1]] * decoder.cells.exp() / 4
    assert torch.allclose(trace(stress), torch.einsum("pm,m->p", trace(stresses), weights[:, 0]))
    shear = torch.einsum("pmi,m->pi", stresses, weights[:, 1]) @ deviatoric_projector()
    assert torch.allclose(stress @ deviatoric_projector(), shear)
    share = torch.einsum("mii->m", decoder.operators(torch.zeros(4, 6, 6))) / 6
    assert torch.allclose(decoder.weights(), share)


def test_weights_of_cells_can_be_kept():
    decoder = IsotropicDecoder(counts=[3, 1], generator=generator(), learn_cells=False)
    assert [name for name, weights in decoder.named_parameters() if weights.requires_grad] == ["kinds"]


@pytest.mark.parametrize(("shared", "numbers"), [(True, 4), (False, 24)])
def test_normalised_weights_are_positive_and_sum_to_one(shared, numbers):
    decoder = NormalisedDecoder(counts=[4], generator=generator(), shared=shared, noise=2.0)
    assert sum(p.numel() for p in decoder.parameters()) == numbers
    operators = decoder.operators(torch.zeros(4, 6, 6))
    assert torch.allclose(operators.sum(0), torch.eye(6, dtype=torch.float64), atol=1e-14)
    assert (operators.diagonal(dim1=-2, dim2=-1) > 0).all()
    same = operators.diagonal(dim1=-2, dim2=-1).std(-1) < 1e-14
    assert same.all() if shared else not same.any()


def test_dense_decoder_stays_positive_and_takes_noise():
    operators = SoftplusDecoder(counts=[2], generator=generator(), noise=3.0).operators(torch.zeros(2, 6, 6))
    assert (operators > 0).all() and operators.std() > 0.1


@pytest.mark.parametrize(("weights", "scale", "learnt"), [(True, True, 6), (True, False, 5), (False, True, 1)])
def test_parts_can_be_kept(weights, scale, learnt):
    decoder = HillMandelDecoder(counts=[5], generator=generator(), learn_weights=weights, learn_scale=scale)
    assert sum(p.numel() for p in decoder.parameters() if p.requires_grad) == learnt


def test_softplus_refuses_a_zero_start():
    with pytest.raises(ValueError, match="off_diagonal"):
        SoftplusDecoder(counts=[2], generator=generator(), off_diagonal=0.0)
