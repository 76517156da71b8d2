"""Chapter 7: image style transfer, fast and slow."""
