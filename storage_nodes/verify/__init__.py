"""Reading everything the store keeps, to find what is wrong before a second loss does."""
