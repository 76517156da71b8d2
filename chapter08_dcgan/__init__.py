"""Chapter 8: generating images with a DCGAN."""
