"""The web annotator: scenes, sessions, the file of accepted objects, and the HTTP API between them and the page."""
