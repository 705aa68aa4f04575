"""Constitutive cells: linear elasticity, J2 plasticity and generalised Maxwell viscoelasticity."""

from prnn_md.materials.elastic import Elastic
from prnn_md.materials.j2 import J2
from prnn_md.materials.viscoelastic import Viscoelastic

__all__ = ["J2", "Elastic", "Viscoelastic"]
