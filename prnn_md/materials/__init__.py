"""Constitutive cells: elasticity, plasticity, viscoelasticity, glassy polymers and fibres."""

from prnn_md.materials.elastic import Elastic
from prnn_md.materials.fibre import Fibre
from prnn_md.materials.glassy_polymer import GlassyPolymer
from prnn_md.materials.j2 import J2
from prnn_md.materials.viscoelastic import Viscoelastic

__all__ = ["J2", "Elastic", "Fibre", "GlassyPolymer", "Viscoelastic"]
