"""The `gradline` command. Data goes to stdout, talk to stderr; what is heavy is imported where it is needed."""
