"""Export of answered requests as training datasets."""
