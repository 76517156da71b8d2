"""Chapter 14: word vectors, learnt from which words stand near which."""
