"""Finding what pictures show, and outlining it, with MaxViT under torchvision's detectors."""
