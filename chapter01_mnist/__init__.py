"""Chapter 1: classifying handwritten digits by softmax regression and convolutional networks."""
