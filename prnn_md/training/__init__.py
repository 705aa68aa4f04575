"""Training of any cell on stress and strain paths: module, callbacks and seeds.

Nothing is imported here: `prnn_md.training.seeding` serves the config before torch is loaded.
"""
