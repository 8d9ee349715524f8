"""Files and generators as problems that can be fitted."""
