"""Chapter 3: an image classifier of one's own, by training a ready-made network further."""
