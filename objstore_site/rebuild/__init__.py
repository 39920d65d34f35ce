"""The database made anew from the drives' directories alone."""
