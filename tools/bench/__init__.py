"""Speed measurements, each beside a yardstick in the same run."""
