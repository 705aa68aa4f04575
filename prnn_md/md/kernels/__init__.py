"""Compiled functions for one cell of particles; the torch energies of `prnn_md.md` are what they are tested against.

Positions and the like are arrays (N, 4): the three coordinates of a particle and a zero, so that the processor can take
a particle at once. Functions take from them what they need.
"""
