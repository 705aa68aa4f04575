"""Encoders against the homogenisation prior, the tensors that they rotate, and their own promises."""

import math

import pytest
import torch

from prnn_md.mechanics import from_mandel, rotation_from_vector, to_mandel, trace
from prnn_md.surrogates import (
    AmplifiedRotationEncoder,
    FreeEncoder,
    LowRankEncoder,
    MultilayerEncoder,
    TaylorEncoder,
)

ENCODERS = [TaylorEncoder, FreeEncoder, LowRankEncoder, MultilayerEncoder, AmplifiedRotationEncoder]


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@pytest.mark.parametrize("encoder", ENCODERS)
def test_start_hands_the_strain_to_every_cell(encoder):
    strain = torch.randn(3, 2, 6, generator=generator(), dtype=torch.float64)
    local = encoder(cells=4, generator=generator())(strain)
    assert torch.allclose(local, strain.unsqueeze(-2).expand(3, 2, 4, 6), atol=1e-15, rtol=1e-15)


@pytest.mark.parametrize("encoder", ENCODERS)
def test_noise_is_drawn_from_the_seed(encoder):
    matrices = [encoder(cells=3, generator=generator(seed), noise=0.2).matrices() for seed in (1, 1, 2)]
    assert torch.equal(matrices[0], matrices[1])
    assert not torch.allclose(matrices[0], matrices[2])
    with pytest.raises(ValueError, match="noise"):
        encoder(cells=3, generator=generator(), noise=-1.0)


def test_a_volumetric_amplification_that_is_not_learnt_stays_one():
    encoder = AmplifiedRotationEncoder(cells=2, generator=generator(), rotations=False, volumes=False)
    encoder.log_amplifications.data = torch.tensor([0.4, 0.2], dtype=torch.float64)
    assert encoder.amplifications().tolist() == pytest.approx([1.0, math.exp(0.2)])
    encoder.matrices().square().sum().backward()
    assert encoder.log_amplifications.grad[0] == 0.0
    assert encoder.log_amplifications.grad[1] > 0.0


def test_cells_see_the_rotated_and_amplified_tensor():
    encoder = AmplifiedRotationEncoder(cells=2, generator=generator(), noise=0.7)
    encoder.log_amplifications.data = torch.tensor([1.5, 0.8], dtype=torch.float64).log()
    strain = torch.randn(6, generator=generator(), dtype=torch.float64)
    spherical = from_mandel(strain).trace() / 3 * torch.eye(3, dtype=torch.float64)
    amplified = 1.5 * spherical + 0.8 * (from_mandel(strain) - spherical)
    for vector, local in zip(encoder.rotation_vectors, encoder(strain), strict=True):
        rotation = rotation_from_vector(vector)
        assert torch.allclose(local, to_mandel(rotation @ amplified @ rotation.T), atol=1e-14)
        assert torch.allclose(trace(local), 1.5 * trace(strain))


@pytest.mark.parametrize(("rotations", "count"), [(True, 3 * 5 + 2), (False, 2)])
def test_number_of_learnt_parameters(rotations, count):
    encoder = AmplifiedRotationEncoder(cells=5, generator=generator(), rotations=rotations)
    assert sum(p.numel() for p in encoder.parameters() if p.requires_grad) == count


def test_rotations_learn_from_their_start_at_zero():
    encoder = AmplifiedRotationEncoder(cells=2, generator=generator())
    encoder(torch.tensor([0.1, 0.0, 0.0, 0.0, 0.0, 0.0], dtype=torch.float64))[..., 5].sum().backward()
    assert torch.isfinite(encoder.rotation_vectors.grad).all()
    assert (encoder.rotation_vectors.grad[:, 2].abs() > 0.05).all()


def test_under_taylors_assumption_nothing_is_learnt_and_all_is_saved():
    encoder = TaylorEncoder(cells=5, generator=generator(), noise=0.1)
    assert not list(encoder.parameters())
    assert torch.equal(encoder.state_dict()["fixed"], encoder.matrices())


def test_low_rank_adds_matrices_of_that_rank():
    encoder = LowRankEncoder(cells=3, generator=generator(), rank=2, noise=0.5)
    added = encoder.matrices() - torch.eye(6, dtype=torch.float64)
    assert torch.linalg.matrix_rank(added).tolist() == [2, 2, 2]


@pytest.mark.parametrize("layers", [1, 3])
def test_matrices_of_a_multilayer_encoder_are_the_derivative_of_its_strains(layers):
    encoder = MultilayerEncoder(cells=2, generator=generator(), layers=layers, width=5, noise=1.0)
    strain = 0.1 * torch.randn(4, 3, 6, generator=generator(1), dtype=torch.float64)
    encoder.set_scales(strain)
    assert encoder.scale == strain.norm(dim=-1).max()
    matrices = encoder.matrices_at(strain)
    assert matrices.shape == (4, 3, 2, 6, 6)
    jacobian = torch.autograd.functional.jacobian(encoder, strain[1, 2])
    assert torch.allclose(matrices[1, 2], jacobian, rtol=1e-12, atol=1e-14)
    assert not torch.allclose(matrices[1, 2], encoder.matrices(), atol=1e-2), "it is not linear"
    assert not encoder(torch.zeros(6, dtype=torch.float64)).any()


@pytest.mark.parametrize("encoder", [LowRankEncoder, MultilayerEncoder])
def test_the_identity_is_left_in_the_first_step(encoder):
    """At the start one factor is zero; the other must not be, or neither would ever learn."""
    encoder = encoder(cells=2, generator=generator())
    local = encoder(torch.full((6,), 0.1, dtype=torch.float64))
    local.square().sum().backward()
    assert any(p.grad is not None and p.grad.norm() > 1e-3 for p in encoder.parameters())
