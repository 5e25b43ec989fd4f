"""The networks of detectors, on torchvision's operators."""
