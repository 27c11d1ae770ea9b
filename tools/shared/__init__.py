"""What two or more tools need."""
