"""The command line: flags specify a run, and it is carried out."""
