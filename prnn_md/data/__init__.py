"""Strain paths, datasets of strain and stress, and the DataModule that feeds them to the training."""
