"""Chapter 5: object detection, SSD and Faster R-CNN."""
