"""The command line: flags become a plan, and the plan is carried out."""
