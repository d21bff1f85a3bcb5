"""Objects of whole scenes from prompts in a file: windows, sessions, a log that survives a kill, and the outputs."""
