"""How fast the parts are, beside the plain way of doing the same on the same machine in the same run."""
