"""A web page on which visitors ask problems and watch the lanes solve them."""
