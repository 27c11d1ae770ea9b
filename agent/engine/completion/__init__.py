"""What a request for a completion holds, by the kind of server that it goes to."""
