"""A coverage-guided fuzz of the protocol between the sandbox's controller and its sessions."""
