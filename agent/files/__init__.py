"""Files, and the paths, URLs and texts by which users name what they mean."""
