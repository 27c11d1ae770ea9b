"""The answers of the practice set, computed anew."""
