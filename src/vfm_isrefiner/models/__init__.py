"""The networks: one box of the paper's figures per file."""
