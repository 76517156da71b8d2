"""Chapter 4: Deep Dream."""
