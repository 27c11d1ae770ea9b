"""From a clone to a scored Kaggle notebook: gateway, notebook, wheels, metadata, rehearsal and push."""
