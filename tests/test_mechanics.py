"""Notation, stretches, stress measures and units, against textbook formulas and energies."""

import math

import pytest
import torch
from torch import Tensor

from prnn_md.mechanics import (
    COMPONENTS,
    LJ,
    MPA,
    Units,
    biot_from_cauchy,
    biot_strain,
    cauchy_from_biot,
    deviatoric_projector,
    face_widths,
    from_mandel,
    least_stretch,
    mandel_rotation,
    polar_decomposition,
    rotation_from_vector,
    stretch_of,
    to_mandel,
    trace,
    unit_system,
    upper_triangular_box,
    volumetric_projector,
)

SHEAR_MODULUS, LAME = 3.0, 7.0
IDENTITY = torch.eye(3, dtype=torch.float64)
ARGON = Units("argon", length_m=3.405e-10, energy_joule=119.8 * 1.380649e-23, mass_kg=39.948 * 1.66053906660e-27)


def drawn(seed: int, *shape: int) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def symmetric(seed: int, *batch: int) -> Tensor:
    tensor = drawn(seed, *batch, 3, 3)
    return tensor + tensor.mT


def rotations(seed: int, *batch: int) -> Tensor:
    return rotation_from_vector(drawn(seed, *batch, 3))


def gradients(seed: int, *batch: int) -> Tensor:
    """Deformation gradients with a large rotation and stretches well away from zero."""
    return rotations(seed, *batch) @ stretch_of(0.1 * drawn(seed + 1, *batch, 6))


def test_mandel_components_in_their_order_and_back() -> None:
    tensor = torch.tensor([[1.0, 6.0, 5.0], [6.0, 2.0, 4.0], [5.0, 4.0, 3.0]], dtype=torch.float64)
    assert COMPONENTS == ("xx", "yy", "zz", "yz", "xz", "xy")
    root = math.sqrt(2)
    assert to_mandel(tensor).tolist() == pytest.approx([1, 2, 3, 4 * root, 5 * root, 6 * root])
    torch.testing.assert_close(from_mandel(to_mandel(tensor)), tensor)
    vectors = drawn(0, 4, 5, 6)
    torch.testing.assert_close(to_mandel(from_mandel(vectors)), vectors)


def test_an_antisymmetric_part_is_left_out() -> None:
    tensor = drawn(1, 3, 3)
    torch.testing.assert_close(from_mandel(to_mandel(tensor)), 0.5 * (tensor + tensor.T))


def test_double_contraction_is_the_dot_product() -> None:
    first, second = symmetric(2, 4), symmetric(3, 4)
    torch.testing.assert_close((first * second).sum((-1, -2)), (to_mandel(first) * to_mandel(second)).sum(-1))


def test_projectors_split_a_tensor_into_pressure_and_deviator() -> None:
    tensor = symmetric(4)
    vector, mean = to_mandel(tensor), torch.trace(tensor) / 3
    assert trace(vector).item() == pytest.approx(torch.trace(tensor).item())
    torch.testing.assert_close(from_mandel(volumetric_projector() @ vector), mean * IDENTITY)
    torch.testing.assert_close(from_mandel(deviatoric_projector() @ vector), tensor - mean * IDENTITY)


def test_polar_decomposition_gives_rotation_times_symmetric_positive_stretch() -> None:
    deformation = gradients(5, 20)
    rotation, stretch = polar_decomposition(deformation)
    torch.testing.assert_close(rotation @ stretch, deformation)
    torch.testing.assert_close(rotation @ rotation.mT, IDENTITY.expand(20, 3, 3))
    assert (torch.linalg.det(rotation) > 0).all()
    torch.testing.assert_close(stretch, stretch.mT)
    assert (torch.linalg.eigvalsh(stretch) > 0).all()


def test_biot_strain_of_a_stretch_along_an_axis_is_its_elongation() -> None:
    stretched = torch.diag(torch.tensor([1.2, 0.9, 1.0], dtype=torch.float64))
    assert biot_strain(stretched).tolist() == pytest.approx([0.2, -0.1, 0, 0, 0, 0])


def test_simple_shear_has_its_textbook_stretch() -> None:
    """U = (2 I + gamma (e1 e2 + e2 e1) + gamma^2 e2 e2) / sqrt(4 + gamma^2) in the plane of a shear by gamma."""
    gamma = 0.3
    deformation = IDENTITY.clone()
    deformation[0, 1] = gamma
    root = math.sqrt(4 + gamma**2)
    expected = [2 / root - 1, (2 + gamma**2) / root - 1, 0, 0, 0, math.sqrt(2) * gamma / root]
    assert biot_strain(deformation).tolist() == pytest.approx(expected)


def test_a_rotation_of_the_deformed_body_leaves_the_strain() -> None:
    deformation = gradients(6, 20)
    torch.testing.assert_close(biot_strain(rotations(8, 20) @ deformation), biot_strain(deformation))


def test_least_stretch_is_the_smallest_principal_value() -> None:
    strain = to_mandel(rotations(4) @ torch.diag(drawn(5, 3)) @ rotations(4).mT)
    assert least_stretch(strain).item() == pytest.approx(1 + drawn(5, 3).min().item())


def test_stretch_and_strain_are_inverse() -> None:
    strain = 0.1 * drawn(9, 20, 6)
    torch.testing.assert_close(biot_strain(stretch_of(strain)), strain)


@pytest.mark.parametrize("factor", [0.0, -1.0])
def test_a_gradient_that_turns_space_inside_out_is_refused(factor: float) -> None:
    mirrored = torch.stack([IDENTITY, torch.diag(torch.tensor([factor, 1.0, 1.0], dtype=torch.float64))])
    with pytest.raises(ValueError, match="det F <= 0"):
        polar_decomposition(mirrored)
    with pytest.raises(ValueError, match="det F <= 0"):
        biot_strain(mirrored)


