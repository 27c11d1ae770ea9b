"""Coverage-guided fuzzing of the protocol between the sandbox's controller and its sessions."""
