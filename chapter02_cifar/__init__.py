"""Chapter 2: CIFAR-10, data augmentation, training on several devices."""
