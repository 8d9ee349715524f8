"""The one-machine stack: every process of Gradline under one supervisor, with data in one folder."""
