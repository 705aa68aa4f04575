"""Molecular dynamics cells: force field, compiled kernels, energy minimisation, and libraries of samples."""
