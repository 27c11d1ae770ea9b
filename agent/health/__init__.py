"""Whether a served model is sound: two easy problems, and safer settings of its server where it fails them."""
