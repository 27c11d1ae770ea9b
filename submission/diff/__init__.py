"""Say in words how two built notebooks differ."""
