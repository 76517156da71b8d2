"""Chapter 3: an image classifier for your own classes, by fine-tuning a pretrained network."""
