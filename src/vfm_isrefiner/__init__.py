"""Click-based interactive segmentation of remote-sensing images (VFM-ISRefiner)."""

__version__ = "0.1.0"
