"""The sandbox from the command line: the layers in words, or cells read and run."""
