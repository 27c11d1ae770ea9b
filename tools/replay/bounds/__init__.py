"""What policies could reach on recorded samples, by how much they would have to know."""
