"""Extract the answer of a reply: its last box, letter, program or sentence."""