def test_a_rotation_vector_turns_about_its_axis_by_its_length() -> None:
    quarter = rotation_from_vector(torch.tensor([0.0, 0.0, math.pi / 2], dtype=torch.float64))
    torch.testing.assert_close(quarter @ IDENTITY[0], IDENTITY[1])
    torch.testing.assert_close(quarter @ IDENTITY[2], IDENTITY[2])


def test_mandel_rotation_is_orthogonal_and_turns_tensors() -> None:
    rotation, tensor = rotations(10, 7), symmetric(11, 7)
    matrix = mandel_rotation(rotation)
    torch.testing.assert_close(matrix @ matrix.mT, torch.eye(6, dtype=torch.float64).expand(7, 6, 6))
    turned = (matrix @ to_mandel(tensor).unsqueeze(-1)).squeeze(-1)
    torch.testing.assert_close(from_mandel(turned), rotation @ tensor @ rotation.mT)


def test_mandel_rotations_follow_each_other() -> None:
    first, second = rotations(12), rotations(13)
    torch.testing.assert_close(mandel_rotation(second @ first), mandel_rotation(second) @ mandel_rotation(first))


def neo_hookean_energy(strain: Tensor) -> Tensor:
    """Energies per reference volume (n,) of a compressible neo-Hookean solid."""
    stretch = stretch_of(strain)
    volume = torch.linalg.det(stretch).log()
    invariant = (stretch @ stretch).diagonal(dim1=-1, dim2=-2).sum(-1)
    return SHEAR_MODULUS * (0.5 * (invariant - 3) - volume) + 0.5 * LAME * volume**2


def neo_hookean_cauchy(strain: Tensor) -> Tensor:
    """Its Cauchy stresses (n, 6) in the frame rotated back, sigma = (mu (b - I) + lambda ln J I) / J."""
    stretch = stretch_of(strain)
    jacobian = torch.linalg.det(stretch)[:, None, None]
    spherical = LAME * jacobian.log() * IDENTITY
    return to_mandel((SHEAR_MODULUS * (stretch @ stretch - IDENTITY) + spherical) / jacobian)


def test_biot_stress_is_the_derivative_of_the_energy() -> None:
    strain = (0.1 * drawn(14, 20, 6)).requires_grad_()
    (derivative,) = torch.autograd.grad(neo_hookean_energy(strain).sum(), strain)
    strain = strain.detach()
    torch.testing.assert_close(biot_from_cauchy(neo_hookean_cauchy(strain), strain), derivative)
    torch.testing.assert_close(cauchy_from_biot(derivative, strain), neo_hookean_cauchy(strain))


def test_cauchy_and_biot_stress_are_inverse_even_where_stretch_and_stress_do_not_commute() -> None:
    strain, cauchy = 0.2 * drawn(15, 50, 6), drawn(16, 50, 6)
    torch.testing.assert_close(cauchy_from_biot(biot_from_cauchy(cauchy, strain), strain), cauchy)


def test_without_strain_the_stress_measures_agree() -> None:
    cauchy = drawn(17, 6)
    torch.testing.assert_close(biot_from_cauchy(cauchy, torch.zeros_like(cauchy)), cauchy)


def test_a_box_is_rotated_upper_triangular() -> None:
    box = gradients(18, 10) * 5
    rotation, triangular = upper_triangular_box(box)
    torch.testing.assert_close(rotation @ triangular, box)
    torch.testing.assert_close(triangular, triangular.triu())
    assert (triangular.diagonal(dim1=-1, dim2=-2) > 0).all()
    torch.testing.assert_close(rotation @ rotation.mT, IDENTITY.expand(10, 3, 3))
    torch.testing.assert_close(torch.linalg.det(rotation), torch.ones(10, dtype=torch.float64))


def test_face_widths_of_a_sheared_box() -> None:
    """Edges of 2, 3 and 4, the second sheared by 3 along the first: only the faces that it tilts get nearer."""
    box = torch.tensor([[2.0, 3.0, 0.0], [0.0, 3.0, 0.0], [0.0, 0.0, 4.0]], dtype=torch.float64)
    assert face_widths(box).tolist() == pytest.approx([math.sqrt(2), 3, 4])


def test_face_widths_are_volume_over_area() -> None:
    box = gradients(19, 10) * 5
    a, b, c = box.unbind(-1)
    areas = torch.stack([torch.linalg.cross(*pair).norm(dim=-1) for pair in ((b, c), (c, a), (a, b))], dim=-1)
    torch.testing.assert_close(face_widths(box), torch.linalg.det(box)[:, None] / areas)


def test_reduced_units_of_argon() -> None:
    """Scales as in Frenkel & Smit, Understanding Molecular Simulation, table 3.1."""
    assert ARGON.temperature_in_kelvin() == pytest.approx(119.8)
    assert ARGON.time_in_seconds() == pytest.approx(2.156e-12, rel=1e-3)
    assert ARGON.stress_in_mpa() == pytest.approx(41.9, rel=1e-3)


def test_unit_systems_by_name() -> None:
    assert unit_system("MPa") is MPA
    assert MPA.stress_in_mpa() == pytest.approx(1.0)
    assert unit_system("epsilon/sigma^3") is LJ
    with pytest.raises(ValueError, match=r"units must be one of .*MPa, got 'psi'"):
        unit_system("psi")


@pytest.mark.parametrize("conversion", ["stress_in_mpa", "temperature_in_kelvin", "time_in_seconds"])
def test_units_without_scales_do_not_convert(conversion: str) -> None:
    with pytest.raises(ValueError, match=r"'epsilon/sigma\^3' has no \w+: give it to convert"):
        getattr(LJ, conversion)()
