"""What training sees: pairs of pictures, or labelled ones, cut, turned and mixed."""
