"""From a clone to a scored Kaggle notebook: predictor, notebook, wheels, metadata, rehearsal and push."""
