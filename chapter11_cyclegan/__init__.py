"""Chapter 11: CycleGAN, translation between two sets of images without pairs."""
