"""Chapter 10: super-resolution."""
