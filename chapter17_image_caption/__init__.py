"""Chapter 17: image captions."""
