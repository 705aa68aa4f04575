"""What the parts of the study share: paths, stresses, means with errors, colours."""

from typing import Any

import torch
from torch import Tensor

from prnn_md.mechanics import COMPONENTS

BLACK, BLUE, ORANGE = "#000000", "#0072B2", "#D55E00"
STRESS = r"$\varepsilon/\sigma^3$"


def shear_path(direction: str, shear: float, increments: int) -> Tensor:
    """Biot strains (T+1, 6) in equal steps up to an engineering shear strain."""
    strains = torch.zeros(increments + 1, 6, dtype=torch.float64)
    strains[:, COMPONENTS.index(direction)] = torch.linspace(0.0, shear / 2**0.5, increments + 1, dtype=torch.float64)
    return strains


def shear_stress(stresses: Tensor, direction: str) -> Tensor:
    """The shear stress (...,) of Mandel stresses (..., 6)."""
    return stresses[..., COMPONENTS.index(direction)] / 2**0.5


def mean_with_error(values: Tensor) -> dict[str, Any]:
    """Mean over the first dimension and its standard error."""
    return {"mean": values.mean(0).tolist(), "error": (values.std(0) / len(values) ** 0.5).tolist()}
