"""Rehearse the submission on this machine, as Kaggle would run it."""
