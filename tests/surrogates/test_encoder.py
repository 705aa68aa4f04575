"""Encoders against the homogenisation prior, the tensors that they rotate, and their own promises."""

import pytest
import torch

from prnn_md.mechanics import from_mandel, rotation_from_vector, to_mandel, trace
from prnn_md.surrogates import AmplifiedRotationEncoder, FreeEncoder, TaylorEncoder


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@pytest.mark.parametrize("encoder", [TaylorEncoder, FreeEncoder, AmplifiedRotationEncoder])
def test_start_hands_the_strain_to_every_cell(encoder):
    strain = torch.randn(3, 2, 6, generator=generator(), dtype=torch.float64)
    local = encoder(cells=4, generator=generator())(strain)
    assert torch.allclose(local, strain.unsqueeze(-2).expand(3, 2, 4, 6), atol=1e-15, rtol=1e-15)


@pytest.mark.parametrize("encoder", [TaylorEncoder, FreeEncoder, AmplifiedRotationEncoder])
def test_noise_is_drawn_from_the_seed(encoder):
    matrices = [encoder(cells=3, generator=generator(seed), noise=0.2).matrices() for seed in (1, 1, 2)]
    assert torch.equal(matrices[0], matrices[1])
    assert not torch.allclose(matrices[0], matrices[2])
    with pytest.raises(ValueError, match="noise"):
        encoder(cells=3, generator=generator(), noise=-1.0)


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
