"""Chapter 16: machine translation."""
