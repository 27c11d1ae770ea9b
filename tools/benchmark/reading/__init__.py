"""What a reply states: its last box, letter, program or sentence."""
