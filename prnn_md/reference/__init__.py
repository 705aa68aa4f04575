"""Reference simulations with LAMMPS."""
