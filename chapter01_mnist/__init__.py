"""Chapter 1: handwritten digits, by softmax regression and by a convolutional network."""
